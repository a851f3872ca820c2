"""
The other ends of VXLANs by Open vSwitch: one list of addresses serves a whole site.
"""

import ipaddress

from salt.exceptions import CommandExecutionError


def canonical(text):
    """Return the address of one machine as it is always written; raise if that is none."""
    try:
        # A number would be taken for one, and so would an address with its interface.
        address = ipaddress.ip_address(text if isinstance(text, str) and "%" not in text else "")
    except ValueError:
        raise CommandExecutionError("{!r} of vxlan_peers is no IP address".format(text)) from None
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_unspecified or address.is_loopback or address.is_multicast:
        raise CommandExecutionError("{} of vxlan_peers is no address of another hypervisor".format(text))
    return str(address)


def others(peers, own):
    """Return the addresses of the other machines; ``own`` are this one's, in the kernel's own writing."""
    return sorted({canonical(peer) for peer in peers} - set(own))
