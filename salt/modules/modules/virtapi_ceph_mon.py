"""
The monitor of a Ceph cluster on this node, by Ceph's own programs.

How it begins, comes into quorum and goes. When that may be, the state ``virtapi_ceph_mon`` decides.
"""

import os
import shutil

import salt.utils.platform
import virtapi_ceph_command
import virtapi_ceph_conf
import virtapi_ceph_daemon
import virtapi_ceph_keyfile
import virtapi_ceph_plan
from salt.exceptions import CommandExecutionError


def __virtual__():
    """Only where there can be a Ceph."""
    return salt.utils.platform.is_linux() or (False, "virtapi_ceph_mon needs Linux")


def exists(cluster, name):
    """Return whether there is a monitor here, whether or not it runs."""
    return os.path.isdir("{}/store.db".format(_daemon(cluster, name).data))


def look(cluster, name):
    """
    Return what a monitor says of itself, which needs no quorum: ``fsid``, ``address`` and ``state``.

    ``state`` is ``quorum``, what else it does, or ``stopped``; then the others are None.
    """
    status = _daemon(cluster, name).ask("mon_status")
    if not status:
        return {"fsid": None, "address": None, "state": "stopped"}
    here = [mon for mon in status["monmap"]["mons"] if mon["name"] == name]
    listens = ["{type}:{addr}".format(**address) for mon in here for address in mon["public_addrs"]["addrvec"]]
    return {
        "fsid": status["monmap"]["fsid"],
        "address": "[{}]".format(",".join(listens)) if here else None,
        "state": "quorum" if status["state"] in ("leader", "peon") else status["state"],
    }


def beginning(cluster, fsid, bootstrap):
    """Return how a monitor that has no data here begins, and why it does not."""
    try:
        found = virtapi_ceph_command.run(__salt__, cluster, "fsid").strip()
    except virtapi_ceph_command.Away:
        found = None
    traces = virtapi_ceph_command.data("osd", cluster).values()
    return virtapi_ceph_plan.mon_beginning(fsid, found, bootstrap, list(traces))


def make(cluster, name, described, step):
    """Make a monitor, which is not started by that; ``step`` is ``join`` or ``bootstrap``."""
    owner = virtapi_ceph_command.OWNER
    keys = _keys(cluster, name)
    daemon = _daemon(cluster, name)
    with virtapi_ceph_command.directory() as directory:
        monmap, keyring = directory + "/map", directory + "/keyring"
        virtapi_ceph_command.write(keyring, keys)
        if step == "join":
            virtapi_ceph_command.run(__salt__, cluster, "mon", "getmap", "-o", monmap)
        else:
            mons = sorted(virtapi_ceph_conf.monitors(described).items())
            words = [word for each in mons for word in ("--addv", *each)]
            create = ("monmaptool", "--create", "--clobber", "--fsid", described["fsid"])
            virtapi_ceph_command.execute(__salt__, *create, *words, monmap)
        virtapi_ceph_command.own(monmap)
        daemon.make_data()
        words = ["--cluster", cluster, "--id", name, "--mkfs", "--monmap", monmap, "--keyring", keyring]
        try:
            virtapi_ceph_command.execute(__salt__, "ceph-mon", *words, "--setuser", owner, "--setgroup", owner)
        except CommandExecutionError:
            # Half of a monitor would be taken for one.
            shutil.rmtree(daemon.data)
            raise


def bring_into_quorum(cluster, name, init, others):
    """Start a monitor that does not run, and wait until it is in quorum, or raise."""
    daemon = _daemon(cluster, name, init)
    if not daemon.running():
        daemon.start()
    if not virtapi_ceph_daemon.within(virtapi_ceph_daemon.QUORUM, lambda: look(cluster, name)["state"] == "quorum"):
        message = "{}/{} runs and is not in quorum ({}): it waits for {}"
        waits = message.format(cluster, name, look(cluster, name)["state"], ", ".join(sorted(others)))
        raise CommandExecutionError(waits)


def removal(cluster, name):
    """Return why a monitor may not be removed; None when it may."""
    try:
        status = virtapi_ceph_command.ask(__salt__, cluster, "quorum_status")
    except virtapi_ceph_command.Away:
        status = None
    return virtapi_ceph_plan.mon_removal(status, name)


def remove(cluster, name, init):
    """Take a monitor out of its cluster, and delete what it has here."""
    # It ends by itself when it hears of it.
    virtapi_ceph_command.run(__salt__, cluster, "mon", "remove", name)
    daemon = _daemon(cluster, name, init)
    daemon.stop()
    shutil.rmtree(daemon.data)


def _daemon(cluster, name, init=None):
    return virtapi_ceph_daemon.of(__salt__, init, cluster, "mon", name)


def _keys(cluster, name):
    """What it begins with: its own kind's key, and the administrator's."""
    texts = []
    for entity, caps in (
        ("mon.", virtapi_ceph_keyfile.MON_CAPS),
        (virtapi_ceph_command.ADMIN, virtapi_ceph_keyfile.ADMIN_CAPS),
    ):
        path = virtapi_ceph_command.keyring_path(cluster, entity)
        key = virtapi_ceph_keyfile.key(path, entity)
        if not key:
            raise CommandExecutionError("{}/{}: there is no key of {} in {}".format(cluster, name, entity, path))
        texts.append(virtapi_ceph_keyfile.text(entity, key, caps))
    return "".join(texts)
