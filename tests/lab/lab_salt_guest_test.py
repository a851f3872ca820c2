"""A guest with an operating system, by Salt: it shuts down when it is asked to, and lets go of devices."""
import unittest

import lab_guest_test
from lab_documents import MIB, document, interface, uuid, vm, volume
from lab_node import wait_until
from lab_salt import SaltNode


@unittest.skipUnless((lab_guest_test.GUEST / "initrd").exists(), "scripts/setup-lab makes a guest on amd64 only")
class SaltGuestTest(unittest.TestCase):
    def setUp(self):
        self.node = SaltNode()
        self.addCleanup(self.node.remove)
        # Far more than it takes.
        self.node.site({"shutdown_timeout": 120})

    def converge(self, state="running", interfaces=(1, 2), volumes=(1, 2)):
        disks = [volume(number, "raw", path=f"{self.node.storage}/vol-{number}.raw") for number in volumes]
        machine = vm(9001, [interface(9001, number) for number in interfaces], disks, state=state, ram_bytes=192 * MIB)
        self.node.document(document({uuid(1): machine}, self.node.storage))
        run, again = self.node.apply(), self.node.apply()
        self.assertEqual((run.status, run.failed, again.status, again.changed), (0, [], 0, []), run.said + again.said)
        self.assertNotEqual(run.changed, [], run.said)
        for each in (run, again):
            self.assertNotIn("warnings", each.state(f"virtapi_vm_{uuid(1)}"), each.said)

    def boot_from_here(self):
        """The kernel from outside, which virtapi knows nothing of, and so leaves there."""
        xml = self.node.virsh("dumpxml", "--inactive", "vm-9001")
        guest = lab_guest_test.GUEST
        system = f"<kernel>{guest}/kernel</kernel><initrd>{guest}/initrd</initrd><cmdline>quiet panic=-1</cmdline></os>"
        path = self.node.dir / "domain.xml"
        path.write_text(xml.replace("</os>", system), encoding="utf-8")
        self.node.virsh("define", path)

    def test_a_guest_that_answers(self):
        self.converge(state="stopped")
        self.boot_from_here()
        self.converge()
        disk = self.node.storage / "vol-1.raw"
        wait_until(lambda: disk.read_bytes()[:2] == b"up", 120, "the guest is up")
        guest = self.node.guest("vm-9001")
        self.converge(interfaces=(1,))
        self.assertNotIn("br-9001-2", self.node.virsh("domiflist", "vm-9001"))
        self.converge(interfaces=(1,), volumes=(1,))
        self.assertNotIn("vol-2", self.node.virsh("domblklist", "vm-9001"))
        self.assertTrue((self.node.storage / "vol-2.raw").exists())
        self.converge(interfaces=(1, 3), volumes=(1, 3))
        self.assertIn("vol-3", self.node.virsh("domblklist", "vm-9001"))
        self.assertEqual(self.node.guest("vm-9001"), guest)
        # Never switched off in this state, so that it has done it itself.
        self.converge(state="deactivated", interfaces=(1, 3), volumes=(1, 3))
        self.assertEqual(self.node.virsh("domstate", "vm-9001", "--reason").strip(), "shut off (shutdown)")


if __name__ == "__main__":
    unittest.main()
