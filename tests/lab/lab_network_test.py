"""The bridges of machines and what connects them: VXLAN by the kernel, VLANs and VXLANs by Open vSwitch. Machines stay off; networks
of our own hang on their bridges, and ping. VLAN devices of the kernel are tested
in lab_kernel_inside, for not every kernel has them."""
import json
import unittest

from lab_documents import VLAN, VXLAN, document, interface, uuid, vm
from lab_node import Node, wait_until
from lab_overlay import OTHER_VXLAN, OverlayScenario
from lab_room import RoomScenario

UNCHANGED, CHANGED, FAILED = 0, 2, 4
REFUSED = (1, 4, 6)
OTHER_VLAN = {"name": "dmz", "tag": 200, "vni": None}


class NetworkTest(OverlayScenario, RoomScenario, unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.remove)

    def apply(self, segments, expected):
        self.say(segments)
        run = self.node.apply()
        self.assertEqual(run.status, expected, run.said)
        return run

    def refused(self, segments):
        self.say(segments)
        run = self.node.apply()
        self.assertIn(run.status, REFUSED, run.said)
        return run.said

    def would(self, segments):
        self.say(segments)
        run = self.node.apply("--noop")
        self.assertEqual(run.status, UNCHANGED, run.said)
        return run.said

    def say(self, segments):
        self.node.document(document(self.machines(segments, state="stopped"), self.node.storage, uplinks={"eno1": [VXLAN, OTHER_VXLAN]}))

    def converge(self, segments):
        self.apply(segments, CHANGED)
        run = self.apply(segments, UNCHANGED)
        self.assertEqual(len(run.messages("applied")), 1, run.said)
        return run

    def wait_for(self, name, address):
        wait_until(lambda: self.node.reaches(name, address), 20, f"{name} reaches {address}")

    def ports(self, bridge):
        links = json.loads(self.node.run("ip", "-json", "link", "show", "master", bridge))
        return {link["ifname"] for link in links if link}

    def on_bridge(self, number):
        bridge = f"br-{9000 + number}-{number}"
        self.node.probe(f"g{number}", f"192.0.2.{number}/24", "ip", "link", "set", "PORT", "master", bridge)

    def test_vxlan(self):
        node = self.node
        # Another hypervisor on the same wire, by hand.
        node.run("ip", "netns", "add", "there")
        node.run("ip", "link", "add", "eno1", "type", "veth", "peer", "name", "eno1", "netns", "there")
        node.run("ip", "addr", "add", "198.51.100.1/24", "dev", "eno1")
        node.run("ip", "link", "set", "eno1", "up")
        node.run("ip", "-n", "there", "addr", "add", "198.51.100.2/24", "dev", "eno1")
        node.run("ip", "-n", "there", "link", "set", "eno1", "up")
        node.run("ip", "-n", "there", "link", "add", "vx", "type", "vxlan", "id", "70001", "group", "239.1.17.113", "dev", "eno1",
                 "dstport", "4789")
        node.run("ip", "-n", "there", "addr", "add", "192.0.2.100/24", "dev", "vx")
        node.run("ip", "-n", "there", "link", "set", "vx", "up")

        run = self.converge({1: [VXLAN], 2: [VXLAN], 3: [OTHER_VXLAN], 4: []})
        (observed,) = run.messages("observed")
        self.assertEqual(observed["unmanaged"]["bridges"], [])
        self.assertEqual(self.ports("vxlan-70001"), {"vx70001", "dn-9001-1", "dn-9002-2"})
        self.assertEqual((self.ports("br-9001-1"), self.ports("br-9004-4")), ({"up-9001-1"}, set()))
        for number in range(1, 5):
            self.on_bridge(number)
        self.wait_for("g1", "192.0.2.2")
        self.wait_for("g1", "192.0.2.100")
        self.assertFalse(node.reaches("g1", "192.0.2.3"))
        self.assertFalse(node.reaches("g1", "192.0.2.4"))
        # The hypervisor itself has no address there.
        self.assertEqual(node.run("ip", "addr", "show", "dev", "br-9001-1").count("inet"), 0)

        self.converge({1: [VXLAN], 2: [], 3: [VXLAN], 4: [OTHER_VXLAN]})
        self.wait_for("g1", "192.0.2.3")
        self.assertFalse(node.reaches("g1", "192.0.2.2"))

        # Cut and lowered by hand, it comes back.
        node.run("ip", "link", "del", "up-9001-1")
        node.run("ip", "link", "set", "br-9003-3", "down")
        self.converge({1: [VXLAN], 2: [], 3: [VXLAN], 4: [OTHER_VXLAN]})
        self.wait_for("g1", "192.0.2.3")

        run = self.apply({1: [VXLAN, OTHER_VXLAN]}, FAILED)
        self.assertIn("one interface with several VLANs (overlay, other) needs Open vSwitch", run.said)
        run = self.apply({5: [{"name": "nowhere", "tag": None, "vni": 70009}], 6: [VLAN]}, FAILED)
        self.assertIn("VXLAN needs vxlan_device", run.said)
        self.assertIn("no network device of this node has VLAN customers", run.said)

    def test_openvswitch(self):
        node = self.node
        node.start_openvswitch()
        node.site({"switch": "openvswitch", "uplink": "uplink0"})
        run = self.apply({1: [VLAN]}, FAILED)
        self.assertIn("the uplink uplink0 is no bridge of Open vSwitch", run.said)
        node.run("ovs-vsctl", "add-br", "uplink0", "--", "set", "bridge", "uplink0", "datapath_type=netdev")

        run = self.converge({1: [VLAN], 2: [VLAN], 3: [OTHER_VLAN], 4: []})
        (observed,) = run.messages("observed")
        self.assertEqual(observed["unmanaged"]["bridges"], [])
        for number in range(1, 5):
            node.probe(f"g{number}", f"192.0.2.{number}/24", "ovs-vsctl", "add-port", f"br-{9000 + number}-{number}", "PORT")
        self.wait_for("g1", "192.0.2.2")
        self.assertFalse(node.reaches("g1", "192.0.2.3"))
        self.assertFalse(node.reaches("g1", "192.0.2.4"))

        self.converge({1: [VLAN], 2: [], 3: [VLAN], 4: [VLAN, OTHER_VLAN]})
        self.wait_for("g1", "192.0.2.3")
        self.assertFalse(node.reaches("g1", "192.0.2.2"))
        self.assertEqual(node.run("ovs-vsctl", "get", "port", "dn-9004-4", "tag", "trunks").split("\n")[:2], ["[]", "[100, 200]"])

        # A real guest on it.
        vms = {uuid(1): vm(9001, [interface(9001, 1, [VLAN])])}
        node.document(document(vms, node.storage))
        self.assertEqual(node.apply().status, CHANGED)
        self.assertIn("tp-9001-1", node.run("ovs-vsctl", "list-ports", "br-9001-1"))
        self.assertEqual(node.apply().status, UNCHANGED)


if __name__ == "__main__":
    unittest.main()
