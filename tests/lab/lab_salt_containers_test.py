"""Containers by Salt: what Puppet does there, by the same rules."""
import unittest

from lab_containers import Containers
from lab_documents import uuid
from lab_salt import SaltNode

CONTAINER = f"virtapi_vm_{uuid(1)}"


class SaltContainersTest(Containers, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = SaltNode()
        cls.addClassCleanup(cls.node.remove)

    def setUp(self):
        self.generation = 0
        self.node.site({"shutdown_timeout": 1})
        self.addCleanup(self.node.clear)

    def run_once(self, vms, *words, tombstones=None):
        self.document(vms, tombstones)
        return self.node.apply(*words)

    def unchanged(self, vms):
        run = self.run_once(vms)
        self.assertEqual((run.status, run.changed, run.failed), (0, [], []), run.said)
        return run

    def failed(self, vms):
        run = self.run_once(vms)
        self.assertEqual((run.status, run.failed), (2, [CONTAINER]), run.said)
        return run

    def dry(self, vms):
        run = self.run_once(vms, "test=True")
        self.assertEqual((CONTAINER in run.would, run.failed), (True, []), run.said)

    def removed(self, tombstones, fails=False):
        run = self.run_once({}, tombstones=tombstones)
        self.assertEqual(run.failed, ["virtapi_removals"] if fails else [], run.said)
        return run

    def converge(self, vms):
        """A run that changes something, and one that finds nothing to do."""
        run = self.run_once(vms)
        self.assertEqual((run.status, run.failed), (0, []), run.said)
        self.assertNotEqual(run.changed, [], run.said)
        again = self.node.apply()
        self.assertEqual((again.status, again.changed, again.failed), (0, [], []), again.said)
        self.assertEqual([meta["generation"] for meta in again.messages("applied")], [self.generation], again.said)
        return run


if __name__ == "__main__":
    unittest.main()
