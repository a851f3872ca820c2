"""What becomes of the seeds of machines that are removed; without a hypervisor."""

import json

from test_removals import FAR_AHEAD, LONG_AGO, apply, assert_nothing_to_do, document, hypervisor, seeds, states, tombstones
from test_states import uuid


def test_seeds_go_with_their_machines(hypervisor, states, seeds):
    for number in (1, 2, 5):
        hypervisor.add(number)
    for number in range(1, 6):
        (seeds / "{}-{}.iso".format(uuid(number), "0" * 32)).touch()
    # What a run has left that was interrupted.
    (seeds / (uuid(4) + ".unfinished")).mkdir()
    wanted = document(tombstones([(1, FAR_AHEAD), (2, LONG_AGO), (4, LONG_AGO)]))

    def observed():
        comment = states()["virtapi_document.observed"]("x", wanted)["comment"]
        return json.loads(comment[len("virtapi: ") :])["observed"].get("removed")

    result = apply(states(test=True), wanted)
    assert result["result"] is None and result["changes"]["vm-4 seed"] == {"old": "present", "new": "absent"}
    assert (len(list(seeds.iterdir())), observed()) == (6, None)
    result = apply(states(), wanted)
    assert result["result"] is True and "vm-4 seed" in result["changes"], result
    assert sorted(path.name[:36] for path in seeds.iterdir()) == [uuid(1), uuid(3), uuid(5)]
    assert observed() == [uuid(2), uuid(4)]
    assert_nothing_to_do(hypervisor, states, wanted)
