"""Containers by Puppet: a real LXC, whose containers run a busybox."""
import unittest

from lab_containers import Containers
from lab_documents import uuid
from lab_node import Node

UNCHANGED, CHANGED, CHANGED_AND_FAILED = 0, 2, 6


class ContainersTest(Containers, unittest.TestCase):
    node_class = Node

    def run_once(self, status, vms, *flags, tombstones=None):
        self.document(vms, tombstones)
        run = self.node.apply(*flags)
        self.assertIn(run.status, status, run.said)
        return run

    def unchanged(self, vms):
        return self.run_once((UNCHANGED,), vms)

    def failed(self, vms):
        return self.run_once((4, CHANGED_AND_FAILED), vms)

    # A volume that is not made is a resource that fails, as a container that does not run.
    unmade = failed

    def dry(self, vms):
        run = self.run_once((UNCHANGED,), vms, "--noop")
        self.assertIn("(noop)", run.said)

    def removed(self, tombstones, fails=False):
        return self.run_once((4, CHANGED_AND_FAILED) if fails else (CHANGED,), {}, tombstones=tombstones)

    def converge(self, vms):
        """A run that changes something, and one that finds nothing to do."""
        run = self.run_once((CHANGED,), vms)
        again = self.node.apply()
        self.assertEqual(again.status, UNCHANGED, again.said)
        self.assertEqual([meta["generation"] for meta in again.messages("applied")], [self.generation], again.said)
        return run

    def test_listed(self):
        self.converge({uuid(1): self.container(state="stopped")})
        listed = self.node.resources("virtapi_container")
        self.assertIn(f"virtapi_container {{ '{uuid(1)}':", listed)
        self.assertRegex(listed, r"domain +=> 'vm-9001'")

    def test_questions_do_not_grow_with_containers(self):
        counts = []
        for number in (1, 5):
            vms = {uuid(index): {**self.container(interfaces=[], state="stopped"), "domain": f"vm-{9100 + index}",
                                 "volumes": [self.root(index)]} for index in range(1, number + 1)}
            self.run_once((CHANGED,), vms)
            run = self.run_once((UNCHANGED,), vms, "--debug")
            counts.append(run.said.count("Debug: Executing: "))
        self.assertEqual(counts[0], counts[1])


if __name__ == "__main__":
    unittest.main()
