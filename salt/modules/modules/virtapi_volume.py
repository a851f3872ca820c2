"""
Volumes of virtual machines, as the document has them: files (qcow2, raw), logical volumes, images in a pool of Ceph.

How large they are, how they are made, grow and are deleted. When that may be, the states ``virtapi_volume`` and
``virtapi_removals`` decide.
"""

import collections
import json
import os
import re
import time

import salt.utils.path
import salt.utils.platform
import virtapi_command
import virtapi_domain_xml
import virtapi_golden_image
import virtapi_open_file
import virtapi_qcow2
import virtapi_rbd
from salt.exceptions import CommandExecutionError
from virtapi_snapshot_plan import PREFIX

# QEMU rounds up to sectors.
_SECTOR = 512
# Seconds after which Ceph gives up a client that has died, and some more.
_EXPIRY = 40
_LOGICAL = "virtapi_volume.logical"
_IMAGES = "virtapi_volume.images"


def __virtual__():
    """Only where there can be a hypervisor."""
    return salt.utils.platform.is_linux() or (False, "virtapi_volume needs Linux")


def place(volume):
    """Return where a volume is: a file's path, ``vg/lv``, or ``pool/image``. None for a type that is none of ours."""
    return _KINDS[volume["type"]].place(volume) if volume["type"] in _KINDS else None


def refusal(name, volume, cluster):
    """Return why a state of this name cannot be of this volume; None where it can. ``cluster`` is that of its pool."""
    if not re.fullmatch(virtapi_domain_xml.UUID, name):
        return "{} is no UUID".format(name)
    if volume["type"] == "rbd" and not cluster:
        return "{}: cluster {} is not described".format(place(volume), volume["cluster"])
    return None


def source(volume):
    """Return the same as a domain's XML has it."""
    return {"lvm": "/dev/", "rbd": "rbd:"}.get(volume["type"], "") + place(volume)


def places(vms):
    """Return where all volumes of these machines are, and the golden images that they are made on."""
    volumes = [volume for vm in vms.values() for volume in vm["volumes"]]
    found = {place(volume) for volume in volumes} | {(volume["backing"] or {}).get("path") for volume in volumes}
    return found - {None}


def size(volume, cluster=None, rbd_user="libvirt"):
    """
    Return its size in bytes, None when it is not there.

    ``cluster`` is the Ceph cluster of its pool, as the document has it.
    """
    return _KINDS[volume["type"]].size(volume, cluster, rbd_user)


def unit(volume):
    """Return by less than how many bytes it may be larger than asked for."""
    return _logical()[place(volume)][1] if volume["type"] == "lvm" else _SECTOR


def create(volume, cluster=None, rbd_user="libvirt"):
    """Make a volume. Nothing that is there is overwritten."""
    _KINDS[volume["type"]].create(volume, cluster, rbd_user)
    forget()


def grow(volume, cluster=None, rbd_user="libvirt", in_use=False):
    """Make a volume larger; one in use only where its QEMU, which has to be told as well, does not do that itself."""
    _KINDS[volume["type"]].grow(volume, cluster, rbd_user, in_use)
    forget()


def there(volumes, clusters=None, rbd_user="libvirt"):
    """
    Return which of these volumes are there, by UUID; and of which that cannot be known, with why.

    One question for each pool and all volume groups, whether or not it is answered.

    volumes
        By UUID, as the document has them.
    clusters
        The Ceph clusters by name, as the document has them.
    """
    found, unknown, failed = [], {}, {}
    for uuid, volume in sorted(volumes.items()):
        kind = _KINDS.get(volume["type"])
        cluster = (clusters or {}).get(volume.get("cluster"))
        asked = (volume["type"], volume.get("cluster"), volume.get("pool"))
        if kind is None:
            unknown[uuid] = "type {} is none that is managed".format(volume["type"])
        elif volume["type"] == "rbd" and not cluster:
            unknown[uuid] = "cluster {} is not described".format(volume["cluster"])
        elif asked in failed:
            unknown[uuid] = failed[asked]
        else:
            try:
                found.extend([uuid] if kind.exists(volume, cluster, rbd_user) else [])
            except (CommandExecutionError, OSError) as error:
                failed[asked] = unknown[uuid] = str(error)
    return found, unknown


def delete(volume, cluster=None, rbd_user="libvirt"):
    """Delete a volume that is there, or raise where somebody has it open."""
    _KINDS[volume["type"]].delete(volume, cluster, rbd_user)
    forget()


def snapshots(volume, cluster=None, rbd_user="libvirt"):
    """Return the names of the snapshots of a volume; none where it is not there."""
    return list(_SNAPSHOTS[volume["type"]](volume, cluster, rbd_user))


def forget():
    """Ask anew when something is asked the next time."""
    __context__.pop(_LOGICAL, None)
    __context__.pop(_IMAGES, None)


def logical_volumes(group):
    """
    Return the logical volumes of a volume group as ``vg/lv``; none where there is no LVM.

    .. code-block:: bash

        salt '*' virtapi_volume.logical_volumes vg0
    """
    if not salt.utils.path.which("lvs"):
        return []
    return [name for name in _logical() if name.startswith(group + "/")]


def wait_until_unused(volume, cluster, rbd_user="libvirt"):
    """
    Wait until no client has an image open, or raise.

    A machine that moves here may still run where it was, for nobody stops it there; two that write to one image destroy
    it. A machine that has just died is still seen for a while.
    """
    deadline = time.monotonic() + _EXPIRY
    while True:
        words = virtapi_rbd.connection(volume, cluster, rbd_user) + ["status", "--format", "json", place(volume)]
        watchers = [watcher["address"] for watcher in json.loads(_run("rbd", *words))["watchers"]]
        if not watchers:
            return
        if time.monotonic() > deadline:
            message = "image {} is in use by {}: the machine may run elsewhere, and is not started"
            raise CommandExecutionError(message.format(place(volume), ", ".join(watchers)))
        time.sleep(1)


def qcow2_size(path):
    """Return the size in the header of a qcow2 file, whether or not QEMU has it open; None where it is no qcow2."""
    header = virtapi_qcow2.header(path)
    return header and header[0]


def chain(path):
    """Return a file with those that it is made on, one on the other, as far as they are files."""
    found = []
    while path not in found and os.path.isfile(path):
        found.append(path)
        _size, backing = virtapi_qcow2.header(path) or (None, "")
        if not backing:
            break
        path = os.path.normpath(os.path.join(os.path.dirname(path), backing))
    return found


def _run(*words):
    return virtapi_command.run(__salt__, *words)


def _file_size(volume, cluster, rbd_user):
    path = volume["path"]
    if not os.path.exists(path):
        return None
    found = os.path.getsize(path) if volume["type"] == "raw" else qcow2_size(path)
    if found is None:
        raise CommandExecutionError("{} is there and no qcow2: it is left alone".format(path))
    return found


def _file_create(volume, cluster, rbd_user):
    path = volume["path"]
    golden = virtapi_golden_image.GoldenImage(volume) if volume["backing"] else None
    copied = golden if volume["type"] == "raw" else None
    if golden:
        golden.check(volume["size_bytes"])
    if copied:
        copied.check_contents()
    # Under another name until it is whole; and nobody else's file is overwritten.
    unfinished = path + ".unfinished"
    if os.path.exists(unfinished):
        os.unlink(unfinished)
    try:
        words = golden.words if golden and not copied else []
        _run("qemu-img", "create", "-q", "-f", volume["type"], *words, unfinished, volume["size_bytes"])
        os.chmod(unfinished, 0o600)
        if copied:
            copied.copy(__salt__, unfinished)
        os.link(unfinished, path)
    finally:
        if os.path.exists(unfinished):
            os.unlink(unfinished)


def _file_grow(volume, cluster, rbd_user, in_use):
    if not in_use:
        _run("qemu-img", "resize", "-q", "-f", volume["type"], volume["path"], volume["size_bytes"])


def _file_snapshots(volume, cluster, rbd_user):
    return virtapi_qcow2.snapshots(volume["path"]) if os.path.exists(volume["path"]) else []


def _file_exists(volume, cluster, rbd_user):
    return os.path.lexists(volume["path"])


def _file_delete(volume, cluster, rbd_user):
    path = volume["path"]
    if not os.path.isabs(path) or os.path.islink(path) or not os.path.isfile(path):
        raise CommandExecutionError("{} is no file: it is left alone".format(path))
    users = virtapi_open_file.users(path)
    if users:
        raise CommandExecutionError("{} is open: {}".format(path, ", ".join(users)))
    os.unlink(path)


def _logical():
    """Bytes and extent of each logical volume by ``vg/lv``, in one question for all."""
    if _LOGICAL not in __context__:
        words = ["--reportformat", "json", "--units", "b", "--nosuffix", "-o", "vg_name,lv_name,lv_size,vg_extent_size"]
        __context__[_LOGICAL] = {
            "{}/{}".format(row["vg_name"], row["lv_name"]): (int(row["lv_size"]), int(row["vg_extent_size"]))
            for report in json.loads(_run("lvs", *words))["report"]
            for row in report["lv"]
        }
    return __context__[_LOGICAL]


def _logical_size(volume, cluster, rbd_user):
    return _logical().get(place(volume), (None,))[0]


def _logical_create(volume, cluster, rbd_user):
    # What another volume has left on the disk is not for this machine to read: LVM clears the beginning, discards the
    # rest where the disk can.
    words = ["--yes", "--wipesignatures", "y", "--zero", "y", "--size", "{}b".format(volume["size_bytes"])]
    _run("lvcreate", *words, "--name", volume["lv"], volume["vg"])


def _logical_grow(volume, cluster, rbd_user, in_use):
    _run("lvextend", "--size", "{}b".format(volume["size_bytes"]), place(volume))


def _logical_exists(volume, cluster, rbd_user):
    return place(volume) in _logical()


def _logical_delete(volume, cluster, rbd_user):
    # LVM would take them away as well, and asks nobody who says yes to all.
    which = 'vg_name="{vg}" && origin="{lv}"'.format(**volume)
    snapshots = _run("lvs", "--noheadings", "-o", "lv_name", "--select", which).split()
    if snapshots:
        raise CommandExecutionError("{} has snapshots: {}".format(place(volume), ", ".join(snapshots)))
    _run("lvremove", "--yes", place(volume))


def _image_size(volume, cluster, rbd_user):
    return _images(volume, cluster, rbd_user).get(volume["image"], (None,))[0]


def _images(volume, cluster, rbd_user):
    """Bytes and names of snapshots of each image of a pool, in one question for all."""
    words = tuple(virtapi_rbd.connection(volume, cluster, rbd_user) + ["ls", "--long", "--format", "json", volume["pool"]])
    known = __context__.setdefault(_IMAGES, {})
    if words not in known:
        rows = json.loads(_run("rbd", *words))
        known[words] = {row["image"]: (row["size"], []) for row in rows if "snapshot" not in row}
        for row in rows:
            if "snapshot" in row:
                known[words][row["image"]][1].append(row["snapshot"])
    return known[words]


def _image_create(volume, cluster, rbd_user):
    words = virtapi_rbd.connection(volume, cluster, rbd_user)
    _run("rbd", *words, "create", "--size", "{}B".format(volume["size_bytes"]), place(volume))


def _image_grow(volume, cluster, rbd_user, in_use):
    # A running machine's QEMU has the lock of the image, and makes it larger itself.
    if not in_use:
        words = virtapi_rbd.connection(volume, cluster, rbd_user) + ["resize", "--no-progress"]
        _run("rbd", *words, "--size", "{}B".format(volume["size_bytes"]), place(volume))


def _image_exists(volume, cluster, rbd_user):
    return volume["image"] in _images(volume, cluster, rbd_user)


def _image_delete(volume, cluster, rbd_user):
    def rbd(*words):
        return _run("rbd", *virtapi_rbd.connection(volume, cluster, rbd_user), *words)

    image = place(volume)
    try:
        # Ceph refuses it for one that has watchers or snapshots.
        rbd("rm", "--no-progress", image)
    except CommandExecutionError:
        # Those that are all of virtapi go with it. Where one is of others, or protected, or the image is in use, all stays as it is.
        snapshots = json.loads(rbd("snap", "ls", "--format", "json", image))
        ours = [each for each in snapshots if each["name"].startswith(PREFIX) and str(each["protected"]).lower() != "true"]
        if not snapshots or ours != snapshots or json.loads(rbd("status", "--format", "json", image))["watchers"]:
            raise
        for each in snapshots:
            rbd("snap", "rm", "--no-progress", "{}@{}".format(image, each["name"]))
        rbd("rm", "--no-progress", image)


def _image_snapshots(volume, cluster, rbd_user):
    return _images(volume, cluster, rbd_user).get(volume["image"], (None, []))[1]


_Kind = collections.namedtuple("_Kind", "place exists size create grow delete")
_FILE = _Kind(lambda volume: volume["path"], _file_exists, _file_size, _file_create, _file_grow, _file_delete)
_LOGICAL_VOLUME = _Kind(
    lambda volume: "{vg}/{lv}".format(**volume),
    _logical_exists,
    _logical_size,
    _logical_create,
    _logical_grow,
    _logical_delete,
)
_IMAGE = _Kind(
    lambda volume: "{pool}/{image}".format(**volume),
    _image_exists,
    _image_size,
    _image_create,
    _image_grow,
    _image_delete,
)
_KINDS = {
    "qcow2": _FILE,
    "raw": _FILE,
    "lvm": _LOGICAL_VOLUME,
    "rbd": _IMAGE,
}
# Of these there are snapshots.
_SNAPSHOTS = {"qcow2": _file_snapshots, "rbd": _image_snapshots}
