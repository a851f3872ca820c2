"""What must become of the snapshots of a machine's volumes, whichever tool converges it: `converge` is the tests' own, a run that
changes something and one that does not; `fail_once` one in which something fails, `dry_run` one that only shows, each with what it has
said."""
import json

from lab_ceph import Ceph
from lab_documents import MIB, document, uuid, vm, volume

PAST, OVER, FUTURE = "2020-12-01T02:00:00Z", "2020-12-02T02:00:00Z", "2099-12-01T02:00:00Z"


def snapshot(name, take_at=PAST, keep_until=None):
    return {"name": name, "take_at": take_at, "keep_until": keep_until}


class SnapshotsScenario:
    """The steps; `self.node` is the hypervisor."""

    def file(self, *snapshots, number=1, size=16 * MIB, **other):
        return {**volume(number, "qcow2", size, path=f"{self.node.storage}/vol-{number}.qcow2"), **other, "snapshots": list(snapshots)}

    def image(self, *snapshots, size=16 * MIB, **other):
        return {**volume(2, "rbd", size, cluster="ceph", pool="rbd", image="vol-2"), **other, "snapshots": list(snapshots)}

    def document(self, *volumes, **machine):
        clusters = self.ceph.clusters if any(each["type"] == "rbd" for each in volumes) else None
        self.node.document(document({uuid(1): vm(9001, [], volumes, **machine)}, self.node.storage, clusters=clusters))

    def start_ceph(self):
        self.ceph = Ceph(self.node)
        self.addCleanup(self.ceph.stop)

    def write(self, place, byte, kind="qcow2"):
        """What a guest would write, when it does not run."""
        self.node.run("qemu-io", "-f", kind, "-c", f"write -P {byte} 1M 64k", place)

    def guest_writes(self, byte, number=1):
        """The same while it runs: QEMU itself writes, and tells only its own log."""
        device = f"/machine/peripheral/ua-{uuid(1000 + number)}/virtio-backend"
        self.node.virsh("qemu-monitor-command", "vm-9001", "--hmp", f'qemu-io -d {device} "write -P {byte} 1M 64k"')

    def assert_holds(self, place, byte, kind="qcow2"):
        """What is there, whether or not QEMU has it open."""
        said = self.node.run("qemu-io", "-U", "-r", "-f", kind, "-c", f"read -P {byte} 1M 64k", place)
        self.assertIn("read 65536/65536", said)
        self.assertNotIn("verification failed", said)

    def assert_image_holds(self, byte):
        copy = self.node.dir / "copy"
        copy.unlink(missing_ok=True)
        self.node.run("rbd", "export", "--no-progress", "rbd/vol-2", copy)
        self.assert_holds(copy, byte, "raw")

    def of_file(self, number=1):
        listed = json.loads(self.node.run("qemu-img", "info", "-U", "--output=json", f"{self.node.storage}/vol-{number}.qcow2"))
        return sorted(each["name"] for each in listed.get("snapshots", []))

    def of_image(self):
        return sorted(each["name"] for each in json.loads(self.node.run("rbd", "snap", "ls", "--format", "json", "rbd/vol-2")))

    def test_of_a_file(self):
        place = f"{self.node.storage}/vol-1.qcow2"
        with self.subTest("off"):
            self.document(self.file(snapshot("first"), snapshot("later", FUTURE)), state="stopped")
            self.converge()
            self.assertEqual(self.of_file(), ["virtapi-first"])
            self.write(place, 7)
        with self.subTest("its machine runs"):
            self.document(self.file(snapshot("first")))
            self.converge()
            self.document(self.file(snapshot("first"), snapshot("second")))
            self.converge()
            self.guest_writes(9)
            self.document(self.file(snapshot("first"), snapshot("third"), size=32 * MIB))
            self.converge()
            self.assertEqual(self.of_file(), ["virtapi-first", "virtapi-second", "virtapi-third"])
            self.assertEqual(self.node.virsh("domstate", "vm-9001").strip(), "running")
        with self.subTest("it is over while the machine runs; what the document does not name stays"):
            self.document(self.file(snapshot("first", PAST, OVER), snapshot("third"), size=32 * MIB))
            self.converge()
            self.assertEqual(self.of_file(), ["virtapi-second", "virtapi-third"])
        with self.subTest("it is over when the machine is off"):
            self.node.virsh("destroy", "vm-9001")
            self.document(self.file(snapshot("second", PAST, OVER), snapshot("third"), size=32 * MIB), state="stopped")
            self.converge()
            self.assertEqual(self.of_file(), ["virtapi-third"])
        with self.subTest("others are not taken, and all else goes on"):
            raw = {**volume(2, "raw", path=f"{self.node.storage}/vol-2.raw"), "snapshots": [snapshot("a")]}
            self.document(self.file(size=32 * MIB), raw)
            self.assertIn("snapshots of raw volumes are not taken", self.fail_once())
            self.assertEqual(self.node.virsh("domstate", "vm-9001").strip(), "running")
        with self.subTest("what each of them holds"):
            self.node.virsh("destroy", "vm-9001")
            self.write(place, 5)
            self.node.run("qemu-img", "snapshot", "-a", "virtapi-third", place)
            self.assert_holds(place, 9)

    def test_of_an_image(self):
        self.start_ceph()
        self.document(self.image(snapshot("first"), snapshot("later", FUTURE)), state="stopped")
        self.converge()
        self.document(self.image(snapshot("first"), snapshot("second")))
        self.converge()
        self.node.run("rbd", "snap", "create", "--no-progress", "rbd/vol-2@backup")
        self.assertEqual(self.of_image(), ["backup", "virtapi-first", "virtapi-second"])
        self.document(self.image(snapshot("first", PAST, OVER)))
        self.converge()
        self.assertEqual(self.of_image(), ["backup", "virtapi-second"])
        self.assertEqual(self.node.virsh("domstate", "vm-9001").strip(), "running")
        with self.subTest("they go with the image, where none is of others"):
            wanted = document({}, self.node.storage, clusters=self.ceph.clusters)
            gone = {"type": "rbd", "cluster": "ceph", "pool": "rbd", "image": "vol-2", "not_before": PAST}
            wanted["hypervisor"]["tombstones"] = {"vms": {uuid(1): {"name": "guest", "domain": "vm-9001", "not_before": PAST}},
                                                  "volumes": {uuid(1002): gone}}
            self.node.document(wanted)
            self.assertIn("image has snapshots", self.fail_once())
            self.assertEqual(self.of_image(), ["backup", "virtapi-second"])
            self.node.run("rbd", "snap", "rm", "--no-progress", "rbd/vol-2@backup")
            self.converge()
            self.assertEqual(json.loads(self.node.run("rbd", "ls", "--format", "json", "rbd")), [])

    def test_a_file_is_restored(self):
        place = f"{self.node.storage}/vol-1.qcow2"

        self.restore(self.file, lambda byte: self.write(place, byte), lambda byte: self.assert_holds(place, byte), 1)
        found = json.loads(self.node.run("qemu-img", "info", "--output=json", place))
        self.assertEqual(found["virtual-size"], 32 * MIB)
        self.node.run("qemu-img", "check", place)

    def test_an_image_is_restored(self):
        self.start_ceph()
        self.restore(self.image, lambda byte: self.write("rbd:rbd/vol-2", byte, "raw"), self.assert_image_holds, 2)
        self.assertEqual(json.loads(self.node.run("rbd", "info", "--format", "json", "rbd/vol-2"))["size"], 32 * MIB)

    def restore(self, disk, write, assert_holds, number):
        """`write` is for a machine that is off, `number` that of the volume."""
        first = snapshot("first")
        self.document(disk(), restarts=1, state="stopped")
        self.converge()
        write(7)
        self.document(disk(first), restarts=1)
        self.converge()
        self.guest_writes(9, number)
        # It has grown since.
        self.document(disk(first, size=32 * MIB), restarts=1)
        self.converge()
        guest = self.node.guest("vm-9001")
        with self.subTest("a snapshot that is not there"):
            self.document(disk(first, size=32 * MIB, restore={"snapshot": "lost", "number": 1}), restarts=2)
            self.assertIn("has no snapshot virtapi-lost: nothing is restored", self.fail_once())
            self.assertEqual(self.node.guest("vm-9001"), guest)
        with self.subTest("a machine that runs"):
            self.document(disk(first, size=32 * MIB, restore={"snapshot": "first", "number": 1}), restarts=2)
            self.assertRegex(self.dry_run(), "restore")
            assert_holds(9)
            self.assertEqual(self.node.guest("vm-9001"), guest)
            self.converge()
            self.assertNotIn(self.node.guest("vm-9001"), (guest, None))
            assert_holds(7)
        with self.subTest("nothing is restored twice"):
            self.guest_writes(3, number)
            self.document(disk(first, size=32 * MIB, restore={"snapshot": "first", "number": 1}), restarts=3)
            self.converge()
            assert_holds(3)
        with self.subTest("one that is to be stopped, which takes another snapshot before"):
            second = snapshot("second")
            self.document(disk(first, second, size=32 * MIB, restore={"snapshot": "first", "number": 2}), restarts=4, state="stopped")
            self.converge()
            assert_holds(7)
            self.assertEqual(self.node.virsh("domstate", "vm-9001").strip(), "shut off")
        with self.subTest("one that is off"):
            self.document(disk(first, second, size=32 * MIB, restore={"snapshot": "second", "number": 3}), restarts=5, state="stopped")
            self.converge()
            assert_holds(3)
            self.assertIsNone(self.node.guest("vm-9001"))
        self.assertRegex(self.node.virsh("metadata", "vm-9001", "--uri", "urn:virtapi", "--config"), f"{uuid(1000 + number)}.*restore=.3.")
