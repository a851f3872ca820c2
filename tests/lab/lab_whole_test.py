"""All of it together, by Puppet: from what somebody orders to a cluster in health and machines that reach each other."""
import unittest

from lab_node import wait_until
from lab_whole import PATIENCE, Lab


class WholeTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.remove)

    def test_what_is_ordered_is_there(self):
        lab = self.lab
        lab.describe()
        bridges = lab.order()
        lab.start_agents()
        wait_until(lab.is_in_health, PATIENCE, "the cluster is in health")
        lab.wait_until_in_sync()
        for number, (node, bridge) in enumerate(bridges.items(), 1):
            self.assertIn("running", node.virsh("list"))
            self.assertEqual(len(node.virsh("domblklist", f"vm-{bridge.split('-')[1]}").split()), 6, "three disks")
            node.probe(f"g{number}", f"192.0.2.{number}/24", "ovs-vsctl", "add-port", bridge, "PORT")
        one = lab.hypervisors[0]
        wait_until(lambda: one.reaches("g1", "192.0.2.2"), 60, "one machine's bridge reaches the other's, on the other hypervisor")


if __name__ == "__main__":
    unittest.main()
