"""
A VM's bridge by the kernel alone.

All interfaces of a segment share one bridge for it, which has the VLAN or VXLAN device as a port, for the kernel allows
a tag of a device, and a VNI, once; a veth pair connects each VM's bridge. docs/convergence.md has the picture.

Its functions are those of ``virtapi_openvswitch_bridge``; what is to be done, the state ``virtapi_bridge`` decides.
"""

import re

import salt.utils.platform
import virtapi_command
import virtapi_segment
from salt.exceptions import CommandExecutionError
from virtapi_devices import Links
from virtapi_segment import Segment

# libvirt's and everybody's port of VXLAN; the kernel's own default is another.
_PORT = "4789"
_KNOWN = "virtapi_linux_bridge.links"


def __virtual__():
    """Only where there is a kernel with these devices."""
    return salt.utils.platform.is_linux() or (False, "virtapi_linux_bridge needs Linux")


def bridges():
    """
    Return the names of all bridges, as they were when this run first asked.

    .. code-block:: bash

        salt '*' virtapi_linux_bridge.bridges
    """
    return _links().bridges


def forget():
    """Ask anew when something is asked the next time."""
    __context__.pop(_KNOWN, None)


def unable(vlans, uplink=None, vxlan_device=None, vxlan_peers=None):
    """Return why these VLANs cannot be had here; None when they can."""
    segment = Segment(vlans)
    if segment.kind in ("trunk", "mixed"):
        return "one interface with several VLANs ({}) needs Open vSwitch: a Linux bridge would join them".format(
            ", ".join(segment.names)
        )
    if not segment.own or segment.bridge in _links():
        return None
    if segment.kind == "vlan" and not uplink:
        return "no network device of this node has VLAN {}, and no uplink is set".format(segment.names[0])
    if segment.kind == "vxlan" and not vxlan_device:
        return "VXLAN needs vxlan_device, the device to send from"
    return None


def exists(name):
    """Return whether the bridge is there; raise if something else has its name."""
    if name in _links() and _links().kind(name) != "bridge":
        raise CommandExecutionError("{} is there and no Linux bridge: it is left alone".format(name))
    return name in _links()


def segment(name):
    """Return the segment that a bridge is connected to, as Segment writes it."""
    links = _links()
    inner, outer = virtapi_segment.cable(name)
    if links.master(inner) != name:
        return "none"
    shared = links.master(outer)
    if shared is None:
        return "nothing"
    number = re.fullmatch(r"(vlan|vxlan)-(\d+)", shared)
    return _carried(links, shared, *number.groups()) if number else shared


def peers(vlans, vxlan_peers=None):
    """Return that a VXLAN has no tunnels, and needs none: the kernel finds the other hypervisors by multicast."""
    return [], []


def underlay(vlans, uplink=None, vxlan_device=None, vxlan_peers=None):
    """Return the device that a segment goes out by, its MTU, and the bytes that are added before; None where nothing goes out."""
    wanted = Segment(vlans)
    if not wanted.own:
        return None
    device = _links().below(wanted.carrier) or (uplink if wanted.kind == "vlan" else vxlan_device)
    return (device, _links().mtu(device), wanted.overhead()) if _links().mtu(device) else None


def mtu(name, vlans):
    """Return the smallest MTU of all that packets pass and that is ours; None where nothing of it is there."""
    return min((_links().mtu(device) for device in _way(name, vlans) if device in _links()), default=None)


def widen(name, vlans, mtu):
    """
    Make room for packets of that size in all that they pass and that is ours.

    Nothing is made smaller: what a segment's interfaces share has room for the largest of them.
    """
    links = _links()
    for device in _way(name, vlans):
        if device in links and links.mtu(device) < mtu:
            _ip("link", "set", device, "mtu", mtu)


def is_up(name):
    """Return whether a bridge and its cable are up."""
    devices = [name] if segment(name) == "none" else [name] + virtapi_segment.cable(name)
    return all(map(_links().is_up, devices))


def create(name, vlans, uplink=None, vxlan_device=None, vxlan_peers=None):
    """Make a bridge, and connect it."""
    _add(name, "type", "bridge")
    _ip("link", "set", name, "up")
    connect(name, vlans, uplink, vxlan_device)


def connect(name, vlans, uplink=None, vxlan_device=None, vxlan_peers=None):
    """Connect a bridge with the segment of these VLANs, and with no other."""
    wanted = Segment(vlans)
    inner, outer = virtapi_segment.cable(name)
    forget()
    links = _links()
    if wanted.kind == "none":
        # Nothing of the segment itself is touched, only our own cable to it.
        if links.kind(inner) == "veth":
            _ip("link", "del", inner)
        return
    _raise_segment(wanted, links, uplink, vxlan_device)
    if inner not in links:
        _add(inner, "type", "veth", "peer", "name", outer)
        _without_addresses(outer)
    for device, bridge in ((inner, name), (outer, wanted.bridge)):
        _ip("link", "set", device, "master", bridge, "up")


def bring_up(name):
    """Raise a bridge and its cable."""
    links = _links()
    for device in [name] + virtapi_segment.cable(name):
        if device in links:
            _ip("link", "set", device, "up")


def _way(name, vlans):
    """Return all devices of ours that packets pass, from the outside in."""
    wanted = Segment(vlans)
    return [wanted.carrier, wanted.bridge] + virtapi_segment.cable(name)[::-1] + [name] if wanted.own else [name]


def _links():
    if _KNOWN not in __context__:
        __context__[_KNOWN] = Links(virtapi_command.run(__salt__, "ip", "-json", "-details", "link", "show"))
    return __context__[_KNOWN]


def _ip(*words):
    """Change something."""
    forget()
    virtapi_command.run(__salt__, "ip", *words)


def _add(device, *words):
    """Make a device, by which the hypervisor itself is not to be reached."""
    _ip("link", "add", "name", device, *words)
    _without_addresses(device)


def _without_addresses(device):
    _ip("link", "set", device, "addrgenmode", "none")


def _carried(links, bridge, kind, number):
    """Return ``vlan 100`` when the segment's bridge has that VLAN's device as a port and all is up; else the bridge."""
    carrier = ("vt" if kind == "vlan" else "vx") + number
    here = links.master(carrier) == bridge and links.is_up(carrier) and links.is_up(bridge)
    right = links.kind(carrier) == kind and links.number(carrier) == int(number)
    return "{} {}".format(kind, number) if here and right else bridge


def _raise_segment(wanted, links, uplink, vxlan_device):
    """Make what all interfaces of a segment share."""
    if wanted.bridge not in links:
        _add(wanted.bridge, "type", "bridge")
    if wanted.carrier not in links:
        if wanted.kind == "vlan":
            if not uplink:
                raise CommandExecutionError("VLAN {} needs an uplink".format(wanted.number))
            words = ["link", uplink, "type", "vlan", "id", wanted.number]
        else:
            if not vxlan_device:
                raise CommandExecutionError("VXLAN {} needs vxlan_device".format(wanted.number))
            words = ["type", "vxlan", "id", wanted.number, "group", wanted.group, "dev", vxlan_device, "dstport", _PORT]
        _add(wanted.carrier, *words)
    _ip("link", "set", wanted.carrier, "master", wanted.bridge, "up")
    _ip("link", "set", wanted.bridge, "up")
