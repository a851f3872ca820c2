"""What is done where a volume of a machine is to be brought back to a snapshot, as Salt's own loader loads the modules; with
stand-ins for virsh, qemu-img and rbd."""

import re

import pytest
from libvirt_stub import FIRST, apply, converge, libvirt
from storage_stub import CLUSTER, IMAGE, OVER, PAST, RBD, snapshot, storage
from test_plan import volume
from test_states import states, uuid

OF_FILE, OF_IMAGE, FOREIGN = (volume(number)["uuid"] for number in (1, 2, 9))
KEEP = "metadata --config"
ON, OFF = "autostart", "autostart --disable"
RESTORE_IMAGE = ["rbd snap rollback --no-progress rbd/vol-2@virtapi-a", "rbd resize --no-progress --size 4B rbd/vol-2", KEEP]
OLD = {"virtapi-a": {"size": 1, "data": "old"}}


def to(number, name="a"):
    return {"snapshot": name, "number": number}


@pytest.fixture
def disks(storage):
    """The machine with both volumes: the file's restore, and the image's."""
    storage.hold(size=4, data="new", snapshots=OLD)
    storage.images[IMAGE].update(size=4, data="new", snapshots=OLD)

    def call(restarts, file=None, image=None, **other):
        both = [
            volume(1, type="qcow2", path=storage.path, size_bytes=4, restore=file),
            volume(2, **dict(RBD, size_bytes=4, restore=image)),
        ]
        return dict({"restarts": restarts, "volumes": both, "clusters": {"ceph": CLUSTER}}, **other)

    return call


@pytest.fixture
def restore_file(storage):
    path = storage.path
    return ["qemu-img snapshot -q -a virtapi-a " + path, "qemu-img resize -q -f qcow2 {} 4".format(path), KEEP]


@pytest.fixture
def kept(libvirt):
    """Numbers that the domain keeps: of restarts, and of each volume."""

    def call():
        text = libvirt.domains[uuid(1)]["defined"]
        found = re.search(r'<virtapi:vm[^>]* restarts="(\d+)', text)
        numbers = re.findall(r'<virtapi:volume uuid="(.*?)" restore="(\d+)"', text)
        return found and int(found.group(1)), {each: int(number) for each, number in numbers}

    return call


def data(storage):
    return storage.held()["data"], storage.images[IMAGE]["data"]


def test_a_machine_that_runs(storage, disks, apply, converge, kept, restore_file):
    converge(FIRST, **disks(1))
    assert kept() == (1, {})
    changes = {
        "restarts": {"old": 1, "new": 2},
        "restore": {"old": [], "new": [OF_FILE + " a 1", OF_IMAGE + " a 1"]},
    }
    result, asked = apply(test=True, **disks(2, to(1), to(1)))
    assert (result["result"], result["changes"], asked, data(storage)) == (None, changes, [], ("new", "new"))
    result = converge(["define", "shutdown", OFF, *restore_file, *RESTORE_IMAGE, ON, "start"], **disks(2, to(1), to(1)))
    assert (result["changes"], "warnings" in result) == (changes, False)
    assert (kept(), data(storage)) == ((2, {OF_FILE: 1, OF_IMAGE: 1}), ("old", "old"))
    assert (storage.held()["size"], storage.images[IMAGE]["size"]) == (4, 4)
    # Once for each number.
    storage.hold(data="new")
    converge(["define", "shutdown", "start"], **disks(3, to(1), to(1)))
    assert data(storage) == ("new", "old")
    converge(["define", "shutdown", OFF, *restore_file, ON, "start"], **disks(4, to(5), to(1)))
    assert data(storage) == ("old", "old")


def test_a_machine_that_does_not_run(storage, disks, converge, kept, restore_file):
    converge(FIRST, **disks(1))
    converge(["autostart --disable", "shutdown"], **disks(1, state="stopped"))
    result = converge(["define", *restore_file], **disks(2, to(1), state="stopped"))
    assert sorted(result["changes"]) == ["restarts", "restore"]
    assert data(storage) == ("old", "new")
    # To be started, and to be stopped.
    converge([ON, OFF, *RESTORE_IMAGE, ON, "start"], **disks(2, to(1), to(1)))
    converge(["define", "autostart --disable", "shutdown", *restore_file], **disks(3, to(2), to(1), state="stopped"))
    assert kept() == (3, {OF_FILE: 2, OF_IMAGE: 1})
    converge(restore_file, **disks(3, to(3), to(1), state="maintenance"))


def test_a_snapshot_that_is_not_there(libvirt, storage, disks, apply, converge, kept):
    converge(FIRST, **disks(1))
    for given in ((to(1, "b"),), (None, to(1, "b")), (to(1), to(1, "b"))):
        result, asked = apply(**disks(2, *given, cores=2))
        assert (result["result"], result["changes"], asked) == (False, {}, [])
        assert re.fullmatch("vm-7: (.*vol-1.qcow2|rbd/vol-2) has no snapshot virtapi-b: nothing is restored", result["comment"])
        assert (libvirt.domains[uuid(1)]["state"], kept(), data(storage)) == ("running (booted)", (1, {}), ("new", "new"))


def test_volumes_of_another_type(libvirt, apply, converge):
    converge(FIRST, restarts=1, volumes=[volume(3)])
    result, asked = apply(restarts=2, volumes=[volume(3, restore=to(1))])
    assert (result["result"], asked) == (False, [])
    assert result["comment"] == "/srv/vol-3.raw: snapshots of raw volumes are not taken"
    assert libvirt.domains[uuid(1)]["state"] == "running (booted)"


def test_one_that_fails_is_not_started(libvirt, storage, disks, apply, converge, kept, restore_file):
    converge(FIRST, **disks(1))
    storage.images[IMAGE]["broken"] = "rollback"
    result, asked = apply(**disks(2, to(1), to(1)))
    assert (result["result"], asked) == (False, ["define", "shutdown", OFF, *restore_file, RESTORE_IMAGE[0]])
    assert "Connection timed out" in result["comment"]
    domain = libvirt.domains[uuid(1)]
    assert (domain["state"], domain["autostart"], kept()) == ("shut off (shutdown)", False, (2, {OF_FILE: 1}))
    # What is not done is done again, and nothing else.
    result, asked = apply(**disks(2, to(1), to(1)))
    assert (result["result"], asked) == (False, [ON, OFF, RESTORE_IMAGE[0]])
    del storage.images[IMAGE]["broken"]
    converge([ON, OFF, *RESTORE_IMAGE, ON, "start"], **disks(2, to(1), to(1)))
    # It was restored, and could not be kept.
    libvirt.domains[uuid(1)]["refuses"] = ["metadata"]
    result, asked = apply(**disks(3, to(2), to(1)))
    assert (result["result"], asked) == (False, ["define", "shutdown", OFF, *restore_file])
    assert kept() == (3, {OF_FILE: 1, OF_IMAGE: 1})
    libvirt.domains[uuid(1)]["refuses"] = []
    converge([ON, OFF, *restore_file, ON, "start"], **disks(3, to(2), to(1)))


def test_nobody_else_may_have_the_image_open(libvirt, storage, disks, apply, converge):
    converge(FIRST, **disks(1))
    libvirt.domains[uuid(1)]["deaf"] = ["shutdown", "destroy"]
    result, _ = apply(**disks(2, to(1)))
    assert result["result"] is False and 'Failed to get "write" lock' in result["comment"]
    assert data(storage) == ("new", "new")


def test_nothing_is_restored_that_is_new(libvirt, storage, disks, converge, kept):
    converge(FIRST, **disks(7, to(3)))
    assert kept() == (7, {OF_FILE: 3})
    converge(["autostart --disable", "shutdown"], **disks(7, to(3), state="stopped"))
    # The image was never a disk of it.
    domain = libvirt.domains[uuid(1)]
    domain["defined"] = domain["defined"].replace(OF_IMAGE, FOREIGN).replace(IMAGE, "rbd/vol-9")
    converge(["define"], **disks(7, to(3), to(8), state="stopped"))
    assert (kept(), data(storage)) == ((7, {OF_FILE: 3, OF_IMAGE: 8}), ("new", "new"))


def test_nothing_is_restored_of_an_older_agent(storage, disks, converge, kept):
    converge(FIRST, **disks(None))
    assert kept() == (None, {})
    result = converge(["define", "metadata --live"], **disks(4, to(4)))
    assert result["changes"]["restore"] == {"old": [], "new": [OF_FILE + " 4"]}
    assert (kept(), data(storage)) == ((4, {OF_FILE: 4}), ("new", "new"))


def test_a_machine_that_runs_and_is_not_restarted(storage, disks, apply, converge, restore_file):
    converge(FIRST, **disks(1))
    told = "volume {} is to be restored".format(OF_FILE)
    for _ in range(2):
        result, asked = apply(**disks(1, to(1)))
        assert (result["result"], result["warnings"], asked) == (True, ["vm-7: restart needed: " + told], [])
    result, _ = apply(**disks(2, to(1), state="maintenance"))
    assert told in result["warnings"][0]
    assert data(storage) == ("new", "new")
    converge(["shutdown", OFF, *restore_file, ON, "start"], **disks(2, to(1)))


def test_the_memory_of_what_the_disks_were_is_forgotten(libvirt, disks, converge, restore_file):
    converge(FIRST, **disks(1))
    libvirt.domains[uuid(1)]["state"] = "shut off (saved)"
    converge(["define", "managedsave-remove", OFF, *restore_file, ON, "start"], **disks(2, to(1)))


def test_what_a_restore_waits_for_stays(storage, disks, states, converge, restore_file):
    def deleted(restore):
        of = volume(1, type="qcow2", path=storage.path, restore=restore, snapshots=[snapshot("a", PAST, OVER)])
        storage.commands.clear()
        result = states()["virtapi_snapshots.present"](of["uuid"], of, vm=uuid(1))
        assert result["result"] is True, result
        return len(storage.commands)

    converge(FIRST, **disks(1))
    assert [deleted(to(1)), deleted(to(1, "b")), deleted(None)] == [0, 1, 0]
    storage.hold(snapshots=OLD)
    converge(["define", "shutdown", OFF, *restore_file, ON, "start"], **disks(2, to(1)))
    assert [deleted(to(1)), deleted(to(1))] == [1, 0]
