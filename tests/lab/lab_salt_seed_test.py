"""A seed and the guest that reads it, by Salt; and that its disks are limited, and that it shuts down when it is asked to."""
import unittest

from lab_documents import uuid, vm
from lab_salt import SaltNode
from lab_seed import GUEST, SECRET, SeedScenario, seed


@unittest.skipUnless((GUEST / "recipe").exists(), "scripts/setup-lab makes a guest on amd64 only")
class SaltSeedTest(SeedScenario, unittest.TestCase):
    def setUp(self):
        self.node = SaltNode()
        self.addCleanup(self.node.remove)
        # Far more than it takes.
        self.node.site({"shutdown_timeout": 120})

    def run_once(self, *words):
        run = self.node.apply(*words)
        self.assertIsInstance(run.states, dict, run.said)
        self.assertNotEqual(run.states, {}, run.said)
        return run

    def converged(self):
        run, again = self.run_once(), self.run_once()
        self.assertEqual((run.status, run.failed, again.status, again.changed), (0, [], 0, []), run.said + again.said)
        self.assertNotEqual(run.changed, [], run.said)
        return run.said, again.said

    def looked(self):
        run = self.run_once("test=True")
        self.assertNotEqual(run.would, [], run.said)
        return run.said

    def failed(self):
        run = self.run_once()
        self.assertNotEqual(run.failed, [], run.said)
        return run.said

    def test_what_is_in_it_is_in_no_log(self):
        self.say({uuid(1): vm(9001, seed=seed(1), state="stopped")})
        run = self.run_once("-l", "all")
        self.assertEqual((run.status, len(self.images())), (0, 1))
        self.assertIn("'xorrisofs', ", run.said)
        self.assertNotIn(SECRET, run.said)


if __name__ == "__main__":
    unittest.main()
