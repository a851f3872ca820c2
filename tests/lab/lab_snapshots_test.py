"""Snapshots of volumes, by Puppet."""
import unittest

from lab_node import Node
from lab_snapshots import SnapshotsScenario

UNCHANGED, CHANGED, FAILED, CHANGED_AND_FAILED = 0, 2, 4, 6


class SnapshotsTest(SnapshotsScenario, unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.remove)
        self.node.site({"shutdown_timeout": 1})

    def converge(self):
        run, again = self.node.apply(), self.node.apply()
        self.assertEqual((run.status, again.status), (CHANGED, UNCHANGED), run.said + again.said)
        self.assertEqual(len(again.messages("applied")), 1, again.said)
        return run.said + again.said

    def fail_once(self):
        run = self.node.apply()
        self.assertIn(run.status, (FAILED, CHANGED_AND_FAILED), run.said)
        self.assertEqual(run.messages("applied"), [])
        return run.said

    def dry_run(self):
        run = self.node.apply("--noop")
        self.assertEqual(run.status, UNCHANGED, run.said)
        return run.said


if __name__ == "__main__":
    unittest.main()
