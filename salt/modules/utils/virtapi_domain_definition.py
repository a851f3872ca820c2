"""
What a domain's XML says about the things that virtapi decides, whether we built that XML or libvirt wrote it; and how
what is desired is merged into what is defined. Whatever else the XML has is neither looked at nor touched.
"""

import io
import re
import xml.etree.ElementTree as ElementTree

import virtapi_domain_metadata
import virtapi_network_filter
import virtapi_restore_plan
from virtapi_domain_xml import GPU, IOTUNE, PERIOD, SEED, UUID, drive, target

_OURS = re.compile("ua-({})".format(UUID))


def parse(text):
    """Return the root element of what libvirt wrote; prefixes of namespaces are written again as they were."""
    root = None
    for event, found in ElementTree.iterparse(io.StringIO(text), events=("start-ns", "start")):
        if event == "start" and root is None:
            root = found
        # Python writes prefixes of its own where it knows none, and those it has kept for them cannot be given. Ours stays.
        ours = event == "start-ns" and (found[0] == virtapi_domain_metadata.PREFIX or found[1] == virtapi_domain_metadata.NAMESPACE)
        if event == "start-ns" and not ours and found[0] and not re.fullmatch(r"ns\d+", found[0]):
            ElementTree.register_namespace(*found)
    return root


def read(text):
    """Return the definition that libvirt wrote."""
    return Definition(parse(text))


class Disk:
    """One disk; ``element`` is where it was read."""

    def __init__(self, element):
        self.element = element
        self.target = _attribute(element, "target", "dev")
        self.source = _source(element)
        self.format = _attribute(element, "driver", "type")
        self.cache = _attribute(element, "driver", "cache") or "default"
        self.limits = {field: _number(element, "iotune/" + tag) or None for field, tag in IOTUNE.items()}
        # What libvirt calls the device.
        self.alias = _attribute(element, "alias", "name")
        ours = _OURS.fullmatch(self.alias or "")
        self.uuid = ours.group(1) if ours else None

    @property
    def ours(self):
        """Return whether virtapi has put it there."""
        return self.uuid is not None

    @property
    def fixed(self):
        """Return what must be the same while the VM runs: a new value takes effect at a start."""
        return self.source, self.format, self.cache

    def same(self, other):
        """Return whether both are the same volume."""
        return self.uuid == other.uuid if self.ours and other.ours else self.source == other.source

    def like(self, other):
        """Return whether both say the same of the volume."""
        return self.fixed == other.fixed and self.limits == other.limits


class Interface:
    """One network interface; ``cut`` when its link is down."""

    def __init__(self, element):
        self.element = element
        self.mac = _attribute(element, "mac", "address")
        self.bridge = _attribute(element, "source", "bridge")
        self.switch = "openvswitch" if _attribute(element, "virtualport", "type") == "openvswitch" else "linux"
        self.mtu = _attribute(element, "mtu", "size")
        self.cut = _attribute(element, "link", "state") == "down"
        self.ours = (_attribute(element, "alias", "name") or "").startswith("ua-br")
        self.filter = _attribute(element, "filterref", "filter")

    @property
    def fixed(self):
        """Return what must be the same while the VM runs."""
        return self.bridge, self.switch

    def same(self, other):
        """Return whether both are the same interface."""
        return self.mac == other.mac

    @property
    def filtered(self):
        """Return whether its packet filter is one of virtapi's."""
        return (self.filter or "").startswith(virtapi_network_filter.PREFIX)

    def filtered_like(self, other):
        """Return whether the other has this one's filter; one of others stays where virtapi has none."""
        return self.filter == other.filter if self.filter else not other.filtered

    def like(self, other):
        """Return whether both say the same of it; one whose size nobody says keeps what it has."""
        return self.fixed == other.fixed and self.mtu in (None, other.mtu)


class Gpu:
    """One PCI device that is passed through."""

    def __init__(self, element):
        self.element = element
        parts = (int(_attribute(element, "source/address", name) or "0", 0) for name in ("domain", "bus", "slot", "function"))
        self.address = "{:04x}:{:02x}:{:02x}.{:x}".format(*parts)
        self.ours = (_attribute(element, "alias", "name") or "").startswith(GPU)

    def same(self, other):
        """Return whether both are the same device."""
        return self.address == other.address

    def like(self, other):
        """Return whether both say the same of it."""
        return self.same(other)


class Drive:
    """The drive with the seed; ``source`` is None when it is empty."""

    def __init__(self, element):
        self.element = element
        self.target = _attribute(element, "target", "dev")
        self.source = _source(element)


class Definition:
    """The reading of one domain's XML."""

    def __init__(self, root):
        self.root = root
        devices = root.find("devices")
        devices = [] if devices is None else devices
        self.disks = [Disk(each) for each in devices if each.tag == "disk" and each.get("device", "disk") == "disk"]
        self.interfaces = [Interface(each) for each in devices if each.tag == "interface"]
        self.gpus = [Gpu(each) for each in devices if each.tag == "hostdev" and each.get("type") == "pci"]
        drives = [each for each in devices if each.tag == "disk" and _attribute(each, "alias", "name") == SEED]
        # None where there is none, or one of others.
        self.drive = Drive(drives[0]) if drives else None
        # The names of all disks and drives, whosever they are.
        self.targets = {_attribute(each, "target", "dev") for each in devices if each.tag == "disk"}

    @property
    def seed(self):
        """Return the image of its seed; None without one."""
        return self.drive.source if self.drive else None

    @property
    def filtered(self):
        """Return whether virtapi's packet filter is at one of its interfaces."""
        return any(each.filtered for each in self.interfaces)

    @property
    def name(self):
        """Return what libvirt calls the domain."""
        return self.root.findtext("name")

    @property
    def type(self):
        """Return kvm or qemu."""
        return self.root.get("type")

    @property
    def title(self):
        """Return the VM's name, None without one."""
        return self.root.findtext("title")

    @property
    def restarts(self):
        """Return how often it was to be restarted when this was kept; None where it is not."""
        return virtapi_domain_metadata.restarts(self.root)

    @property
    def restores(self):
        """Return the last restore of each volume when this was kept; None where nothing of virtapi is."""
        return virtapi_domain_metadata.restores(self.root)

    @property
    def cores(self):
        """Return how many virtual CPUs there are."""
        return int(_attribute(self.root, "vcpu", "current") or _number(self.root, "vcpu"))

    @property
    def memory_kib(self):
        """Return its memory."""
        return _number(self.root, "memory")

    @property
    def cputime_limit(self):
        """Return per cent of each virtual CPU; None without a limit."""
        quota = _number(self.root, "cputune/quota")
        return quota * 100 // (_number(self.root, "cputune/period") or PERIOD) if quota > 0 else None


def sources(text):
    """Return where the disks of a domain are, of whatever kind, with what they are made on and copied to."""
    found = {_place(source) for disk in parse(text).iter("disk") for source in disk.iter("source")}
    return found - {None}


def targets(desired, defined, going=()):
    """
    Return each desired disk with its name in the guest, in their order.

    A volume keeps the name that it has, a new one gets the next that is free; so is that of one that goes, where the two
    never meet.
    """
    taken = {disk.target for disk in defined.disks if disk not in going}
    found = []
    for disk in desired.disks:
        other = counterpart(disk, defined.disks)
        name = other.target if other else next(name for name in map(target, range(10**6)) if name not in taken)
        taken.add(name)
        found.append((disk, name))
    return found


def counterpart(device, present):
    """Return which of the devices that are there is this one; None if none is."""
    return next((other for other in present if device.same(other)), None)


def gone(desired, present):
    """Return which of our devices are there and are not desired any more."""
    return [device for device in present if device.ours and not counterpart(device, desired)]


def merge(desired, defined):
    """
    Return the XML to define for a domain that libvirt has already; ``defined`` is changed.

    What virtapi decides is put in, everything else stays as it is, such as PCI addresses, by which guests name their
    devices, and devices that an operator has added.
    """
    # Then nothing is attached to what runs: it is shut down, and started as it is defined here. A machine whose disk is another
    # now boots from it, for it has the place of the old one.
    restart_due = None not in (desired.restarts, defined.restarts) and desired.restarts > defined.restarts
    names = targets(desired, defined, gone(desired.disks, defined.disks) if restart_due else ())
    _merge_system(desired, defined)
    devices = defined.root.find("devices")
    for kind in ("disks", "interfaces", "gpus"):
        for device in gone(getattr(desired, kind), getattr(defined, kind)):
            devices.remove(device.element)
    for disk, name in names:
        other = counterpart(disk, defined.disks)
        if other:
            _merge_disk(disk.element, other.element)
        else:
            disk.element.find("target").set("dev", name)
            devices.append(disk.element)
    if desired.seed != defined.seed:
        _merge_seed(desired, defined)
    for interface in desired.interfaces:
        other = counterpart(interface, defined.interfaces)
        if other:
            for tag in ("source", "virtualport", "target", "alias"):
                _put(other.element, tag, interface.element.find(tag))
            if interface.mtu:
                _put(other.element, "mtu", interface.element.find("mtu"))
            if not interface.filtered_like(other):
                put_filter(other, interface.filter)
        else:
            devices.append(interface.element)
    for gpu in desired.gpus:
        other = counterpart(gpu, defined.gpus)
        if other:
            _put(other.element, "alias", gpu.element.find("alias"))
        else:
            devices.append(gpu.element)
    return defined.root


def put_filter(interface, name):
    """Give an interface this packet filter, or None."""
    _put(interface.element, "filterref", ElementTree.Element("filterref", {"filter": name}) if name else None)


def _merge_system(desired, defined):
    def put(tag):
        _put(defined.root, tag, desired.root.find(tag))

    if desired.title != defined.title:
        put("title")
    virtapi_domain_metadata.put(defined.root, desired.restarts, virtapi_restore_plan.of(desired, defined)["keep"])
    if desired.memory_kib != defined.memory_kib:
        put("memory")
        put("currentMemory")
    if desired.cores != defined.cores:
        put("vcpu")
    if desired.cputime_limit != defined.cputime_limit:
        # Only our two values: others may pin CPUs there.
        tune = defined.root.find("cputune")
        tune = ElementTree.Element("cputune") if tune is None else tune
        for tag in ("period", "quota"):
            _put(tune, tag, desired.root.find("cputune/" + tag))
        _put(defined.root, "cputune", tune if len(tune) else None)
    if desired.type != defined.type:
        defined.root.set("type", desired.type)
        put("cpu")


def _merge_disk(desired, defined):
    defined.set("type", desired.get("type"))
    driver = defined.find("driver")
    driver = ElementTree.Element("driver") if driver is None else driver
    driver.attrib.pop("cache", None)
    driver.attrib.update(desired.find("driver").attrib)
    _put(defined, "driver", driver)
    for tag in ("auth", "source", "iotune", "alias"):
        _put(defined, tag, desired.find(tag))


def _merge_seed(desired, defined):
    """Give a drive that is there the new image; without a seed it goes."""
    devices = defined.root.find("devices")
    if desired.drive is None:
        devices.remove(defined.drive.element)
    elif defined.drive:
        _put(defined.drive.element, "source", desired.drive.element.find("source"))
    else:
        free = next(name for name in map(drive, range(26)) if name not in defined.targets)
        desired.drive.element.find("target").set("dev", free)
        devices.append(desired.drive.element)


def _put(parent, tag, child):
    """Put a child where one of its name is, or at the end; None only removes."""
    present = parent.findall(tag)
    index = list(parent).index(present[0]) if present else len(parent)
    for each in present:
        parent.remove(each)
    if child is not None:
        parent.insert(index, child)


def _attribute(element, path, name):
    found = element.find(path)
    return None if found is None else found.get(name)


def _number(element, path):
    """Return the number at its beginning; 0 where there is none."""
    digits = re.match(r"\s*(-?\d+)", element.findtext(path) or "")
    return int(digits.group(1)) if digits else 0


def _source(disk):
    """Return where a disk is; monitors may change under it."""
    source = disk.find("source")
    return None if source is None else _place(source)


def _place(source):
    if source.get("protocol"):
        return "{}:{}".format(source.get("protocol"), source.get("name"))
    return source.get("file") or source.get("dev")
