"""What a run of Puppet does to the snapshots of one volume; with stand-ins for virsh, qemu-img and rbd."""
import json
import unittest

import storage_stand_in
from puppet_domain_test import DomainTest
from puppet_hypervisor_test import UUID, volume
from puppet_sandbox import ROOT

PAST, FUTURE = "2020-12-01T02:00:00Z", "2099-12-01T02:00:00Z"
MON = {"fqdn": "st01.example.com", "name": "st01", "address": "10.1.0.11", "port": 6789}


def snapshot(name, take_at=PAST, keep_until=None):
    return {"name": name, "take_at": take_at, "keep_until": keep_until}


class StorageTest(DomainTest):
    """A hypervisor with a qcow2 file, and a pool with an image."""

    def setUp(self):
        super().setUp()
        for name in ("qemu-img", "rbd"):
            program = self.dir / name
            program.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.asked}\n'
                               f'exec python3 {ROOT}/tests/agents/storage_stand_in.py {self.dir} {name} "$@"\n', encoding="utf-8")
            program.chmod(0o755)
        self.file = self.dir / "vol-1.qcow2"
        storage_stand_in.hold(self.file, {"size": 1, "data": "old", "snapshots": {}})
        self.images({"rbd/vol-2": {"size": 1, "data": "old", "snapshots": {}}})

    def images(self, images):
        (self.dir / "images.json").write_text(json.dumps(images), encoding="utf-8")

    def image(self, **changes):
        images = json.loads((self.dir / "images.json").read_text(encoding="utf-8"))
        images["rbd/vol-2"].update(changes)
        self.images(images)
        return images["rbd/vol-2"]

    def held(self, **changes):
        now = {**storage_stand_in.held(self.file), **changes}
        storage_stand_in.hold(self.file, now)
        return now

    def qcow2(self, **other):
        return volume(1, type="qcow2", path=str(self.file), **other)

    def snapshots(self, *snapshots, **parameters):
        """A run over the snapshots of the file: the commands that change something."""
        given = {"uuid": volume(1)["uuid"], "vm": UUID, "type": "qcow2", "place": str(self.file), "snapshots": snapshots, **parameters}
        self.apply("virtapi_snapshots", given)
        asked = [line.replace(UUID, "UUID") for line in self.asked.read_text(encoding="utf-8").splitlines()]
        looks = ("list", "echo", "rbd", "query-block")
        self.looks = [line for line in asked if any(look in line for look in looks) and " snap " not in line]
        return [line for line in asked if line not in self.looks and " snap ls " not in line]

    def of_pool(self, *snapshots, **parameters):
        given = {"uuid": volume(2)["uuid"], "type": "rbd", "place": "rbd/vol-2", "cluster": "ceph", "mons": [MON], **parameters}
        return [line[line.index(" snap "):] for line in self.snapshots(*snapshots, **given)]

    def nothing_to_do(self, run, *snapshots):
        self.assertEqual((run(*snapshots), self.answer), ([], {"messages": [], "changed": [], "failed": False}))


class SnapshotsTest(StorageTest):
    def test_of_a_machine_that_is_off(self):
        new, old = snapshot("new"), snapshot("old", PAST, "2020-12-02T02:00:00Z")
        self.held(snapshots={name: {} for name in ("virtapi-old", "virtapi-unknown", "old", "ß" * 9)})
        self.assertEqual(self.snapshots(new, old, noop=True), [])
        self.assertIn("current_value 'take virtapi-new, delete virtapi-old', should be 'none' (noop)", str(self.answer["messages"]))
        self.assertEqual(self.snapshots(new, old, snapshot("later", FUTURE)),
                         [f"qemu-img snapshot -q -c virtapi-new {self.file}", f"qemu-img snapshot -q -d virtapi-old {self.file}"])
        self.assertEqual(list(self.held()["snapshots"]), ["virtapi-unknown", "old", "ß" * 9, "virtapi-new"])
        self.nothing_to_do(self.snapshots, new, old)
        self.assertEqual(self.looks, [], "what is in the file is read there")

    def test_of_a_machine_that_runs(self):
        self.converge(["define", "autostart", "start"], volumes=[volume(3), self.qcow2()])
        self.held(snapshots={"virtapi-old": {}})
        new, old = snapshot("new"), snapshot("old", PAST, "2020-12-02T02:00:00Z")
        arguments = '"arguments":{"device":"node-ua-%s","name":"virtapi-%s"}'
        monitor = "-q -c qemu:///system qemu-monitor-command UUID "
        self.assertEqual(self.snapshots(new, old), [
            f'{monitor}{{"execute":"blockdev-snapshot-internal-sync",{arguments % (volume(1)["uuid"], "new")}}}',
            f'{monitor}{{"execute":"blockdev-snapshot-delete-internal-sync",{arguments % (volume(1)["uuid"], "old")}}}'])
        self.assertEqual(list(self.held()["snapshots"]), ["virtapi-new"])
        self.nothing_to_do(self.snapshots, new, old)
        self.held(broken=True)
        self.snapshots(snapshot("more"))
        self.assertIn("blockdev-snapshot-internal-sync: virtapi-more: No space left on device", self.said("err")[0])

    def test_nobody_writes_to_an_image_that_another_machine_has_open(self):
        self.converge(["define", "autostart", "start"], volumes=[self.qcow2()])
        self.snapshots(snapshot("a"), vm=UUID.replace("0", "1"))
        self.assertIn('Failed to get "write" lock', self.said("err")[0])
        self.assertEqual(self.held()["snapshots"], {})

    def test_one_that_fails_does_not_keep_the_others(self):
        self.held(snapshots={"virtapi-old": {}}, forgetful=True)
        self.snapshots(snapshot("new"), snapshot("old", PAST, "2020-12-02T02:00:00Z"))
        self.assertEqual(self.held()["snapshots"], {})
        self.assertIn(f"{self.file}: virtapi-new was taken, and is not there", self.said("err")[0])
        self.held(broken=True)
        self.snapshots(snapshot("new"), snapshot("newer"))
        self.assertRegex(self.said("err")[0], "virtapi-new: .*No space left.*; virtapi-newer: .*No space left")

    def test_in_a_pool(self):
        self.image(snapshots={"virtapi-old": {}, "virtapi-unknown": {}, "backup": {}})
        new, old = snapshot("new"), snapshot("old", PAST, "2020-12-02T02:00:00Z")
        self.assertEqual(self.of_pool(new, old), [" snap create --no-progress rbd/vol-2@virtapi-new", " snap rm --no-progress rbd/vol-2@virtapi-old"])
        self.assertEqual(list(self.image()["snapshots"]), ["virtapi-unknown", "backup", "virtapi-new"])
        self.nothing_to_do(self.of_pool, new, old)
        self.assertEqual(len(self.looks), 1)
        self.image(broken=True)
        self.of_pool(snapshot("more"))
        self.assertIn("Connection timed out", self.said("err")[0])
        self.of_pool(new, mons=[])
        self.assertIn("the document has no monitors of cluster ceph", self.said("err")[0])

    def test_no_others_are_taken(self):
        for kind, place in (("raw", "/srv/a.raw"), ("lvm", "vg0/a"), ("zfs", "/srv/a")):
            self.assertEqual(self.snapshots(snapshot("a"), type=kind, place=place), [])
            self.assertIn(f"{place}: snapshots of {kind} volumes are not taken", self.said("err")[0])

    def test_a_file_that_is_none(self):
        for content, reason in ((b"", "cannot be read"), (b"raw" * 99, "is no qcow2")):
            self.file.write_bytes(content)
            self.assertEqual(self.snapshots(snapshot("a")), [])
            self.assertIn(reason, str(self.said("err")))
        self.held(snapshots={"virtapi-a": {}})
        self.file.write_bytes(self.file.read_bytes()[:-8])
        self.snapshots(snapshot("a"))
        self.assertIn("its snapshots cannot be read", self.said("err")[0])
        self.file.unlink()
        self.assertEqual(self.snapshots(snapshot("a"), noop=True), [])
        self.assertIn("take virtapi-a", str(self.answer["messages"]), "it would be made before")


if __name__ == "__main__":
    unittest.main()
