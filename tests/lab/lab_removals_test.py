"""What has a tombstone goes from a real hypervisor: libvirtd, QEMU without KVM, files. Guests have no operating system, so that
none of them answers when it is asked to shut down."""
import os
import subprocess
import unittest

from lab_documents import MIB, document, uuid, vm, volume
from lab_node import CERTNAME, Node

UNCHANGED, CHANGED, FAILED, CHANGED_AND_FAILED = 0, 2, 4, 6
PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


def tombstones(vms=(), volumes=()):
    """Of machines and volumes, as the document had them, each with the time of its tombstone."""
    return {"vms": {uuid(number): {"name": machine["name"], "domain": machine["domain"], "not_before": until}
                    for number, machine, until in vms},
            "volumes": {disk["uuid"]: {"type": disk["type"], "path": disk["path"], "not_before": until} for disk, until in volumes}}


class RemovalsTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.node = Node()
        cls.addClassCleanup(cls.node.remove)

    def setUp(self):
        self.generation = 0
        self.node.site({"shutdown_timeout": 1})
        self.addCleanup(self.node.clear)
        self.disks = {number: volume(number, "raw", path=f"{self.node.storage}/vol-{number}.img") for number in (1, 2, 3)}
        self.machines = {number: vm(9000 + number, [], [disk]) for number, disk in self.disks.items()}

    def place(self, number):
        return self.node.storage / f"vol-{number}.img"

    def apply(self, numbers, expected, *flags, approved=False, **removed):
        """A run with these machines in the document, and tombstones."""
        self.generation += 1
        found = document({uuid(number): self.machines[number] for number in numbers}, self.node.storage, self.generation)
        found["meta"]["approved"] = approved
        found["hypervisor"]["tombstones"] = tombstones(**removed)
        self.node.document(found)
        run = self.node.apply(*flags)
        self.assertEqual(run.status, expected, run.said)
        return run

    def again(self):
        """A second run finds nothing to do, and tells that all is applied."""
        run = self.node.apply()
        self.assertEqual(run.status, UNCHANGED, run.said)
        self.assertEqual([meta["generation"] for meta in run.messages("applied")], [self.generation], run.said)
        return self.observed(run)

    def observed(self, run):
        (found,) = run.messages("observed")
        return found

    def domains(self):
        names = self.node.virsh("list", "--all", "--name").split()
        return {name: self.node.virsh("domstate", name).strip() for name in names}

    def autostart(self, name):
        return self.node.virsh("dominfo", name).split("Autostart:")[1].split("\n")[0].strip()

    def test_a_machine_and_its_volume(self):
        self.disks[1].update(type="qcow2")
        self.apply([1, 2], CHANGED)
        removed = {"vms": [(1, self.machines[1], FUTURE)], "volumes": [(self.disks[1], FUTURE)]}
        guest = self.node.guest("vm-9001")
        run = self.apply([2], UNCHANGED, "--noop", **removed)
        self.assertIn("current_value 'no autostart of vm-9001, stop vm-9001', should be 'none' (noop)", run.said)
        self.assertEqual((self.node.guest("vm-9001"), self.autostart("vm-9001"), run.messages("applied")), (guest, "enable", []))

        # Stopped, and kept with all that it has.
        run = self.apply([2], CHANGED, **removed)
        self.assertIn("vm-9001 has not shut down in 1 s, and is switched off", run.said)
        self.assertEqual((self.domains(), self.autostart("vm-9001")), ({"vm-9001": "shut off", "vm-9002": "running"}, "disable"))
        nothing = {"domains": [], "bridges": [], "volumes": []}
        self.assertEqual(self.again(), {"vms": {uuid(2): "running"}, "unmanaged": nothing})
        self.assertTrue(self.place(1).exists())

        # Somebody starts it.
        self.node.virsh("start", "vm-9001")
        self.apply([2], CHANGED, **removed)
        self.assertEqual(self.domains()["vm-9001"], "shut off")

        # What libvirt keeps of it is no obstacle.
        self.node.virsh("snapshot-create-as", "vm-9001", "one")
        self.node.virsh("start", "vm-9001")
        self.node.virsh("managedsave", "vm-9001")
        over = {"vms": [(1, self.machines[1], PAST)], "volumes": [(self.disks[1], FUTURE)]}
        run = self.apply([2], UNCHANGED, "--noop", **over)
        self.assertIn("current_value 'undefine vm-9001', should be 'none' (noop)", run.said)
        run = self.apply([2], CHANGED, **over)
        self.assertEqual((self.domains(), self.place(1).exists()), ({"vm-9002": "running"}, True))
        self.assertEqual(self.observed(run)["removed"], [uuid(1)])
        self.assertEqual(self.again()["removed"], [uuid(1)])

        over["volumes"] = [(self.disks[1], PAST)]
        run = self.apply([2], UNCHANGED, "--noop", **over)
        self.assertIn(f"current_value 'delete {self.place(1)}', should be 'none' (noop)", run.said)
        self.assertTrue(self.place(1).exists())
        run = self.apply([2], CHANGED, **over)
        self.assertFalse(self.place(1).exists())
        self.assertEqual(self.observed(run), {"vms": {uuid(2): "running"}, "unmanaged": nothing,
                                              "removed": [uuid(1), self.disks[1]["uuid"]]})
        self.again()
        self.assertTrue(self.place(2).exists())

    def test_all_at_once_when_its_time_is_over(self):
        self.apply([1, 2], CHANGED)
        self.node.virsh("suspend", "vm-9001")
        run = self.apply([2], CHANGED, vms=[(1, self.machines[1], PAST)], volumes=[(self.disks[1], PAST)])
        self.assertIn(f"pending changed 'no autostart of vm-9001, stop vm-9001, undefine vm-9001, delete {self.place(1)}' to 'none'",
                      run.said)
        self.assertEqual((self.domains(), self.place(1).exists()), ({"vm-9002": "running"}, False))
        self.again()

    def test_a_machine_that_is_no_longer_defined(self):
        self.apply([1, 2], CHANGED)
        self.node.virsh("undefine", "vm-9001")
        self.apply([2], CHANGED, vms=[(1, self.machines[1], PAST)])
        self.assertEqual(self.domains(), {"vm-9002": "running"})
        self.assertEqual(self.again()["removed"], [uuid(1)])

    def test_a_machine_whose_emulator_was_killed(self):
        self.apply([1, 2], CHANGED)
        self.node.kill_guest("vm-9001")
        removed = {"vms": [(1, self.machines[1], FUTURE)]}
        run = self.apply([2], CHANGED, **removed)
        self.assertIn("pending changed 'no autostart of vm-9001' to 'none'", run.said)
        self.again()

    def test_more_than_a_run_removes(self):
        self.apply([1, 2, 3], CHANGED)
        guests = [self.node.guest(f"vm-900{number}") for number in self.machines]
        everything = {"vms": [(number, machine, FUTURE) for number, machine in self.machines.items()]}
        for flags in ((), ("--noop",)):
            run = self.apply([], FAILED, *flags, **everything)
            self.assertIn("3 of 3 virtual machines would be removed, and a run removes at most 20 per cent: nothing is removed. To "
                          f'approve: POST /v1/nodes/{CERTNAME}/approve {{"generation": {self.generation}}}', run.said)
            self.assertEqual(run.messages("applied"), [])
            self.assertEqual(self.observed(run), {"vms": {}, "unmanaged": {
                "domains": [], "bridges": [], "volumes": [str(self.place(number)) for number in self.disks]}})
        self.assertEqual([self.node.guest(f"vm-900{number}") for number in self.machines], guests)
        self.assertEqual(self.autostart("vm-9001"), "enable")
        self.apply([], CHANGED, approved=True, **everything)
        self.assertEqual(set(self.domains().values()), {"shut off"})
        self.again()
        # Without the approval it stays so.
        self.apply([], UNCHANGED, **everything)

    def test_a_volume_that_a_domain_has(self):
        self.apply([1, 2], CHANGED)
        for number, other in ((1, "vm-9002"), (2, "vm-9001")):
            with self.subTest(other):
                self.node.virsh("destroy", other, check=False)
                # As others do it: known by another name, on another bus.
                link = self.node.dir / f"link-{number}"
                link.symlink_to(self.place(number))
                self.node.virsh("attach-disk", other, link, "sdx", "--mode", "readonly", "--config")
                numbers = [3 - number]
                run = self.apply(numbers, CHANGED_AND_FAILED, vms=[(number, self.machines[number], PAST)],
                                 volumes=[(self.disks[number], PAST)])
                self.assertIn(f"domain {other} has {self.place(number)}: it stays", run.said)
                self.assertEqual((self.place(number).exists(), run.messages("applied")), (True, []))
                self.assertEqual(self.observed(run)["removed"], [uuid(number)])
                self.node.virsh("detach-disk", other, "sdx", "--config")
                self.apply(numbers, CHANGED, vms=[(number, self.machines[number], PAST)], volumes=[(self.disks[number], PAST)])
                self.assertFalse(self.place(number).exists())
                self.apply([1, 2], CHANGED)

    def test_a_volume_that_another_is_made_on(self):
        self.apply([2], CHANGED)
        self.node.run("qemu-img", "create", "-q", "-f", "raw", self.place(1), f"{16 * MIB}")
        overlay = self.node.dir / "overlay.qcow2"
        self.node.run("qemu-img", "create", "-q", "-f", "qcow2", "-b", self.place(1), "-F", "raw", overlay)
        self.node.define_foreign("foreign")
        self.node.virsh("attach-disk", "foreign", overlay, "sdx", "--subdriver", "qcow2", "--config")
        run = self.apply([2], FAILED, volumes=[(self.disks[1], PAST)])
        self.assertIn(f"domain foreign has {self.place(1)}: it stays", run.said)
        self.assertTrue(self.place(1).exists())

    def test_a_volume_that_is_open(self):
        self.apply([2], CHANGED)
        self.node.run("qemu-img", "create", "-q", "-f", "raw", self.place(1), f"{16 * MIB}")
        with self.place(1).open("rb"):
            run = self.apply([2], FAILED, volumes=[(self.disks[1], PAST)])
        self.assertIn(f"process {os.getpid()} has {self.place(1)} open: it stays", run.said)
        loop = self.node.run("losetup", "-f", "--show", self.place(1)).strip()
        try:
            run = self.apply([2], FAILED, volumes=[(self.disks[1], PAST)])
        finally:
            subprocess.run(["losetup", "-d", loop], check=True)
        self.assertIn(f"{loop} has {self.place(1)} open: it stays", run.said)
        self.apply([2], CHANGED, volumes=[(self.disks[1], PAST)])
        self.assertFalse(self.place(1).exists())

    def test_what_is_none_of_ours_keeps_nothing_else(self):
        self.apply([2, 3], CHANGED)
        self.node.run("qemu-img", "create", "-q", "-f", "raw", self.place(1), f"{16 * MIB}")
        other = {**self.machines[3], "domain": "vm-9999"}
        kept = {"vms": [(3, other, PAST), (2, self.machines[2], PAST)], "volumes": [(self.disks[2], PAST), (self.disks[1], PAST)]}
        before = self.domains()
        run = self.apply([2], UNCHANGED, "--noop", **kept)
        self.assertIn(f"current_value 'delete {self.place(1)}', should be 'none' (noop)", run.said)
        for flags, expected in ((("--noop",), UNCHANGED), ((), FAILED), ((), FAILED)):
            run = self.apply([2], expected, *flags, **kept)
            for said in ("domain vm-9003 has the UUID of vm-9999: another made it", "vm-9002 has a tombstone, and the document has it",
                         f"{self.place(2)} has a tombstone, and the document has it"):
                self.assertIn(said, run.said)
            self.assertEqual((self.domains(), run.messages("applied")), (before, []))
            self.assertEqual(self.place(1).exists(), expected == UNCHANGED)
        self.assertEqual((self.place(2).exists(), self.place(3).exists()), (True, True))
        self.assertEqual(self.observed(run)["removed"], [self.disks[1]["uuid"]])

    def test_what_is_no_file_or_of_no_known_type(self):
        self.place(1).mkdir()
        self.addCleanup(self.place(1).rmdir)
        unknown = {**self.disks[2], "type": "zfs"}
        self.place(2).write_bytes(b"x")
        run = self.apply([], FAILED, volumes=[(self.disks[1], PAST), (unknown, PAST)])
        self.assertIn(f"{self.place(1)} is no file, and stays", run.said)
        self.assertIn(f"{self.place(2)}: type zfs is none that this module manages", run.said)
        self.assertTrue(self.place(2).exists())
        self.assertNotIn("removed", self.observed(run))

    def test_libvirt_away(self):
        self.apply([1, 2], CHANGED)
        self.node.stop_libvirtd()
        try:
            run = self.apply([], FAILED, vms=[(1, self.machines[1], PAST)], volumes=[(self.disks[1], PAST)])
        finally:
            self.node.start_libvirtd()
        self.assertTrue(self.place(1).exists())
        self.assertEqual((run.messages("applied"), [seen.get("removed") for seen in run.messages("observed")]), ([], [None]))


if __name__ == "__main__":
    unittest.main()
