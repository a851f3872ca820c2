"""Volumes in a pool of a real Ceph."""
import json
import subprocess
import unittest

from lab_ceph import Ceph
from lab_documents import MIB, document, uuid, vm, volume
from lab_node import Node

UNCHANGED, CHANGED, FAILED, CHANGED_AND_FAILED = 0, 2, 4, 6


class CephTest(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.remove)
        self.ceph = Ceph(self.node)
        self.addCleanup(self.ceph.stop)

    def apply(self, expected, size=16 * MIB, **other):
        disk = volume(1, "rbd", size, cluster="ceph", pool="rbd", image="vol-1", **other)
        self.node.document(document({uuid(1): vm(9001, [], [disk])}, self.node.storage, clusters=self.ceph.clusters))
        run = self.node.apply()
        self.assertEqual(run.status, expected, run.said)
        return run

    def size(self):
        return json.loads(self.node.run("rbd", "info", "rbd/vol-1", "--format", "json"))["size"]

    def test_a_volume_in_a_pool(self):
        self.apply(CHANGED)
        self.apply(UNCHANGED)
        self.assertEqual(self.size(), 16 * MIB)
        self.assertEqual(self.node.virsh("domstate", "vm-9001").strip(), "running")
        self.apply(CHANGED, 32 * MIB)
        self.apply(UNCHANGED, 32 * MIB)
        self.assertEqual(self.size(), 32 * MIB)
        self.assertIn(f"Capacity:       {32 * MIB}", self.node.virsh("domblkinfo", "vm-9001", "vda"))
        self.assertIn("a volume is never made smaller", self.apply(FAILED, 16 * MIB).said)
        self.node.virsh("destroy", "vm-9001")
        self.apply(CHANGED, 48 * MIB)
        self.assertEqual(self.size(), 48 * MIB)

    def test_one_machine_at_a_time(self):
        self.apply(CHANGED)
        self.node.virsh("destroy", "vm-9001")
        # As the machine on the hypervisor that it came from.
        watch = self.node.command("rbd", "watch", "rbd/vol-1")
        with subprocess.Popen(watch, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as elsewhere:
            try:
                elsewhere.stdout.readline()
                run = self.apply(CHANGED_AND_FAILED)
            finally:
                elsewhere.kill()
        self.assertIn("image rbd/vol-1 is in use by ", run.said)
        self.assertEqual(self.node.virsh("domstate", "vm-9001").strip(), "shut off")
        # Ceph takes it for alive for a while yet, which is waited for.
        self.apply(CHANGED)


if __name__ == "__main__":
    unittest.main()
