"""The bridges of machines by Salt: VXLAN by the kernel, VLANs and VXLANs by Open vSwitch. lab_network_test has the traffic; what both
tools make is the same, and is looked at here. VLAN devices of the kernel are tested in lab_kernel_inside, for not every kernel
has them."""
import json
import unittest

from lab_documents import VLAN, VXLAN, document, interface, uuid, vm
from lab_node import wait_until
from lab_overlay import OTHER_VXLAN, OverlayScenario
from lab_room import RoomScenario
from lab_salt import SaltNode

OTHER_VLAN = {"name": "dmz", "tag": 200, "vni": None}


class SaltNetworkTest(OverlayScenario, RoomScenario, unittest.TestCase):
    maxDiff = None
    left = ()

    def setUp(self):
        self.node = SaltNode()
        self.addCleanup(self.node.remove)
        self.node.site({})

    def apply(self, segments, *words):
        self.node.document(document(self.machines(segments, state="stopped"), self.node.storage, uplinks={"eno1": [VXLAN, OTHER_VXLAN]}))
        return self.node.apply(*words)

    def refused(self, segments):
        run = self.apply(segments)
        self.assertTrue(run.status != 0 or run.failed, run.said)
        return run.said

    def would(self, segments):
        run = self.apply(segments, "test=True")
        self.assertNotEqual(run.would, [], run.said)
        return run.said

    def wait_for(self, name, address):
        wait_until(lambda: self.node.reaches(name, address), 20, f"{name} reaches {address}")

    def converge(self, segments):
        run = self.apply(segments)
        self.assertEqual((run.status, run.failed), (0, []), run.said)
        self.assertNotEqual(run.changed, [], run.said)
        again = self.node.apply()
        self.assertEqual((again.changed, len(again.messages("applied"))), ([], 1), again.said)
        self.assertEqual(again.messages("observed")[0]["unmanaged"]["bridges"], list(self.left))
        return run

    def ports(self, bridge):
        links = json.loads(self.node.run("ip", "-json", "link", "show", "master", bridge))
        return {link["ifname"] for link in links if link}

    def test_vxlan(self):
        node = self.node
        node.run("ip", "netns", "add", "there")
        node.run("ip", "link", "add", "eno1", "type", "veth", "peer", "name", "eno1", "netns", "there")
        node.run("ip", "link", "set", "eno1", "up")

        run = self.converge({1: [VXLAN], 2: [VXLAN], 3: [OTHER_VXLAN], 4: []})
        self.assertEqual(run.state("virtapi_bridge_br-9001-1")["changes"],
                         {"bridge": {"old": "absent", "new": "present"}, "segment": {"old": "none", "new": "vxlan 70001"}})
        self.assertEqual(self.ports("vxlan-70001"), {"vx70001", "dn-9001-1", "dn-9002-2"})
        self.assertEqual((self.ports("br-9001-1"), self.ports("br-9004-4")), ({"up-9001-1"}, set()))
        self.assertEqual(node.run("ip", "addr", "show", "dev", "br-9001-1").count("inet"), 0)
        for number in (1, 2, 3):
            node.probe(f"g{number}", f"192.0.2.{number}/24", "ip", "link", "set", "PORT", "master", f"br-{9000 + number}-{number}")
        self.wait_for("g1", "192.0.2.2")
        self.assertFalse(node.reaches("g1", "192.0.2.3"))

        run = self.converge({1: [VXLAN], 2: [], 3: [VXLAN], 4: [OTHER_VXLAN]})
        self.assertEqual(run.state("virtapi_bridge_br-9003-3")["changes"],
                         {"segment": {"old": "vxlan 16777215", "new": "vxlan 70001"}})
        self.assertEqual(self.ports("vxlan-70001"), {"vx70001", "dn-9001-1", "dn-9003-3"})

        # Cut and lowered by hand, it comes back.
        node.run("ip", "link", "del", "up-9001-1")
        node.run("ip", "link", "set", "br-9003-3", "down")
        run = self.converge({1: [VXLAN], 2: [], 3: [VXLAN], 4: [OTHER_VXLAN]})
        self.assertEqual(run.state("virtapi_bridge_br-9003-3")["changes"], {"link": {"old": "down", "new": "up"}})

        run = self.apply({1: [VXLAN, OTHER_VXLAN]})
        self.assertIn("one interface with several VLANs (overlay, other) needs Open vSwitch", run.said)
        node.run("ip", "link", "add", "br-9005-5", "type", "veth", "peer", "name", "foreign")
        run = self.apply({5: [], 6: [VLAN], 7: [{"name": "nowhere", "tag": None, "vni": 70009}]})
        for message in ("br-9005-5 is there and no Linux bridge", "no network device of this node has VLAN customers",
                        "VXLAN needs vxlan_device"):
            self.assertIn(message, run.said)

    def test_openvswitch(self):
        node = self.node
        node.start_openvswitch()
        node.site({"switch": "openvswitch", "uplink": "uplink0"})
        run = self.apply({1: [VLAN]})
        self.assertIn("the uplink uplink0 is no bridge of Open vSwitch", run.said)
        node.run("ovs-vsctl", "add-br", "uplink0", "--", "set", "bridge", "uplink0", "datapath_type=netdev")

        self.converge({1: [VLAN], 2: [VLAN], 3: [OTHER_VLAN], 4: []})
        for number in (1, 2, 3):
            node.probe(f"g{number}", f"192.0.2.{number}/24", "ovs-vsctl", "add-port", f"br-{9000 + number}-{number}", "PORT")
        self.wait_for("g1", "192.0.2.2")
        self.assertFalse(node.reaches("g1", "192.0.2.3"))
        self.converge({1: [VLAN], 2: [], 3: [VLAN], 4: [VLAN, OTHER_VLAN]})
        self.wait_for("g1", "192.0.2.3")
        self.assertFalse(node.reaches("g1", "192.0.2.2"))
        self.assertEqual(node.run("ovs-vsctl", "get", "port", "dn-9004-4", "tag", "trunks").split("\n")[:2], ["[]", "[100, 200]"])

        # A real guest on it.
        self.left = ["br-9002-2", "br-9003-3", "br-9004-4"]
        vms = {uuid(1): vm(9001, [interface(9001, 1, [VLAN])])}
        node.document(document(vms, node.storage))
        run = node.apply()
        self.assertEqual((run.status, run.changed), (0, [f"virtapi_vm_{uuid(1)}"]), run.said)
        self.assertEqual(run.messages("observed")[0]["unmanaged"]["bridges"], self.left)
        self.assertIn("tp-9001-1", node.run("ovs-vsctl", "list-ports", "br-9001-1"))
        self.assertEqual(node.apply().changed, [])


if __name__ == "__main__":
    unittest.main()
