"""The whole life of a machine that a customer has ordered, by Puppet."""
import unittest

from lab_life import DISK, LifeScenario
from lab_node import Node


@unittest.skipUnless(DISK.exists(), "scripts/setup-lab makes a guest on amd64 only")
class LifeTest(LifeScenario, unittest.TestCase):
    make_node = Node


if __name__ == "__main__":
    unittest.main()
