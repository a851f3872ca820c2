"""
The snapshots of a volume, which its storage calls ``virtapi-NAME``.

One is taken when its time has come, whether or not the machine runs: as after a loss of power, for nobody asks the guest. It is
deleted when its time is over. What the document does not name is left alone. docs/convergence.md has the rules.
"""

import virtapi_domain_definition
import virtapi_removal_plan
import virtapi_restore_plan
import virtapi_snapshot_plan
from salt.exceptions import CommandExecutionError


def mod_init(low):
    """Begin a run without what an earlier one knew."""
    __salt__["virtapi_volume.forget"]()
    return True


def present(name, volume, vm=None, cluster=None, rbd_user="libvirt"):
    """
    Make sure that the snapshots are there whose time has come, and that those are gone whose time is over.

    name
        The volume's UUID.
    volume
        The volume as the document has it; it must be there: require it.
    vm
        UUID of the virtual machine that has it.
    cluster
        The Ceph cluster that its pool is in, as the document has it.
    rbd_user
        The Ceph user, whose keyring is where Ceph looks for it.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    refusal = __salt__["virtapi_volume.refusal"](name, volume, cluster)
    if refusal:
        ret["comment"] = refusal
        return ret
    place = __salt__["virtapi_volume.place"](volume)
    if volume["type"] not in virtapi_snapshot_plan.TYPES:
        ret["comment"] = "{}: snapshots of {} volumes are not taken".format(place or name, volume["type"])
        return ret
    pool = {"cluster": cluster, "rbd_user": rbd_user}
    try:
        there = __salt__["virtapi_volume.snapshots"](volume, **pool)
        plan = _plan(volume, there, vm)
    except (CommandExecutionError, OSError) as error:
        ret["comment"] = "{}: {}".format(place, error)
        return ret
    changes = {each: {"old": "absent", "new": "present"} for each in plan["take"]}
    changes.update({each: {"old": "present", "new": "absent"} for each in plan["delete"]})
    if not changes:
        ret.update(result=True, comment="{} has the snapshots that it should have".format(place))
    elif __opts__["test"]:
        ret.update(result=None, changes=changes, comment="{} would have other snapshots".format(place))
    else:
        errors = _carry_out(plan, changes, ret["changes"], volume, vm, pool)
        ret.update(result=not errors, comment="{}: {}".format(place, "; ".join(errors) or "its snapshots are changed"))
    return ret


def _plan(volume, there, vm):
    """Return what is to be done; what a restore waits for stays, which is asked only where it would go."""
    now = virtapi_removal_plan.now()
    plan = virtapi_snapshot_plan.plan(volume["snapshots"], there, now)
    needed = (volume.get("restore") or {}).get("snapshot")
    if needed and virtapi_snapshot_plan.name_of(needed) in plan["delete"] and _restore_pending(volume, vm):
        return virtapi_snapshot_plan.plan(volume["snapshots"], there, now, needed)
    return plan


def _restore_pending(volume, vm):
    domain = __salt__["virtapi_libvirt.domain"](vm) if vm else None
    if not domain or not domain["persistent"]:
        return False
    uuid = volume["uuid"]
    defined = virtapi_domain_definition.read(domain["defined"])
    source = __salt__["virtapi_volume.source"](volume)
    attached = [uuid for disk in defined.disks if disk.uuid == uuid or disk.source == source]
    return bool(virtapi_restore_plan.plan({uuid: volume["restore"]["number"]}, defined.restores, attached)["pending"])


def _carry_out(plan, changes, done, volume, vm, pool):
    """Do it, note what is done, and return what went wrong; one that fails does not keep the others."""
    errors = []
    for action in ("take", "delete"):
        for each in plan[action]:
            try:
                __salt__["virtapi_snapshot." + action](volume, each, vm=vm, **pool)
                done[each] = changes[each]
            except (CommandExecutionError, OSError) as error:
                errors.append("{}: {}".format(each, error))
    try:
        there = __salt__["virtapi_volume.snapshots"](volume, **pool)
        errors.extend("{} was taken, and is not there".format(each) for each in plan["take"] if each in done and each not in there)
    except (CommandExecutionError, OSError) as error:
        errors.append(str(error))
    return errors
