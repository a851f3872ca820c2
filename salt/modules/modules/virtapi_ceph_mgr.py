"""
The manager of a Ceph cluster on this node, by Ceph's own programs. The cluster makes its key.
"""

import os
import shutil

import salt.utils.platform
import virtapi_ceph_command
import virtapi_ceph_daemon

_CAPS = ("mon", "allow profile mgr", "osd", "allow *", "mds", "allow *")


def __virtual__():
    """Only where there can be a Ceph."""
    return salt.utils.platform.is_linux() or (False, "virtapi_ceph_mgr needs Linux")


def look(cluster, name, init):
    """Return whether it is ``absent``, ``stopped`` or ``running``."""
    daemon = _daemon(cluster, name, init)
    if not os.path.exists(daemon.data + "/keyring"):
        return "absent"
    return "running" if daemon.running() else "stopped"


def make(cluster, name):
    """Make a manager, which is not started by that."""
    keyring = virtapi_ceph_command.run(__salt__, cluster, "auth", "get-or-create", "mgr." + name, *_CAPS)
    daemon = _daemon(cluster, name)
    daemon.make_data()
    virtapi_ceph_command.write(daemon.data + "/keyring", keyring + "\n")


def start(cluster, name, init):
    """Start it."""
    _daemon(cluster, name, init).start()


def remove(cluster, name, init):
    """End it, and delete its key."""
    daemon = _daemon(cluster, name, init)
    daemon.stop()
    virtapi_ceph_command.run(__salt__, cluster, "auth", "rm", "mgr." + name)
    shutil.rmtree(daemon.data)


def _daemon(cluster, name, init=None):
    return virtapi_ceph_daemon.of(__salt__, init, cluster, "mgr", name)
