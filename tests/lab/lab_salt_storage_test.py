"""Volumes that are no files, by Salt: logical volumes on a loop device, images in a pool of a real Ceph."""
import json
import subprocess
import unittest

from lab_ceph import Ceph
from lab_documents import MIB, document, uuid, vm, volume
from lab_lvm import VolumeGroup
from lab_salt import SaltNode

VOLUME = f"virtapi_volume_{uuid(1001)}"
DOMAIN = f"virtapi_vm_{uuid(1)}"


class SaltLvmTest(unittest.TestCase):
    def setUp(self):
        self.node = SaltNode()
        self.addCleanup(self.node.remove)
        self.group = VolumeGroup(self.addCleanup, self.node)
        self.group.make("vol-1", "foreign")
        self.node.site({})

    def apply(self, size, *words):
        disk = volume(1, "lvm", size, vg=self.group.name, lv="vol-1")
        wanted = document({uuid(1): vm(9001, [], [disk], state="stopped")}, self.node.storage)
        wanted["hypervisor"]["vg_name"] = self.group.name
        self.node.document(wanted)
        return self.node.apply(*words)

    def test_sizes(self):
        run = self.apply(16 * MIB)
        self.assertEqual((run.changed, run.failed), ([DOMAIN], []), run.said)
        self.assertEqual(run.messages("observed")[0]["unmanaged"]["volumes"], [f"{self.group.name}/foreign"])
        self.assertIn(f"/dev/{self.group.name}/vol-1", self.node.virsh("domblklist", "vm-9001"))
        self.assertEqual(self.apply(16 * MIB - 1).changed, [])
        run = self.apply(12 * MIB)
        self.assertEqual(run.failed, sorted([VOLUME, DOMAIN]))
        self.assertIn("never made smaller", run.state(VOLUME)["comment"])
        self.assertEqual(self.apply(30 * MIB, "test=True").would, [VOLUME])
        run = self.apply(30 * MIB)
        self.assertEqual((run.changed, run.failed), ([VOLUME], []), run.said)
        # Extents have 4 MiB.
        sizes = self.node.run("lvs", "--noheadings", "--units", "m", "-o", "lv_size", f"{self.group.name}/vol-1")
        self.assertEqual(sizes.strip(), "32.00m")
        self.assertEqual(self.apply(30 * MIB).changed, [])


class SaltCephTest(unittest.TestCase):
    def setUp(self):
        self.node = SaltNode()
        self.addCleanup(self.node.remove)
        self.ceph = Ceph(self.node)
        self.addCleanup(self.ceph.stop)
        self.node.site({})

    def apply(self, size=16 * MIB):
        disk = volume(1, "rbd", size, cluster="ceph", pool="rbd", image="vol-1")
        self.node.document(document({uuid(1): vm(9001, [], [disk])}, self.node.storage, clusters=self.ceph.clusters))
        return self.node.apply()

    def converge(self, *changed, size=16 * MIB):
        run = self.apply(size)
        self.assertEqual((run.status, run.changed, run.failed), (0, sorted(changed), []), run.said)
        again = self.node.apply()
        self.assertEqual((again.changed, len(again.messages("applied"))), ([], 1), again.said)

    def size(self):
        return json.loads(self.node.run("rbd", "info", "rbd/vol-1", "--format", "json"))["size"]

    def test_a_volume_in_a_pool(self):
        self.converge(VOLUME, DOMAIN)
        self.assertEqual((self.size(), self.node.virsh("domstate", "vm-9001").strip()), (16 * MIB, "running"))
        self.converge(VOLUME, size=32 * MIB)
        self.assertEqual(self.size(), 32 * MIB)
        self.assertIn(f"Capacity:       {32 * MIB}", self.node.virsh("domblkinfo", "vm-9001", "vda"))
        self.assertIn("a volume is never made smaller", self.apply().said)
        # As the machine on the hypervisor that it came from.
        self.node.virsh("destroy", "vm-9001")
        with subprocess.Popen(self.node.command("rbd", "watch", "rbd/vol-1"), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as elsewhere:
            try:
                elsewhere.stdout.readline()
                run = self.apply(48 * MIB)
            finally:
                elsewhere.kill()
        self.assertIn("image rbd/vol-1 is in use by ", run.state(DOMAIN)["comment"])
        self.assertEqual((run.changed, self.node.virsh("domstate", "vm-9001").strip()), ([VOLUME], "shut off"))
        # Ceph takes it for alive for a while yet, which is waited for.
        self.converge(DOMAIN, size=48 * MIB)


if __name__ == "__main__":
    unittest.main()
