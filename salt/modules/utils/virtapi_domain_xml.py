"""
What libvirt is to be told of a VM: the document's entry in, XML out.

docs/convergence.md has the rules, and tests/golden the examples, which every tool that converges a hypervisor must
meet. It knows nothing of what there is already: that is ``virtapi_domain_definition``'s.
"""

import re
import xml.etree.ElementTree as ElementTree

import virtapi_domain_metadata
import virtapi_network_filter
import virtapi_seed_files
from salt.exceptions import CommandExecutionError

# What libvirt knows a machine and its volumes by, and what the server calls a domain.
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
DOMAIN = "vm-[1-9][0-9]*"
# A VM's percentage of a CPU is of this period, in microseconds.
PERIOD = 100000
# What QEMU takes as a limit per second; nothing gets there.
MOST = 10**15
TYPES = {"KVM": "kvm", "QEMU": "qemu"}
IOTUNE = {
    "read_bps_limit": "read_bytes_sec",
    "write_bps_limit": "write_bytes_sec",
    "read_iops_limit": "read_iops_sec",
    "write_iops_limit": "write_iops_sec",
}
# By what the drive with the seed is known as ours.
SEED = "ua-seed"
# And a device that is passed through.
GPU = "ua-pci-"
_PCI = re.compile("([0-9a-f]{4}):([0-9a-f]{2}):([01][0-9a-f])\\.([0-7])")
# What XML 1.0 cannot hold, however it is escaped.
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def domain_type(virt_method, accelerate):
    """Return libvirt's type for a method, None for one that is not libvirt's; without ``accelerate`` never kvm."""
    kind = TYPES.get(virt_method)
    return "qemu" if kind == "kvm" and not accelerate else kind


def target(index):
    """Return the name of the n-th disk: vda, …, vdz, vdaa, …."""
    letters = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return "vd" + letters


def drive(index):
    """Return the name of the n-th drive for CDs: the machine has four places for them."""
    return "hd" + chr(ord("a") + index)


def title(name):
    """Return what libvirt takes as a title: one line, and something in it. None where nothing is left."""
    return _NOT_XML.sub("\ufffd", _CONTROL.sub(" ", name).strip(" ")) or None


def tap(bridge):
    """
    Return the name of the tap device on a VM's bridge: as the bridge, with another beginning.

    It may not be libvirt's own ``vnet``, which libvirt replaces.
    """
    return re.sub("^br", "tp", bridge)


def build(uuid, machine, settings):
    """
    Return the element of a domain.

    ``machine`` is the VM as the document has it, with the texts of its seed; ``settings`` has ``accelerate``, ``switch`` (linux or openvswitch),
    ``rbd_user``, and ``clusters`` as the document has them.
    """
    kind = domain_type(machine["virt_method"], settings.get("accelerate", True))
    root = _element("domain", {"type": kind})
    _add(root, "name", text=machine["domain"])
    _add(root, "uuid", text=uuid)
    line = title(machine["name"])
    if line is not None:
        _add(root, "title", text=line)
    # A domain that is new takes restores as done.
    restores = {volume["uuid"]: volume["restore"]["number"] for volume in machine["volumes"] if volume.get("restore")}
    virtapi_domain_metadata.put(root, machine.get("restarts"), restores)
    # libvirt counts in KiB; what is more than whole ones is rounded up.
    _add(root, "memory", {"unit": "KiB"}, -(-machine["ram_bytes"] // 1024))
    _add(root, "vcpu", text=machine["cores"])
    if machine["cputime_limit"] is not None:
        # The quota is for each virtual CPU.
        tune = _add(root, "cputune")
        _add(tune, "period", text=PERIOD)
        _add(tune, "quota", text=machine["cputime_limit"] * PERIOD // 100)
    system = _add(root, "os")
    _add(system, "type", {"arch": "x86_64", "machine": "pc"}, "hvm")
    _add(system, "boot", {"dev": "hd"})
    features = _add(root, "features")
    _add(features, "acpi")
    _add(features, "apic")
    if kind == "kvm":
        _add(root, "cpu", {"mode": "host-model"})
    _add(root, "clock", {"offset": "utc"})
    devices = _add(root, "devices")
    for index, volume in enumerate(machine["volumes"]):
        devices.append(_disk(volume, target(index), settings))
    if machine.get("seed"):
        devices.append(_seed(virtapi_seed_files.path(uuid, machine["seed"])))
    for interface in machine["interfaces"]:
        devices.append(_interface(interface, settings, filter_name(uuid, machine, settings)))
    for gpu in machine.get("gpus") or []:
        devices.append(_gpu(gpu["address"]))
    _add(devices, "serial", {"type": "pty"})
    channel = _add(devices, "channel", {"type": "unix"})
    _add(channel, "target", {"type": "virtio", "name": "org.qemu.guest_agent.0"})
    random = _add(devices, "rng", {"model": "virtio"})
    _add(random, "backend", {"model": "random"}, "/dev/urandom")
    return root


def filter_name(uuid, machine, settings):
    """Return the packet filter that its interfaces refer to; None where nothing is filtered."""
    filtered = machine.get("security_rules") is not None and settings.get("switch") != "openvswitch"
    return virtapi_network_filter.name_of(uuid) if filtered else None


def to_text(element):
    """Return an element as text."""
    return ElementTree.tostring(element, encoding="unicode")


def _element(name, attributes=None, text=None):
    element = ElementTree.Element(name, {key: _clean(value) for key, value in (attributes or {}).items()})
    if text is not None:
        element.text = _clean(text)
    return element


def _add(parent, name, attributes=None, text=None):
    element = _element(name, attributes, text)
    parent.append(element)
    return element


def _clean(value):
    return _NOT_XML.sub("\ufffd", str(value))


def _disk(volume, name, settings):
    kind = volume["type"]
    disk = _element("disk", {"type": {"lvm": "block", "rbd": "network"}.get(kind, "file"), "device": "disk"})
    driver = {"name": "qemu", "type": "raw" if kind in ("lvm", "rbd") else kind}
    if volume["cache"] != "default":
        driver["cache"] = volume["cache"]
    _add(disk, "driver", driver)
    if kind == "rbd":
        _pool_source(disk, volume, settings)
    elif kind == "lvm":
        _add(disk, "source", {"dev": "/dev/{}/{}".format(volume["vg"], volume["lv"])})
    else:
        _add(disk, "source", {"file": volume["path"]})
    _add(disk, "target", {"dev": name, "bus": "virtio"})
    limits = {tag: volume[field] for field, tag in IOTUNE.items() if volume[field] is not None}
    if limits:
        tune = _add(disk, "iotune")
        for tag, limit in limits.items():
            _add(tune, tag, text=min(limit, MOST))
    _add(disk, "alias", {"name": "ua-" + volume["uuid"]})
    return disk


def _pool_source(disk, volume, settings):
    cluster = settings["clusters"][volume["cluster"]]
    # libvirt's secret has the cluster's fsid as its UUID, so that it follows from the document.
    _add(_add(disk, "auth", {"username": settings["rbd_user"]}), "secret", {"type": "ceph", "uuid": cluster["fsid"]})
    source = _add(disk, "source", {"protocol": "rbd", "name": "{}/{}".format(volume["pool"], volume["image"])})
    for mon in cluster["mons"]:
        _add(source, "host", {"name": mon["address"], "port": mon["port"]})


def _seed(image):
    disk = _element("disk", {"type": "file", "device": "cdrom"})
    _add(disk, "driver", {"name": "qemu", "type": "raw"})
    _add(disk, "source", {"file": image})
    _add(disk, "target", {"dev": drive(0), "bus": "ide"})
    _add(disk, "readonly")
    _add(disk, "alias", {"name": SEED})
    return disk


def _gpu(address):
    """A PCI device of the hypervisor, which libvirt takes from its driver at the start and gives back at the end."""
    parts = _PCI.fullmatch(address)
    if not parts:
        raise CommandExecutionError("{} is no address of a PCI device".format(address))
    element = _element("hostdev", {"mode": "subsystem", "type": "pci", "managed": "yes"})
    numbers = ("0x" + part for part in parts.groups())
    _add(_add(element, "source"), "address", dict(zip(("domain", "bus", "slot", "function"), numbers)))
    # libvirt takes letters, digits, - and _ there.
    _add(element, "alias", {"name": GPU + re.sub("[:.]", "-", address)})
    return element


def _interface(interface, settings, filtered_by):
    bridge = interface["bridge"]
    element = _element("interface", {"type": "bridge"})
    _add(element, "mac", {"address": interface["mac"]})
    _add(element, "source", {"bridge": bridge})
    if settings.get("switch") == "openvswitch":
        _add(element, "virtualport", {"type": "openvswitch"})
    _add(element, "target", {"dev": tap(bridge)})
    _add(element, "model", {"type": "virtio"})
    if interface.get("mtu"):
        _add(element, "mtu", {"size": str(interface["mtu"])})
    if filtered_by:
        _add(element, "filterref", {"filter": filtered_by})
    _add(element, "alias", {"name": "ua-" + bridge})
    return element
