"""Snapshots of volumes, by Salt."""
import unittest

from lab_salt import SaltNode
from lab_snapshots import SnapshotsScenario


class SaltSnapshotsTest(SnapshotsScenario, unittest.TestCase):
    def setUp(self):
        self.node = SaltNode()
        self.addCleanup(self.node.remove)
        self.node.site({"shutdown_timeout": 1})

    def converge(self):
        run, again = self.node.apply(), self.node.apply()
        self.assertEqual((run.status, run.failed, again.status, again.changed), (0, [], 0, []), run.said + again.said)
        self.assertNotEqual(run.changed, [], run.said)
        self.assertEqual(len(again.messages("applied")), 1, again.said)
        return run.said + again.said

    def fail_once(self):
        run = self.node.apply()
        self.assertNotEqual(run.failed, [], run.said)
        self.assertEqual(run.messages("applied"), [])
        return run.said

    def dry_run(self):
        run = self.node.apply("test=True")
        self.assertEqual((run.failed, run.changed), ([], []), run.said)
        self.assertNotEqual(run.would, [])
        return run.said


if __name__ == "__main__":
    unittest.main()
