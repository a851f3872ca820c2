"""
The OSDs of Ceph clusters on this node, by Ceph's own programs.

How they are made, started and taken away. When that may be, the state ``virtapi_ceph_osd`` decides. ``ceph-volume`` is not
asked to make them, for it gives them UUIDs of its own; what is made here is what its ``raw prepare`` makes, and its
``raw list`` shows it.
"""

import glob
import json
import os
import re
import shutil

import salt.utils.files
import salt.utils.platform
import virtapi_ceph_command
import virtapi_ceph_daemon
import virtapi_ceph_device
import virtapi_ceph_keyfile
import virtapi_ceph_observation
import virtapi_command
from salt.exceptions import CommandExecutionError

_KNOWN = "virtapi_ceph_osd.known"


def __virtual__():
    """Only where there can be a Ceph."""
    return salt.utils.platform.is_linux() or (False, "virtapi_ceph_osd needs Linux")


def forget():
    """Ask anew when something is asked the next time."""
    __context__.pop(_KNOWN, None)


def known(cluster):
    """
    Return what a cluster knows of its OSDs by UUID, in two questions whatever their number, as it was when this run first
    asked: ``osd``, its number, ``in``, ``up``, ``state`` and ``device_class``.

    Nothing in a dry run on a node that has no key yet to ask with.

    .. code-block:: bash

        salt '*' virtapi_ceph_osd.known ceph
    """
    return _asked(cluster)["osds"]


def here(cluster):
    """
    Return the OSDs that have a directory on this node by UUID: ``osd``, ``path``, and ``fsid`` of their cluster.

    Only those that are whole: what was begun and not ended has no file ``ready``.

    .. code-block:: bash

        salt '*' virtapi_ceph_osd.here ceph
    """
    found = {}
    for number, path in virtapi_ceph_command.data("osd", cluster).items():
        uuid, fsid, ready = (_read("{}/{}".format(path, name)) for name in ("fsid", "ceph_fsid", "ready"))
        if uuid and ready and re.fullmatch("[0-9]+", number):
            found[uuid] = {"osd": int(number), "path": path, "fsid": fsid}
    return found


def observe(cluster, osds, pools=None):
    """
    Return what is there of a cluster as it is now: ``mons`` in quorum, this node's ``osds``, and the ``unmanaged``.

    osds
        UUIDs of those that are known.
    pools
        Those that are known, as ``cluster/pool``; None where this node does not see to pools.
    """
    return virtapi_ceph_observation.look(__salt__, cluster, here(cluster), osds, pools)


def contents(device):
    """Return what is on a device: ``uuid`` of an OSD, or ``other``, what else; nothing when it is blank."""
    return virtapi_ceph_device.contents(__salt__, device)


def running(cluster, number, init):
    """Return whether its daemon runs."""
    return _daemon(cluster, number, init).running()


def announce(cluster, uuid, device_class=None):
    """Have the cluster give a new OSD a number, and return that."""
    secrets = {"cephx_secret": virtapi_ceph_command.execute(__salt__, "ceph-authtool", "--gen-print-key", secret=True)}
    if device_class:
        secrets["crush_device_class"] = device_class
    said = []
    new = ("osd", "new", uuid, "-i")
    text = json.dumps(secrets)
    virtapi_command.with_file(text, lambda path: said.append(virtapi_ceph_command.run(__salt__, cluster, *new, path)))
    return int(said[0])


def make(cluster, number, osd, store):
    """Make the OSD that has this number, which is not started by that; ``store`` is device, file or memory."""
    _prepare(cluster, number, osd, store)
    objects = "memstore" if store == "memory" else "bluestore"
    owner = virtapi_ceph_command.OWNER
    words = ["--cluster", cluster, "--id", number, "--mkfs", "--osd-uuid", osd["uuid"], "--osd-objectstore", objects]
    virtapi_ceph_command.execute(__salt__, "ceph-osd", *words, "--setuser", owner, "--setgroup", owner)


def adopt(cluster, number, osd, store):
    """Make the directory of an OSD from its device, which has all that it had."""
    daemon = _prepare(cluster, number, osd, store)
    words = ["--cluster=" + cluster, "prime-osd-dir", "--no-mon-config", "--dev", osd["device"], "--path", daemon.data]
    virtapi_ceph_command.execute(__salt__, "ceph-bluestore-tool", *words)
    for name in os.listdir(daemon.data):
        virtapi_ceph_command.own("{}/{}".format(daemon.data, name))


def bring_up(cluster, number, init):
    """Start an OSD that does not run, and return whether it comes up."""
    daemon = _daemon(cluster, number, init)
    if not daemon.running():
        _own_devices(daemon)
        daemon.start()
    # As it says itself: of one that was killed the cluster says for a while that it is up.
    return virtapi_ceph_daemon.within(virtapi_ceph_daemon.UP, lambda: (daemon.ask("status") or {}).get("state") == "active")


def set_class(cluster, number, device_class):
    """Set its class in the cluster's map of devices."""
    name = "osd.{}".format(number)
    virtapi_ceph_command.run(__salt__, cluster, "osd", "crush", "rm-device-class", name)
    virtapi_ceph_command.run(__salt__, cluster, "osd", "crush", "set-device-class", device_class, name)


def unsafe(cluster, number):
    """Return why an OSD may not be destroyed; None when it may."""
    try:
        virtapi_ceph_command.run(__salt__, cluster, "osd", "safe-to-destroy", number)
    except CommandExecutionError as error:
        return re.sub(r"\Aceph: (Error \w+: )?", "", str(error)).rstrip(".")
    return None


def take_out(cluster, number):
    """Take it out: its data moves away."""
    virtapi_ceph_command.run(__salt__, cluster, "osd", "out", number)


def purge(cluster, uuid, number, init):
    """Stop an OSD, have its cluster forget it, and delete its directory."""
    found = here(cluster).get(uuid)
    # One that runs on another node is not stopped from here, and Ceph does not purge what is up.
    if found:
        _daemon(cluster, number, init).stop()
        virtapi_ceph_command.run(__salt__, cluster, "osd", "down", number)
    virtapi_ceph_command.run(__salt__, cluster, "osd", "purge", number, "--yes-i-really-mean-it")
    if found:
        clear(cluster, uuid, init)


def clear(cluster, uuid, init):
    """Delete the directory of an OSD that its cluster does not know any more. What is on its device stays on it."""
    found = here(cluster)[uuid]
    fsid = _asked(cluster)["fsid"]
    if found["fsid"] != fsid:
        message = "{} is of another cluster: {}, and not {}"
        raise CommandExecutionError(message.format(found["path"], found["fsid"], fsid))
    _daemon(cluster, found["osd"], init).stop()
    shutil.rmtree(found["path"])


def _asked(cluster):
    asked = __context__.setdefault(_KNOWN, {})
    if cluster not in asked:
        dump, tree = {"fsid": None, "osds": []}, {"nodes": []}
        if virtapi_ceph_command.known(cluster):
            dump, tree = (virtapi_ceph_command.ask(__salt__, cluster, "osd", what) for what in ("dump", "tree"))
        classes = {node["id"]: node.get("device_class") for node in tree["nodes"]}
        osds = {osd["uuid"]: dict(osd, device_class=classes.get(osd["osd"])) for osd in dump["osds"]}
        asked[cluster] = {"fsid": dump["fsid"], "osds": osds}
    return asked[cluster]


def _daemon(cluster, number, init=None):
    return virtapi_ceph_daemon.of(__salt__, init, cluster, "osd", number)


def _read(path):
    try:
        with salt.utils.files.fopen(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def _prepare(cluster, number, osd, store):
    """Make its directory, with its key and links to its devices."""
    daemon = _daemon(cluster, number)
    daemon.make_data()
    name = "osd.{}".format(number)
    key = virtapi_ceph_command.run(__salt__, cluster, "auth", "get-key", name).strip()
    virtapi_ceph_command.write(daemon.data + "/keyring", virtapi_ceph_keyfile.text(name, key))
    if store == "device":
        for link, device in (("block", osd["device"]), ("block.db", osd["db_device"])):
            path = "{}/{}".format(daemon.data, link)
            if os.path.islink(path):
                os.unlink(path)
            if device:
                os.symlink(device, path)
        _own_devices(daemon)
    return daemon


def _own_devices(daemon):
    """After the machine's start devices are root's again."""
    for path in glob.glob(glob.escape(daemon.data) + "/block*"):
        if os.path.islink(path):
            virtapi_ceph_command.own(os.path.realpath(path))
