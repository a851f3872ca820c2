"""
A virtual machine whose method is LXC: a container, defined, started and stopped as its document says.

Its share of processors and memory is changed while it runs; all else is for its next start, and a warning says that a restart is
needed: a container is never restarted but when ``restarts`` has grown. Nothing takes one away, either: that is
``virtapi_removals``. docs/convergence.md has the rules.
"""

import re

import virtapi_container_config
import virtapi_domain_xml
import virtapi_seed_files
from salt.exceptions import CommandExecutionError

_REASONS = {
    "interfaces": "its interfaces become others",
    "root": "its root becomes another",
    "settings": "its ids or its profile become others",
    "seed": "its seed changes",
}


def mod_init(low):
    """Begin a run without what an earlier one knew."""
    __salt__["virtapi_lxc.forget"]()
    __salt__["virtapi_libvirt.forget"]()
    return True


def present(
    name, vm, lxc_path="/var/lib/lxc", container_ids=(1000000, 65536), container_apparmor="generated", shutdown_timeout=60
):
    """
    Make sure that the container is defined as its document says, and in the state that it says.

    ``running`` is started, and goes on if it was frozen; ``stopped`` is shut down, and after ``shutdown_timeout`` killed;
    ``deactivated`` is shut down and never killed. In any other state it is left as it is. One that shall run, and was started with
    a smaller number of ``restarts`` than the document has, is shut down as for ``stopped``, and started again.

    name
        The machine's UUID.
    vm
        The machine as the document has it. Its bridges and its volume must be there: require them. Of its seed it has no more
        than the names of the files: what is in them is read where it stands, in the pillar, and is in no log or return.
    lxc_path
        The directory of all containers.
    container_ids
        The first of the hypervisor's ids that it has as its own, and how many; or ``none``: its root is the hypervisor's.
    container_apparmor
        The AppArmor profile that it runs in.
    shutdown_timeout
        Seconds that it has to shut down.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    if not re.fullmatch(virtapi_domain_xml.UUID, name) or not re.fullmatch(virtapi_domain_xml.DOMAIN, vm["domain"]):
        ret["comment"] = "{} with the container {} is no machine of virtapi".format(name, vm["domain"])
        return ret
    reasons = virtapi_container_config.refusals(vm)
    if reasons:
        ret["comment"] = "{}: LXC cannot have {}".format(vm["domain"], ", ".join(reasons))
        return ret
    settings = {"lxc_path": lxc_path, "container_ids": container_ids, "container_apparmor": container_apparmor}
    try:
        container = _Container(name, dict(vm, seed=virtapi_seed_files.of_pillar(__pillar__, name, vm)), settings, ret)
        changes = container.differences()
        if not changes:
            ret.update(result=True, comment="{} is as it should be".format(vm["domain"]))
        elif __opts__["test"]:
            ret.update(result=None, changes=changes, comment="{} would be changed".format(vm["domain"]))
        else:
            container.converge(changes, shutdown_timeout)
            ret.update(result=True, comment="{} is changed".format(vm["domain"]))
    except (CommandExecutionError, OSError) as error:
        __salt__["virtapi_lxc.forget"]()
        ret["comment"] = str(error)
    return ret


class _Container:
    """One container, as it should be and as it was found."""

    def __init__(self, uuid, vm, settings, ret):
        self.vm = vm
        self.uuid = uuid
        self.name = vm["domain"]
        self.path = settings["lxc_path"]
        self.ret = ret
        self.wanted = virtapi_container_config.Config(uuid, vm, settings)
        self.found = self.find(uuid)
        self.running = bool(self.found) and self.found["state"] != "stopped"
        self.to_be_off = vm["state"] in ("stopped", "deactivated")
        kept = self.found["started"].get("restarts") if self.running else None
        self.restart_asked = None not in (kept, vm.get("restarts")) and int(kept) < vm["restarts"]
        # Only one that shall run: where it is interrupted, that state starts it again.
        self.to_be_restarted = self.restart_asked and vm["state"] == "running"
        number = vm.get("restarts")
        there = __salt__["virtapi_seed.images"](uuid)
        self.seed_missing = self.wanted.seed is not None and self.wanted.seed not in there
        self.seeds_left = self.without_started(there, self.found)
        self.to_be_noted = self.running and number is not None and not self.restart_asked and kept != str(number)

    def lxc(self, function, *arguments, **named):
        """Ask or tell LXC, below this container's directory."""
        return __salt__["virtapi_lxc." + function](*arguments, path=self.path, **named)

    def find(self, uuid):
        """Return what is there of it, None for nothing; raise where it cannot be this machine's."""
        if not __salt__["virtapi_lxc.installed"]():
            raise CommandExecutionError("{}: LXC is not installed here (lxc-start)".format(self.name))
        # It may have been a domain until now.
        if uuid in __salt__["virtapi_libvirt.domains"]():
            message = "{}: a domain of libvirt has this UUID, and no container is made beside it"
            raise CommandExecutionError(message.format(self.name))
        there = self.lxc("containers")
        named = next((name for name, container in there.items() if container["uuid"] == uuid), None)
        if named is None and self.name in there:
            message = "{}: a container of this name is there already, and another made it"
            raise CommandExecutionError(message.format(self.name))
        if named not in (None, self.name):
            message = "the container is called {} and not {}: another made it, and virtapi renames nothing"
            raise CommandExecutionError(message.format(named, self.name))
        return there[named] if named else None

    @property
    def text(self):
        """Return its configuration; whether it starts with the hypervisor stays as it is where its state does not say."""
        return self.wanted.build(autostart=bool(self.found) and self.found["autostart"])

    def differences(self):
        """Return what has to change, with what it is and what it shall be, and warn of what a restart has to bring."""
        changes = {}
        if not self.found:
            changes["container"] = {"old": "absent", "new": "present"}
        elif self.found["config"] != self.text:
            old, new = self.found["config"].splitlines(), self.text.splitlines()
            changes["config"] = {"old": _lines(old, new), "new": _lines(new, old)}
        if self.running and not self.to_be_off and not self.to_be_restarted:
            limits = __salt__["virtapi_lxc.limits"](self.found["pid"])
            wanted = __salt__["virtapi_lxc.of_here"](self.wanted.limits())
            if limits != wanted:
                changes["limits"] = {"old": limits, "new": wanted}
            self.warn_of_restart()
        if self.to_be_restarted or self.to_be_noted:
            changes["restarts"] = {"old": self.found["started"].get("restarts"), "new": self.vm["restarts"]}
        defined = virtapi_container_config.seed(self.found["config"]) if self.found else None
        if defined != self.wanted.seed or self.seed_missing or self.seeds_left:
            changes["seed"] = {"old": self.told_of_seed(defined), "new": _digest(self.wanted.seed)}
        state = self.found["state"] if self.found else "stopped"
        if (self.vm["state"] == "running" and state != "running") or (self.to_be_off and self.running):
            changes["state"] = {"old": state, "new": self.vm["state"]}
        return changes

    def told_of_seed(self, defined):
        """Return what a report says of the seed that it has."""
        if defined != self.wanted.seed:
            return _digest(defined)
        return "its directory is lost" if self.seed_missing else "with directories that it had before"

    def without_started(self, directories, found):
        """Return those of them that it is neither defined with nor, where it runs, was started with."""
        kept = found["started"].get("seed") if found and found["state"] != "stopped" else None
        return [each for each in directories if each != self.wanted.seed and virtapi_container_config.digest([each]) != kept]

    def warn_of_restart(self):
        """Tell what waits for its next start."""
        started = self.found["started"]
        fixed = self.wanted.fixed()
        reasons = [reason for part, reason in _REASONS.items() if started.get(part) != fixed.get(part)]
        if self.restart_asked:
            reasons.append("a restart is asked for")
        if reasons:
            self.warn("restart needed: " + "; ".join(reasons))

    def converge(self, changes, shutdown_timeout):
        """Do it, and note what is done, whatever fails afterwards."""
        done = self.ret["changes"]
        # Before anything is done: where it fails, what runs is left as it is.
        if self.seed_missing:
            __salt__["virtapi_seed.spread"](self.uuid, self.vm["seed"], self.wanted.group)
        for what in ("container", "config"):
            if what in changes:
                self.lxc("define", self.name, self.text)
                done[what] = changes[what]
        if self.to_be_noted:
            self.lxc("note", self.name, self.vm["restarts"])
            done["restarts"] = changes["restarts"]
        if "limits" in changes:
            for key, value in changes["limits"]["new"].items():
                if changes["limits"]["old"].get(key) != value:
                    self.lxc("limit", self.name, key, value)
            done["limits"] = changes["limits"]
        if self.to_be_restarted or (self.to_be_off and self.running):
            self.stop(shutdown_timeout)
        if self.to_be_restarted or ("state" in changes and not self.to_be_off):
            self.start()
        self.clear_seeds()
        done.update({what: changes[what] for what in ("seed", "restarts", "state") if what in changes})

    def clear_seeds(self):
        """Delete those that it is neither defined with nor, as it is by now, was started with."""
        there = __salt__["virtapi_seed.images"](self.uuid)
        if set(there) - {self.wanted.seed}:
            __salt__["virtapi_seed.delete"](self.without_started(there, self.lxc("containers")[self.name]))

    def start(self):
        """Start it, or let it go on."""
        if self.running and not self.to_be_restarted:
            self.lxc("resume", self.name)
        else:
            self.lxc("start", self.name)

    def stop(self, seconds):
        """Shut it down; kill it when it has not in time, unless it is one that is never killed."""
        if self.lxc("shut_down", self.name, seconds, self.found["state"] == "paused"):
            return
        late = "has not shut down in {} s".format(seconds)
        if self.vm["state"] == "deactivated":
            raise CommandExecutionError("{} {}".format(self.name, late))
        self.warn(late + ", and is killed")
        self.lxc("kill", self.name)

    def warn(self, what):
        """Tell it in the run's return."""
        self.ret.setdefault("warnings", []).append("{}: {}".format(self.name, what))


def _digest(directory):
    return virtapi_seed_files.digest_of(directory) if directory else "none"


def _lines(lines, others):
    """Return those that the others do not have, without the long ones that only repeat them."""
    return [line for line in lines if line not in others and not line.startswith("lxc.hook.")]
