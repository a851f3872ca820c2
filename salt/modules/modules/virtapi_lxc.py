"""
LXC by its own programs: everything that there is in one call, whatever the number of containers, and in none where there are none.

Questions and commands to the LXC of this machine. What is to be done, the state ``virtapi_container`` decides.
"""

import glob
import os
import re
import shutil
import time

import salt.utils.files
import salt.utils.path
import salt.utils.platform
import virtapi_command
import virtapi_container_config
from salt.exceptions import CommandExecutionError

# Where LXC has containers unless it is told otherwise.
PATH = "/var/lib/lxc"
_GROUPS = "/sys/fs/cgroup"
_STATES = {"RUNNING": "running", "STARTING": "running", "STOPPING": "running", "FROZEN": "paused", "FREEZING": "paused"}
_KNOWN = "virtapi_lxc.containers"


def __virtual__():
    """Only where there can be an LXC."""
    return salt.utils.platform.is_linux() or (False, "virtapi_lxc needs Linux")


def containers(path=PATH):
    """
    Return all containers by name, as they were when this run first asked, whoever made them.

    Each has ``uuid`` (None for one that is not ours), ``config`` (its configuration), ``state`` (running, paused or stopped),
    ``pid``, ``autostart``, ``restarts`` (of its configuration), ``started`` (what its last start has left) and ``source`` (what
    it has as its root).

    .. code-block:: bash

        salt '*' virtapi_lxc.containers
    """
    known = __context__.setdefault(_KNOWN, {})
    if path not in known:
        texts = _texts(path)
        states = _states(path) if texts else {}
        known[path] = {name: _container(path, name, text, *states.get(name, ("STOPPED", "-"))) for name, text in texts.items()}
    return known[path]


def uuids(path=PATH):
    """Return those of the containers that are ours; LXC need not be there for that."""
    return {virtapi_container_config.metadata(text).get("uuid") for text in _texts(path).values()} - {None}


def forget():
    """Ask anew when something is asked the next time."""
    __context__.pop(_KNOWN, None)


def installed():
    """Return whether LXC is here."""
    return salt.utils.path.which("lxc-start") is not None


def define(name, text, path=PATH):
    """Give a container this configuration, whole or not at all."""
    directory = os.path.join(path, name)
    os.makedirs(path, mode=0o711, exist_ok=True)
    os.makedirs(os.path.join(directory, "rootfs"), exist_ok=True)
    # Nobody but root passes through to the root's files, where one may have any that act for another.
    os.chmod(directory, 0o700)
    unfinished = os.path.join(directory, "config.unfinished")
    with salt.utils.files.fopen(unfinished, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    os.rename(unfinished, os.path.join(directory, "config"))
    forget()


def leave_off(name, path=PATH):
    """Do not let it start with the hypervisor any more."""
    define(name, re.sub(r"(?m)^lxc\.start\.auto *=.*$", "lxc.start.auto = 0", containers(path)[name]["config"]), path)


def undefine(name, path=PATH):
    """Delete what LXC has of a container; its root stays, for that is a volume."""
    directory = os.path.join(path, name)
    root = os.path.join(directory, "rootfs")
    if os.path.isdir(root):
        # Who ended its monitor has left the root there; and one that ends by itself may let go of it in this moment.
        if os.path.ismount(root):
            try:
                virtapi_command.run(__salt__, "umount", root)
            except CommandExecutionError:
                if os.path.ismount(root):
                    raise
        # Before all that says whose it is: what is mounted yet stays.
        os.rmdir(root)
    shutil.rmtree(directory)
    forget()


def start(name, path=PATH):
    """Start a container."""
    log = os.path.join(path, name, "start.log")
    if os.path.exists(log):
        os.unlink(log)
    try:
        _run("lxc-start", path, "-n", name, "-d", "-l", "DEBUG", "-o", log)
    except CommandExecutionError as error:
        raise CommandExecutionError("{} has not started: {}".format(name, _told(log) or error))
    forget()


def shut_down(name, seconds, paused=False, path=PATH):
    """Ask a container to shut down, and return whether it has in so many seconds; one that is frozen goes on for that."""
    if paused:
        resume(name, path)
    _run("lxc-stop", path, "-n", name, "--nokill", "--nowait")
    deadline = time.monotonic() + seconds
    while _states(path).get(name, ("STOPPED",))[0] in _STATES:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    forget()
    return True


def kill(name, path=PATH):
    """End a container."""
    _run("lxc-stop", path, "-n", name, "--kill")
    forget()


def resume(name, path=PATH):
    """Let a frozen container go on."""
    _run("lxc-unfreeze", path, "-n", name)
    forget()


def note(name, restarts, path=PATH):
    """Note the number of restarts that one that runs has from now on."""
    place = os.path.join(path, name, "started")
    rest = re.sub(r"restarts=\d+ ?", "", _read(place)).strip()
    with salt.utils.files.fopen(place, "w", encoding="utf-8") as file:
        file.write("restarts={} {}\n".format(restarts, rest))
    forget()


def limits(pid):
    """Return what one that runs has of the machine, by the names of the kernel's groups; of one that has ended nothing."""
    try:
        with salt.utils.files.fopen("/proc/{}/cgroup".format(pid), encoding="utf-8") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return {}
    found = {}
    if _unified():
        path = _payload(next(path for _, kinds, path in groups if not kinds))
        for key in ("cpu.max", "memory.max"):
            found["cgroup2." + key] = _read(_GROUPS + path + "/" + key).strip()
        return found
    for key in ("cpu.cfs_period_us", "cpu.cfs_quota_us", "memory.limit_in_bytes"):
        kind = key.split(".")[0]
        path = _payload(next((path for _, kinds, path in groups if kind in kinds.split(",")), ""))
        found["cgroup." + key] = _read("/".join((_GROUPS, kind)) + path + "/" + key).strip()
    return found


def of_here(limits):
    """Return those of the limits that count in this machine's groups."""
    return {key: value for key, value in limits.items() if key.startswith("cgroup2." if _unified() else "cgroup.")}


def limit(name, key, value, path=PATH):
    """Change a limit of one that runs."""
    _run("lxc-cgroup", path, "-n", name, re.sub(r"^cgroup2?\.", "", key), value)


def _container(path, name, text, state, pid):
    kept = virtapi_container_config.metadata(text)
    values = virtapi_container_config.values(text)
    return {
        "uuid": kept.get("uuid"),
        "config": text,
        "state": _STATES.get(state, "stopped"),
        "pid": pid,
        "autostart": values.get("lxc.start.auto") == "1",
        "restarts": kept.get("restarts"),
        "started": virtapi_container_config.started(_read(os.path.join(path, name, "started"))),
        "source": kept.get("source") or re.sub("^(loop|lvm|dir):", "", values.get("lxc.rootfs.path", "")),
    }


def _texts(path):
    found = sorted(glob.glob(os.path.join(glob.escape(path), "*", "config")))
    return {os.path.basename(os.path.dirname(place)): _read(place) for place in found}


def _states(path):
    lines = _run("lxc-ls", path, "-f", "-F", "NAME,STATE,PID").splitlines()[1:]
    return {name: (state, pid) for name, state, pid in (line.split()[:3] for line in lines if line.strip())}


def _unified():
    return os.path.exists(_GROUPS + "/cgroup.controllers")


def _payload(path):
    """Return the group of the container as a whole: who is in there makes groups below."""
    whole = re.match(r".*?/lxc\.payload[^/]*", path)
    return whole.group() if whole else path


def _told(log):
    """Return what LXC has written of an error, with what the commands before it have said."""
    told = []
    for line in _read(log).splitlines():
        if " ERROR " in line or "produced output" in line:
            message = re.sub(r"^.*?:\d+ - ", "", line).strip()
            if message not in told:
                told.append(message)
    return "; ".join(told)


def _read(path):
    """Return a text; an empty one where there is none."""
    try:
        with salt.utils.files.fopen(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _run(program, path, *words):
    if not salt.utils.path.which(program):
        raise CommandExecutionError("LXC is not installed here ({})".format(program))
    return virtapi_command.run(__salt__, program, "-P", path, *words)
