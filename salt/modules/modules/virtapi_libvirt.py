"""
libvirt by its own program, virsh: everything that there is in two calls, whatever the number of domains.

Questions and commands to the libvirt of this machine. What is to be done, the state ``virtapi_domain`` decides.
"""

import json
import logging
import secrets
import time

import salt.utils.platform
import virtapi_command
import virtapi_domain_metadata
import virtapi_network_filter
import virtapi_virsh
from salt.exceptions import CommandExecutionError
from virtapi_domain_xml import PERIOD

log = logging.getLogger(__name__)

# What separates answers: nobody who gives a machine its name can know it.
_MARK = "=={}==".format(secrets.token_hex(12))
# Domains in one call: the arguments of a process are limited.
_BATCH = 200
_KNOWN = "virtapi_libvirt.domains"
_FILTERS = "virtapi_libvirt.filters"


def __virtual__():
    """Only where there can be a libvirt with QEMU."""
    return salt.utils.platform.is_linux() or (False, "virtapi_libvirt needs Linux")


def domains():
    """
    Return all domains by UUID, as they were when this run first asked.

    Each has ``uuid``, ``persistent``, ``autostart``, ``state`` (running, paused, stopped or crashed), ``reason``,
    ``active`` (whether it has an emulator), and as XML ``defined`` and ``running`` (None when it does not run).

    .. code-block:: bash

        salt '*' virtapi_libvirt.domains
    """
    if _KNOWN not in __context__:
        __context__[_KNOWN] = _ask()
    return __context__[_KNOWN]


def domain(uuid):
    """Return one domain as it is now, None when there is none."""
    found = _ask([uuid]).get(uuid)
    if _KNOWN in __context__:
        __context__[_KNOWN].pop(uuid, None)
        if found:
            __context__[_KNOWN][uuid] = found
    return found


def forget():
    """Ask anew when something is asked the next time."""
    __context__.pop(_KNOWN, None)
    __context__.pop(_FILTERS, None)


def states():
    """Return name and state of all domains by UUID, as they are now."""
    uuids = _virsh("list", "--all", "--uuid").split()
    found = {}
    for batch in _batches(uuids):
        command = "; ".join("echo {0} {1}; domname {1}; domstate --reason {1}".format(_MARK, uuid) for uuid in batch)
        found.update(virtapi_virsh.states(_virsh(command), _MARK))
    return found


def filters():
    """Return the packet filters of virtapi by name, as they were when this run first asked."""
    if _FILTERS not in __context__:
        found = {}
        for batch in _batches(filter_names()):
            commands = ("echo {0} {1}; nwfilter-dumpxml {1}".format(_MARK, name) for name in batch)
            for section in _virsh("; ".join(commands)).split(_MARK + " ")[1:]:
                name = section[: len(virtapi_network_filter.name_of("")) + 36]
                found[name] = section[len(name) :].strip()
        __context__[_FILTERS] = found
    return __context__[_FILTERS]


def filter_names():
    """Return the names of the packet filters of virtapi. A libvirt without that part has none; to define one says why."""
    try:
        return virtapi_network_filter.NAMES.findall(_virsh("nwfilter-list"))
    except CommandExecutionError as error:
        log.debug("no packet filters: %s", error)
        return []


def define_filter(xml):
    """Define a packet filter, which those that have it follow at once."""
    virtapi_command.with_file(xml, lambda path: _virsh("nwfilter-define", path))


def undefine_filter(name):
    """Undefine a packet filter that nobody has."""
    _virsh("nwfilter-undefine", name)


def define(xml):
    """Define a domain, which is not started by that."""
    virtapi_command.with_file(xml, lambda path: _virsh("define", path, "--validate"))


def definition(uuid):
    """Return what is defined, with what a dump leaves out unless asked: it would be lost in a new definition."""
    return _virsh("dumpxml", uuid, "--inactive", "--security-info", secret=True)


def attach(uuid, xml):
    """Attach a device to a running domain."""
    virtapi_command.with_file(xml, lambda path: _virsh("attach-device", uuid, path, "--live"))


def detach(uuid, xml):
    """Ask the guest to let go of a device; libvirt waits a few seconds for that, and does not say whether it has."""
    virtapi_command.with_file(xml, lambda path: _virsh("detach-device", uuid, path, "--live"))


def update(uuid, xml):
    """Change a device of a running domain."""
    virtapi_command.with_file(xml, lambda path: _virsh("update-device", uuid, path, "--live"))


def cut(uuid, mac):
    """Cut off an interface, whatever the guest does."""
    _virsh("domif-setlink", uuid, mac, "down")


def limit_cpu(uuid, percent):
    """Limit each virtual CPU of a running domain to so many per cent; None: no limit."""
    # libvirt takes -1 as no limit.
    quota = -1 if percent is None else percent * PERIOD // 100
    _virsh("schedinfo", uuid, "--live", "vcpu_period={}".format(PERIOD), "vcpu_quota={}".format(quota))


def limit_disk(uuid, target, limits):
    """Limit a disk of a running domain: ``read_bytes_sec`` and the others with their values; 0: none."""
    words = [word for name, limit in limits.items() for word in ("--" + name.replace("_", "-"), limit)]
    _virsh("blkdeviotune", uuid, target, "--live", *words)


def change_medium(uuid, target, image):
    """Change what is in a drive of a running domain: an image, or None for nothing."""
    _virsh("change-media", uuid, target, *([image, "--update"] if image else ["--eject"]), "--live")


def keep_restarts(uuid, number):
    """Keep in a running domain how often it was to be restarted."""
    words = ["--uri", virtapi_domain_metadata.NAMESPACE, "--key", virtapi_domain_metadata.PREFIX]
    _virsh("metadata", uuid, *words, "--live", "--set", "<vm restarts='{}'/>".format(number))


def keep_restores(uuid, number, numbers):
    """Keep in what is defined which restore of each volume was the last, beside the number of restarts."""
    words = ["--uri", virtapi_domain_metadata.NAMESPACE, "--key", virtapi_domain_metadata.PREFIX]
    _virsh("metadata", uuid, *words, "--config", "--set", virtapi_domain_metadata.words(number, numbers))


def drop_memory(uuid):
    """Forget the memory that libvirt has written to a file: the domain boots at its next start."""
    _virsh("managedsave-remove", uuid)


def resize(uuid, target, size):
    """Make a disk of a running domain larger."""
    _virsh("blockresize", uuid, target, "{}B".format(size))


def qemu(uuid, command, arguments=None):
    """Return what the QEMU of a running domain answers to one of its own commands."""
    words = {"execute": command, "arguments": arguments} if arguments else {"execute": command}
    answer = json.loads(_virsh("qemu-monitor-command", uuid, json.dumps(words)))
    if "error" in answer:
        raise CommandExecutionError("{}: {}".format(command, answer["error"]["desc"]))
    return answer["return"]


def block_node(uuid, alias):
    """Return what QEMU calls the uppermost node of a disk: libvirt has named the device alone."""
    for block in qemu(uuid, "query-block"):
        if alias in block.get("qdev", "").split("/") and "inserted" in block:
            return block["inserted"]["node-name"]
    raise CommandExecutionError("QEMU has no disk {}".format(alias))


def autostart(uuid, enabled):
    """Set whether a domain starts with the hypervisor."""
    _virsh("autostart", uuid, *([] if enabled else ["--disable"]))


def start(uuid):
    """Start a domain."""
    _virsh("start", uuid)


def resume(uuid):
    """Let a paused domain go on."""
    _virsh("resume", uuid)


def shut_down(uuid, seconds, paused=False):
    """Ask a domain to shut down, and return whether it has in so many seconds; one that is paused goes on for that."""
    if paused:
        resume(uuid)
    _virsh("shutdown", uuid)
    deadline = time.monotonic() + seconds
    while virtapi_virsh.active(_virsh("domstate", uuid)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def destroy(uuid):
    """Switch a domain off."""
    _virsh("destroy", uuid)


def undefine(uuid):
    """Undefine a domain, with what libvirt keeps of it; its disks stay."""
    _virsh("undefine", uuid, "--managed-save", "--nvram", "--snapshots-metadata", "--checkpoints-metadata")


def _ask(only=None):
    lists = ["list --all --uuid" + which for which in ("", " --persistent", " --autostart")]
    answers = _virsh("; echo {}; ".format(_MARK).join(lists)).split(_MARK)
    uuids, persistent, autostarted = (answer.split() for answer in answers)
    found = {}
    for batch in _batches([uuid for uuid in uuids if only is None or uuid in only]):
        questions = ("domstate --reason", "dumpxml --inactive", "dumpxml")
        commands = ("echo {} {}; {} {}".format(_MARK, uuid, what, uuid) for uuid in batch for what in questions)
        found.update(virtapi_virsh.domains(_virsh("; ".join(commands)), persistent, autostarted, _MARK))
    return found


def _batches(uuids):
    return [uuids[first : first + _BATCH] for first in range(0, len(uuids), _BATCH)]


def _virsh(*words, secret=False):
    return virtapi_command.virsh(__salt__, *words, secret=secret)
