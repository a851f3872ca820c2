"""
What libvirt's packet filter (nwfilter) lets in and out of one VM: the rules of the document in, XML out, as libvirt itself
writes it.

docs/convergence.md has the rules, and tests/golden the examples. It asks libvirt nothing.
"""

import ipaddress
import os
import re
import xml.etree.ElementTree as ElementTree

import salt.utils.files
from salt.exceptions import CommandExecutionError

PREFIX = "virtapi-"
# The names of filters of virtapi in what virsh lists.
NAMES = re.compile(r"(?<!\S)" + re.escape(PREFIX) + r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?!\S)")
# Where the kernel says whether it gives bridged packets to the rules that libvirt makes.
BRIDGES = "/proc/sys/net/bridge"
_DIRECTIONS = {"ingress": "in", "egress": "out"}
_FAMILIES = {"IPv4": 4, "IPv6": 6}
# libvirt's names.
_PROTOCOLS = {
    "IPv4": {"tcp": "tcp", "udp": "udp", "icmp": "icmp", "any": "all"},
    "IPv6": {"tcp": "tcp-ipv6", "udp": "udp-ipv6", "icmp": "icmpv6", "any": "all-ipv6"},
}
# Neighbour discovery, and the groups without which switches do not pass it on. The kernel does not track them.
_DISCOVERY = (130, 131, 132, 133, 134, 135, 136, 143)
# A client's port and a server's.
_DHCP = {"udp": ("68", "67"), "udp-ipv6": ("546", "547")}


def name_of(uuid):
    """Return what the filter of a VM is called."""
    return PREFIX + uuid


def unfiltered(switch):
    """Return why nothing is filtered, whatever is defined; None where it is."""
    if switch == "openvswitch":
        return "libvirt filters nothing on bridges of Open vSwitch"
    off = [name for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables") if not _is_on(name)]
    if not off:
        return None
    message = "the kernel passes bridged packets by its filter (net.bridge.{}, br_netfilter)"
    return message.format(", net.bridge.".join(off))


def build(uuid, rules):
    """Return the element of a filter, of rules as the document has them; raise where one cannot be carried out."""
    root = ElementTree.Element("filter", {"name": name_of(uuid), "chain": "root"})
    ElementTree.SubElement(root, "uuid").text = uuid
    # What is no IP is ARP, and nothing else.
    for kind in ("arp", "ipv4", "ipv6"):
        _rule(root, "accept", "inout", "mac", protocolid=kind)
    for kind in _DISCOVERY:
        # By direction: of a type of ICMP libvirt makes no rule for both.
        for direction in ("in", "out"):
            _rule(root, "accept", direction, "icmpv6", type=str(kind)).set("statematch", "false")
    for match, (client, server) in _DHCP.items():
        _rule(root, "accept", "out", match, srcportstart=client, dstportstart=server)
        _rule(root, "accept", "in", match, srcportstart=server, dstportstart=client)
    # Of connections that are let through.
    for match in ("icmp", "icmpv6"):
        for direction in ("in", "out"):
            _rule(root, "accept", direction, match, state="RELATED")
    for rule in rules:
        direction, match = _DIRECTIONS.get(rule["direction"]), _PROTOCOLS.get(rule["ethertype"], {}).get(rule["protocol"])
        if not direction or not match:
            _refuse(rule)
        _rule(root, "accept", direction, match, **dict(_remote(rule), **_ports(rule)))
    # Everything, unless the document says what.
    if not any(rule["direction"] == "egress" for rule in rules):
        for match in ("all", "all-ipv6"):
            _rule(root, "accept", "out", match)
    for match in ("mac", "all", "all-ipv6"):
        _rule(root, "drop", "inout", match)
    return root


def same(text, wanted):
    """Return whether what libvirt has, if anything, is the filter that is wanted."""
    return text is not None and _meaning(ElementTree.fromstring(text)) == _meaning(wanted)


def _is_on(name):
    path = os.path.join(BRIDGES, name)
    if not os.path.exists(path):
        return False
    with salt.utils.files.fopen(path, encoding="ascii") as file:
        return file.read().strip() == "1"


def _meaning(root):
    """Addresses can be written in several ways."""
    found = []
    for rule in root.findall("rule"):
        match = rule[0]
        words = {name: _address(value) if name.endswith("ipaddr") else value for name, value in match.attrib.items()}
        found.append((rule.attrib, match.tag, words))
    return found


def _address(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return text


def _rule(root, action, direction, match, **words):
    priority = "1000" if action == "drop" else "500"
    rule = ElementTree.SubElement(root, "rule", {"action": action, "direction": direction, "priority": priority})
    ElementTree.SubElement(rule, match, words)
    return rule


def _remote(rule):
    if rule["remote_ip_prefix"] is None:
        return {}
    try:
        network = ipaddress.ip_network(rule["remote_ip_prefix"], strict=False)
    except ValueError:
        _refuse(rule)
    if network.version != _FAMILIES[rule["ethertype"]]:
        _refuse(rule)
    if not network.prefixlen:
        return {}
    side = "src" if rule["direction"] == "ingress" else "dst"
    return {side + "ipaddr": str(network.network_address), side + "ipmask": str(network.prefixlen)}


def _ports(rule):
    # One alone is that port alone.
    given = [port for port in (rule["port_range_min"], rule["port_range_max"]) if port is not None]
    if not given:
        return {}
    first, last = given[0], given[-1]
    if rule["protocol"] not in ("tcp", "udp") or not all(_is_port(port) for port in given) or first > last:
        _refuse(rule)
    return {"dstportstart": str(first)} if first == last else {"dstportstart": str(first), "dstportend": str(last)}


def _is_port(value):
    return isinstance(value, int) and 0 <= value <= 65535


def _refuse(rule):
    """To leave it out would let through what it forbids, or the other way round."""
    words = " ".join(str(value) for value in rule.values() if value is not None)
    raise CommandExecutionError("security rule {} is none that can be carried out".format(words))
