"""Logical volumes on a loop device. Without the device mapper they cannot be activated, and so not be made as they must
be, with a clean beginning: that is not tested here. What LVM notes of them is real."""
import json
import os
import unittest

from lab_documents import MIB, uuid
from lab_node import Node

UNCHANGED, CHANGED, FAILED = 0, 2, 4


class LvmTest(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.remove)
        disk = self.node.dir / "disk"
        with disk.open("wb") as file:
            file.truncate(256 * MIB)
        loop = self.node.run("losetup", "-f", "--show", disk).strip()
        self.addCleanup(self.node.run, "losetup", "-d", loop)
        # Of all devices, which are the machine's, it looks at this one only.
        self.node.path("/etc/lvm/lvm.conf").write_text(
            f'global {{ activation = 0 }}\ndevices {{ filter = [ "a|^{loop}$|", "r|.*|" ] use_devicesfile = 0 }}\n', encoding="ascii")
        self.group = f"lab{os.getpid()}"
        self.node.run("vgcreate", self.group, loop)
        self.node.run("lvcreate", "-y", "-Zn", "-Wn", "-L", "16m", "-n", "vol-1", self.group)

    def apply(self, size, expected, *flags):
        return self.run_manifest(f"""virtapi_volume {{ '{uuid(1)}':
            provider => lvm, type => 'lvm', place => '{self.group}/vol-1', size_bytes => {size} }}""", expected, *flags)

    def run_manifest(self, manifest, expected, *flags):
        run = self.node.apply(*flags, manifest=manifest)
        self.assertEqual(run.status, expected, run.said)
        return run

    def volumes(self):
        return self.node.run("lvs", "--noheadings", "-o", "lv_name", self.group).split()

    def test_sizes(self):
        self.apply(16 * MIB, UNCHANGED)
        self.apply(16 * MIB - 1, UNCHANGED)
        self.assertIn("never made smaller", self.apply(12 * MIB, FAILED).said)
        self.assertIn(f"{16 * MIB}, should be {30 * MIB} (noop)", self.apply(30 * MIB, UNCHANGED, "--noop").said)
        self.apply(30 * MIB, CHANGED)
        # Extents have 4 MiB.
        self.assertEqual(self.node.run("lvs", "--noheadings", "--units", "m", "-o", "lv_size", self.group).strip(), "32.00m")
        self.apply(30 * MIB, UNCHANGED)

    def test_what_was_removed(self):
        self.node.run("lvcreate", "-y", "-Zn", "-Wn", "-L", "16m", "-n", "vol-2", self.group)
        gone = {uuid(number): {"type": "lvm", "vg": self.group, "lv": f"vol-{number}", "not_before": f"{year}-01-01T00:00:00Z"}
                for number, year in ((1, 2020), (2, 2999), (3, 2020))}
        tombstones = json.dumps({"vms": {}, "volumes": gone}, separators=(", ", " => "))
        manifest = f"""virtapi_removals {{ 'lab01.example.com':
            meta => {{ 'generation' => 1 }}, tombstones => {tombstones} }}"""
        self.assertIn(f"'delete {self.group}/vol-1', should be 'none' (noop)", self.run_manifest(manifest, UNCHANGED, "--noop").said)
        self.run_manifest(manifest, CHANGED)
        self.assertEqual(self.volumes(), ["vol-2"])
        self.run_manifest(manifest, UNCHANGED)


if __name__ == "__main__":
    unittest.main()
