"""What was removed in virtapi goes from a real hypervisor by a real Salt: its tombstones, and their time. Guests have no
operating system, so that none of them shuts down when it is asked to."""
import json
import os
import subprocess
import unittest

from lab_ceph import Ceph
from lab_documents import MIB, document, uuid, vm, volume
from lab_lvm import VolumeGroup
from lab_salt import SaltNode

REMOVALS = "virtapi_removals"
FAR_AHEAD = "2999-01-01T00:00:00Z"
LONG_AGO = "2020-01-01T00:00:00Z"
# That the logical volume `backup` is a snapshot of `vol-1`, as LVM notes it.
SNAPSHOT = """
snapshot0 { id = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa" status = ["READ", "WRITE", "VISIBLE"] flags = [] segment_count = 1
    segment1 { start_extent = 0 extent_count = 4 type = "snapshot" chunk_size = 8 origin = "vol-1" cow_store = "backup" } }
"""


def machine_tombstone(machine, not_before):
    return {"name": f"guest {machine}", "domain": f"vm-{machine}", "not_before": not_before}


def volume_tombstone(removed, not_before):
    place = {key: removed[key] for key in ("path", "vg", "lv", "cluster", "pool", "image") if key in removed}
    return {"type": removed["type"], **place, "not_before": not_before}


class Removals(unittest.TestCase):
    """A hypervisor whose document has tombstones."""
    maxDiff = None
    clusters = None

    def apply(self, vms, *words, gone=None, volumes=None, approved=False):
        """Apply a document with machines, and with tombstones of machines and volumes."""
        self.generation += 1
        wanted = document(vms, self.node.storage, self.generation, clusters=self.clusters)
        wanted["meta"]["approved"] = approved
        wanted["hypervisor"]["tombstones"] = {"vms": gone or {}, "volumes": volumes or {}}
        self.node.document(wanted)
        return self.node.apply(*words)

    def assert_ran(self, run, *changed):
        """That these states have changed something, and that the document is told as applied."""
        self.assertEqual((run.status, run.changed, run.failed), (0, sorted(changed), []), run.said)
        self.assertEqual([meta["generation"] for meta in run.messages("applied")], [self.generation], run.said)

    def assert_settled(self):
        self.assert_ran(self.node.apply())

    def assert_failed(self, run):
        """That removals alone have failed, and that the document is not told as applied."""
        self.assertEqual((run.status, run.failed, run.messages("applied")), (2, [REMOVALS], []), run.said)


class SaltRemovalsTest(Removals):
    @classmethod
    def setUpClass(cls):
        cls.node = SaltNode()
        cls.addClassCleanup(cls.node.remove)

    def setUp(self):
        self.generation = 0
        self.node.site({"shutdown_timeout": 1})
        self.addCleanup(self.node.clear)

    def qcow2(self, number):
        return volume(number, "qcow2", path=f"{self.node.storage}/vol-{number}.qcow2")

    def machines(self, *numbers):
        """Machines with a volume each."""
        return {uuid(number): vm(9000 + number, volumes=[self.qcow2(number)]) for number in numbers}

    def gone(self, not_before, *numbers):
        return {uuid(number): machine_tombstone(9000 + number, not_before) for number in numbers}

    def volumes(self, not_before, *numbers):
        return {uuid(1000 + number): volume_tombstone(self.qcow2(number), not_before) for number in numbers}

    def converge(self, vms):
        self.assertEqual(self.apply(vms).failed, [])

    def states(self):
        names = filter(None, map(str.strip, self.node.virsh("list", "--all", "--name").splitlines()))
        return {name: self.node.virsh("domstate", name).strip() for name in names}

    def files(self):
        return sorted(path.name for path in self.node.storage.iterdir())

    def kept(self):
        """What libvirt has of machines besides their definitions."""
        return sorted(path.name for place in ("save", "snapshot", "checkpoint")
                      for path in self.node.path(f"/var/lib/libvirt/qemu/{place}").rglob("*") if path.is_file())

    def test_a_machine_and_its_volume(self):
        self.converge(self.machines(1, 2))
        guest = self.node.guest("vm-9002")
        kept = {"gone": self.gone(FAR_AHEAD, 1), "volumes": self.volumes(FAR_AHEAD, 1)}
        changes = {"vm-9001 autostart": {"old": True, "new": False}, "vm-9001": {"old": "running", "new": "stopped"}}
        run = self.apply(self.machines(2), "test=True", **kept)
        self.assertEqual((run.would, run.state(REMOVALS)["changes"]), ([REMOVALS], changes), run.said)
        self.assertEqual(self.states(), {"vm-9001": "running", "vm-9002": "running"})
        run = self.apply(self.machines(2), **kept)
        self.assert_ran(run, REMOVALS)
        self.assertEqual(run.state(REMOVALS)["changes"], changes)
        self.assertEqual(run.state(REMOVALS)["warnings"], ["vm-9001: has not shut down in 1 s, and is switched off"])
        self.assertEqual(run.messages("observed"), [{"vms": {uuid(2): "running"},
                                                     "unmanaged": {"domains": [], "bridges": [], "volumes": []}}])
        self.assertEqual(self.states(), {"vm-9001": "shut off", "vm-9002": "running"})
        self.assertEqual(self.files(), ["vol-1.qcow2", "vol-2.qcow2"])
        self.assert_settled()
        # Its time is over.
        over = {"gone": self.gone(LONG_AGO, 1), "volumes": self.volumes(LONG_AGO, 1)}
        changes = {"vm-9001": {"old": "stopped", "new": "absent"},
                   f"{self.node.storage}/vol-1.qcow2": {"old": "present", "new": "absent"}}
        run = self.apply(self.machines(2), "test=True", **over)
        self.assertEqual((run.would, run.state(REMOVALS)["changes"]), ([REMOVALS], changes), run.said)
        self.assertEqual(self.files(), ["vol-1.qcow2", "vol-2.qcow2"])
        run = self.apply(self.machines(2), **over)
        self.assert_ran(run, REMOVALS)
        self.assertEqual(run.state(REMOVALS)["changes"], changes)
        self.assertEqual((self.states(), self.files()), ({"vm-9002": "running"}, ["vol-2.qcow2"]))
        self.assertEqual(run.messages("observed")[0]["removed"], [uuid(1), uuid(1001)])
        self.assert_settled()
        self.assertEqual(self.node.apply("test=True").messages("observed")[0]["removed"], [uuid(1), uuid(1001)])
        self.assertEqual(self.node.guest("vm-9002"), guest)

    def test_every_release(self):
        self.addCleanup(setattr, self.node, "release", self.node.release)
        self.converge(self.machines(1, 2, 3, 4))
        for number, release in enumerate(("3006", "3007", "3008"), 1):
            with self.subTest(release):
                self.node.release = release
                left = self.machines(*range(number + 1, 5))
                self.assert_ran(self.apply(left, gone=self.gone(FAR_AHEAD, number)), REMOVALS)
                self.assertEqual(self.states()[f"vm-900{number}"], "shut off")
                self.assert_settled()
                over = {"gone": self.gone(LONG_AGO, number), "volumes": self.volumes(LONG_AGO, number)}
                self.assert_ran(self.apply(left, **over), REMOVALS)
                self.assertNotIn(f"vm-900{number}", self.states())
                self.assertNotIn(f"vol-{number}.qcow2", self.files())
                self.assert_settled()

    def test_three_of_three_are_refused_until_that_is_approved(self):
        self.converge(self.machines(1, 2, 3))
        gone = self.gone(FAR_AHEAD, 1, 2, 3)
        for words in ((), ("test=True",)):
            run = self.apply({}, *words, gone=gone)
            self.assert_failed(run)
            self.assertEqual(run.state(REMOVALS)["comment"], (
                "3 of 3 virtual machines would be removed, a run removes at most 20 percent: nothing is. To approve: "
                f'POST /v1/nodes/lab01.example.com/approve {{"generation": {self.generation}}}'))
            self.assertEqual(set(self.states().values()), {"running"})
        self.assert_ran(self.apply({}, gone=gone, approved=True), REMOVALS)
        self.assertEqual(set(self.states().values()), {"shut off"})
        self.assert_settled()
        # To undefine them is a removal as well, of which the approval did not speak.
        self.assert_failed(self.apply({}, gone=self.gone(LONG_AGO, 1, 2, 3)))
        self.assertEqual(len(self.states()), 3)
        self.node.site({"max_removals": 100})
        self.assert_ran(self.apply({}, gone=self.gone(LONG_AGO, 1, 2, 3)), REMOVALS)
        self.assertEqual((self.states(), len(self.files())), ({}, 3))

    def test_a_machine_goes_with_what_libvirt_keeps_of_it(self):
        self.converge(self.machines(1))
        self.node.virsh("checkpoint-create-as", "vm-9001", "since")
        self.node.virsh("snapshot-create-as", "vm-9001", "before")
        self.node.virsh("managedsave", "vm-9001")
        self.assertEqual(self.kept(), ["before.xml", "since.xml", "vm-9001.save"])
        run = self.apply({}, gone=self.gone(LONG_AGO, 1))
        self.assert_ran(run, REMOVALS)
        self.assertEqual((self.states(), self.files()), ({}, ["vol-1.qcow2"]))
        self.assertEqual(self.kept(), [])

    def test_a_machine_that_runs_is_stopped_first_and_one_that_is_not_defined_is_gone_then(self):
        self.converge(self.machines(1, 2))
        self.node.virsh("suspend", "vm-9001")
        self.assert_ran(self.apply(self.machines(2), gone=self.gone(LONG_AGO, 1)), REMOVALS)
        self.assertEqual(self.states(), {"vm-9002": "running"})
        self.node.virsh("undefine", "vm-9002")
        run = self.apply({}, gone=self.gone(FAR_AHEAD, 2))
        self.assert_ran(run, REMOVALS)
        self.assertEqual(run.state(REMOVALS)["changes"], {"vm-9002": {"old": "running", "new": "absent"}})
        self.assertEqual(self.states(), {})
        self.assert_settled()

    def test_a_machine_that_has_crashed_is_off(self):
        self.converge(self.machines(1))
        self.node.virsh("autostart", "vm-9001", "--disable")
        self.node.kill_guest("vm-9001")
        self.assert_ran(self.apply({}, gone=self.gone(FAR_AHEAD, 1)))

    def test_what_is_not_ours_is_left_alone_and_the_rest_is_done(self):
        self.converge(self.machines(1, 2, 3))
        tombstones = self.gone(LONG_AGO, 1)
        tombstones[uuid(1)]["domain"] = "vm-9009"
        # Its volume is a part of it, whoever's it is.
        run = self.apply(self.machines(3), gone={**tombstones, **self.gone(FAR_AHEAD, 2)}, volumes=self.volumes(LONG_AGO, 1))
        self.assert_failed(run)
        self.assertEqual(run.state(REMOVALS)["comment"], (
            "the domain is called vm-9001 and not vm-9009: another made it, and it is left alone; "
            f"{self.node.storage}/vol-1.qcow2 is kept: domain vm-9001 has it"))
        self.assertEqual(self.states(), {"vm-9001": "running", "vm-9002": "shut off", "vm-9003": "running"})
        # The same of what the document has.
        run = self.apply(self.machines(3), gone=self.gone(LONG_AGO, 3), volumes=self.volumes(LONG_AGO, 3))
        self.assert_failed(run)
        self.assertEqual(run.said.count("has a tombstone, and the document has it: it is left alone"), 2)
        self.assertEqual(len(self.files()), 3)

    def test_a_volume_that_is_in_use(self):
        self.converge(self.machines(1))
        path = self.node.storage / "vol-1.qcow2"
        self.node.virsh("destroy", "vm-9001")
        run = self.apply({}, volumes=self.volumes(LONG_AGO, 1))
        self.assert_failed(run)
        self.assertIn(f"{path} is kept: domain vm-9001 has it", run.said)
        self.assertEqual(run.messages("observed")[0]["unmanaged"]["domains"], ["vm-9001"])
        self.node.virsh("undefine", "vm-9001")
        with path.open("rb"):
            run = self.apply({}, volumes=self.volumes(LONG_AGO, 1))
        self.assert_failed(run)
        self.assertEqual(run.state(REMOVALS)["comment"], f"{path} is open: process {os.getpid()}")
        loop = self.node.run("losetup", "-f", "--show", path).strip()
        try:
            run = self.apply({}, volumes=self.volumes(LONG_AGO, 1))
        finally:
            self.node.run("losetup", "-d", loop)
        self.assert_failed(run)
        self.assertEqual(run.state(REMOVALS)["comment"], f"{path} is open: {loop.split('/')[-1]}")
        self.assert_ran(self.apply({}, volumes=self.volumes(LONG_AGO, 1)), REMOVALS)
        self.assertEqual(self.files(), [])

    def test_a_volume_that_a_machine_has_no_more_goes_after_it_was_detached(self):
        both = {uuid(1): vm(9001, volumes=[self.qcow2(1), self.qcow2(2)], state="stopped")}
        self.converge(both)
        run = self.apply({uuid(1): vm(9001, volumes=[self.qcow2(1)], state="stopped")}, volumes=self.volumes(LONG_AGO, 2))
        self.assert_ran(run, REMOVALS, f"virtapi_vm_{uuid(1)}")
        self.assertEqual(self.files(), ["vol-1.qcow2"])
        self.assertEqual(run.messages("observed")[0]["removed"], [uuid(1002)])

    def test_libvirt_away_or_the_state_left_out(self):
        self.converge(self.machines(1))
        wanted = {"gone": self.gone(LONG_AGO, 1, 2), "volumes": self.volumes(LONG_AGO, 1, 2)}
        run = self.apply({}, f'exclude=[{{"id": {REMOVALS}}}]', **wanted)
        self.assertEqual((run.status, run.changed, run.messages("applied")), (0, [], []), run.said)
        self.node.stop_libvirtd()
        try:
            run = self.apply({}, **wanted)
        finally:
            self.node.start_libvirtd()
        self.assert_failed(run)
        self.assertEqual(run.messages("observed")[0]["removed"], [uuid(1002)], "of machines nothing is known")
        self.assertEqual((self.files(), self.states()), (["vol-1.qcow2"], {"vm-9001": "running"}))


class SaltLvmRemovalsTest(Removals):
    def setUp(self):
        self.generation = 0
        self.node = SaltNode()
        self.addCleanup(self.node.remove)
        self.group = VolumeGroup(self.addCleanup, self.node)
        self.node.site({})

    def test_a_logical_volume(self):
        self.group.make("vol-1", "vol-2", "foreign")
        disks = [volume(number, "lvm", vg=self.group.name, lv=f"vol-{number}") for number in (1, 2)]
        removed = {uuid(1001): volume_tombstone(disks[0], LONG_AGO)}
        wanted = {uuid(2): vm(9002, volumes=[disks[1]], state="stopped")}
        self.apply(wanted)
        would = self.apply(wanted, "test=True", volumes=removed).state(REMOVALS)
        self.assertEqual((would["result"], self.group.names()), (None, ["foreign", "vol-1", "vol-2"]))
        self.assert_ran(self.apply(wanted, volumes=removed), REMOVALS)
        self.assertEqual(self.group.names(), ["foreign", "vol-2"])
        self.assertEqual(self.node.apply().messages("observed")[0]["removed"], [uuid(1001)])
        self.assert_settled()
        # One that a domain has.
        run = self.apply({}, volumes={uuid(1002): volume_tombstone(disks[1], LONG_AGO)})
        self.assert_failed(run)
        self.assertIn(f"{self.group.name}/vol-2 is kept: domain vm-9002 has it", run.said)
        self.assertEqual(self.group.names(), ["foreign", "vol-2"])

    def test_a_snapshot(self):
        self.group.make("vol-1", "backup")
        # Only what LVM notes of one: to make it needs the device mapper.
        noted = self.node.dir / "noted"
        self.node.run("vgcfgbackup", "-f", noted, self.group.name)
        text = noted.read_text(encoding="utf-8")
        noted.write_text(text.replace("logical_volumes {", "logical_volumes {" + SNAPSHOT, 1), encoding="utf-8")
        self.node.run("vgcfgrestore", "-f", noted, self.group.name)
        removed = {uuid(1001): volume_tombstone(volume(1, "lvm", vg=self.group.name, lv="vol-1"), LONG_AGO)}
        run = self.apply({}, volumes=removed)
        self.assert_failed(run)
        self.assertEqual(run.state(REMOVALS)["comment"], f"{self.group.name}/vol-1 has snapshots: backup")
        self.assertEqual(self.group.names(), ["backup", "vol-1"])


class SaltCephRemovalsTest(Removals):
    def setUp(self):
        self.generation = 0
        self.node = SaltNode()
        self.addCleanup(self.node.remove)
        self.ceph = Ceph(self.node)
        self.addCleanup(self.ceph.stop)
        self.clusters = self.ceph.clusters
        self.node.site({})

    def images(self):
        return json.loads(self.node.run("rbd", "ls", "--format", "json", "rbd"))

    def test_an_image_in_a_pool(self):
        self.node.run("rbd", "create", "--size", "16M", "rbd/vol-1")
        self.node.run("rbd", "create", "--size", "16M", "rbd/foreign")
        removed = {uuid(1001): volume_tombstone(volume(1, "rbd", cluster="ceph", pool="rbd", image="vol-1"), LONG_AGO)}
        with subprocess.Popen(self.node.command("rbd", "watch", "rbd/vol-1"), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as elsewhere:
            try:
                elsewhere.stdout.readline()
                run = self.apply({}, volumes=removed)
            finally:
                # So that it says that it watches no more.
                elsewhere.stdin.close()
                elsewhere.wait()
        self.assert_failed(run)
        self.assertIn("still has watchers", run.state(REMOVALS)["comment"])
        for name in ("virtapi-a", "backup"):
            self.node.run("rbd", "snap", "create", "--no-progress", f"rbd/vol-1@{name}")
        run = self.apply({}, volumes=removed)
        self.assert_failed(run)
        self.assertIn("has snapshots", run.state(REMOVALS)["comment"])
        self.assertEqual(sorted(self.images()), ["foreign", "vol-1"])
        self.node.run("rbd", "snap", "rm", "--no-progress", "rbd/vol-1@backup")
        run = self.apply({}, volumes=removed)
        self.assert_ran(run, REMOVALS)
        self.assertEqual((self.images(), run.messages("observed")[0]["removed"]), (["foreign"], [uuid(1001)]))
        self.assert_settled()


if __name__ == "__main__":
    unittest.main()
