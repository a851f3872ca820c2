"""
Which network a VM's bridge belongs to, and what the devices that connect the two are called.

docs/convergence.md has the picture.
"""

import hashlib
import re


class Segment:
    """The segment of an interface: none, one VLAN or VXLAN, or several VLANs (a trunk)."""

    def __init__(self, vlans):
        """``vlans`` as an interface of the document has them."""
        self.names = [vlan["name"] for vlan in vlans]
        self.tags = sorted(vlan["tag"] for vlan in vlans if vlan["vni"] is None)
        self._vnis = [vlan["vni"] for vlan in vlans if vlan["vni"] is not None]

    @property
    def kind(self):
        """Return none, vlan, vxlan, trunk, or mixed, which nothing can bring about."""
        if not self.names:
            return "none"
        if len(self.names) > 1:
            return "mixed" if self._vnis else "trunk"
        return "vxlan" if self._vnis else "vlan"

    @property
    def own(self):
        """Return whether on Linux the segment has a bridge of its own."""
        return self.kind in ("vlan", "vxlan")

    @property
    def number(self):
        """Return the tag or the VNI."""
        return self._vnis[0] if self.kind == "vxlan" else self.tags[0]

    def __str__(self):
        """Return the segment as a report shows it, and as the same segment is always written."""
        if self.kind == "trunk":
            return "trunk " + ",".join(map(str, self.tags))
        return "{} {}".format(self.kind, self.number) if self.own else self.kind

    @property
    def bridge(self):
        """
        Return the bridge that all interfaces of the segment share on this hypervisor: 14 characters at most.

        Every VLAN and VXLAN has one on Linux, a VXLAN by Open vSwitch as well.
        """
        return "{}-{}".format(self.kind, self.number)

    @property
    def carrier(self):
        """Return the device that brings the segment to the other hypervisors."""
        return "{}{}".format("vt" if self.kind == "vlan" else "vx", self.number)

    def overhead(self, ipv6=False):
        """
        Return the bytes that a packet gets more on its way to another hypervisor.

        For the tag of a VLAN every device has room.
        """
        if self.kind != "vxlan":
            return 0
        return 70 if ipv6 else 50

    @property
    def group(self):
        """Return the multicast group of a VXLAN: its VNI in the block for organizations of their own (RFC 2365)."""
        return "239.{}.{}.{}".format(self.number >> 16 & 255, self.number >> 8 & 255, self.number & 255)

    def tunnel(self, peer):
        """
        Return the port of Open vSwitch by which a VXLAN reaches one other hypervisor.

        It is always the same, has 14 characters, and is longer than any carrier.
        """
        return "vx" + hashlib.sha256("{} {}".format(self.number, peer).encode()).hexdigest()[:12]


def cable(bridge):
    """Return the ends of the cable between a VM's bridge and its segment, in that order."""
    return [re.sub("^br", prefix, bridge) for prefix in ("up", "dn")]
