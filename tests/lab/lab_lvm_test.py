"""Logical volumes, by Puppet."""
import json
import unittest

from lab_documents import MIB, uuid
from lab_lvm import VolumeGroup
from lab_node import Node

UNCHANGED, CHANGED, FAILED = 0, 2, 4


class LvmTest(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.remove)
        self.group = VolumeGroup(self.addCleanup, self.node)
        self.group.make("vol-1")

    def apply(self, size, expected, *flags):
        return self.run_manifest(f"""virtapi_volume {{ '{uuid(1)}':
            provider => lvm, type => 'lvm', place => '{self.group.name}/vol-1', size_bytes => {size} }}""", expected, *flags)

    def run_manifest(self, manifest, expected, *flags):
        run = self.node.apply(*flags, manifest=manifest)
        self.assertEqual(run.status, expected, run.said)
        return run

    def test_sizes(self):
        self.apply(16 * MIB, UNCHANGED)
        self.apply(16 * MIB - 1, UNCHANGED)
        self.assertIn("never made smaller", self.apply(12 * MIB, FAILED).said)
        self.assertIn(f"{16 * MIB}, should be {30 * MIB} (noop)", self.apply(30 * MIB, UNCHANGED, "--noop").said)
        self.apply(30 * MIB, CHANGED)
        # Extents have 4 MiB.
        self.assertEqual(self.node.run("lvs", "--noheadings", "--units", "m", "-o", "lv_size", self.group.name).strip(), "32.00m")
        self.apply(30 * MIB, UNCHANGED)

    def test_what_was_removed(self):
        self.group.make("vol-2")
        gone = {uuid(number): {"type": "lvm", "vg": self.group.name, "lv": f"vol-{number}", "not_before": f"{year}-01-01T00:00:00Z"}
                for number, year in ((1, 2020), (2, 2999), (3, 2020))}
        tombstones = json.dumps({"vms": {}, "volumes": gone}, separators=(", ", " => "))
        manifest = f"""virtapi_removals {{ 'lab01.example.com':
            meta => {{ 'generation' => 1 }}, tombstones => {tombstones} }}"""
        self.assertIn(f"'delete {self.group.name}/vol-1', should be 'none' (noop)", self.run_manifest(manifest, UNCHANGED, "--noop").said)
        self.run_manifest(manifest, CHANGED)
        self.assertEqual(self.group.names(), ["vol-2"])
        self.run_manifest(manifest, UNCHANGED)


if __name__ == "__main__":
    unittest.main()
