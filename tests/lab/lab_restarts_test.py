"""Restarts that somebody has asked for, by Puppet."""
import unittest

from lab_documents import document
from lab_node import Node
from lab_restarts import GUEST, RestartsScenario

UNCHANGED, CHANGED = 0, 2


@unittest.skipUnless((GUEST / "recipe").exists(), "scripts/setup-lab makes a guest on amd64 only")
class RestartsTest(RestartsScenario, unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.remove)
        self.settings(shutdown_timeout=120)

    def settings(self, **settings):
        self.node.site(settings)

    def converge(self, vms):
        self.node.document(document(vms, self.node.storage))
        run, again = self.node.apply(), self.node.apply()
        self.assertEqual((run.status, again.status), (CHANGED, UNCHANGED), run.said + again.said)
        return run.said + again.said


if __name__ == "__main__":
    unittest.main()
