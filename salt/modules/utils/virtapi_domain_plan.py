"""
What is to be done for a domain, from three readings: what is desired, what libvirt has defined for the next start, and
what runs. It decides; it does nothing.
"""

import collections

import virtapi_restore_plan
from virtapi_domain_definition import counterpart, gone, targets

# A device that changes while the VM runs: ``kind`` is what to do, ``device`` the desired or the running one, ``target``
# the name of a disk in the guest.
Action = collections.namedtuple("Action", "kind device target")
# It has no drive for one, or its guest did not let go of the old one.
SEED_KEPT = "its seed changes"


class Plan:
    """The differences of one domain."""

    def __init__(self, desired, defined, running):
        """Each is a definition; ``running`` is None when the VM does not run."""
        restores = virtapi_restore_plan.of(desired, defined)
        self.undefined = _undefined(desired, defined, restores["keep"])
        # The volumes that are to be brought back to a snapshot when the machine does not run, by UUID.
        self.pending_restores = restores["pending"]
        self.actions = {}
        self.restart_reasons = []
        # Whether somebody has asked for a restart since it was started.
        self.restart_asked = False
        if running is None:
            return
        limited = desired.cputime_limit != running.cputime_limit
        self.actions = {
            "cputime_limit": [Action("limit_cpu", desired.cputime_limit, None)] if limited else [],
            "volumes": _volumes(desired, defined, running),
            "seed": _seed(desired, running) if "seed" in self.undefined else [],
            "interfaces": _interfaces(desired, running),
            "security_rules": _filters(desired, running),
        }
        if desired.restarts is not None:
            # One that has no number yet is older than that, and only gets it.
            kept = defined.restarts if running.restarts is None else running.restarts
            self.restart_asked = kept is not None and kept < desired.restarts
            if running.restarts != desired.restarts and not self.restart_asked:
                self.actions["restarts"] = [Action("keep_restarts", desired.restarts, None)]
        self.restart_reasons = _restart_reasons(desired, running)
        if running.seed != desired.seed and not self.actions["seed"]:
            self.restart_reasons.append(SEED_KEPT)
        self.restart_reasons.extend("volume {} is to be restored".format(uuid) for uuid in self.pending_restores)
        if self.restart_asked:
            self.restart_reasons.append("restart {} is asked for".format(desired.restarts))

    @property
    def differences(self):
        """Return which properties differ in what is defined or what runs."""
        return self.undefined + [name for name, todo in self.actions.items() if todo and name not in self.undefined]


def _undefined(desired, defined, restores):
    kept = defined.restores or {}
    same = {
        "name": desired.title == defined.title,
        "cores": desired.cores == defined.cores,
        "ram_bytes": desired.memory_kib == defined.memory_kib,
        "cputime_limit": desired.cputime_limit == defined.cputime_limit,
        "virt_method": desired.type == defined.type,
        "volumes": _equal(desired.disks, defined.disks),
        "seed": desired.seed == defined.seed,
        "interfaces": _equal(desired.interfaces, defined.interfaces),
        "gpus": _equal(desired.gpus, defined.gpus),
        "security_rules": not _filters(desired, defined),
        "restarts": desired.restarts in (None, defined.restarts),
        "restore": all(kept.get(uuid) == number for uuid, number in restores.items()),
    }
    return [name for name, is_same in same.items() if not is_same]


def _equal(desired, defined):
    """Return whether each desired device is as it is defined, and no other of ours is there."""
    there = (any(device.same(other) and device.like(other) for other in defined) for device in desired)
    return all(there) and not gone(desired, defined)


def _pairs(desired, running):
    return [(device, counterpart(device, running)) for device in desired]


def _volumes(desired, defined, running):
    names = dict(targets(desired, defined))
    todo = [Action("detach_disk", disk, disk.target) for disk in gone(desired.disks, running.disks)]
    for disk, other in _pairs(desired.disks, running.disks):
        if other is None:
            todo.append(Action("attach_disk", disk, names[disk]))
        elif disk.limits != other.limits:
            todo.append(Action("limit_disk", disk, other.target))
    return todo


def _seed(desired, running):
    """Try it once, when it is defined: a guest may hold what is in its drive for as long as it likes."""
    if running.drive is None or running.seed == desired.seed:
        return []
    return [Action("change_seed", desired.seed, running.drive.target)]


def _interfaces(desired, running):
    left = [each for each in gone(desired.interfaces, running.interfaces) if not each.cut]
    more = [each for each, other in _pairs(desired.interfaces, running.interfaces) if other is None]
    return [Action("detach_interface", each, None) for each in left] + [
        Action("attach_interface", each, None) for each in more
    ]


def _filters(desired, present):
    """Return each interface that is there with the filter that it shall have."""
    pairs = _pairs(desired.interfaces, present.interfaces)
    return [Action("filter_interface", other, one.filter) for one, other in pairs if other and not one.filtered_like(other)]


def _restart_reasons(desired, running):
    """Return what only a restart can bring to the running VM."""
    reasons = []
    if running.type != desired.type:
        reasons.append("{} becomes {}".format(running.type, desired.type))
    if running.cores != desired.cores:
        reasons.append("{} cores become {}".format(running.cores, desired.cores))
    if running.memory_kib != desired.memory_kib:
        reasons.append("{} KiB of memory become {}".format(running.memory_kib, desired.memory_kib))
    for disk, other in _pairs(desired.disks, running.disks):
        if other and disk.fixed != other.fixed:
            reasons.append("volume {} changes".format(disk.uuid))
    for interface, other in _pairs(desired.interfaces, running.interfaces):
        if other and not interface.like(other):
            reasons.append("interface {} changes".format(interface.mac))
    for interface in gone(desired.interfaces, running.interfaces):
        if interface.cut:
            reasons.append("interface {} is cut off, and not yet released".format(interface.mac))
    # Those that it has not, and those that it has yet.
    reasons += ["device {} comes".format(gpu.address) for gpu, other in _pairs(desired.gpus, running.gpus) if not other]
    reasons += ["device {} goes".format(gpu.address) for gpu in gone(desired.gpus, running.gpus)]
    return reasons
