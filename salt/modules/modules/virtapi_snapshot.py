"""
Snapshots of volumes: how one is taken and deleted, and how a volume is brought back to one. When that may be, the states
``virtapi_snapshots`` and ``virtapi_domain`` decide; which there are, ``virtapi_volume.snapshots`` says.
"""

import salt.utils.platform
import virtapi_command
import virtapi_domain_definition
import virtapi_rbd


def __virtual__():
    """Only where there can be a hypervisor."""
    return salt.utils.platform.is_linux() or (False, "virtapi_snapshot needs Linux")


def take(volume, name, vm=None, cluster=None, rbd_user="libvirt"):
    """
    Take a snapshot, whether or not the machine runs.

    volume
        The volume as the document has it.
    name
        What the storage is to call it.
    vm
        UUID of the virtual machine that has it.
    """
    if volume["type"] == "rbd":
        _rbd(volume, cluster, rbd_user, "create", name)
    else:
        _file(volume, vm, "blockdev-snapshot-internal-sync", "-c", name)


def delete(volume, name, vm=None, cluster=None, rbd_user="libvirt"):
    """Delete a snapshot, whether or not the machine runs."""
    if volume["type"] == "rbd":
        _rbd(volume, cluster, rbd_user, "rm", name)
    else:
        _file(volume, vm, "blockdev-snapshot-delete-internal-sync", "-d", name)


def restore(volume, name, cluster=None, rbd_user="libvirt"):
    """
    Bring a volume back to a snapshot, and make it as large as it should be: it may have grown since.

    Only of a machine that does not run. qemu-img refuses an image that is open; Ceph would do it below a machine that runs, and
    so nobody may have the image open.
    """
    pool = {"cluster": cluster, "rbd_user": rbd_user}
    if volume["type"] == "rbd":
        __salt__["virtapi_volume.wait_until_unused"](volume, cluster, rbd_user)
        _rbd(volume, cluster, rbd_user, "rollback", name)
    else:
        virtapi_command.run(__salt__, "qemu-img", "snapshot", "-q", "-a", name, volume["path"])
    __salt__["virtapi_volume.forget"]()
    if __salt__["virtapi_volume.size"](volume, **pool) < volume["size_bytes"]:
        __salt__["virtapi_volume.grow"](volume, **pool)


def _rbd(volume, cluster, rbd_user, action, name):
    image = "{}@{}".format(__salt__["virtapi_volume.place"](volume), name)
    virtapi_command.run(__salt__, "rbd", *virtapi_rbd.connection(volume, cluster, rbd_user), "snap", action, "--no-progress", image)
    __salt__["virtapi_volume.forget"]()


def _file(volume, vm, command, flag, name):
    """While QEMU has an image open, nobody else may write to it; qemu-img refuses that, too."""
    disk = _running_disk(volume, vm)
    if disk:
        node = __salt__["virtapi_libvirt.block_node"](vm, disk.alias)
        __salt__["virtapi_libvirt.qemu"](vm, command, {"device": node, "name": name})
    else:
        virtapi_command.run(__salt__, "qemu-img", "snapshot", "-q", flag, name, volume["path"])


def _running_disk(volume, vm):
    domain = __salt__["virtapi_libvirt.domain"](vm) if vm else None
    disks = virtapi_domain_definition.read(domain["running"]).disks if domain and domain["running"] else []
    return next((disk for disk in disks if disk.source == volume["path"]), None)
