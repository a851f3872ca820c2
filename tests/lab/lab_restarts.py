"""What must become of a machine of which somebody has asked for a restart, whichever tool converges it: `converge` is the tests'
own, a run that changes something and one that does not, with what both have said."""
import os
import pathlib

from lab_documents import MIB, uuid, vm, volume
from lab_node import wait_until

GUEST = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "virtapi/lab"


class RestartsScenario:
    """The steps; `self.node` is the hypervisor."""

    def machine(self, **other):
        return vm(9001, volumes=[volume(1, "raw", path=f"{self.node.storage}/vol-1.raw")], ram_bytes=192 * MIB, **other)

    def boot_from_here(self):
        """The kernel from outside, and metadata of somebody else; virtapi knows nothing of either, and so leaves them there."""
        xml = self.node.virsh("dumpxml", "--inactive", "vm-9001")
        system = f"<kernel>{GUEST}/kernel</kernel><initrd>{GUEST}/initrd</initrd><cmdline>quiet panic=-1</cmdline></os>"
        path = self.node.dir / "domain.xml"
        path.write_text(xml.replace("</os>", system), encoding="utf-8")
        self.node.virsh("define", path)
        self.node.virsh("metadata", "vm-9001", "--config", "--uri", "urn:other", "--key", "other", "--set", "<x>kept</x>")

    def wait_for_guest(self):
        disk = self.node.storage / "vol-1.raw"
        wait_until(lambda: disk.read_bytes()[:2] == b"up", 120, "the guest is up")
        # For the next time.
        with disk.open("r+b") as file:
            file.write(b"no")
        return self.node.guest("vm-9001")

    def kept(self, *flags):
        return self.node.virsh("metadata", "vm-9001", "--uri", "urn:virtapi", *flags).strip()

    def test_a_guest_is_restarted_once_and_orderly(self):
        self.converge({uuid(1): self.machine(state="stopped")})
        self.boot_from_here()
        self.converge({uuid(1): self.machine()})
        guest = self.wait_for_guest()
        # The first number that it gets is no restart.
        self.converge({uuid(1): self.machine(restarts=2)})
        for flags in ((), ("--config",), ("--live",)):
            self.assertRegex(self.kept(*flags), """restarts=.2.""")
        self.assertIn("restart needed: 1 cores become 2", self.converge({uuid(1): self.machine(restarts=2, cores=2)}))
        self.assertEqual(self.node.guest("vm-9001"), guest)
        # Longer than what waits for a guest that does not answer: it has done it itself.
        said = self.converge({uuid(1): self.machine(restarts=5, cores=2)})
        for bad in ("switched off", "restart needed"):
            self.assertNotIn(bad, said)
        again = self.wait_for_guest()
        self.assertNotEqual(again, guest)
        self.assertEqual(self.node.virsh("vcpucount", "vm-9001", "--current", "--live").strip(), "2")
        self.assertRegex(self.kept("--live"), """restarts=.5.""")
        self.assertIn("kept", self.node.virsh("metadata", "vm-9001", "--uri", "urn:other"))

    def test_a_guest_that_does_not_answer_is_switched_off(self):
        self.settings(shutdown_timeout=1)
        self.converge({uuid(1): vm(9001, restarts=1)})
        guest = self.node.guest("vm-9001")
        self.assertIn("has not shut down in 1 s, and is switched off", self.converge({uuid(1): vm(9001, restarts=2)}))
        self.assertNotEqual(self.node.guest("vm-9001"), guest)
        # Killed in the middle: it is off, and starts once.
        self.converge({uuid(1): vm(9001, restarts=2, cores=2)})
        self.node.kill_guest("vm-9001")
        self.assertNotIn("switched off", self.converge({uuid(1): vm(9001, restarts=3, cores=2)}))
        self.assertRegex(self.kept("--live"), """restarts=.3.""")
        # One that is moved away and comes back, or was made by an older agent: nothing is kept, nothing restarted.
        self.converge({uuid(1): vm(9001, restarts=3, state="stopped")})
        self.node.virsh("undefine", "vm-9001")
        self.assertNotIn("switched off", self.converge({uuid(1): vm(9001, restarts=9)}))
