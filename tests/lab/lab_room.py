"""Room for large packets, whichever tool makes it: `converge` and `would` are the tests' own, as in lab_overlay; `self.mtus` has what
the document says of an interface, by its number."""
import json

from lab_documents import VLAN, VXLAN, document, interface, uuid, vm
from lab_node import wait_until

WAY = ["vx70001", "vxlan-70001", "dn-9001-1", "up-9001-1", "br-9001-1"]


class RoomScenario:
    """The steps; `self.node` is the hypervisor."""

    mtus = {}

    def machines(self, segments, **other):
        """Machines by number, each with an interface in these VLANs."""
        return {uuid(number): vm(9000 + number, [dict(interface(9000 + number, number, vlans), mtu=self.mtus.get(number))], **other)
                for number, vlans in segments.items()}

    def size(self, *devices):
        links = {link["ifname"]: link["mtu"] for link in json.loads(self.node.run("ip", "-json", "link", "show")) if link}
        return [links[device] for device in devices]

    def widen(self, *devices, mtu=9050):
        for *where, device in devices:
            self.node.run("ip", *where, "link", "set", device, "mtu", mtu)

    def whole(self, name, address, size):
        """A packet of that size, headers and all, which nobody may cut into pieces, and an answer."""
        words = ("ip", "netns", "exec", name, "ping", "-c", "1", "-W", "1", "-M", "do", "-s", size - 28, address)
        return "1 received" in self.node.run(*words, check=False)

    def test_room_on_linux(self):
        node = self.node
        node.run("ip", "netns", "add", "there")
        node.run("ip", "link", "add", "eno1", "type", "veth", "peer", "name", "eno1", "netns", "there")
        for where, number in (((), 1), (("-n", "there"), 2)):
            node.run("ip", *where, "addr", "add", f"198.51.100.{number}/24", "dev", "eno1")
            node.run("ip", *where, "link", "set", "eno1", "up")
        node.run("ip", "-n", "there", "link", "add", "vx", "type", "vxlan", "id", "70001", "group", "239.1.17.113", "dev", "eno1",
                 "dstport", "4789")
        node.run("ip", "-n", "there", "addr", "add", "192.0.2.100/24", "dev", "vx")
        node.run("ip", "-n", "there", "link", "set", "vx", "up")

        # What goes out by it has less: that is told, and nothing is done about it.
        self.mtus = {1: 1500}
        segments = {1: [VXLAN], 2: [VXLAN], 3: []}
        told = "eno1 has an MTU of 1500, and vxlan 70001 with packets of 1500 bytes needs 1550"
        self.assertIn(f"br-9001-1: {told}", self.converge(segments).said)
        self.assertEqual(self.size("eno1", *WAY), [1500, 1450, 1450, *[1500] * 3])

        self.widen(("eno1",), ("-n", "there", "eno1"))
        self.widen(("-n", "there", "vx"), mtu=9000)
        self.mtus = {1: 9000, 2: 1600, 3: 4000}
        self.assertIn("mtu", self.would(segments))
        self.assertEqual(self.size(*WAY), [1450, 1450, *[1500] * 3])
        self.assertNotIn("has an MTU of", self.converge(segments).said)
        self.assertEqual(self.size(*WAY, "dn-9002-2", "br-9002-2", "br-9003-3"), [*[9000] * 5, 1600, 1600, 4000])
        for number in (1, 2):
            node.probe(f"g{number}", f"192.0.2.{number}/24", "ip", "link", "set", "PORT", "master", f"br-{9000 + number}-{number}")
            self.widen((f"p-g{number}",), ("-n", f"g{number}", "eth0"), mtu=self.mtus[number])
        wait_until(lambda: self.whole("g1", "192.0.2.100", 9000), 20, "a large packet to another hypervisor")
        wait_until(lambda: self.whole("g2", "192.0.2.1", 1600), 20, "one to another machine")

        # Nobody says how large: it stays, and the next one that comes has room from the beginning.
        self.mtus = {4: 8000}
        self.converge({**segments, 4: [VXLAN]})
        self.assertEqual(self.size(*WAY, "br-9002-2", "dn-9004-4", "br-9004-4"), [*[9000] * 5, 1600, 8000, 8000])

    def test_room_by_openvswitch(self):
        node = self.node
        node.start_openvswitch()
        node.run("ovs-vsctl", "add-br", "uplink0", "--", "set", "bridge", "uplink0", "datapath_type=netdev")
        node.probe("there", "192.0.2.100/24", "ovs-vsctl", "add-port", "uplink0", "PORT", "tag=100")
        node.site({"switch": "openvswitch", "uplink": "uplink0", "vxlan_peers": ["198.51.100.1", "198.51.100.2"]})
        wait_until(lambda: node.run("ovs-vsctl", "get", "interface", "p-there", "mtu").strip() == "1500", 20, "its MTU")
        node.run("ip", "addr", "add", "198.51.100.1/24", "dev", "uplink0")
        self.mtus = {1: 9000, 2: 1451}
        said = self.converge({1: [VLAN], 2: [VXLAN]}).said
        self.assertIn("br-9001-1: p-there has an MTU of 1500, and vlan 100 with packets of 9000 bytes needs 9000", said)
        self.assertIn("br-9002-2: uplink0 has an MTU of 1500, and vxlan 70001 with packets of 1451 bytes needs 1501", said)
        self.widen(("p-there",), ("-n", "there", "eth0"))
        wait_until(lambda: node.run("ovs-vsctl", "get", "interface", "p-there", "mtu").strip() == "9050", 20, "its MTU")
        node.probe("g1", "192.0.2.1/24", "ovs-vsctl", "add-port", "br-9001-1", "PORT")
        self.widen(("p-g1",), ("-n", "g1", "eth0"), mtu=9000)
        wait_until(lambda: self.whole("g1", "192.0.2.100", 9000), 20, "a large packet to another hypervisor")

        # A real guest: its tap has the size; another one waits for its next start.
        vms = self.machines({1: [VLAN]})
        node.document(document(vms, node.storage))
        self.assertNotIn("restart needed", node.apply().said)
        self.assertEqual(self.size("tp-9001-1"), [9000])
        vms[uuid(1)]["interfaces"][0]["mtu"] = 8000
        node.document(document(vms, node.storage))
        for _ in range(2):
            self.assertIn("vm-9001: restart needed: interface 52:54:00:00:00:01 changes", node.apply().said)
        self.assertEqual(self.size("tp-9001-1"), [9000])
