"""The whole life of a machine that a customer has ordered, by Salt."""
import unittest

from lab_life import DISK, LifeScenario
from lab_salt import SaltNode


@unittest.skipUnless(DISK.exists(), "scripts/setup-lab makes a guest on amd64 only")
class SaltLifeTest(LifeScenario, unittest.TestCase):
    make_node = SaltNode


if __name__ == "__main__":
    unittest.main()
