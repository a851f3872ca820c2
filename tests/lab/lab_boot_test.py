"""A guest that boots: it knows its user data, its disk is no faster than its flavor says, and it shuts down when it is asked to. The
first part of its life (lab_life_test), for those who have no time for all of it."""
import unittest

from lab_life import DISK, OrderedGuest
from lab_node import Node


@unittest.skipUnless(DISK.exists(), "scripts/setup-lab makes a guest on amd64 only")
class BootTest(OrderedGuest, unittest.TestCase):
    make_node = Node

    def test_a_guest_boots_and_shuts_down(self):
        self.server.start_agent()
        self.wait_for_node()
        self.assert_it_is_ordered()
        boot = self.assert_it_has_booted()
        self.assert_it_stops_and_starts(boot)


if __name__ == "__main__":
    unittest.main()
