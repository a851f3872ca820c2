"""What a guest may receive and send, by Salt."""
import unittest

from lab_filters import GUEST, FiltersScenario
from lab_salt import SaltNode


@unittest.skipUnless((GUEST / "recipe").exists(), "scripts/setup-lab makes a guest on amd64 only")
class SaltFiltersTest(FiltersScenario, unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.node = SaltNode()
        self.addCleanup(self.node.remove)
        self.settings(shutdown_timeout=120)

    def settings(self, **settings):
        self.node.site(settings)

    def converge(self, vms, tombstones=None):
        self.said_of(vms, tombstones)
        run, again = self.node.apply(), self.node.apply()
        self.assertEqual((run.status, run.failed, again.status, again.changed), (0, [], 0, []), run.said + again.said)
        self.assertNotEqual(run.changed, [], run.said)
        self.assertEqual(len(again.messages("applied")), 1, again.said)
        return "".join(warning for each in (run, again) for state in each.states.values() for warning in state.get("warnings", ()))


if __name__ == "__main__":
    unittest.main()
