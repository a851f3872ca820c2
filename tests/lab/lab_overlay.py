"""A VXLAN by Open vSwitch, whichever tool makes it: `converge` (a run that changes something and one that does not), `refused` and
`would` (what is said of a failure, and of a dry run) are the tests' own. The hypervisor and two more are on its bridge
`uplink0`, by which it sends, for in user space Open vSwitch finds the way itself. The others are kernels in networks of their
own, and know of no third."""
import hashlib

from lab_documents import VLAN, VXLAN

OTHER_VXLAN = {"name": "other", "tag": None, "vni": 16777215}
HERE, SECOND, THIRD = "198.51.100.1", "198.51.100.2", "fd00::3"
SITE = {"switch": "openvswitch", "uplink": "uplink0", "vxlan_peers": [SECOND, THIRD, HERE]}


def tunnel(peer):
    return "vx" + hashlib.sha256(f"70001 {peer}".encode()).hexdigest()[:12]


class OverlayScenario:
    """The steps; `self.node` is the hypervisor, and `self.wait_for` waits until one address is reached."""

    def wire(self):
        node = self.node
        node.start_openvswitch()
        node.run("ovs-vsctl", "add-br", "uplink0", "--", "set", "bridge", "uplink0", "datapath_type=netdev")
        node.run("ip", "addr", "add", f"{HERE}/24", "dev", "uplink0")
        node.run("ip", "addr", "add", "fd00::1/64", "dev", "uplink0", "nodad")
        node.run("ip", "link", "set", "uplink0", "up")
        # Nobody would calculate the checksum of what leaves by a device that only seems to be one.
        self.hypervisor("second", 102, SECOND, 24, HERE, "noudpcsum")
        self.hypervisor("third", 103, THIRD, 64, "fd00::1", "udp6zerocsumtx", "udp6zerocsumrx")

    def hypervisor(self, name, number, address, prefix, remote, *options):
        node = self.node
        node.probe(name, f"{address}/{prefix}", "ovs-vsctl", "add-port", "uplink0", "PORT")
        node.run("ip", "-n", name, "link", "add", "vx", "type", "vxlan", "id", VXLAN["vni"], "local", address, "remote", remote,
                 "dstport", "4789", *options)
        node.run("ip", "-n", name, "addr", "add", f"192.0.2.{number}/24", "dev", "vx")
        node.run("ip", "-n", name, "link", "set", "vx", "up")

    def on_overlay(self):
        return set(self.node.run("ovs-vsctl", "list-ports", "vxlan-70001").split())

    def database(self):
        return [self.node.run("ovs-vsctl", "list", table) for table in ("Bridge", "Port")]

    def assert_apart(self, *pairs):
        for name, address in pairs:
            self.assertFalse(self.node.reaches(name, address), f"{name} {address}")

    def test_vxlan_by_openvswitch(self):
        node = self.node
        self.wire()
        node.site({**SITE, "vxlan_peers": []})
        self.assertIn("VXLAN by Open vSwitch needs vxlan_peers", self.refused({1: [VXLAN]}))
        node.site({**SITE, "vxlan_peers": ["198.51.100.0/24"]})
        self.assertIn("vxlan_peers", self.refused({1: [VXLAN]}))
        node.site({**SITE, "vxlan_peers": [SECOND, "239.1.1.1"]})
        self.assertIn("239.1.1.1", self.refused({1: [VXLAN]}))

        node.site(SITE)
        numbers = {1: [VXLAN], 2: [VXLAN], 3: [OTHER_VXLAN], 4: [VLAN]}
        self.converge(numbers)
        self.assertEqual(self.on_overlay(), {tunnel(SECOND), tunnel(THIRD), "dn-9001-1", "dn-9002-2"})
        for number in numbers:
            node.probe(f"g{number}", f"192.0.2.{number}/24", "ovs-vsctl", "add-port", f"br-{9000 + number}-{number}", "PORT")
        for name, address in (("g1", "192.0.2.2"), ("g1", "192.0.2.102"), ("g2", "192.0.2.103"), ("second", "192.0.2.1")):
            self.wait_for(name, address)
        # No other segment, and from one hypervisor to another not by way of this one.
        self.assert_apart(("g1", "192.0.2.3"), ("g1", "192.0.2.4"), ("third", "192.0.2.102"))

        # Changed by hand; a dry run says so. What is somebody else's stays.
        node.run("ovs-vsctl", "clear", "port", tunnel(SECOND), "external_ids", "--", "set", "port", tunnel(THIRD), "protected=false",
                 "--", "add-port", "vxlan-70001", "foreign", "--", "set", "interface", "foreign", "type=internal")
        before = self.database()
        self.assertIn("vxlan_peers", self.would(numbers))
        self.assertEqual(self.database(), before)
        # From a VLAN to a VXLAN, and back.
        numbers = {1: [VLAN], 2: [VXLAN], 3: [VXLAN], 4: [VXLAN]}
        self.left = ["vxlan-16777215"]
        self.converge(numbers)
        self.assertEqual(self.on_overlay(), {tunnel(SECOND), tunnel(THIRD), "dn-9002-2", "dn-9003-3", "dn-9004-4", "foreign"})
        self.wait_for("g4", "192.0.2.102")
        self.wait_for("g3", "192.0.2.103")
        self.assert_apart(("g1", "192.0.2.2"), ("g1", "192.0.2.102"), ("third", "192.0.2.102"))

        # Who has left the list has no tunnel, and the last interface leaves the bridge as it is.
        node.site({**SITE, "vxlan_peers": [HERE, SECOND]})
        self.converge(numbers)
        self.assertEqual(self.on_overlay(), {tunnel(SECOND), "dn-9002-2", "dn-9003-3", "dn-9004-4", "foreign"})
        self.wait_for("g2", "192.0.2.102")
        self.assert_apart(("g2", "192.0.2.103"))
        node.site({**SITE, "vxlan_peers": [HERE]})
        self.converge(numbers)
        self.assertEqual(self.on_overlay(), {"dn-9002-2", "dn-9003-3", "dn-9004-4", "foreign"})
        self.wait_for("g2", "192.0.2.4")
