"""
The bridge of one interface of a virtual machine, connected to the VLAN or VXLAN that the interface belongs to.

Nothing takes a bridge away. docs/convergence.md has the rules.
"""

import re

from salt.exceptions import CommandExecutionError
from virtapi_segment import Segment

_SWITCHES = {"linux": "virtapi_linux_bridge", "openvswitch": "virtapi_openvswitch_bridge"}


def mod_init(low):
    """Begin a run without what an earlier one knew."""
    for module in _SWITCHES.values():
        __salt__[module + ".forget"]()
    return True


def present(name, vlans, switch="linux", uplink=None, vxlan_device=None, vxlan_peers=None, mtu=None):
    """
    Make sure that the bridge is there, up, and connected to its segment.

    name
        The bridge's name.
    vlans
        The VLANs of the interface, as the document has them. Without any the bridge is connected to nothing.
    switch
        By what: ``linux`` or ``openvswitch``.
    uplink
        What the VLANs come by. For Linux bridges a network device, below which a VLAN device is made for each tag; for
        Open vSwitch a bridge that is there, and of which all VLANs are trunks.
    vxlan_device
        The network device whose address VXLANs are sent from.
    vxlan_peers
        For Open vSwitch the addresses by which the hypervisors send VXLANs; this node's own are left out. Other tunnels of
        ours go. Whatever else is on a VXLAN's bridge stays.
    mtu
        The largest packet that all of the way to the other hypervisors has room for; without it all stays as it is. The
        uplink, and what VXLANs are sent by, are not changed: where these have less room, so much is made of the rest.
    """
    ret = {"name": name, "result": False, "changes": {}, "comment": ""}
    if not re.fullmatch("br[0-9a-f-]{1,13}", name):
        ret["comment"] = "{} is no name of a bridge of a virtual machine".format(name)
        return ret
    if switch not in _SWITCHES:
        ret["comment"] = "switch is {} and must be one of {}".format(switch, ", ".join(_SWITCHES))
        return ret

    def ask(function, *arguments, **options):
        return __salt__["{}.{}".format(_SWITCHES[switch], function)](*arguments, **options)

    way = {"uplink": uplink, "vxlan_device": vxlan_device, "vxlan_peers": vxlan_peers}
    try:
        reason = ask("unable", vlans, **way)
        if reason:
            raise CommandExecutionError("{}: {}".format(name, reason))
        there = ask("exists", name)
        changes = _changes(ask, name, vlans) if there else _absent(vlans)
        has, should = ask("peers", vlans, vxlan_peers)
        if has != should:
            changes["vxlan_peers"] = {"old": has, "new": should}
        room, narrow = _room(str(Segment(vlans)), mtu, ask("underlay", vlans, **way)) if mtu else (None, None)
        if narrow:
            ret["warnings"] = ["{}: {}".format(name, narrow)]
        smallest = ask("mtu", name, vlans) if mtu and there else None
        if smallest is not None and smallest < room:
            changes["mtu"] = {"old": smallest, "new": room}
        if __opts__["test"] or not changes:
            ret.update(result=None if changes else True, changes=changes)
            ret["comment"] = "{} would be changed".format(name) if changes else "{} is as it should be".format(name)
            return ret
        if not there:
            ask("create", name, vlans, **way)
        elif "segment" in changes or "vxlan_peers" in changes:
            ask("connect", name, vlans, **way)
        if room:
            ask("widen", name, vlans, room)
        if "link" in changes and not ask("is_up", name):
            ask("bring_up", name)
    except (CommandExecutionError, OSError) as error:
        ret["comment"] = str(error)
        return ret
    ret.update(result=True, changes=changes, comment="{} is changed".format(name))
    return ret


def _room(segment, mtu, underlay):
    """Return how large packets can be that reach other hypervisors, and why they cannot be as large as they should."""
    if not underlay or underlay[1] >= mtu + underlay[2]:
        return mtu, None
    device, most, overhead = underlay
    narrow = "{} has an MTU of {}, and {} with packets of {} bytes needs {}".format(device, most, segment, mtu, mtu + overhead)
    return most - overhead, narrow


def _absent(vlans):
    return {"bridge": {"old": "absent", "new": "present"}, "segment": {"old": "none", "new": str(Segment(vlans))}}


def _changes(ask, name, vlans):
    changes = {}
    segment, wanted = ask("segment", name), str(Segment(vlans))
    if segment != wanted:
        changes["segment"] = {"old": segment, "new": wanted}
    if not ask("is_up", name):
        changes["link"] = {"old": "down", "new": "up"}
    return changes
