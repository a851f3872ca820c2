"""What becomes of the snapshots of one volume, as Salt's own loader loads the modules; with stand-ins for virsh, qemu-img and rbd."""

import pytest
from libvirt_stub import FIRST, apply, converge, libvirt
from storage_stub import CLUSTER, FUTURE, OVER, PAST, RBD, snapshot, storage
from test_plan import volume
from test_states import states, uuid


@pytest.fixture
def snapshots(storage, states):
    """A run over the snapshots of a volume: what Salt says, and the commands."""

    def call(*wanted, test=False, vm=uuid(1), cluster=None, **other):
        storage.commands.clear()
        storage.looks.clear()
        run = states(test=test)
        run["virtapi_snapshots.mod_init"]({})
        of = volume(1, **dict({"type": "qcow2", "path": storage.path, "snapshots": list(wanted)}, **other))
        return run["virtapi_snapshots.present"](of["uuid"], of, vm=vm, cluster=cluster), list(storage.commands)

    return call


@pytest.fixture
def nothing_to_do(snapshots):
    def call(*wanted, **other):
        result, asked = snapshots(*wanted, **other)
        assert (result["result"], result["changes"], asked) == (True, {}, []), result

    return call


NEW, OLD = snapshot("new"), snapshot("old", PAST, OVER)
CHANGES = {"virtapi-new": {"old": "absent", "new": "present"}, "virtapi-old": {"old": "present", "new": "absent"}}


def test_of_a_machine_that_is_off(storage, snapshots, nothing_to_do):
    storage.hold(snapshots={name: {} for name in ("virtapi-old", "virtapi-unknown", "old", "ß" * 9)})
    result, asked = snapshots(NEW, OLD, test=True)
    assert (result["result"], result["changes"], asked) == (None, CHANGES, [])
    result, asked = snapshots(NEW, OLD, snapshot("later", FUTURE))
    assert (result["result"], result["changes"]) == (True, CHANGES), result
    assert asked == ["qemu-img snapshot -q -c virtapi-new " + storage.path, "qemu-img snapshot -q -d virtapi-old " + storage.path]
    assert list(storage.held()["snapshots"]) == ["virtapi-unknown", "old", "ß" * 9, "virtapi-new"]
    nothing_to_do(NEW, OLD)
    assert storage.looks == []


def test_of_a_machine_that_runs(storage, snapshots, nothing_to_do, converge):
    disk = volume(1, type="qcow2", path=storage.path)
    converge(FIRST, volumes=[volume(3), disk])
    storage.hold(snapshots={"virtapi-old": {}})
    result, asked = snapshots(NEW, OLD)
    assert (result["result"], result["changes"]) == (True, CHANGES), result
    assert asked == ["qemu-monitor-command"] * 2
    assert list(storage.held()["snapshots"]) == ["virtapi-new"]
    nothing_to_do(NEW, OLD)
    storage.hold(broken=True)
    result, _ = snapshots(snapshot("more"))
    assert result["comment"] == storage.path + ": virtapi-more: blockdev-snapshot-internal-sync: virtapi-more: No space left on device"


def test_nobody_writes_to_an_image_that_another_machine_has_open(storage, snapshots, converge):
    converge(FIRST, volumes=[volume(1, type="qcow2", path=storage.path)])
    result, _ = snapshots(NEW, vm=uuid(2))
    assert result["result"] is False and 'Failed to get "write" lock' in result["comment"]
    assert storage.held()["snapshots"] == {}


def test_one_that_fails_does_not_keep_the_others(storage, snapshots):
    storage.hold(snapshots={"virtapi-old": {}}, forgetful=True)
    result, _ = snapshots(NEW, OLD)
    assert (result["result"], storage.held()["snapshots"]) == (False, {})
    assert result["comment"] == storage.path + ": virtapi-new was taken, and is not there"
    storage.hold(broken=True)
    result, _ = snapshots(NEW, snapshot("newer"))
    assert (result["result"], result["changes"]) == (False, {})
    assert result["comment"].count("No space left") == 2


def test_in_a_pool(storage, states):
    storage.images["rbd/vol-2"]["snapshots"] = {"virtapi-old": {}, "virtapi-unknown": {}, "backup": {}}

    def run(*wanted, cluster=CLUSTER):
        storage.commands.clear()
        storage.looks.clear()
        loaded = states()
        loaded["virtapi_snapshots.mod_init"]({})
        of = volume(2, **dict(RBD, snapshots=list(wanted)))
        return loaded["virtapi_snapshots.present"](of["uuid"], of, cluster=cluster), list(storage.commands)

    result, asked = run(NEW, OLD)
    assert (result["result"], result["changes"]) == (True, CHANGES), result
    assert asked == ["rbd snap create --no-progress rbd/vol-2@virtapi-new", "rbd snap rm --no-progress rbd/vol-2@virtapi-old"]
    assert list(storage.images["rbd/vol-2"]["snapshots"]) == ["virtapi-unknown", "backup", "virtapi-new"]
    result, asked = run(NEW, OLD)
    assert (result["result"], result["changes"], asked, storage.looks) == (True, {}, [], ["rbd ls --long --format json rbd"])
    storage.images["rbd/vol-2"]["broken"] = True
    assert "Connection timed out" in run(snapshot("more"))[0]["comment"]
    for cluster, reason in ((None, "cluster ceph is not described"), ({"mons": []}, "no monitors of cluster ceph")):
        result, asked = run(NEW, cluster=cluster)
        assert (result["result"], asked) == (False, []) and reason in result["comment"], result


def test_no_others_are_taken(snapshots):
    for kind, place in (("raw", {}), ("lvm", {"vg": "vg0", "lv": "a"}), ("zfs", {})):
        result, asked = snapshots(NEW, type=kind, **place)
        assert (result["result"], asked) == (False, [])
        assert "snapshots of {} volumes are not taken".format(kind) in result["comment"]


@pytest.mark.parametrize("content, reason", [(b"", "cannot be read"), (b"raw" * 99, "is no qcow2")])
def test_a_file_that_is_none(tmp_path, snapshots, content, reason):
    (tmp_path / "other").write_bytes(content)
    result, asked = snapshots(NEW, path=str(tmp_path / "other"))
    assert (result["result"], asked) == (False, []) and reason in result["comment"]


def test_a_table_that_ends_too_soon(storage, snapshots):
    storage.hold(snapshots={"virtapi-a": {}})
    with open(storage.path, "r+b") as file:
        file.truncate(file.seek(0, 2) - 8)
    result, _ = snapshots(NEW)
    assert result["comment"] == "{0}: {0}: its snapshots cannot be read".format(storage.path)


def test_a_file_that_a_dry_run_would_make_before(tmp_path, snapshots):
    result, asked = snapshots(NEW, path=str(tmp_path / "none"), test=True)
    assert (result["result"], list(result["changes"]), asked) == (None, ["virtapi-new"], [])


def test_what_is_no_name_of_ours_reaches_no_command(states):
    assert states()["virtapi_snapshots.present"]("--all", volume(1))["result"] is False
