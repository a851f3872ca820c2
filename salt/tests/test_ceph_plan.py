"""What is decided about clusters of Ceph, from what they say of themselves; without one."""

import pytest
import virtapi_ceph_plan
import virtapi_removal_share

FSID, OTHER, UUID = ("a0000000-0000-4000-8000-00000000000{}".format(number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    "cluster_fsid, bootstrap, traces, expected",
    [
        (FSID, False, [], ("join", None)),
        (FSID, True, ["/osd"], ("join", None)),
        (OTHER, True, [], ("refuse", "another cluster: {}, and not {}".format(OTHER, FSID))),
        (None, False, [], ("refuse", "made only where the site says so")),
        (None, True, [], ("bootstrap", None)),
        (None, True, ["/var/lib/ceph/osd/ceph-0"], ("refuse", "/var/lib/ceph/osd/ceph-0 is here")),
    ],
)
def test_how_a_monitor_begins(cluster_fsid, bootstrap, traces, expected):
    assert_step(virtapi_ceph_plan.mon_beginning(FSID, cluster_fsid, bootstrap, traces), expected)


def assert_step(step, expected):
    kind, reason = expected
    assert step[0] == kind
    assert step[1] is None if reason is None else reason in step[1]


@pytest.mark.parametrize(
    "mons, quorum, reason",
    [
        (None, "", "there is no quorum"),
        ("a", "a", "it is the last one"),
        ("ab", "ab", None),
        ("abc", "abc", None),
        ("abc", "ac", "of the other 2 only 1 are in quorum, and 2 are needed"),
        ("abc", "bc", None),
        ("abcd", "abc", None),
        ("abcde", "abc", "of the other 4 only 2 are in quorum, and 3 are needed"),
        ("bc", "bc", None),
    ],
)
def test_when_a_monitor_may_go(mons, quorum, reason):
    status = mons and {"monmap": {"mons": [{"name": name} for name in mons]}, "quorum_names": list(quorum)}
    assert virtapi_ceph_plan.mon_removal(status, "a") == reason


NEW, OLD = {"osd": 3, "state": ["exists", "new"]}, {"osd": 3, "state": ["exists", "up"]}


@pytest.mark.parametrize(
    "known, device, expected",
    [
        (None, {}, ("new", None)),
        (None, None, ("new", None)),
        (None, {"other": "ext4"}, ("refuse", "not blank: ext4. Nothing here erases a disk")),
        (None, {"uuid": OTHER}, ("refuse", "that of another OSD: {}".format(OTHER))),
        (NEW, {"uuid": OTHER}, ("refuse", "that of another OSD")),
        (None, {"uuid": UUID}, ("refuse", "it was purged")),
        (NEW, {}, ("finish", None)),
        (NEW, {"uuid": UUID}, ("finish", None)),
        (OLD, {"uuid": UUID}, ("adopt", None)),
        (OLD, {}, ("refuse", "osd.3, and it is not here: it is lost")),
        (OLD, None, ("refuse", "it is lost")),
    ],
)
def test_how_an_osd_begins(known, device, expected):
    assert_step(virtapi_ceph_plan.osd_beginning(UUID, known, device), expected)


@pytest.mark.parametrize(
    "known, here, unsafe, expected",
    [
        ({"in": 1}, True, None, ("out", None)),
        ({"in": 0}, True, "7 pgs", ("wait", "7 pgs")),
        ({"in": 0}, True, None, ("purge", None)),
        (None, True, None, ("clear", None)),
        (None, False, None, None),
    ],
)
def test_how_an_osd_goes(known, here, unsafe, expected):
    assert virtapi_ceph_plan.osd_removal(known, here, lambda: unsafe) == expected


@pytest.mark.parametrize(
    "going, there, percent, expected",
    [
        (1, 1, 20, None),
        (2, 10, 20, None),
        (0, 12, 20, None),
        (2, 4, 50, None),
        (3, 10, 20, "3 of 10 OSDs"),
        (2, 3, 20, "2 of 3 OSDs"),
    ],
)
def test_few_osds_of_a_node_go_at_the_same_time(going, there, percent, expected):
    assert virtapi_removal_share.excess(going, there, "OSDs", percent) == expected


def test_pools():
    fewer = "has 3 copies and is to have 2: nothing here makes copies fewer"
    sizes = [virtapi_ceph_plan.pool_size(*each) for each in ((3, 3), (2, 3), (3, 2))]
    assert sizes == [None, None, fewer]
    counts = [(32, 32, "off"), (16, 32, "off"), (64, 32, "off"), (8, 32, "on")]
    assert [virtapi_ceph_plan.pg_num_right(*each) for each in counts] == [True, False, True, True]
