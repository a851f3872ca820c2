"""What a guest may receive and send, by Puppet."""
import unittest

from lab_filters import GUEST, FiltersScenario
from lab_node import Node

UNCHANGED, CHANGED = 0, 2


@unittest.skipUnless((GUEST / "recipe").exists(), "scripts/setup-lab makes a guest on amd64 only")
class FiltersTest(FiltersScenario, unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.remove)
        self.settings(shutdown_timeout=120)

    def settings(self, **settings):
        self.node.site(settings)

    def converge(self, vms, tombstones=None):
        self.said_of(vms, tombstones)
        run, again = self.node.apply(), self.node.apply()
        self.assertEqual((run.status, again.status), (CHANGED, UNCHANGED), run.said + again.said)
        self.assertEqual(len(again.messages("applied")), 1, again.said)
        return "".join(message for each in (run, again) for level, message, _ in each.logs if level in ("warning", "err"))


if __name__ == "__main__":
    unittest.main()
