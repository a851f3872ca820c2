"""A whole fleet by a Salt master (lab_salt_master). Takes some minutes."""
import unittest

from lab_node import wait_until
from lab_salt_master import SaltMasterLab
from lab_whole import PATIENCE


class SaltMasterTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = SaltMasterLab()
        cls.addClassCleanup(cls.lab.remove)
        cls.lab.describe()
        cls.machines = cls.lab.order()
        cls.lab.start_agents()

    def test_a_fleet_is_in_sync_by_what_the_master_gives_and_tells(self):
        lab = self.lab
        wait_until(lab.is_in_health, PATIENCE, "Ceph is in health")
        wait_until(lab.is_in_sync, PATIENCE, "all is in sync")
        self.assertEqual(len(lab.guests()), len(self.machines))
        tools = {run["tool"] for run in lab.server.ask("GET", "/v1/runs?fields=tool")["items"]}
        self.assertEqual(tools, {"salt"})
        # It came through the master: no node reads its own document, or has anything to read it with.
        for node in lab.nodes:
            self.assertFalse((node.dir / "salt/var/cache/salt/minion/virtapi").exists())
        (used,) = lab.server.ask("GET", "/v1/tokens?compiler=salt-master&fields=last_used_at")["items"]
        self.assertIsNotNone(used["last_used_at"])

    def test_the_master_hears_of_a_change_with_the_next_run(self):
        lab, (machine, *_) = self.lab, self.machines
        wait_until(lab.is_in_sync, PATIENCE, "all is in sync")
        lab.server.ask("PATCH", f"/v1/vms/{machine.uuid}", {"cputime_limit": 50})
        wait_until(lambda: "50000" in machine.node.virsh("schedinfo", machine.domain), PATIENCE, "the limit")
        wait_until(lab.is_in_sync, PATIENCE, "all is in sync again")


if __name__ == "__main__":
    unittest.main()
