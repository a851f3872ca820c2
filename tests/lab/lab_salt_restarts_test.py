"""Restarts that somebody has asked for, by Salt."""
import unittest

from lab_documents import document
from lab_restarts import GUEST, RestartsScenario
from lab_salt import SaltNode


@unittest.skipUnless((GUEST / "recipe").exists(), "scripts/setup-lab makes a guest on amd64 only")
class SaltRestartsTest(RestartsScenario, unittest.TestCase):
    def setUp(self):
        self.node = SaltNode()
        self.addCleanup(self.node.remove)
        self.settings(shutdown_timeout=120)

    def settings(self, **settings):
        self.node.site(settings)

    def converge(self, vms):
        self.node.document(document(vms, self.node.storage))
        run, again = self.node.apply(), self.node.apply()
        self.assertEqual((run.status, run.failed, again.status, again.changed), (0, [], 0, []), run.said + again.said)
        self.assertNotEqual(run.changed, [], run.said)
        return run.said + again.said


if __name__ == "__main__":
    unittest.main()
