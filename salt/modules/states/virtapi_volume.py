"""
A volume of a virtual machine: a file (qcow2, raw), a logical volume, or an image in a pool.

It is made and grows. It is never made smaller, and not taken away: that is ``virtapi_removals``. One that a defined
domain has, and that is not there, is not made anew: it is lost, and an empty one would hide that. docs/convergence.md
has the rules.
"""

import virtapi_domain_definition
from salt.exceptions import CommandExecutionError


def mod_init(low):
    """Begin a run without what an earlier one knew."""
    __salt__["virtapi_volume.forget"]()
    __salt__["virtapi_libvirt.forget"]()
    __salt__["virtapi_lxc.forget"]()
    return True


def present(name, volume, vm=None, cluster=None, rbd_user="libvirt", lxc_path="/var/lib/lxc"):
    """
    Make sure that the volume is there, and as large as it should be.

    name
        The volume's UUID.
    volume
        The volume as the document has it.
    vm
        UUID of the virtual machine that has it.
    cluster
        The Ceph cluster that its pool is in, as the document has it.
    rbd_user
        The Ceph user, whose keyring is where Ceph looks for it.
    lxc_path
        The directory of all containers.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    refusal = __salt__["virtapi_volume.refusal"](name, volume, cluster)
    if refusal:
        ret["comment"] = refusal
        return ret
    place = __salt__["virtapi_volume.place"](volume)
    if place is None:
        ret["comment"] = "{}: type {} is none that this state manages".format(name, volume["type"])
        return ret
    pool = {"cluster": cluster, "rbd_user": rbd_user}
    try:
        size = __salt__["virtapi_volume.size"](volume, **pool)
        if size is None:
            _refuse_lost(volume, vm, place, lxc_path)
        elif not _has_to_grow(size, volume, place):
            ret.update(result=True, comment="{} is as large as it should be".format(place))
            return ret
        ret["changes"] = {"size_bytes": {"old": size, "new": volume["size_bytes"]}}
        if __opts__["test"]:
            ret.update(result=None, comment="{} would be {}".format(place, "made" if size is None else "made larger"))
            return ret
        if size is None:
            __salt__["virtapi_volume.create"](volume, **pool)
        else:
            _grow(volume, vm, pool)
    except (CommandExecutionError, OSError) as error:
        ret.update(changes={}, comment=str(error))
        return ret
    ret.update(result=True, comment="{} is {}".format(place, "made" if size is None else "made larger"))
    return ret


def _has_to_grow(size, volume, place):
    """Return whether it has to grow; raise where it would have to become smaller."""
    wanted = volume["size_bytes"]
    if size >= wanted + __salt__["virtapi_volume.unit"](volume):
        message = "{} has {} bytes and is to have {}: a volume is never made smaller"
        raise CommandExecutionError(message.format(place, size, wanted))
    return size < wanted


def _refuse_lost(volume, vm, place, lxc_path):
    source = __salt__["virtapi_volume.source"](volume)
    user = (_container(vm, source, lxc_path) or _domain(vm, source)) if vm else None
    if user:
        message = "{} is lost: {} has it, and it is not there. No empty one is made in its place"
        raise CommandExecutionError(message.format(place, user))


def _domain(vm, source):
    """Return the domain that has it, as a person calls it; None where none has."""
    domain = __salt__["virtapi_libvirt.domains"]().get(vm)
    definition = virtapi_domain_definition.read(domain["defined"]) if domain else None
    has_it = definition is not None and any(disk.source == source for disk in definition.disks)
    return "domain {}".format(definition.name) if has_it else None


def _container(vm, source, lxc_path):
    """Return the same of the container, where the machine is one."""
    containers = __salt__["virtapi_lxc.containers"](lxc_path) if vm in __salt__["virtapi_lxc.uuids"](lxc_path) else {}
    has_it = (name for name, each in containers.items() if each["uuid"] == vm and each["source"] == source)
    return next(("container {}".format(name) for name in has_it), None)


def _grow(volume, vm, pool):
    """Make it larger, through QEMU while the machine runs."""
    domain = __salt__["virtapi_libvirt.domain"](vm) if vm else None
    disks = virtapi_domain_definition.read(domain["running"]).disks if domain and domain["running"] else []
    source = __salt__["virtapi_volume.source"](volume)
    disk = next((disk for disk in disks if disk.source == source), None)
    __salt__["virtapi_volume.grow"](volume, in_use=disk is not None, **pool)
    if disk:
        __salt__["virtapi_libvirt.resize"](vm, disk.target, volume["size_bytes"])
