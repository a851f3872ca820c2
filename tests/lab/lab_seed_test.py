"""A seed and the guest that reads it, by Puppet; and that its disks are limited, and that it shuts down when it is asked to."""
import unittest

from lab_documents import MIB, uuid
from lab_node import Node
from lab_seed import GUEST, SECRET, SeedScenario

UNCHANGED, CHANGED, FAILED_STATUSES = 0, 2, (4, 6)


@unittest.skipUnless((GUEST / "recipe").exists(), "scripts/setup-lab makes a guest on amd64 only")
class SeedTest(SeedScenario, unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.remove)
        # Far more than it takes.
        self.node.site({"shutdown_timeout": 120})

    def run_once(self, expected, *flags):
        run = self.node.apply(*flags)
        self.assertIn(run.status, expected, run.said)
        return run.said + run.report

    def converged(self):
        return self.run_once([CHANGED]), self.run_once([UNCHANGED])

    def looked(self):
        said = self.run_once([UNCHANGED], "--noop")
        self.assertIn("(noop)", said)
        return said

    def failed(self):
        return self.run_once(FAILED_STATUSES)

    def test_what_is_in_it_is_in_no_log_and_no_state_file(self):
        # Not by Hiera, which here reads a file and tells what it has read.
        manifest = f"""virtapi_domain {{ '{uuid(1)}': domain => 'vm-9001', vm_name => 'x', cores => 1, ram_bytes => {64 * MIB},
            cputime_limit => none, virt_method => 'QEMU', state => 'stopped', interfaces => [], volumes => [],
            seed => Sensitive({{ 'user-data' => '{SECRET} %s' }}) }}"""
        for number in (1, 2):
            run = self.node.apply("--debug", manifest=manifest % number)
            self.assertEqual(run.status, CHANGED)
            self.assertIn("Executing: 'xorrisofs ", run.said)
            self.assertNotIn(SECRET, run.said + run.report)
        kept = [path for path in self.node.dir.glob("var/**/*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        self.assertEqual({path.suffix for path in kept}, {".iso"})


if __name__ == "__main__":
    unittest.main()
