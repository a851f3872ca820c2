"""
How images in a pool of Ceph are reached by Ceph's own program, rbd. It asks nothing.
"""

import virtapi_ceph_conf

# Otherwise rbd waits five minutes for a monitor, and for ever for an OSD.
_PATIENCE = ("--client_mount_timeout=15", "--rados_mon_op_timeout=15", "--rados_osd_op_timeout=60")


def connection(volume, cluster, rbd_user):
    """Return words for rbd that say which cluster, who, and where."""
    virtapi_ceph_conf.refuse_without_monitors(volume["cluster"], cluster)
    mons = []
    for mon in cluster["mons"]:
        address = "[{}]".format(mon["address"]) if ":" in mon["address"] else mon["address"]
        mons.append("{}:{}".format(address, mon["port"]))
    return ["--cluster", volume["cluster"], "--id", rbd_user, "-m", ",".join(mons), *_PATIENCE]
