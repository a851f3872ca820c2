"""
The network devices of a machine, as ``ip`` and ``ovs-vsctl`` tell of them. It only reads.
"""

import json


# What says of a port, in its external_ids, that it is ours, and to which hypervisor its tunnel leads.
PEER = "virtapi-peer"


def addresses(text):
    """Return all addresses of a machine with device and its MTU; ``ip -json address show`` has written the text."""
    found = {}
    for link in json.loads(text or "[]"):
        for address in link.get("addr_info", []):
            found[address.get("local")] = (link["ifname"], link["mtu"])
    return found


class Links:
    """What ``ip -json -details link show`` has written."""

    def __init__(self, text):
        # Older releases write an empty object for each device that does not fit.
        self._links = {link["ifname"]: link for link in json.loads(text or "[]") if link}

    def __contains__(self, name):
        return name in self._links

    def kind(self, name):
        """Return what a device is: bridge, veth, vxlan, vlan, tun, openvswitch, or None for a plain one."""
        return self._links.get(name, {}).get("linkinfo", {}).get("info_kind")

    @property
    def bridges(self):
        """Return the names of all bridges."""
        return [name for name in self._links if self.kind(name) == "bridge"]

    def master(self, name):
        """Return the bridge that a device is a port of."""
        return self._links.get(name, {}).get("master")

    def is_up(self, name):
        """Return whether a device is up."""
        return "UP" in self._links.get(name, {}).get("flags", [])

    def mtu(self, name):
        """Return the largest packet that a device takes."""
        return self._links.get(name, {}).get("mtu")

    def below(self, name):
        """Return the device that a VLAN or a VXLAN goes out by."""
        link = self._links.get(name, {})
        return link.get("link") or link.get("linkinfo", {}).get("info_data", {}).get("link")

    def number(self, name):
        """Return the tag of a VLAN device, or the VNI of a VXLAN device."""
        if self.kind(name) in ("vlan", "vxlan"):
            return self._links[name]["linkinfo"].get("info_data", {}).get("id")
        return None


class OpenvSwitch:
    """What ``ovs-vsctl`` has written: one table of JSON on each line, the bridges, the ports and the interfaces."""

    def __init__(self, text):
        bridges, ports, interfaces = (_rows(json.loads(line)) for line in text.splitlines())
        self._interfaces = {interface["name"]: interface for interface in interfaces}
        self._bridges = {bridge["name"]: bridge for bridge in bridges}
        self._ports = {_values(port["_uuid"])[0]: port for port in ports}

    @property
    def bridges(self):
        """Return the names of all bridges."""
        return list(self._bridges)

    def datapath_type(self, bridge):
        """Return the kind of a bridge's datapath; nothing for the kernel's."""
        return str(self._bridges.get(bridge, {}).get("datapath_type", ""))

    def bridge_of(self, port):
        """Return the bridge that has a port; None if none has."""
        for name, bridge in self._bridges.items():
            if any(self._ports.get(uuid, {}).get("name") == port for uuid in _values(bridge["ports"])):
                return name
        return None

    def is_access(self, port):
        """Return whether a port has a tag."""
        return bool(_values(self._port(port).get("tag")))

    def tags(self, port):
        """Return the tag of an access port, or those of a trunk."""
        row = self._port(port)
        return _values(row.get("tag")) if self.is_access(port) else sorted(_values(row.get("trunks")))

    def narrowest(self, bridge):
        """Return the device with the smallest MTU that is a port of a bridge, and that MTU; None where none has any."""
        names = [self._ports.get(uuid, {}).get("name") for uuid in _values(self._bridges.get(bridge, {}).get("ports"))]
        devices = [self._interfaces[name] for name in names if name in self._interfaces]
        found = [(_values(each["mtu"])[0], each["name"]) for each in devices if each["type"] == "" and _values(each["mtu"])]
        return tuple(reversed(min(found))) if found else None

    def tunnels(self, segment):
        """Return the ports of a VXLAN's tunnels that are ours: the other end, or None where one is not as it should be."""
        found = {}
        for uuid in _values(self._bridges.get(segment.bridge, {}).get("ports")):
            port = self._ports.get(uuid, {})
            peer = _map(port.get("external_ids")).get(PEER)
            if peer is not None:
                found[port["name"]] = peer if self._is_right(segment, port, peer) else None
        return found

    def _is_right(self, segment, port, peer):
        interface = self._interfaces.get(port["name"], {})
        options = _map(interface.get("options"))
        return (
            port["name"] == segment.tunnel(peer)
            and port["protected"] is True
            and interface.get("type") == "vxlan"
            and (options.get("remote_ip"), options.get("key")) == (peer, str(segment.number))
        )

    def _port(self, name):
        return next((port for port in self._ports.values() if port["name"] == name), {})


def _rows(table):
    return [dict(zip(table["headings"], row)) for row in table["data"]]


def _map(value):
    """Return a map of the database, ``["map", [["key", "value"]]]``, as a dict."""
    return dict(value[1]) if isinstance(value, list) else {}


def _values(value):
    """Return a value of the database as a list: ``["set", [1, 2]]``, ``["uuid", "…"]``, or one value."""
    if value is None:
        return []
    if not isinstance(value, list):
        return [value]
    return [each for one in value[1] for each in _values(one)] if value[0] == "set" else [value[1]]
