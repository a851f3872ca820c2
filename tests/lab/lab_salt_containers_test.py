"""Containers by Salt: what Puppet does there, by the same rules."""
import unittest

from lab_containers import Containers
from lab_documents import uuid
from lab_salt import SaltNode, Settles

CONTAINER = f"virtapi_vm_{uuid(1)}"


class SaltContainersTest(Containers, Settles, unittest.TestCase):
    node_class = SaltNode

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

    def unmade(self, vms):
        """Its volume is not made, and so nothing of it."""
        run = self.run_once(vms)
        self.assertEqual((run.status, run.failed), (2, [CONTAINER, f"virtapi_volume_{uuid(1001)}"]), run.said)
        return run

    def dry(self, vms):
        run = self.run_once(vms, "test=True")
        self.assertEqual((CONTAINER in run.would, run.failed), (True, []), run.said)

    def removed(self, tombstones, fails=False):
        run = self.run_once({}, tombstones=tombstones)
        self.assertEqual(run.failed, ["virtapi_removals"] if fails else [], run.said)
        return run

    def converge(self, vms):
        return self.settled(self.run_once(vms))


if __name__ == "__main__":
    unittest.main()
