"""
A VM's bridge by Open vSwitch.

A pair of patch ports connects it to the uplink bridge, which is the operator's; the port there has the VLAN's tag, or
the tags of several. Or it connects it to the bridge of a VXLAN, which has a tunnel to each other hypervisor.
docs/convergence.md has the picture.

Its functions are those of ``virtapi_linux_bridge``; what is to be done, the state ``virtapi_bridge`` decides.
"""

import re

import salt.utils.platform
import virtapi_command
import virtapi_devices
import virtapi_segment
import virtapi_vxlan_peers
from virtapi_segment import Segment

_KNOWN = "virtapi_openvswitch_bridge.database"
_ADDRESSES = "virtapi_openvswitch_bridge.addresses"


def __virtual__():
    """Only where Open vSwitch can be."""
    return salt.utils.platform.is_linux() or (False, "virtapi_openvswitch_bridge needs Linux")


def bridges():
    """
    Return the names of all bridges, as they were when this run first asked.

    .. code-block:: bash

        salt '*' virtapi_openvswitch_bridge.bridges
    """
    return _database().bridges


def forget():
    """Ask anew when something is asked the next time."""
    __context__.pop(_KNOWN, None)
    __context__.pop(_ADDRESSES, None)


def unable(vlans, uplink=None, vxlan_device=None, vxlan_peers=None):
    """Return why these VLANs cannot be had here; None when they can."""
    wanted = Segment(vlans)
    names = ", ".join(wanted.names)
    if wanted.kind == "mixed":
        return "one interface cannot have several VXLANs ({})".format(names)
    if wanted.kind == "vxlan":
        return None if vxlan_peers else "VXLAN by Open vSwitch needs vxlan_peers, the addresses of the hypervisors"
    if wanted.kind == "none":
        return None
    if not uplink:
        return "VLAN {} needs an uplink, a bridge of Open vSwitch".format(wanted.names[0])
    return None if uplink in bridges() else "the uplink {} is no bridge of Open vSwitch".format(uplink)


def exists(name):
    """Return whether the bridge is there."""
    return name in bridges()


def segment(name):
    """Return the segment that a bridge is connected to, as Segment writes it."""
    database = _database()
    inner, outer = virtapi_segment.cable(name)
    if database.bridge_of(inner) != name:
        return "none"
    shared = database.bridge_of(outer)
    if shared is None:
        return "nothing"
    tags = database.tags(outer)
    overlay = re.fullmatch(r"vxlan-(\d+)", shared)
    if overlay:
        return shared if tags else "vxlan " + overlay.group(1)
    # A port without a tag is a trunk of everything.
    if not tags:
        return "everything"
    return "{} {}".format("vlan" if database.is_access(outer) else "trunk", ",".join(map(str, tags)))


def peers(vlans, vxlan_peers=None):
    """
    Return where the tunnels of a VXLAN lead, and where they should lead; nothing of both for another segment.

    A tunnel that is not as it should be is shown by the name of its port.
    """
    wanted = Segment(vlans)
    if wanted.kind != "vxlan":
        return [], []
    found = _database().tunnels(wanted)
    return sorted(peer or port for port, peer in found.items()), _others(vxlan_peers)


def underlay(vlans, uplink=None, vxlan_device=None, vxlan_peers=None):
    """
    Return the device that a segment goes out by, its MTU, and the bytes that are added before; None where that is not known.

    Of a VXLAN it is the one with that address of this node which is in the list.
    """
    wanted = Segment(vlans)
    if wanted.kind in ("vlan", "trunk"):
        found = _database().narrowest(uplink)
        return found + (0,) if found else None
    if wanted.kind != "vxlan":
        return None
    own = [address for address in map(virtapi_vxlan_peers.canonical, vxlan_peers or []) if address in _addresses()]
    ipv6 = any(":" in peer for peer in _others(vxlan_peers))
    return _addresses()[own[0]] + (wanted.overhead(ipv6),) if own else None


def mtu(name, vlans):
    """Return nothing: patches and tunnels have no MTU, and a bridge takes what its ports take."""


def widen(name, vlans, mtu):
    """Do nothing: there is nothing to be set."""


def is_up(name):
    """Return true: Open vSwitch raises its ports itself."""
    return True


def create(name, vlans, uplink=None, vxlan_device=None, vxlan_peers=None):
    """Make a bridge, and connect it."""
    _vsctl(_bridge(name, uplink))
    virtapi_command.run(__salt__, "ip", "link", "set", name, "up")
    connect(name, vlans, uplink, vxlan_device, vxlan_peers)


def connect(name, vlans, uplink=None, vxlan_device=None, vxlan_peers=None):
    """
    Connect a bridge with the uplink by these VLANs, or with a VXLAN, and with no other.

    All in one transaction: a patch is never there without its tag, and no tunnel that would send on to another.
    """
    wanted = Segment(vlans)
    inner, outer = virtapi_segment.cable(name)
    if wanted.kind == "none":
        _vsctl(["--if-exists", "del-port", name, inner], ["--if-exists", "del-port", outer])
        return
    shared = wanted.bridge if wanted.kind == "vxlan" else uplink
    steps = _overlay(wanted, uplink, vxlan_peers) if wanted.kind == "vxlan" else []
    # A cable that led elsewhere goes before: moved within one transaction, the port stays on its old bridge as well, and is dead.
    if _database().bridge_of(outer) not in (None, shared):
        _vsctl(["del-port", outer])
    for port, bridge, peer in ((inner, name, outer), (outer, shared, inner)):
        steps.append(["--may-exist", "add-port", bridge, port])
        steps.append(["set", "interface", port, "type=patch", "options:peer=" + peer])
    _vsctl(*steps, ["set", "port", outer] + _tags(wanted))


def bring_up(name):
    """Do nothing: Open vSwitch raises its ports itself."""


def _tags(wanted):
    """Return what a cable carries. A trunk without tags would carry everything; of a VXLAN that is what is wanted."""
    if wanted.kind == "vlan":
        return ["tag={}".format(wanted.number), "trunks=[]"]
    return ["tag=[]", "trunks=" + (",".join(map(str, wanted.tags)) or "[]")]


def _bridge(name, uplink):
    """Make a bridge, with the same datapath as the uplink's, for a patch joins no other."""
    datapath = _database().datapath_type(uplink) if uplink else ""
    return ["add-br", name] + (["--", "set", "bridge", name, "datapath_type=" + datapath] if datapath else [])


def _overlay(wanted, uplink, vxlan_peers):
    """
    Make what all interfaces of a VXLAN share.

    Between protected ports nothing is sent on: in a full mesh each hypervisor has every frame from where it began, and sent
    on it would go round for ever.
    """
    should = {wanted.tunnel(peer): peer for peer in _others(vxlan_peers)}
    steps = [] if wanted.bridge in bridges() else [_bridge(wanted.bridge, uplink)]
    steps += [["del-port", wanted.bridge, port] for port in sorted(set(_database().tunnels(wanted)) - set(should))]
    for port, peer in should.items():
        # Quoted, for to ovs-vsctl a colon would be the end of a value.
        remote = '"{}"'.format(peer)
        steps.append(["--may-exist", "add-port", wanted.bridge, port])
        steps.append(["set", "interface", port, "type=vxlan"])
        steps[-1] += ["options:remote_ip=" + remote, "options:key={}".format(wanted.number)]
        steps.append(["set", "port", port, "protected=true", "external_ids:{}={}".format(virtapi_devices.PEER, remote)])
    return steps


def _addresses():
    if _ADDRESSES not in __context__:
        told = virtapi_command.run(__salt__, "ip", "-json", "address", "show")
        __context__[_ADDRESSES] = virtapi_devices.addresses(told)
    return __context__[_ADDRESSES]


def _others(vxlan_peers):
    """Return the addresses of the other hypervisors."""
    return virtapi_vxlan_peers.others(vxlan_peers or [], _addresses())


def _database():
    if _KNOWN not in __context__:
        words = ["--timeout=10", "--format=json", "--", "--columns=name,ports,datapath_type", "list", "Bridge"]
        words += ["--", "--columns=_uuid,name,tag,trunks,protected,external_ids", "list", "Port"]
        words += ["--", "--columns=name,type,options,mtu", "list", "Interface"]
        told = virtapi_command.run(__salt__, "ovs-vsctl", *words)
        __context__[_KNOWN] = virtapi_devices.OpenvSwitch(told)
    return __context__[_KNOWN]


def _vsctl(*steps):
    """Change something, in one transaction."""
    __context__.pop(_KNOWN, None)
    words = [word for step in steps for word in ["--"] + step]
    virtapi_command.run(__salt__, "ovs-vsctl", "--timeout=10", *words[1:])
