"""What a run of Puppet does where a volume of a machine is to be brought back to a snapshot; with stand-ins for virsh, qemu-img and
rbd."""
import re
import unittest

from puppet_hypervisor_test import UUID, volume
from puppet_snapshots_test import MON, PAST, StorageTest, snapshot

FILE, IMAGE, FOREIGN = (volume(number)["uuid"] for number in (1, 2, 9))
FIRST = ["define", "autostart", "start"]
CLUSTERS = {"ceph": {"fsid": UUID, "mons": [MON]}}


def to(number, name="a"):
    return {"snapshot": name, "number": number}


class RestoresTest(StorageTest):
    def setUp(self):
        super().setUp()
        old = {"virtapi-a": {"size": 1, "data": "old"}}
        self.held(size=4, data="new", snapshots=old)
        self.image(size=4, data="new", snapshots=old)

    def machine(self, restarts, restore=None, image=None, **other):
        """The parameters of a machine with the file and the image."""
        disks = [self.qcow2(size_bytes=4, restore=restore),
                 {**volume(2, type="rbd", size_bytes=4, restore=image), "cluster": "ceph", "pool": "rbd", "image": "vol-2"}]
        return {"restarts": restarts, "volumes": disks, "clusters": CLUSTERS, **other}

    def commands(self, *given, **other):
        """A run: what was done by each program, in short."""
        self.run_once(**self.machine(*given, **other))
        return [short(line) for line in self.asked.read_text(encoding="utf-8").splitlines() if not LOOKS.search(line)]

    def done(self, commands, *given, **other):
        """A run that gives these commands, and one that gives none."""
        self.assertEqual(self.commands(*given, **other), commands, self.answer)
        changed, said = self.answer["changed"], self.said("warning", "err")
        self.assertEqual((self.answer["failed"], self.commands(*given, **other), self.answer["changed"]), (False, [], []), self.answer)
        return changed, said

    def kept(self):
        """Numbers that the domain keeps: of restarts, and of each volume."""
        text = self.domain()["defined"]
        found = re.search("<(?:virtapi:)?vm[^>]*restarts=['\"](\\d+)", text)
        return found and int(found[1]), {uuid: int(number) for uuid, number in re.findall("volume uuid=['\"](.*?)['\"] restore=['\"](\\d+)", text)}

    def assert_restored(self, size=4):
        for now in (self.held(), self.image()):
            self.assertEqual((now["data"], now["size"]), ("old", size))

    def assert_untouched(self):
        self.assertEqual((self.held()["data"], self.image()["data"]), ("new", "new"))

    def test_a_machine_that_runs(self):
        self.done(FIRST, 1)
        self.assertEqual(self.kept(), (1, {}))
        self.assertEqual(self.commands(2, to(1), to(1), noop=True), [])
        self.assertIn(f"current_value [], should be [{FILE} a 1, {IMAGE} a 1] (noop)", str(self.answer["messages"]))
        self.assert_untouched()
        # Of what its guest shall not see any more, nothing is kept: the volumes are restored while it is off.
        changed, said = self.done(["define", "shutdown", OFF, *RESTORE_FILE, *RESTORE_IMAGE, ON, "start"], 2, to(1), to(1))
        self.assertEqual((changed, said), (["restarts", "restore"], []))
        self.assertEqual(self.kept(), (2, {FILE: 1, IMAGE: 1}))
        self.assert_restored()
        # Once for each number.
        self.held(data="new")
        self.done(["define", "shutdown", "start"], 3, to(1), to(1))
        self.assertEqual(self.held()["data"], "new")
        self.done(["define", "shutdown", OFF, *RESTORE_FILE, ON, "start"], 4, to(5), to(1))
        self.assertEqual(self.held()["data"], "old")

    def test_a_machine_that_does_not_run(self):
        self.done(FIRST, 1)
        self.done(["autostart --disable", "shutdown"], 1, state="stopped")
        self.assertEqual(self.done(["define", *RESTORE_FILE], 2, to(1), state="stopped")[0], ["restarts", "restore"])
        self.assertEqual(self.held()["data"], "old")
        # To be started, and to be stopped.
        self.done([ON, OFF, *RESTORE_IMAGE, ON, "start"], 2, to(1), to(1))
        self.held(size=1, data="new")
        self.done(["define", "autostart --disable", "shutdown", *RESTORE_FILE], 3, to(2), to(1), state="stopped")
        self.assertEqual(self.kept(), (3, {FILE: 2, IMAGE: 1}))
        self.held(data="new")
        self.done(RESTORE_FILE, 3, to(3), to(1), state="maintenance", autostart="false")

    def test_a_snapshot_that_is_not_there(self):
        self.done(FIRST, 1)
        for given in ((to(1, "b"),), (None, to(1, "b")), (to(1), to(1, "b"))):
            self.assertEqual(self.commands(2, *given, cores=2), [])
            self.assertRegex(self.said("err")[0], "vm-7: (.*vol-1.qcow2|rbd/vol-2) has no snapshot virtapi-b: nothing is restored")
            self.assertEqual((self.domain()["state"], self.kept()), ("running (booted)", (1, {})))
        self.assert_untouched()
        raw = volume(3, restore=to(1))
        self.run_once(restarts=2, volumes=[raw])
        self.run_once(restarts=3, volumes=[{**raw, "restore": to(2)}])
        self.assertIn("/srv/vol-3.raw: snapshots of raw volumes are not taken", self.said("err")[0])
        self.assertEqual(self.domain()["state"], "running (booted)")

    def test_one_that_fails_is_not_started(self):
        self.done(FIRST, 1)
        self.image(broken="rollback")
        commands = ["define", "shutdown", OFF, *RESTORE_FILE, "rbd rollback"]
        self.assertEqual(self.commands(2, to(1), to(1)), commands)
        self.assertIn("Connection timed out", self.said("err")[0])
        now = self.domain()
        self.assertEqual((now["state"], now["autostart"], self.kept()), ("shut off (shutdown)", False, (2, {FILE: 1})))
        # What is not done is done again, and nothing else.
        self.assertEqual(self.commands(2, to(1), to(1)), [ON, OFF, "rbd rollback"])
        self.assertTrue(self.answer["failed"])
        self.image(broken=None)
        self.done([ON, OFF, *RESTORE_IMAGE, ON, "start"], 2, to(1), to(1))
        self.assert_restored()
        # It was restored, and could not be kept.
        self.domain(refuses=["metadata"])
        self.assertEqual(self.commands(3, to(2), to(1)), ["define", "shutdown", OFF, *RESTORE_FILE])
        self.assertEqual((self.answer["failed"], self.kept()), (True, (3, {FILE: 1, IMAGE: 1})))
        self.domain(refuses=[])
        self.done([ON, OFF, *RESTORE_FILE, ON, "start"], 3, to(2), to(1))

    def test_nobody_else_may_have_the_image_open(self):
        self.done(FIRST, 1)
        self.domain(deaf=["shutdown", "destroy"])
        self.assertEqual(self.commands(2, to(1)), ["define", "shutdown", "destroy", OFF, "qemu-img -a"])
        self.assertIn('Failed to get "write" lock', self.said("err")[-1])
        self.assert_untouched()

    def test_nothing_is_restored_that_is_new(self):
        self.done(FIRST, 7, to(3))
        self.assertEqual(self.kept(), (7, {FILE: 3}))
        # Another volume comes to the machine, with a number of its own.
        self.done(["autostart --disable", "shutdown"], 7, to(3), state="stopped")
        self.domain(defined=self.domain()["defined"].replace(IMAGE, FOREIGN).replace("rbd/vol-2", "rbd/vol-9"))
        self.assertNotIn(IMAGE, self.domain()["defined"])
        self.done(["define"], 7, to(3), to(8), state="stopped")
        self.assertEqual(self.kept(), (7, {FILE: 3, IMAGE: 8}))
        self.assert_untouched()

    def test_nothing_is_restored_of_an_older_agent(self):
        self.done(FIRST, None)
        self.assertEqual(self.kept(), (None, {}))
        self.done(["define", "metadata --live"], 4, to(4))
        self.assertEqual(self.kept(), (4, {FILE: 4}))
        self.assert_untouched()

    def test_a_machine_that_runs_and_is_not_restarted(self):
        self.done(FIRST, 1)
        for _ in range(2):
            self.commands(1, to(1))
            self.assertEqual(self.said("warning", "err"), [f"vm-7: restart needed: volume {FILE} is to be restored"])
        for _ in range(2):
            self.commands(2, to(1), state="maintenance", autostart="true")
            self.assertIn(f"volume {FILE} is to be restored", self.said("warning")[0])
        self.assert_untouched()
        self.done(["shutdown", OFF, *RESTORE_FILE, ON, "start"], 2, to(1))

    def test_the_memory_of_what_the_disks_were_is_forgotten(self):
        self.done(FIRST, 1)
        self.domain(state="shut off (saved)")
        self.done(["define", "managedsave-remove", OFF, *RESTORE_FILE, ON, "start"], 2, to(1))

    def test_what_a_restore_waits_for_stays(self):
        self.done(FIRST, 1)
        over = snapshot("a", PAST, "2020-12-02T02:00:00Z")
        self.assertEqual(self.snapshots(over, restore=to(1)), [])
        self.assertEqual(len(self.snapshots(over, restore=to(1, "b"))), 1)
        self.held(snapshots={"virtapi-a": {"size": 4, "data": "old"}})
        self.done(["define", "shutdown", OFF, "qemu-img -a", "metadata --config", ON, "start"], 2, to(1))
        self.assertEqual(len(self.snapshots(over, restore=to(1))), 1)
        self.nothing_to_do(self.snapshots, over)


LOOKS = re.compile("^-q -c qemu:///system (list|echo|dumpxml|nwfilter-list)|^rbd .* (ls|status|info) ")


def short(line):
    """A program, and what for; virsh is the one that it goes without saying."""
    words = line.removeprefix("-q -c qemu:///system ").split()
    told = ("-a", "resize", "rollback", "--live", "--config", "--disable")
    return " ".join([words[0], *(word for word in words[1:] if word in told)])


ON, OFF = "autostart", "autostart --disable"
RESTORE_FILE = ["qemu-img -a", "qemu-img resize", "metadata --config"]
RESTORE_IMAGE = ["rbd rollback", "rbd resize", "metadata --config"]

if __name__ == "__main__":
    unittest.main()
