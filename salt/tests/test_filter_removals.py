"""What becomes of the packet filters of machines that are removed; without a hypervisor."""

import json

from test_removals import FAR_AHEAD, LONG_AGO, apply, assert_nothing_to_do, document, hypervisor, seeds, states, tombstones
from test_states import uuid


def test_filters_go_with_their_machines(hypervisor, states):
    for number in (1, 2, 5):
        hypervisor.add(number)
    hypervisor.filters = ["virtapi-" + uuid(number) for number in (1, 2, 4, 5)] + ["foreign", "virtapi-x"]
    wanted = document(tombstones([(1, FAR_AHEAD), (2, LONG_AGO), (4, LONG_AGO)]))

    def observed():
        comment = states()["virtapi_document.observed"]("x", wanted)["comment"]
        return json.loads(comment[len("virtapi: ") :])["observed"].get("removed")

    result = apply(states(test=True), wanted)
    assert result["result"] is None and result["changes"]["vm-4 filter"] == {"old": "present", "new": "absent"}
    assert (len(hypervisor.filters), observed()) == (6, None)
    result = apply(states(), wanted)
    assert result["result"] is True and "vm-4 filter" in result["changes"], result
    assert hypervisor.filters == ["virtapi-" + uuid(1), "virtapi-" + uuid(5), "foreign", "virtapi-x"]
    assert observed() == [uuid(2), uuid(4)]
    assert_nothing_to_do(hypervisor, states, wanted)
