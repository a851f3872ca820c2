"""What the states make of OSDs, as Salt's own loader loads them."""

import json
import os

import pytest
import virtapi_ceph_device
from ceph_stub import FSID, KEY, OTHER, Cluster
from test_ceph_keys import states
from test_ceph_mon import settle

UUIDS = ["7a9b1c34-0000-4000-8000-{:012d}".format(number) for number in range(12)]
OSD = {"cluster": "ceph", "uuid": UUIDS[0], "device": "/dev/sdb", "db_device": None, "device_class": None}
META = {"schema": 1, "node_id": 7, "generation": 12, "approved": False}
PRESENT = {"osd": {"old": "absent", "new": "present"}}


@pytest.fixture
def devices(monkeypatch):
    """What is on which device."""
    devices = {"/dev/sdb": {}, "/dev/sdc": {}}
    monkeypatch.setattr(virtapi_ceph_device, "contents", lambda functions, path: devices[path])
    return devices


@pytest.fixture
def cluster(monkeypatch, tmp_path, devices):
    cluster = Cluster(monkeypatch, tmp_path)
    cluster.fsid = FSID
    return cluster


def present(states, store="device", **osd):
    osd = dict(OSD, **osd)
    return states["virtapi_ceph_osd.present"](osd["uuid"], osd, store)


def find_up(cluster):
    """As the cluster finds an OSD whose daemon runs."""
    for osd in cluster.osds.values():
        if "osd@{}".format(osd["osd"]) in cluster.running:
            osd.update(up=1, state=["exists", "up"])


def made(cluster, states, osd=None, **options):
    """An OSD is made: that a dry run says so, that a second run has nothing to do, and what was done."""
    osd = osd or {}

    def call(test):
        find_up(cluster)
        return present(states(test=test), **dict(options, **osd))

    return settle(call, cluster, PRESENT)


def starts(number=0):
    return ["systemctl {} ceph-osd@{}.service".format(what, number) for what in ("enable", "start")]


def test_an_osd_is_made_on_a_blank_device(cluster, states):
    osd = {"db_device": "/dev/sdc", "device_class": "ssd"}
    done = made(cluster, states, osd)
    assert done[0].startswith("osd new {} -i ".format(UUIDS[0]))
    assert done[1:] == ["ceph-osd 0 {} bluestore".format(UUIDS[0]), *starts()]
    assert cluster.new == {"cephx_secret": KEY, "crush_device_class": "ssd"}
    path = str(cluster.lib / "osd/ceph-0")
    assert [os.readlink(path + link) for link in ("/block", "/block.db")] == ["/dev/sdb", "/dev/sdc"]
    assert os.stat(path + "/keyring").st_mode & 0o777 == 0o600


def test_an_osd_in_memory_has_no_device(cluster, states):
    done = made(cluster, states, {"device": "/dev/nonexistent"}, store="memory")
    assert "ceph-osd 0 {} memstore".format(UUIDS[0]) in done
    assert not os.path.lexists(str(cluster.lib / "osd/ceph-0/block"))


def test_an_interrupted_run_is_gone_on_with(cluster, states):
    cluster.add_osd(UUIDS[0], here=False, up=0, state=["exists", "new"])
    assert made(cluster, states) == ["ceph-osd 0 {} bluestore".format(UUIDS[0]), *starts()]


def test_a_system_that_was_installed_anew(cluster, states, devices):
    cluster.add_osd(UUIDS[0], here=False, up=0)
    devices["/dev/sdb"] = {"uuid": UUIDS[0]}
    done = made(cluster, states)
    assert done == ["ceph-bluestore-tool --cluster=ceph prime-osd-dir", *starts()]


@pytest.mark.parametrize(
    "known, contents, reason",
    [
        (False, {"other": "ext4"}, "the OSD {}: the device is not blank: ext4. Nothing here erases a disk"),
        (False, {"uuid": OTHER}, "the OSD {}: the device is that of another OSD: " + OTHER),
        (False, {"uuid": UUIDS[0]}, "the OSD {}: the device has it, and the cluster does not: it was purged."),
        (True, {}, "osd.0 ({}): the cluster has it as osd.0, and it is not here: it is lost."),
    ],
)
@pytest.mark.parametrize("test", [True, False])
def test_nothing_is_made_in_place_of_something_else(cluster, states, devices, known, contents, reason, test):
    if known:
        cluster.add_osd(UUIDS[0], here=False)
    devices["/dev/sdb"] = contents
    result = present(states(test=test))
    assert (result["result"], result["changes"], cluster.done) == (False, {}, [])
    assert result["comment"].startswith(reason.format(UUIDS[0]))


@pytest.mark.parametrize("test", [True, False])
def test_the_device_of_the_database_must_be_blank_as_well(cluster, states, devices, test):
    devices["/dev/sdc"] = {"other": "xfs"}
    result = present(states(test=test), db_device="/dev/sdc")
    assert (result["result"], cluster.done) == (False, [])
    assert result["comment"] == "the OSD {}: /dev/sdc is not blank: xfs. Nothing here erases a disk".format(UUIDS[0])


def test_one_that_was_killed_comes_back(cluster, states):
    cluster.add_osd(UUIDS[0])
    cluster.running.clear()
    changes = {"state": {"old": "stopped", "new": "up"}}
    assert settle(lambda test: present(states(test=test)), cluster, changes) == starts()


def test_one_that_does_not_come_up_is_an_error(cluster, states, monkeypatch):
    monkeypatch.setattr(cluster, "daemon", lambda *words: json.dumps({"state": "booting"}))
    result = present(states())
    assert (result["result"], result["changes"]) == (False, PRESENT)
    assert result["comment"] == "the OSD {} runs, and the cluster does not have it up".format(UUIDS[0])


def test_its_class_follows_the_document(cluster, states):
    cluster.add_osd(UUIDS[0])
    cluster.classes[0] = "hdd"
    changes = {"device_class": {"old": "hdd", "new": "ssd"}}
    done = settle(lambda test: present(states(test=test), device_class="ssd"), cluster, changes)
    assert done == ["osd crush rm-device-class osd.0", "osd crush set-device-class ssd osd.0"]
    # null is whatever Ceph has found.
    assert present(states())["changes"] == {}


def test_one_that_people_have_taken_out_stays_out(cluster, states):
    cluster.add_osd(UUIDS[0], **{"in": 0})
    assert present(states())["changes"] == {}


def test_questions_do_not_grow_with_osds(cluster, states):
    for number in range(5):
        cluster.add_osd(UUIDS[number], number)
    run = states()
    run["virtapi_ceph_osd.mod_init"]({})
    for uuid in UUIDS[:5]:
        assert present(run, uuid=uuid)["changes"] == {}
    assert [text for text in cluster.asked if text.startswith("?")] == ["? osd dump", "? osd tree"]


def test_a_cluster_that_is_away_is_no_reason_to_make_one(cluster, states):
    cluster.fsid = None
    result = present(states())
    assert (result["result"], cluster.done) == (False, [])
    assert result["comment"].startswith("ceph: the cluster does not answer")


def absent(states, going=(0,), present=(), **other):
    osds = {which: {UUIDS[each]: "ceph" for each in each} for which, each in (("absent", going), ("present", present))}
    options = dict({"osds": osds, "meta": META, "fqdn": "st01.example.com"}, **other)
    return states["virtapi_ceph_osd.absent"](UUIDS[0], "ceph", **options)


def changed(old, new, label="osd.0 ({})".format(UUIDS[0])):
    return {label: {"old": old, "new": new}}


def once(call, cluster, changes):
    """A dry run, and a run; what that did."""
    would = call(True)
    assert (would["result"], would["changes"], cluster.done) == (None, changes, []), would
    done = call(False)
    assert (done["result"], done["changes"]) == (True, changes), done
    return cluster.done


def test_an_osd_goes_step_by_step(cluster, states):
    def call(test):
        return absent(states(test=test))

    cluster.add_osd(UUIDS[0])
    assert once(call, cluster, changed("in", "out")) == ["osd out 0"]
    cluster.asked.clear()
    cluster.unsafe = "Error EBUSY: OSD(s) 0 have 7 pgs currently mapped to them. \n"
    for test in (True, False):
        result = call(test)
        assert (result["result"], result["changes"], cluster.done) == (True, {}, [])
        warning = "osd.0 ({}) is out and still needed: OSD(s) 0 have 7 pgs currently mapped to them. The next run looks again"
        assert result["warnings"] == [warning.format(UUIDS[0])]
    cluster.unsafe = None
    assert once(call, cluster, changed("out", "absent")) == [
        "systemctl disable --now ceph-osd@0.service",
        "osd down 0",
        "osd purge 0 --yes-i-really-mean-it",
        "systemctl disable --now ceph-osd@0.service",
    ]
    assert not (cluster.lib / "osd/ceph-0").exists()
    cluster.asked.clear()
    result = call(False)
    assert (result["result"], result["changes"], cluster.done) == (True, {}, [])


def test_an_osd_of_which_nobody_knows_whether_it_is_needed_is_not_destroyed(cluster, states):
    cluster.add_osd(UUIDS[0], **{"in": 0})
    cluster.unsafe = "[errno 110] RADOS timed out (error connecting to the cluster)"
    result = absent(states())
    assert (result["result"], cluster.done) == (True, []) and "does not answer" in result["warnings"][0]


def test_one_of_another_node_is_not_stopped_from_here(cluster, states):
    cluster.add_osd(UUIDS[0], here=False, **{"in": 0})
    done = once(lambda test: absent(states(test=test)), cluster, changed("out", "absent"))
    assert done == ["osd purge 0 --yes-i-really-mean-it"]


def test_what_is_left_of_one_that_was_purged_goes(cluster, states):
    cluster.add_directory(UUIDS[0], 0)
    label = "the OSD {}".format(UUIDS[0])
    once(lambda test: absent(states(test=test)), cluster, changed("purged", "absent", label))
    assert not (cluster.lib / "osd/ceph-0").exists()
    cluster.add_directory(UUIDS[0], 0, fsid=OTHER)
    result = absent(states())
    assert result["result"] is False and "is of another cluster: {}".format(OTHER) in result["comment"]
    assert (cluster.lib / "osd/ceph-0").exists()


@pytest.mark.parametrize(
    "going, others, options, expected",
    [
        (1, 0, {}, None),
        (2, 8, {}, None),
        (3, 7, {}, "3 of 10 OSDs"),
        (3, 7, {"meta": dict(META, approved=True)}, None),
        (2, 2, {"max_removals": 50}, None),
        (2, 1, {}, "2 of 3 OSDs"),
    ],
)
@pytest.mark.parametrize("test", [True, False])
def test_few_osds_of_a_node_go_at_the_same_time(cluster, states, going, others, options, expected, test):
    for number in range(going + others):
        cluster.add_osd(UUIDS[number], number)
    everything = range(going), range(going, going + others)
    result = absent(states(test=test), *everything, **options)
    if expected is None:
        assert result["result"] is (None if test else True), result
        return
    assert (result["result"], result["changes"], cluster.done) == (False, {}, [])
    assert result["comment"] == (
        "{} would be removed, and at most 20 per cent are at the same time: none is. To approve: "
        'POST /v1/nodes/st01.example.com/approve {{"generation": 12}}'.format(expected)
    )


def test_those_that_are_gone_are_not_counted(cluster, states):
    for number in (0, 5, 6, 7):
        cluster.add_osd(UUIDS[number], number)
    assert absent(states(), going=range(5), present=(5, 6, 7))["changes"] == changed("in", "out")


@pytest.mark.parametrize("name", ["--help", "0", UUIDS[0] + "\n"])
def test_what_is_no_uuid_reaches_no_command(cluster, states, name):
    results = [present(states(), uuid=name)]
    results.append(states()["virtapi_ceph_osd.absent"](name, "ceph", {"present": {}, "absent": {}}, META, "x"))
    assert ([each["result"] for each in results], cluster.asked) == ([False, False], [])


@pytest.mark.parametrize("path", ["/nonexistent", "/dev/null"])
def test_what_is_no_block_device_is_not_used(path):
    found = virtapi_ceph_device.contents({}, path)
    assert found == {"other": "{} is no block device of this node".format(path)}


@pytest.mark.parametrize("test", [True, False])
def test_nothing_is_cleared_away_where_the_cluster_cannot_be_asked(cluster, states, tmp_path, test):
    cluster.add_osd(UUIDS[0])
    (tmp_path / "ETC/ceph.client.admin.keyring").unlink()
    result = absent(states(test=test))
    assert (result["result"], result["changes"], cluster.asked) == (False, {}, [])
    assert result["comment"] == "the OSD {}: there is no key on this node to ask cluster ceph with".format(UUIDS[0])
    assert (cluster.lib / "osd/ceph-0").exists()
