"""From an order to a machine that runs, and back to what the server says of it: a real server, its agent, Puppet and
libvirt."""
import time
import unittest

from lab_documents import MIB, uuid
from lab_node import CERTNAME, Node, wait_until
from lab_server import LabServer

# For a run of Puppet, or two, on a machine that has other things to do.
PATIENCE = 120


class ServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node()
        cls.addClassCleanup(cls.node.remove)
        cls.server = LabServer(cls.node)
        cls.addClassCleanup(cls.server.remove)

    def status(self, path):
        return self.server.ask("GET", f"{path}?fields=status")["status"]

    def wait_for(self, path, status):
        wait_until(lambda: self.status(path) == status, PATIENCE, f"{path} is {status}")

    def test_what_is_ordered_runs_and_the_server_knows(self):
        server, node, machine = self.server, f"/v1/nodes/{CERTNAME}", f"/v1/vms/{uuid(1)}"
        server.post("nodes", fqdn=CERTNAME, state="running")
        server.post("hypervisors", node=CERTNAME, cores=2, ram_bytes=4096 * MIB, virt_methods=["KVM"],
                    local_storage_path=str(self.node.storage))
        self.assertEqual(self.status(node), "unmanaged")
        server.start_agent()
        self.wait_for(node, "in_sync")

        begin = time.monotonic()
        vm = server.post("vms", uuid=uuid(1), name="web", cores=1, ram_bytes=64 * MIB, state="running", virt_method="KVM",
                         hypervisor=CERTNAME)
        domain = f"vm-{vm['id']}"
        wait_until(lambda: self.node.guest(domain), PATIENCE, "the machine runs")
        print(f"\n  from POST /v1/vms to the running domain: {time.monotonic() - begin:.1f} s")
        self.wait_for(machine, "in_sync")
        self.assertEqual(server.ask("GET", node)["observed"]["vms"], {uuid(1): "running"})

        # What is added to it comes to it while it runs.
        guest = self.node.guest(domain)
        server.post("volumes", uuid=uuid(2), vm=uuid(1), storage_type="raw", cache_option="none", size_bytes=8 * MIB)
        server.post("interfaces", vm=uuid(1), mac="52:54:00:00:00:07")
        wait_until(lambda: self.status(node) == "pending" or self.node.bridges(), PATIENCE, "the change is heard of")
        self.wait_for(machine, "in_sync")
        self.assertEqual(len(self.node.bridges()), 1)
        self.assertEqual(self.node.guest(domain), guest, "it was never stopped")
        self.assertIn("/vol-", self.node.virsh("domblklist", domain))

        # A dry run tells of it, and nothing happens.
        told = server.ask("PATCH", f"{machine}?dry_run=true", {"state": "stopped"})["consequences"]
        self.assertEqual([(each["node"], each["differences"][0]["after"]) for each in told], [(CERTNAME, "stopped")])
        server.ask("PATCH", machine, {"state": "stopped"})
        wait_until(lambda: not self.node.guest(domain), PATIENCE, "the machine is off")
        self.wait_for(machine, "in_sync")

        # What is removed is kept until its time is over. Then it goes, and its tombstone as well.
        (disk,) = self.node.storage.iterdir()
        server.ask("DELETE", f"/v1/volumes/{uuid(2)}")
        server.ask("DELETE", machine)
        self.wait_for(node, "in_sync")
        self.assertIn(domain, self.node.virsh("list", "--all", "--name").split())
        self.assertTrue(disk.exists())
        self.assertEqual(server.ask("GET", node)["observed"]["unmanaged"], {"domains": [], "bridges": ["br-1-1"], "volumes": []})
        for tombstone in server.ask("GET", "/v1/tombstones")["items"]:
            server.ask("PATCH", f"/v1/tombstones/{tombstone['id']}", {"not_before": "2026-01-01T00:00:00Z"})
        wait_until(lambda: domain not in self.node.virsh("list", "--all", "--name").split(), PATIENCE, "the domain is gone")
        wait_until(lambda: not disk.exists(), PATIENCE, "the disk is gone")
        wait_until(lambda: server.ask("GET", "/v1/tombstones")["items"] == [], PATIENCE, "so are their tombstones")
        self.wait_for(node, "in_sync")
