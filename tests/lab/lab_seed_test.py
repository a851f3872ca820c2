"""A seed and the guest that reads it, by Puppet; and that its disks are limited, and that it shuts down when it is asked to."""
import unittest

from lab_node import Node
from lab_seed import GUEST, SeedScenario

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


if __name__ == "__main__":
    unittest.main()
