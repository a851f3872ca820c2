"""What the states make of a monitor, its manager and the pools of its cluster, as Salt's own loader loads them."""

import pytest
from ceph_stub import ADDRESS, FSID, KEY, OTHER, Cluster
from test_ceph_keys import states

MON = {"cluster": "ceph", "name": "st01", "address": "10.1.0.11", "port": 6789}
MONS = [dict(MON, fqdn="st01.example.com"), {"fqdn": "x", "name": "st02", "address": "10.1.0.12", "port": 6789}]
DESCRIBED = {"fsid": FSID, "public_network": None, "cluster_network": None, "mons": MONS, "pools": []}
PRESENT, ABSENT = {"old": "absent", "new": "present"}, {"old": "present", "new": "absent"}


@pytest.fixture
def cluster(monkeypatch, tmp_path):
    return Cluster(monkeypatch, tmp_path)


def mon(states, **other):
    options = dict({"mon": MON, "cluster": DESCRIBED}, **other)
    return states["virtapi_ceph_mon.present"]("ceph/st01", **options)


def settle(call, cluster, changes):
    """A dry run, a run, and one that finds nothing to do; what was done."""
    for test, result, expected in ((True, None, changes), (False, True, changes), (True, True, {}), (False, True, {})):
        if not test:
            cluster.asked.clear()
        found = call(test)
        assert (found["result"], found["changes"]) == (result, expected), found
        if not expected or test:
            assert cluster.done == []
        else:
            done = cluster.done
            cluster.asked.clear()
    return done


def test_a_cluster_is_made_with_all_monitors_of_the_document(cluster, states):
    cluster.asked.clear()
    done = settle(lambda test: mon(states(test=test), bootstrap=True), cluster, {"monitor": PRESENT})
    addresses = " ".join("--addv {name} [v2:{address}:3300,v1:{address}:6789]".format(**each) for each in MONS)
    assert done == [
        "monmaptool --create --clobber --fsid {} {}".format(FSID, addresses),
        "ceph-mon --mkfs",
        "systemctl enable ceph-mon@st01.service",
        "systemctl start ceph-mon@st01.service",
    ]


def test_a_monitor_joins_the_cluster_that_answers(cluster, states):
    cluster.fsid = FSID
    settle(lambda test: mon(states(test=test)), cluster, {"monitor": PRESENT})


@pytest.mark.parametrize(
    "fsid, options, trace, reason",
    [
        (None, {}, False, "it is made only where the site says so"),
        (None, {"bootstrap": True}, True, "osd/ceph-0 is here. None is made in its place"),
        (OTHER, {"bootstrap": True}, False, "those of another cluster: {}".format(OTHER)),
    ],
)
@pytest.mark.parametrize("test", [True, False])
def test_no_cluster_is_made_in_place_of_another(cluster, states, fsid, options, trace, reason, test):
    cluster.fsid = fsid
    if trace:
        cluster.add_directory(OTHER, 0)
    result = mon(states(test=test), **options)
    assert (result["result"], result["changes"], cluster.done) == (False, {}, [])
    assert result["comment"].startswith("ceph/st01: ") and reason in result["comment"]


def test_what_cannot_be_asked_is_not_taken_for_no_cluster(cluster, states):
    cluster.away = "[errno 13] RADOS permission denied (error connecting)"
    result = mon(states(), bootstrap=True)
    assert (result["result"], cluster.done) == (False, [])
    assert result["comment"] == "ceph: " + cluster.away


def test_a_dry_run_without_a_key_asks_nobody(cluster, states, tmp_path):
    (tmp_path / "ETC/ceph.client.admin.keyring").unlink()
    result = mon(states(test=True))
    assert (result["result"], result["changes"], cluster.asked) == (None, {"monitor": PRESENT}, [])


def test_half_of_a_monitor_is_cleared_away(cluster, states, monkeypatch):
    monkeypatch.setattr(cluster, "ceph_mon", lambda *words: cluster.ceph("--cluster", "ceph", "daemon", "mon.x", "y"))
    result = mon(states(), bootstrap=True)
    assert (result["result"], result["changes"]) == (False, {})
    assert not (cluster.lib / "mon/ceph-st01").exists()


def test_one_that_is_not_in_quorum_says_for_whom_it_waits(cluster, states):
    cluster.state = "probing"
    result = mon(states(), bootstrap=True)
    assert (result["result"], result["changes"]) == (False, {"monitor": PRESENT})
    assert result["comment"] == "ceph/st01 runs and is not in quorum (probing): it waits for st02"


def test_one_that_was_killed_comes_back(cluster, states):
    cluster.add_mon()
    cluster.running.clear()
    changes = {"state": {"old": "stopped", "new": "quorum"}}
    done = settle(lambda test: mon(states(test=test)), cluster, changes)
    assert done == ["systemctl {} ceph-mon@st01.service".format(what) for what in ("enable", "start")]


def test_a_monitor_does_not_move(cluster, states):
    cluster.add_mon()
    cluster.address = "[v2:10.1.0.9:3300]"
    result = mon(states())
    assert (result["result"], cluster.done) == (False, [])
    beginning = "ceph/st01 listens at [v2:10.1.0.9:3300], and is to listen at {}: a monitor does not move"
    assert result["comment"].startswith(beginning.format(ADDRESS))
    cluster.fsid = OTHER
    assert "is a monitor of another cluster: {}".format(OTHER) in mon(states())["comment"]


def absent(states):
    return states["virtapi_ceph_mon.absent"]("ceph/st01")


def test_a_monitor_goes_where_the_others_have_quorum(cluster, states):
    cluster.add_mon()
    cluster.mons = cluster.quorum = ["st01", "st02", "st03"]
    done = settle(lambda test: absent(states(test=test)), cluster, {"monitor": ABSENT})
    assert done == ["mon remove st01", "systemctl disable --now ceph-mon@st01.service"]
    assert not (cluster.lib / "mon/ceph-st01").exists()


@pytest.mark.parametrize(
    "mons, quorum, reason",
    [
        ("1", "1", "it is the last one"),
        ("123", "12", "of the other 2 only 1 are in quorum, and 2 are needed"),
        (None, "", "there is no quorum"),
    ],
)
@pytest.mark.parametrize("test", [True, False])
def test_a_monitor_is_not_taken_away(cluster, states, mons, quorum, reason, test):
    cluster.add_mon()
    cluster.mons, cluster.quorum = (["st0" + each for each in names] for names in (mons or "1", quorum))
    if mons is None:
        cluster.fsid = None
    result = absent(states(test=test))
    assert (result["result"], result["changes"], cluster.done) == (False, {}, [])
    assert result["comment"] == "ceph/st01 is not taken away: " + reason


def test_a_manager(cluster, states):
    cluster.add_mon()
    done = settle(
        lambda test: states(test=test)["virtapi_ceph_mgr.present"]("ceph/st01"),
        cluster,
        {"manager": {"old": "absent", "new": "running"}},
    )
    assert done[0] == "auth get-or-create mgr.st01 mon allow profile mgr osd allow * mds allow *"
    assert (cluster.lib / "mgr/ceph-st01/keyring").read_text() == "[mgr.st01]\n\tkey = {}\n".format(KEY)
    assert (cluster.lib / "mgr/ceph-st01/keyring").stat().st_mode & 0o777 == 0o600
    cluster.running.discard("mgr@st01")
    changes = {"manager": {"old": "stopped", "new": "running"}}
    settle(lambda test: states(test=test)["virtapi_ceph_mgr.present"]("ceph/st01"), cluster, changes)
    changes = {"manager": {"old": "running", "new": "absent"}}
    done = settle(lambda test: states(test=test)["virtapi_ceph_mgr.absent"]("ceph/st01"), cluster, changes)
    assert done == ["systemctl disable --now ceph-mgr@st01.service", "auth rm mgr.st01"]


def test_units_are_of_one_cluster(cluster, states):
    cluster.add_mon()
    cluster.running.clear()
    cluster.defaults.write_text("# x\nCLUSTER='other'\n")
    result = mon(states())
    assert (result["result"], cluster.done) == (False, [])
    assert "the units of systemd are for cluster other, and not ceph" in result["comment"]


def pool(states, name="ceph/rbd", **other):
    return states["virtapi_ceph_pool.present"](name, **dict({"size": 3, "min_size": 2, "pg_num": 32}, **other))


def test_a_pool_is_made(cluster, states):
    cluster.fsid = FSID
    done = settle(lambda test: pool(states(test=test)), cluster, {"pool": PRESENT})
    assert done == [
        "osd pool create rbd 32 --size 3",
        "osd pool set rbd min_size 2",
        "osd pool application enable rbd rbd",
    ]


def test_a_pool_grows(cluster, states):
    cluster.fsid = FSID
    cluster.add_pool("rbd", size=2, min_size=1, pg_num=16)
    changes = {"size": (2, 3), "min_size": (1, 2), "pg_num": (16, 32), "application": (None, "rbd")}
    changes = {name: {"old": old, "new": new} for name, (old, new) in changes.items()}
    settle(lambda test: pool(states(test=test)), cluster, changes)


def test_what_others_have_done_to_a_pool_stays(cluster, states):
    cluster.fsid = FSID
    cluster.add_pool("rbd", applications=["cephfs"], pg_num=8, pg_num_target=64)
    cluster.add_pool("auto", applications=["rbd"], pg_num=8, pg_autoscale_mode="on")
    for name in ("ceph/rbd", "ceph/auto"):
        result = pool(states(), name)
        assert (result["result"], result["changes"], cluster.done) == (True, {}, [])


@pytest.mark.parametrize("test", [True, False])
def test_a_pool_does_not_get_fewer_copies(cluster, states, test):
    cluster.fsid = FSID
    cluster.add_pool("rbd", pg_num=16)
    result = pool(states(test=test), size=2)
    assert (result["result"], result["changes"], cluster.done) == (False, {}, [])
    assert result["comment"] == "pool ceph/rbd has 3 copies and is to have 2: nothing here makes copies fewer"


def test_questions_do_not_grow_with_pools(cluster, states):
    cluster.fsid = FSID
    run = states()
    run["virtapi_ceph_pool.mod_init"]({})
    for number in range(5):
        cluster.add_pool("p{}".format(number), applications=["rbd"])
    for number in range(5):
        assert pool(run, "ceph/p{}".format(number))["changes"] == {}
    assert cluster.asked == ["? osd pool ls detail"]


@pytest.mark.parametrize("name", ["ceph", "ceph/--help", "../a", "-x/a", "ceph/"])
@pytest.mark.parametrize("function", ["mon.absent", "mgr.present", "mgr.absent", "pool.present"])
def test_what_is_no_name_of_ours_reaches_no_command(cluster, states, name, function):
    options = {"size": 1, "min_size": 1, "pg_num": 1} if "pool" in function else {}
    result = states()["virtapi_ceph_" + function](name, **options)
    assert (result["result"], cluster.asked) == (False, [])
    assert "is no name of a" in result["comment"]
