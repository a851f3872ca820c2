"""
What LXC is to be told of a VM: the document's entry in, the text of its configuration out. docs/convergence.md has the rules, and
tests/golden/containers the examples. It knows nothing of what there is already, and starts nothing.
"""

import hashlib
import re

import virtapi_seed_files
from virtapi_domain_xml import IOTUNE, PERIOD, tap

METHOD = "LXC"
# What a root can be on.
TYPES = ("raw", "lvm")
# Memory is counted in these.
_PAGE = 4096
# Where cloud-init looks for a seed that is no disk.
_SEED = "var/lib/cloud/seed/nocloud"
_INCLUDED = "/usr/share/lxc/config/"
_HEAD = "# Made by virtapi: what is changed here is undone."
# Of a line that virtapi reads, and LXC does not.
_MARK = "# virtapi."
_STARTS = {"running": True, "stopped": False, "deactivated": False}


def refusals(vm):
    """Return what the document has, and LXC cannot: none of it is left out in silence."""
    volumes = vm["volumes"]
    found = []
    if not volumes:
        found.append("no volume for its root")
    elif volumes[0]["type"] not in TYPES:
        found.append("a root of type {}".format(volumes[0]["type"]))
    if len(volumes) > 1:
        found.append("more volumes than its root")
    found += ["{} of a volume".format(limit) for limit in sorted(IOTUNE) if any(volume.get(limit) for volume in volumes)]
    if any(volume.get("restore") for volume in volumes):
        found.append("restore of a volume")
    if vm.get("gpus"):
        found.append("devices that are passed through")
    if vm.get("security_rules") is not None:
        found.append("a packet filter")
    return found


def source(volume):
    """Return what is mounted as its root."""
    return "/dev/{vg}/{lv}".format(**volume) if volume["type"] == "lvm" else volume["path"]


def metadata(text):
    """Return what virtapi itself has written into a configuration: ``uuid``, ``restarts``, ``source``."""
    return dict(re.findall("^" + re.escape(_MARK) + r"(\w+) = (.*)$", text, re.MULTILINE))


def values(text):
    """Return the values of what is set, the last one of each."""
    return dict(re.findall(r"^(lxc\.[\w.-]+) *= *(.*)$", text, re.MULTILINE))


def started(line):
    """Return what a start has left of what it was with: numbers and digests by name."""
    return dict(re.findall(r"(\w+)=([0-9a-f]+)", line))


def seed(text):
    """Return the directory of the seed that a configuration has; None without one."""
    found = re.search(r"^lxc\.mount\.entry *= *(\S+) " + re.escape(_SEED) + " ", text, re.MULTILINE)
    return found and found.group(1)


def digest(lines):
    """Return by what a start tells what it was with."""
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()[:16]


class Config:
    """
    One container as it should be.

    ``settings`` have ``lxc_path``; ``container_ids``, the first of the host's ids that it has and how many, or ``none``;
    ``container_apparmor``. Of the VM nothing is refused.
    """

    def __init__(self, uuid, vm, settings):
        self._uuid = uuid
        self._vm = vm
        self._settings = settings
        self.directory = "{}/{}".format(settings["lxc_path"], vm["domain"])
        self.source = source(vm["volumes"][0])
        # That of the hypervisor's which its root is in.
        self.group = settings["container_ids"][0] if self._own_ids else 0
        # The directory of its seed; None without one.
        self.seed = virtapi_seed_files.directory(uuid, vm["seed"], self.group) if vm.get("seed") else None

    def build(self, autostart=False):
        """Return the text; ``autostart`` is whether it starts with the hypervisor, where its state does not say."""
        limits = ["lxc.{} = {}".format(*each) for each in self.limits().items()]
        lines = [_HEAD, *self._metadata(), *self._system(autostart), *self._root(), *self._mounted(), *self._network(), *limits]
        return "\n".join(lines) + "\n"

    def limits(self):
        """Return those that change while it runs, as groups of the kernel call them, in both of their generations."""
        return {
            "cgroup.cpu.cfs_period_us": str(PERIOD),
            "cgroup.cpu.cfs_quota_us": str(self.quota),
            "cgroup.memory.limit_in_bytes": str(self.memory),
            "cgroup2.cpu.max": "{} {}".format(self.quota, PERIOD),
            "cgroup2.memory.max": str(self.memory),
        }

    @property
    def quota(self):
        """Return microseconds of CPU in a period."""
        return self._vm["cores"] * PERIOD * (self._vm["cputime_limit"] or 100) // 100

    @property
    def memory(self):
        """Return bytes."""
        return (self._vm["ram_bytes"] + _PAGE - 1) // _PAGE * _PAGE

    def fixed(self):
        """Return by what one that runs is compared with what it should be: each needs another start."""
        parts = {"interfaces": self._network(), "root": [self.source], "settings": self._confinement()}
        if self.seed:
            parts["seed"] = [self.seed]
        return {name: digest(lines) for name, lines in parts.items()}

    def _metadata(self):
        kept = {"uuid": self._uuid, "restarts": self._vm.get("restarts"), "source": self.source}
        return ["{}{} = {}".format(_MARK, key, value) for key, value in kept.items() if value is not None]

    def _system(self, autostart):
        starts = _STARTS.get(self._vm["state"], autostart)
        return [*self._confinement(), "lxc.uts.name = " + self._vm["domain"], "lxc.start.auto = {:d}".format(starts)]

    def _confinement(self):
        lines = ["lxc.include = {}common.conf".format(_INCLUDED)]
        if self._own_ids:
            lines.append("lxc.include = {}userns.conf".format(_INCLUDED))
        lines.append("lxc.apparmor.profile = {}".format(self._settings["container_apparmor"]))
        return lines + ["lxc.idmap = {} 0 {} {}".format(kind, *self._settings["container_ids"]) for kind in "ug" if self._own_ids]

    @property
    def _own_ids(self):
        return self._settings["container_ids"] != "none"

    def _root(self):
        # LXC gives only a directory the ids of a container, so its root is mounted into one before it starts. Devices that
        # are in there are none: the file system is the host's, and whoever made it may have put any there.
        mount = _quoted(self.directory + "/rootfs")
        started_with = dict({"restarts": self._vm.get("restarts")}, **self.fixed())
        words = " ".join("{}={}".format(*each) for each in started_with.items() if each[1] is not None)
        # A shell gets it after the word exec, hence the redirection; the words that LXC adds behind are a comment.
        hook = "</dev/null; echo {} >{} && {{ ! mountpoint -q {} || umount {}; }} && mount -o {} {} {} #".format(
            words,
            _quoted(self.directory + "/started"),
            mount,
            mount,
            "nodev" if self._vm["volumes"][0]["type"] == "lvm" else "nodev,loop",
            _quoted(self.source),
            mount,
        )
        lines = ["lxc.rootfs.path = dir:{}/rootfs".format(self.directory)]
        if self._own_ids:
            lines.append("lxc.rootfs.options = idmap=container")
        return [*lines, "lxc.hook.pre-start = " + hook, "lxc.hook.post-stop = umount {} #".format(mount)]

    def _mounted(self):
        return ["lxc.mount.entry = {} {} none bind,ro,create=dir 0 0".format(self.seed, _SEED)] if self.seed else []

    def _network(self):
        if not self._vm["interfaces"]:
            # With none at all it would be in the hypervisor's own.
            return ["lxc.net.0.type = empty"]
        lines = []
        for index, interface in enumerate(self._vm["interfaces"]):
            bridge = interface["bridge"]
            device = {"type": "veth", "flags": "up", "link": bridge, "veth.pair": tap(bridge), "hwaddr": interface["mac"]}
            if interface.get("mtu"):
                device["mtu"] = interface["mtu"]
            lines += ["lxc.net.{}.{} = {}".format(index, *each) for each in device.items()]
        return lines


def _quoted(word):
    return "'{}'".format(word.replace("'", "'\\''"))
