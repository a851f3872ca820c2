"""A guest with an operating system: it shuts down when it is asked to, and lets go of devices."""
import pathlib
import os
import unittest

from lab_documents import MIB, document, interface, uuid, vm, volume
from lab_node import Node, wait_until

UNCHANGED, CHANGED = 0, 2
GUEST = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "virtapi/lab"


@unittest.skipUnless((GUEST / "initrd").exists(), "scripts/setup-lab makes a guest on amd64 only")
class GuestTest(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.remove)
        # Far more than it takes.
        self.node.site({"shutdown_timeout": 120})

    def raw(self, number):
        return volume(number, "raw", path=f"{self.node.storage}/vol-{number}.raw")

    def apply(self, expected, state="running", interfaces=(1, 2), volumes=(1, 2)):
        machine = vm(9001, [interface(9001, number) for number in interfaces], [self.raw(number) for number in volumes],
                     state=state, ram_bytes=192 * MIB)
        self.node.document(document({uuid(1): machine}, self.node.storage))
        run = self.node.apply()
        self.assertEqual(run.status, expected, run.said)
        return run

    def converge(self, **changes):
        run = self.apply(CHANGED, **changes)
        again = self.apply(UNCHANGED, **changes)
        for said in (run.said, again.said):
            for bad in ("cut off", "let go", "switched off", "restart needed"):
                self.assertNotIn(bad, said)
        return run

    def boot_from_here(self):
        """The kernel from outside, which virtapi knows nothing of, and so leaves there."""
        xml = self.node.virsh("dumpxml", "--inactive", "vm-9001")
        system = f"<kernel>{GUEST}/kernel</kernel><initrd>{GUEST}/initrd</initrd><cmdline>quiet panic=-1</cmdline></os>"
        path = self.node.dir / "domain.xml"
        path.write_text(xml.replace("</os>", system), encoding="utf-8")
        self.node.virsh("define", path)

    def wait_for_guest(self):
        disk = self.node.storage / "vol-1.raw"
        wait_until(lambda: disk.read_bytes()[:2] == b"up", 120, "the guest is up")

    def test_a_guest_that_answers(self):
        self.converge(state="stopped")
        self.boot_from_here()
        self.converge()
        self.wait_for_guest()
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
