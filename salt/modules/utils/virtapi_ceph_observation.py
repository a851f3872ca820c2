"""
What is really there of a cluster of Ceph that a node serves. It only looks.
"""

import virtapi_ceph_command

# Those that Ceph makes for itself.
_OWN_POOLS = (".mgr", "device_health_metrics")


def look(functions, cluster, here, osds, pools):
    """
    Return the monitors in quorum, this node's OSDs, and what of either virtapi does not know, as the server reads it.

    here
        UUIDs of the OSDs that have a directory on this node.
    osds
        UUIDs of those that are known.
    pools
        Those that are known, as ``cluster/pool``; None where this node has no monitor, and does not see to pools.
    """
    quorum = virtapi_ceph_command.ask(functions, cluster, "quorum_status")["quorum_names"]
    dump = virtapi_ceph_command.ask(functions, cluster, "osd", "dump")
    local = sorted((osd for osd in dump["osds"] if osd["uuid"] in here), key=lambda osd: osd["osd"])
    there = {"{}/{}".format(cluster, pool["pool_name"]) for pool in dump["pools"] if pool["pool_name"] not in _OWN_POOLS}
    return {
        "mons": sorted(quorum),
        "osds": {str(osd["osd"]): {"up": osd["up"] == 1, "in": osd["in"] == 1} for osd in local if osd["uuid"] in osds},
        "unmanaged": {
            "osds": ["{}/{}".format(cluster, osd["osd"]) for osd in local if osd["uuid"] not in osds],
            "pools": [] if pools is None else sorted(there - set(pools)),
        },
    }
