"""What becomes of the snapshots of an image that is removed; without a hypervisor."""

import pytest
import storage_stand_in
import virtapi_command
from salt.exceptions import CommandExecutionError
from test_removals import RBD, apply, document, hypervisor, states, tombstones
from test_states import uuid


@pytest.mark.parametrize(
    "snapshots, protected, watchers, goes",
    [
        (["virtapi-a", "virtapi-b"], [], [], True),
        (["virtapi-a", "backup"], [], [], False),
        (["virtapi-a", "virtapi-b"], ["virtapi-b"], [], False),
        (["virtapi-a"], [], ["10.1.0.12"], False),
        ([], [], ["10.1.0.12"], False),
    ],
)
def test_snapshots_of_virtapi_go_with_their_image(hypervisor, states, monkeypatch, snapshots, protected, watchers, goes):
    held = {"size": 4, "snapshots": dict.fromkeys(snapshots, {}), "protected": protected, "watchers": watchers}
    images = {"rbd/vol-9": held}
    asked = []

    def run(functions, *words, **options):
        if words[0] != "rbd":
            return hypervisor.run(functions, *words, **options)
        asked.append(words[10:])
        try:
            return storage_stand_in.rbd(images, list(words[1:]))
        except storage_stand_in.Refused as error:
            raise CommandExecutionError(str(error))

    monkeypatch.setattr(virtapi_command, "run", run)
    result = apply(states(), document(tombstones([], _21=RBD), 20))
    assert (result["result"], bool(images)) == (goes, not goes), result
    if not goes:
        assert result["comment"] == "rbd: image has snapshots or watchers"
        assert (list(held["snapshots"]), [words for words in asked if words[:2] == ("snap", "rm")]) == (snapshots, [])
