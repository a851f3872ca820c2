"""
A virtual machine in libvirt: defined, started and stopped as its document says.

What libvirt can change while the machine runs is changed at once; what it cannot is defined for the next start, and a
warning says that a restart is needed: a machine is never restarted but when ``restarts`` has grown. Nothing takes a domain
away, either: that is ``virtapi_removals``. docs/convergence.md has the rules.
"""

import re

import virtapi_domain_definition
import virtapi_domain_xml
import virtapi_network_filter
import virtapi_seed_files
import virtapi_snapshot_plan
from salt.exceptions import CommandExecutionError
from virtapi_domain_plan import Plan
from virtapi_live_domain import LiveDomain

# Reasons of a pause that nobody has to be asked about.
_RESUMABLE = ("user", "I/O error", "watchdog", "unknown", "")
_OFF = ("stopped", "crashed")


def mod_init(low):
    """Begin a run without what an earlier one knew."""
    __salt__["virtapi_libvirt.forget"]()
    return True


def present(name, vm, accelerate=True, switch="linux", rbd_user="libvirt", clusters=None, shutdown_timeout=60, lxc_path="/var/lib/lxc"):
    """
    Make sure that the machine is defined as its document says, and in the state that it says.

    ``running`` is started, and resumed if it was paused; ``stopped`` is shut down, and after ``shutdown_timeout``
    switched off; ``deactivated`` is shut down and never switched off. In any other state it is left as it is. One that shall
    run, and runs with a smaller number of ``restarts`` than the document has, is shut down as for ``stopped``, and started again. A
    volume whose ``restore`` has grown is brought back to that snapshot while the machine does not run.

    name
        The machine's UUID.
    vm
        The machine as the document has it. Its bridges and volumes must be there: require them. Of its seed it has no more
        than the names of the files: what is in them is read where it stands, in the pillar, and is in no log or return.
    accelerate
        Whether KVM may be used. Without it a machine whose method is KVM is emulated.
    switch
        What the bridges are: ``linux`` or ``openvswitch``. Where they cannot be filtered as the machine's ``security_rules`` say,
        a warning says ``unfiltered``.
    rbd_user
        The Ceph user of volumes in a pool. libvirt's secret for it has the cluster's fsid as its UUID.
    clusters
        The Ceph clusters by name, as the document has them.
    shutdown_timeout
        Seconds that a guest has to shut down.
    lxc_path
        The directory of all containers: none may have this UUID.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    if not re.fullmatch(virtapi_domain_xml.UUID, name) or not re.fullmatch(virtapi_domain_xml.DOMAIN, vm["domain"]):
        ret["comment"] = "{} with the domain {} is no machine of virtapi".format(name, vm["domain"])
        return ret
    if vm["virt_method"] not in virtapi_domain_xml.TYPES:
        message = "{}: virt_method {} is none that this state manages"
        ret["comment"] = message.format(vm["domain"], vm["virt_method"])
        return ret
    settings = {"accelerate": accelerate, "switch": switch, "rbd_user": rbd_user, "clusters": clusters or {}}
    try:
        found = _libvirt("domains").get(name)
        # Its method was LXC until now: two would write to one disk.
        if not found and name in __salt__["virtapi_lxc.uuids"](lxc_path):
            message = "{}: a container of LXC has this UUID, and no domain is made beside it"
            raise CommandExecutionError(message.format(vm["domain"]))
        machine = _Machine(name, dict(vm, seed=virtapi_seed_files.of_pillar(__pillar__, name, vm)), settings, found, ret)
        changes = machine.differences()
        if not changes:
            ret.update(result=True, comment="{} is as it should be".format(vm["domain"]))
        elif __opts__["test"]:
            ret.update(result=None, changes=changes, comment="{} would be changed".format(vm["domain"]))
        else:
            machine.converge(changes, shutdown_timeout)
            # What others ask about it in this run is how it is now.
            _libvirt("domain", name)
            ret.update(result=True, comment="{} is changed".format(vm["domain"]))
    except (CommandExecutionError, OSError) as error:
        _libvirt("forget")
        ret["comment"] = str(error)
    return ret


class _Machine:
    """One machine, as it should be and as it was found."""

    def __init__(self, uuid, vm, settings, found, ret):
        self.uuid = uuid
        self.vm = vm
        self.settings = settings
        self.found = found
        self.ret = ret
        self.desired = virtapi_domain_definition.Definition(virtapi_domain_xml.build(uuid, vm, settings))
        self.state = found["state"] if found else "stopped"
        self.plan = None
        self.restores = []
        self.live = LiveDomain(uuid, vm["domain"], _libvirt, self.warn)
        self.filter = self.make_filter()
        self.filter_name = virtapi_domain_xml.filter_name(uuid, vm, settings)
        images = __salt__["virtapi_seed.images"](uuid)
        self.seed_missing = self.desired.seed is not None and self.desired.seed not in images
        # libvirt has written the memory of one that is saved to a file, and with it the image that it had.
        self.saved = bool(found) and found["reason"] == "saved"
        self.old_images = set() if self.saved else set(images) - {self.desired.seed}
        # One that runs and is not defined would be gone when it ends: it is defined, and runs on.
        if not found or not found["persistent"]:
            return
        self.defined = virtapi_domain_definition.read(found["defined"])
        if self.defined.name != vm["domain"]:
            message = "the domain is called {} and not {}: another made it, and virtapi renames nothing"
            raise CommandExecutionError(message.format(self.defined.name, vm["domain"]))
        self.running = virtapi_domain_definition.read(found["running"]) if found["running"] else None
        self.plan = Plan(self.desired, self.defined, self.running)
        self.restores = self.due_restores()

    def make_filter(self):
        """Return its packet filter; a rule that cannot be carried out is an error, before anything is touched."""
        rules = self.vm.get("security_rules")
        if rules is None:
            return None
        reason = virtapi_network_filter.unfiltered(self.settings["switch"])
        if reason:
            self.warn("unfiltered: " + reason)
        try:
            return virtapi_network_filter.build(self.uuid, rules)
        except CommandExecutionError as error:
            raise CommandExecutionError("{}: {}".format(self.vm["domain"], error))

    def differences(self):
        """Return what has to change, with what it is and what it shall be, and warn of what a restart has to bring."""
        changes = {}
        if self.plan:
            for field in self.plan.differences:
                now = self.defined if field in self.plan.undefined else self.running
                changes[field] = {"old": _short(now, field), "new": _short(self.desired, field)}
            if "seed" not in changes and (self.seed_missing or self.old_images - {self.running and self.running.seed}):
                old = "its image is lost" if self.seed_missing else "with images that it had before"
                changes["seed"] = {"old": old, "new": _short(self.desired, "seed")}
        else:
            changes["domain"] = {"old": "not defined" if self.found else "absent", "new": "present"}
        if self.filter_missing:
            old = "filtered otherwise" if self.filter_name in _libvirt("filters") else "none"
            changes["security_rules"] = {"old": old, "new": _rules(self.vm)}
        elif "security_rules" in changes:
            changes["security_rules"]["new"] = _rules(self.vm) if self.filter_name else "none"
        if self.restores:
            changes["restore"] = {"old": _numbers(self.defined), "new": [_restored(volume) for volume in self.restores]}
        if self.to_be_restarted:
            changes["restarts"] = {"old": _kept(self.running, self.defined), "new": self.desired.restarts}
        state = self.vm["state"]
        if (state == "running" and self.state != state) or self.to_be_stopped:
            changes["state"] = {"old": self.state, "new": state}
        autostart = bool(self.plan) and self.found["autostart"]
        if state in ("running", "stopped", "deactivated") and autostart != (state == "running"):
            changes["autostart"] = {"old": autostart, "new": not autostart}
        if self.plan and self.plan.restart_reasons and not self.to_be_stopped and not self.to_be_restarted:
            self.warn("restart needed: " + "; ".join(self.plan.restart_reasons))
        return changes

    @property
    def to_be_off(self):
        """Return whether it shall not run."""
        return self.vm["state"] in ("stopped", "deactivated")

    @property
    def to_be_stopped(self):
        """Return whether it runs and shall not."""
        return self.to_be_off and self.state not in _OFF

    @property
    def to_be_restarted(self):
        """Return whether that is asked for: only of one that shall run, which that starts again where this is interrupted."""
        return bool(self.plan) and self.plan.restart_asked and self.vm["state"] == "running"

    def due_restores(self):
        """Return the volumes to restore in this run, for the machine does not run, or is about to be shut down."""
        off = self.running is None or self.to_be_restarted or self.to_be_off
        pending = self.plan.pending_restores if off else []
        return [volume for volume in self.vm["volumes"] if volume["uuid"] in pending]

    @property
    def filter_missing(self):
        """Return whether it shall have a packet filter, and libvirt has another or none."""
        if not self.filter_name:
            return False
        return not virtapi_network_filter.same(_libvirt("filters").get(self.filter_name), self.filter)

    @property
    def filter_left(self):
        """Return whether it had a packet filter and shall have none."""
        had = self.plan and (self.defined.filtered or (self.running and self.running.filtered))
        return bool(had) and not self.filter_name and virtapi_network_filter.name_of(self.uuid) in _libvirt("filters")

    def converge(self, changes, shutdown_timeout):
        """Do it, and note what is done, whatever fails afterwards."""
        done = self.ret["changes"]
        # Before anything is done: where it fails, what runs is left as it is.
        self.check_restores()
        if self.seed_missing:
            __salt__["virtapi_seed.build"](self.uuid, self.vm["seed"])
        if self.filter_missing:
            _libvirt("define_filter", virtapi_domain_xml.to_text(self.filter))
            done["security_rules"] = changes["security_rules"]
        if not self.plan:
            _libvirt("define", virtapi_domain_xml.to_text(self.desired.root))
            done["domain"] = changes["domain"]
        else:
            self.change(lambda fields: done.update({field: changes[field] for field in fields}))
        if "autostart" in changes:
            _libvirt("autostart", self.uuid, changes["autostart"]["new"])
            done["autostart"] = changes["autostart"]
        if self.to_be_restarted:
            self.restart(shutdown_timeout)
            done.update({field: changes[field] for field in ("restarts", "state") if field in changes})
        elif "state" in changes:
            if self.to_be_stopped:
                self.stop(shutdown_timeout)
            else:
                self.start()
            done["state"] = changes["state"]
        self.restore()
        if "restore" in changes:
            done["restore"] = changes["restore"]
        self.clear_images()
        if self.filter_left:
            # Nobody may use it any more.
            _libvirt("undefine_filter", virtapi_network_filter.name_of(self.uuid))
        if "seed" in changes:
            done["seed"] = changes["seed"]

    def clear_images(self):
        """Delete those that neither the definition nor what runs has."""
        old = set(__salt__["virtapi_seed.images"](self.uuid)) - {self.desired.seed}
        if old and not self.saved:
            __salt__["virtapi_seed.delete"](sorted(old - {self.live.definition().seed}))

    def change(self, note):
        """Define what differs anew, and change what runs; note each."""
        if self.plan.undefined:
            defined = virtapi_domain_definition.read(_libvirt("definition", self.uuid))
            # A copy: what is merged would not be what is attached.
            desired = virtapi_domain_definition.Definition(
                virtapi_domain_xml.build(self.uuid, self.vm, self.settings)
            )
            _libvirt("define", virtapi_domain_xml.to_text(virtapi_domain_definition.merge(desired, defined)))
            note(self.plan.undefined)
        # What is about to be stopped need not be changed before.
        if not self.to_be_stopped and not self.to_be_restarted:
            self.live.change(self.plan.actions, note)

    def start(self):
        """Start it, or let it go on."""
        if self.state != "paused":
            self.boot()
        else:
            self.refuse_to_resume()
            _libvirt("resume", self.uuid)

    def check_restores(self):
        """Raise where a volume cannot be restored."""
        __salt__["virtapi_volume.forget"]()
        for volume in self.restores:
            place = __salt__["virtapi_volume.place"](volume)
            name = virtapi_snapshot_plan.name_of(volume["restore"]["snapshot"])
            if volume["type"] not in virtapi_snapshot_plan.TYPES:
                raise CommandExecutionError("{}: snapshots of {} volumes are not taken".format(place, volume["type"]))
            if name not in __salt__["virtapi_volume.snapshots"](volume, **self.pool(volume)):
                message = "{}: {} has no snapshot {}: nothing is restored"
                raise CommandExecutionError(message.format(self.vm["domain"], place, name))

    def restore(self):
        """
        Bring back the volumes that are to be, once.

        Each is kept as soon as it is done: what is interrupted is done again, which does no harm before the machine starts.
        """
        if not self.restores:
            return
        if self.saved:
            # It belongs to what the disks were.
            _libvirt("drop_memory", self.uuid)
        # Should the hypervisor end meanwhile, libvirt must not start what is half restored.
        starts_itself = self.vm["state"] == "running" or (self.found["autostart"] and not self.to_be_off)
        if starts_itself:
            _libvirt("autostart", self.uuid, False)
        self.restore_each()
        if starts_itself:
            _libvirt("autostart", self.uuid, True)

    def restore_each(self):
        """Bring back one after the other."""
        while self.restores:
            volume = self.restores[0]
            name = virtapi_snapshot_plan.name_of(volume["restore"]["snapshot"])
            __salt__["virtapi_snapshot.restore"](volume, name, **self.pool(volume))
            defined = virtapi_domain_definition.read(_libvirt("domain", self.uuid)["defined"])
            numbers = dict(defined.restores or {}, **{volume["uuid"]: volume["restore"]["number"]})
            _libvirt("keep_restores", self.uuid, defined.restarts, numbers)
            self.restores.pop(0)

    def pool(self, volume):
        """Return how the pool of a volume is reached, where it is in one."""
        return {"cluster": self.settings["clusters"].get(volume.get("cluster")), "rbd_user": self.settings["rbd_user"]}

    def boot(self):
        """Start it when nobody else has its volumes; one whose disks are half restored does not get there."""
        self.restore()
        for volume in self.vm["volumes"]:
            if volume["type"] == "rbd":
                __salt__["virtapi_volume.wait_until_unused"](volume, **self.pool(volume))
        _libvirt("start", self.uuid)

    def restart(self, seconds):
        """Shut it down and start it again, with what is defined by now."""
        if self.state == "paused":
            self.refuse_to_resume()
        self.stop(seconds)
        self.boot()

    def refuse_to_resume(self):
        """Raise where somebody has to be asked before it goes on."""
        if self.found["reason"] not in _RESUMABLE:
            message = "{} is paused ({}), and not resumed"
            raise CommandExecutionError(message.format(self.vm["domain"], self.found["reason"]))

    def stop(self, seconds):
        """Shut it down, and switch it off where that is asked for."""
        if _libvirt("shut_down", self.uuid, seconds, self.state == "paused"):
            return
        late = "has not shut down in {} s".format(seconds)
        if self.vm["state"] == "deactivated":
            raise CommandExecutionError("{} {}".format(self.vm["domain"], late))
        self.warn(late + ", and is switched off")
        _libvirt("destroy", self.uuid)

    def warn(self, what):
        """Tell of something, beside how the state ends."""
        # Not there without one: Salt would count it.
        self.ret.setdefault("warnings", []).append("{}: {}".format(self.vm["domain"], what))


def _libvirt(function, *arguments):
    return __salt__["virtapi_libvirt." + function](*arguments)


def _rules(vm):
    """Return its rules as a report shows them."""
    return [" ".join(str(value) for value in rule.values() if value is not None) for rule in vm["security_rules"]]


def _kept(running, defined):
    """Return the number of restarts with which it was last started."""
    return defined.restarts if running.restarts is None else running.restarts


def _numbers(definition):
    """Return the last restore of each volume."""
    return ["{} {}".format(*each) for each in (definition.restores or {}).items()]


def _restored(volume):
    return "{} {} {}".format(volume["uuid"], volume["restore"]["snapshot"], volume["restore"]["number"])


def _short(definition, field):
    """Return a property as a report shows it."""
    if field == "volumes":
        return [_words(disk.uuid or disk.source, disk.format, disk.cache, disk.limits) for disk in definition.disks]
    if field == "interfaces":
        return [" ".join(filter(None, (each.mac, each.bridge))) for each in definition.interfaces]
    if field == "gpus":
        return [gpu.address for gpu in definition.gpus]
    if field == "seed":
        return virtapi_seed_files.digest_of(definition.seed) if definition.seed else "none"
    if field == "ram_bytes":
        return definition.memory_kib * 1024
    if field == "security_rules":
        return "filtered" if definition.filtered else "none"
    if field == "restore":
        return _numbers(definition)
    if field == "restarts" and definition.restarts is None:
        return "none"
    return getattr(definition, {"name": "title", "virt_method": "type"}.get(field, field))


def _words(disk, kind, cache, limits):
    told = ["{}={}".format(field, limit) for field, limit in sorted(limits.items()) if limit is not None]
    return " ".join([disk, kind or "?", cache] + told)
