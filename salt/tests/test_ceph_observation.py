"""What the server is told of storage nodes, as Salt's own loader loads the states."""

import json

import pytest
from ceph_stub import FSID, Cluster
from test_ceph_keys import states
from test_ceph_osd import UUIDS

CEPH = {"mons": ["ceph"], "osds": {UUIDS[0]: "ceph", UUIDS[1]: "ceph"}, "pools": ["ceph/rbd"]}


@pytest.fixture
def cluster(monkeypatch, tmp_path):
    cluster = Cluster(monkeypatch, tmp_path)
    cluster.fsid = FSID
    return cluster


def observed(states, ceph, **other):
    result = states["virtapi_document.observed"]("x", ceph=ceph, **other)
    assert (result["result"], result["changes"]) == (True, {})
    return json.loads(result["comment"][len("virtapi: ") :])["observed"], result.get("warnings")


@pytest.mark.parametrize("test", [False, True])
def test_what_is_there_is_told_as_the_server_reads_it(cluster, states, test):
    cluster.quorum = ["st02", "st01"]
    cluster.add_osd(UUIDS[0], 10)
    cluster.add_osd(UUIDS[1], 9, up=0, **{"in": 0})
    cluster.add_osd(UUIDS[2], 7)
    cluster.add_osd(UUIDS[3], 8, here=False)
    for name in ("rbd", "old", ".mgr", "device_health_metrics"):
        cluster.add_pool(name)
    seen, warnings = observed(states(test=test), CEPH)
    assert seen == {
        "mons": {"ceph": ["st01", "st02"]},
        "osds": {"ceph": {"9": {"up": False, "in": False}, "10": {"up": True, "in": True}}},
        "unmanaged": {"osds": ["ceph/7"], "pools": ["ceph/old"]},
    }
    assert (warnings, cluster.done) == (None, [])
    # Of pools only those know who see to them.
    seen, _ = observed(states(test=test), dict(CEPH, mons=[]))
    assert seen["unmanaged"] == {"osds": ["ceph/7"], "pools": []}


def test_a_cluster_that_does_not_answer_is_left_out(cluster, states):
    cluster.fsid = None
    seen, warnings = observed(states(), CEPH)
    assert seen == {}
    assert warnings == ["could not look: ceph: the cluster does not answer ({})".format(cluster.away)]


CEPH_DOCUMENT = {
    "clusters": {"ceph": {"fsid": FSID, "pools": []}},
    "mon": None,
    "osds": [{"uuid": UUIDS[0]}],
    "keys": {"ceph": ["admin"]},
    "rbd_user": "libvirt",
}
NAMES = {"settings": "ceph", "keyring": "ceph/client.admin", "osd": UUIDS[0]}


@pytest.mark.parametrize(
    "kind, result, left_out",
    [
        ("osd", {"result": True}, []),
        ("osd", None, ["virtapi_ceph_osd " + UUIDS[0]]),
        ("osd", {"result": False}, ["virtapi_ceph_osd " + UUIDS[0]]),
        ("settings", {"result": None}, ["virtapi_ceph_settings ceph"]),
        ("keyring", {"result": True, "skip_watch": True}, ["virtapi_ceph_keyring ceph/client.admin"]),
        ("absent", {"result": True}, []),
        ("absent", {"result": False}, ["virtapi_ceph_osd " + UUIDS[1]]),
    ],
)
def test_the_version_is_told_only_when_all_of_it_is_so(states, kind, result, left_out):
    results = dict(dict.fromkeys(NAMES, {"result": True}), **{kind: result})
    tag = "virtapi_ceph_{0}_|-x_|-{1}_|-present"
    running = {tag.format(each, name): results[each] for each, name in NAMES.items() if results[each]}
    if kind == "absent":
        running["virtapi_ceph_osd_|-x_|-{}_|-absent".format(UUIDS[1])] = result
    run = states()
    run.inject_globals = {"__running__": running}
    comment = run["virtapi_document.applied"]("x", {}, ceph=CEPH_DOCUMENT)["comment"]
    # On a node that has nothing to do with Ceph any more as well.
    alone = run["virtapi_document.applied"]("x", {})["comment"]
    assert alone.startswith("not applied as a whole" if UUIDS[1] in "".join(left_out) else "virtapi: ")
    if left_out:
        assert comment.startswith("not applied as a whole: " + left_out[0])
    else:
        assert comment == 'virtapi: {"applied":{}}'
