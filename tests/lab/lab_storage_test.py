"""Storage nodes converged by a real Puppet: monitors, managers and OSDs of a real Ceph, without systemd."""
import json
import re
import subprocess
import unittest

from lab_documents import document, vm, volume
from lab_documents import uuid as vm_uuid
from lab_node import wait_until
from lab_storage import MGR, MON, OSD, StorageNode, StorageTestCase, key, pool

UNCHANGED, CHANGED, FAILED, CHANGED_AND_FAILED = 0, 2, 4, 6


class StorageTest(StorageTestCase):
    node_class = StorageNode

    def run_on(self, node, expected, *flags, **more):
        run = node.converge(*flags, **more)
        self.assertEqual(run.status, expected, run.said)
        for secret in self.cluster.keys.values():
            self.assertNotIn(secret, self.told(run))
        return run

    @staticmethod
    def told(run):
        """What the agent says: before that comes what the compiler says, which explains at level debug what Hiera found."""
        return run.said.rpartition("Applying configuration version")[2] + run.report

    def converge(self, node=None, **more):
        """A run that changes something, and one that finds nothing to do."""
        node = node or self.node
        # With all that Puppet can say, among which there shall be no key.
        changed = self.run_on(node, CHANGED, "--debug", **more)
        again = self.run_on(node, UNCHANGED, "--debug", **more)
        # Of the monitor, what it is; of the cluster, its OSDs, their classes, pools, users; to tell, its quorum and OSDs.
        self.assertLessEqual(again.said.count("Executing: 'timeout 60 ceph "), 7, "whatever the number of OSDs and pools")
        self.assertEqual([meta["generation"] for meta in again.messages("applied")], [self.cluster.generation], again.said)
        return changed

    def test_one_node(self):
        self.mon(self.node)
        self.cluster.pools = [pool("rbd")]
        osds = [self.node.osd(), self.node.osd(device_class="ssd"), self.node.osd()]
        with self.subTest("noop shows, and changes nothing"):
            run = self.run_on(self.node, UNCHANGED, "--noop")
            for title in ("ceph/st01", *osds):
                self.assertRegex(run.said, rf"\[{title}\]/ensure: current_value 'absent', should be 'present' \(noop\)")
            self.assertEqual((run.messages("applied"), list(self.node.path("/var/lib/ceph/mon").iterdir())), ([], []))

        with self.subTest("to health in one run"):
            run = self.converge()
            self.assertEqual(len(run.messages("applied")), 1, run.said)
            up = {"up": True, "in": True}
            self.assertEqual(self.observed(run), {"mons": {"ceph": ["st01"]}, "osds": {"ceph": {"0": up, "1": up, "2": up}},
                                                  "unmanaged": {"osds": [], "pools": []}})
            self.wait_for_health()
            dump = self.node.ceph("osd", "dump")
            self.assertEqual({osd["uuid"] for osd in dump["osds"]}, set(osds))
            (made,) = [found for found in dump["pools"] if found["pool_name"] == "rbd"]
            self.assertEqual((made["size"], made["min_size"], made["pg_num"], made["application_metadata"]), (2, 1, 8, {"rbd": {}}))
            numbers = {osd["uuid"]: osd["osd"] for osd in dump["osds"]}
            classes = {osd["id"]: osd["device_class"] for osd in self.node.ceph("osd", "tree")["nodes"] if osd["type"] == "osd"}
            self.assertEqual(classes[numbers[osds[1]]], "ssd")
            (client,) = self.node.ceph("auth", "get", "client.libvirt")
            self.assertEqual((client["key"], client["caps"]), (self.cluster.keys["client"], {"mon": "profile rbd", "osd": "profile rbd pool=rbd"}))
            for user in self.node.ceph("auth", "ls")["auth_dump"]:
                self.assertNotIn(user["key"], self.told(run), user["entity"])
            for name in ("mon", "client.admin", "client.libvirt"):
                self.assertEqual(self.node.path(f"/etc/ceph/ceph.{name}.keyring").stat().st_mode & 0o777, 0o600, name)

        with self.subTest("what there is can be listed"):
            listed = "".join(self.node.resources(f"virtapi_ceph_{kind}") for kind in ("mon", "mgr", "osd", "pool", "keyring"))
            for expected in ("virtapi_ceph_mon { 'ceph/st01'", "virtapi_ceph_mgr { 'ceph/st01'", "virtapi_ceph_pool { 'ceph/rbd'",
                             "virtapi_ceph_keyring { 'ceph/client.libvirt'", *osds):
                self.assertIn(expected, listed)
            self.assertEqual(listed.count("=> 'up'"), 3)
            for secret in self.cluster.keys.values():
                self.assertNotIn(secret, listed)

        with self.subTest("what was killed comes back"):
            self.node.kill(OSD, 1)
            self.node.kill(MGR, "st01")
            run = self.run_on(self.node, UNCHANGED, "--noop")
            self.assertIn("current_value 'stopped', should be 'up' (noop)", run.said)
            self.assertEqual(self.node.daemon(OSD, 1), None)
            self.converge()
            self.assertTrue(self.node.daemon(OSD, 1) and self.node.daemon(MGR, "st01"))
            self.node.kill(MON, "st01")
            self.converge()
            self.wait_for_health()

        with self.subTest("a class changes"):
            self.node.osds[2]["device_class"] = "ssd"
            self.converge()

        with self.subTest("a pool more, one that is larger, and never fewer copies"):
            self.cluster.pools = [pool("rbd", size=3, min_size=2, pg_num=16), pool("more images", size=1)]
            self.converge()
            (client,) = self.node.ceph("auth", "get", "client.libvirt")
            self.assertEqual(client["caps"]["osd"], 'profile rbd pool=rbd, profile rbd pool="more images"')
            self.cluster.pools[0] = pool("rbd", size=2)
            for flags in ((), ("--noop",)):
                run = self.run_on(self.node, FAILED, *flags)
                self.assertIn("pool ceph/rbd has 3 copies and is to have 2: nothing here makes copies fewer", run.said)
                self.assertEqual(run.messages("applied"), [])

        with self.subTest("what the document does not have is left alone"):
            self.cluster.pools = [pool("rbd", size=3, min_size=2)]
            gone = self.node.osds.pop()["uuid"]
            run = self.run_on(self.node, CHANGED)
            self.assertEqual(re.findall(r"\]/(\w+): ", re.sub("virtapi: .*", "", run.said)), ["caps"])
            self.assertEqual(self.observed(run)["unmanaged"], {"osds": [f"ceph/{numbers[gone]}"], "pools": ["ceph/more images"]})
            self.assertTrue(self.node.daemon(OSD, numbers[gone]))

        with self.subTest("a key changes, and nobody sees it"):
            self.cluster.keys["client"] = key()
            self.node.settle()
            run = self.converge()
            self.assertRegex(run.said, r"client.libvirt\]/key: changed \[redacted\] to \[redacted\]")
            self.assertEqual(self.node.run("ceph", "auth", "get-key", "client.libvirt").strip(), self.cluster.keys["client"])

        with self.subTest("the last monitor stays"):
            # As on a node whose document has no monitor any more.
            run = self.node.apply(manifest="virtapi_ceph_mon { 'ceph/st01': ensure => absent }")
            self.assertEqual((run.status, self.quorum()), (FAILED, ["st01"]))
            self.assertIn("ceph/st01 is not taken away: it is the last one", run.said)

    def test_an_osd_is_drained_and_purged(self):
        self.mon(self.node)
        self.cluster.pools = [pool("rbd", size=3)]
        osds = [self.node.osd() for _ in range(3)]
        self.converge()
        self.wait_for_health()
        self.node.run("rbd", "create", "--size", "16M", "rbd/image")
        number = {osd["uuid"]: osd["osd"] for osd in self.node.ceph("osd", "dump")["osds"]}[osds[2]]
        absent = {"manifest": f"virtapi_ceph_osd {{ '{osds[2]}': ensure => absent, cluster => 'ceph' }}"}
        run = self.node.converge(**absent)
        self.assertIn("Duplicate declaration", run.said, "what the document has cannot be absent")

        self.node.osds.pop()
        run = self.run_on(self.node, UNCHANGED, "--noop", **absent)
        self.assertIn("current_value 'present', should be 'absent' (noop)", run.said)
        run = self.run_on(self.node, CHANGED, **absent)
        self.assertIn("ensure: out; its data moves away, and a later run purges it", run.said)
        # There is no room for its copies: that takes for ever, and each run says so and ends.
        for _ in range(2):
            run = self.run_on(self.node, UNCHANGED, **absent)
            self.assertRegex(run.said, rf"osd\.{number} .* is out and still needed: OSD\(s\) {number} have \d+ pgs currently mapped to them")
        self.assertTrue(self.node.daemon(OSD, number))

        self.node.osd()
        self.run_on(self.node, CHANGED, **absent)
        wait_until(lambda: "error" not in self.node.run("ceph", "osd", "safe-to-destroy", str(number), check=False)
                   and self.node.run("ceph", "osd", "ls").split() == ["0", "1", "2", "3"]
                   and "safe to destroy" in self.node.run("bash", "-c", f"ceph osd safe-to-destroy {number} 2>&1", check=False), 60,
                   "its data is elsewhere")
        run = self.run_on(self.node, CHANGED, **absent)
        self.assertIn("ensure: purged", run.said)
        self.assertEqual((self.node.daemon(OSD, number), self.node.path(f"/var/lib/ceph/osd/ceph-{number}").exists()), (None, False))
        self.assertNotIn(osds[2], json.dumps(self.node.ceph("osd", "dump")))
        self.run_on(self.node, UNCHANGED, **absent)
        self.wait_for_health()

    def test_several_monitors(self):
        second, third = self.another(), self.another()
        for node in (self.node, second):
            self.mon(node)
        with self.subTest("no cluster is made that the site does not ask for"):
            self.node.settle(bootstrap=())
            run = self.run_on(self.node, CHANGED_AND_FAILED)
            self.assertIn("it is made only where the site says so", run.said)
            self.assertEqual(list(self.node.path("/var/lib/ceph/mon").iterdir()), [])
            self.node.settle()

        with self.subTest("the first waits for the second"):
            run = self.run_on(self.node, FAILED)
            self.assertIn("ceph/st01 runs and is not in quorum (probing): it waits for st02", run.said)
            self.assertEqual((run.messages("applied"), run.messages("observed")), ([], [{}]))
            self.run_on(second, CHANGED)
            self.converge()
            self.assertEqual(self.quorum(), ["st01", "st02"])

        for node in self.nodes:
            node.settle(bootstrap=())
        with self.subTest("a third joins"):
            self.mon(third)
            self.converge(third)
            self.assertEqual(self.quorum(), ["st01", "st02", "st03"])
            self.converge()
            self.assertEqual([mon["public_addrs"]["addrvec"][0]["addr"] for mon in self.node.ceph("mon", "dump")["mons"]],
                             ["10.99.0.1:3300", "10.99.0.2:3300", "10.99.0.3:3300"])

        absent = {"manifest": "virtapi_ceph_mon { 'ceph/st03': ensure => absent } virtapi_ceph_mgr { 'ceph/st03': ensure => absent }"}
        with self.subTest("none goes without which there is no quorum"):
            second.kill(MON, "st02")
            wait_until(lambda: self.quorum() == ["st01", "st03"], 30, "the others see it")
            run = third.apply(**absent)
            self.assertEqual(run.status, FAILED, run.said)
            self.assertIn("ceph/st03 is not taken away: of the other 2 only 1 are in quorum, and 2 are needed", run.said)
            self.assertTrue(third.daemon(MON, "st03"))
            self.converge(second)

        with self.subTest("one goes, and the others stay"):
            run = third.apply(**absent)
            self.assertEqual(run.status, CHANGED, run.said)
            self.assertEqual((self.quorum(), third.daemon(MON, "st03"), third.daemon(MGR, "st03")), (["st01", "st02"], None, None))
            self.assertFalse(third.path("/var/lib/ceph/mon/ceph-st03").exists())
            self.assertEqual(third.apply(**absent).status, UNCHANGED)

        with self.subTest("another address is an error"):
            self.cluster.mons = {"st01": "10.99.0.9", "st02": second.address}
            run = self.run_on(self.node, CHANGED_AND_FAILED)
            self.assertIn("a monitor does not move", run.said)

    def test_devices(self):
        self.mon(self.node)
        self.node.settle(store="device")
        loops = [self.loop(number) for number in range(4)]
        self.node.run("mkfs.ext4", "-q", loops[1])
        one, other = self.node.osd(loops[0], db_device=loops[3]), self.node.osd(loops[1])
        with self.subTest("a disk that is not blank is not used"):
            run = self.run_on(self.node, CHANGED_AND_FAILED)
            self.assertIn(f"the OSD {other}: the device is not blank: ext4. Nothing here erases a disk", run.said)
            self.assertEqual(self.observed(run)["osds"], {"ceph": {"0": {"up": True, "in": True}}})
            self.assertEqual(self.node.run("blkid", "-p", "-o", "value", "-s", "TYPE", loops[1]).strip(), "ext4")
            self.node.osds.pop()
            self.run_on(self.node, UNCHANGED)
            # As Ceph's own tool makes them.
            listed = json.loads(self.node.run("ceph-volume", "raw", "list", loops[0], "--format", "json"))
            self.assertEqual((listed[one]["osd_id"], listed[one]["device"]), (0, loops[0]))
            self.assertIn("bluefs db", self.node.run("ceph-bluestore-tool", "show-label", "--dev", loops[3]))

        with self.subTest("a system that was installed anew"):
            self.node.kill(OSD, 0)
            self.node.run("rm", "-r", "/var/lib/ceph/osd/ceph-0")
            self.node.run("chown", "root:disk", loops[0])
            self.converge()
            self.assertTrue(self.node.daemon(OSD, 0))
            self.assertEqual([osd["uuid"] for osd in self.node.ceph("osd", "dump")["osds"]], [one])

        with self.subTest("a disk that was replaced"):
            self.node.kill(OSD, 0)
            self.node.run("rm", "-r", "/var/lib/ceph/osd/ceph-0")
            self.node.osds[0]["device"] = loops[2]
            run = self.run_on(self.node, FAILED)
            self.assertIn(f"osd.0 ({one}): the cluster has it as osd.0, and it is not here: it is lost", run.said)
            self.assertEqual(run.messages("applied"), [])

        with self.subTest("the disk of another"):
            self.node.osds.clear()
            self.node.osd(loops[0])
            run = self.run_on(self.node, FAILED)
            self.assertIn(f"the device is that of another OSD: {one}", run.said)

        with self.subTest("a run that was interrupted"):
            self.node.osds.clear()
            announced = self.node.osd(loops[2])
            secrets = json.dumps({"cephx_secret": key()})
            self.node.run("bash", "-c", 'ceph osd new "$1" -i - <<< "$2"', "sh", announced, secrets)
            self.converge()
            self.assertEqual(self.observed(self.node.converge())["osds"]["ceph"]["1"], {"up": True, "in": True})

    def loop(self, number):
        disk = self.node.dir / f"disk{number}"
        with disk.open("wb") as file:
            file.truncate(2 * 1024**3)
        loop = self.node.run("losetup", "-f", "--show", disk).strip()
        # It is the machine's. The kernel lets go of it when the daemon does that has it.
        self.addCleanup(subprocess.run, ["chown", "root:disk", loop], check=True)
        self.addCleanup(subprocess.run, ["losetup", "-d", loop], check=True)
        return loop

    def test_a_hypervisor_and_its_storage_in_one(self):
        self.mon(self.node)
        self.node.settle(store="memory")
        self.cluster.pools = [pool("rbd", size=1)]
        self.node.osd()
        disk = volume(1, "rbd", cluster="ceph", pool="rbd", image="vol-1")
        machine = document({vm_uuid(1): vm(9001, [], [disk])}, self.node.storage)["hypervisor"]
        run = self.converge(hypervisor=machine)
        self.assertEqual(self.node.virsh("domstate", "vm-9001").strip(), "running")
        self.assertEqual(self.node.virsh("secret-list").split()[0], self.cluster.fsid)
        seen = self.observed(run)
        self.assertEqual((seen["vms"], seen["mons"], seen["osds"]),
                         ({vm_uuid(1): "running"}, {"ceph": ["st01"]}, {"ceph": {"0": {"up": True, "in": True}}}))
        self.assertEqual(seen["unmanaged"], {"domains": [], "bridges": ["eth0"], "volumes": [], "osds": [], "pools": []})
        self.cluster.keys["client"] = key()
        self.node.settle(store="memory")
        self.converge(hypervisor=machine)
        self.assertEqual(self.node.virsh("secret-get-value", self.cluster.fsid).strip(), self.cluster.keys["client"])

    def test_images_that_were_removed(self):
        self.mon(self.node)
        self.node.settle(store="memory")
        self.cluster.pools = [pool("rbd", size=1)]
        self.node.osd()
        self.converge()
        for number in (1, 2, 3):
            self.node.run("rbd", "create", "--size", "16M", f"rbd/vol-{number}")
        self.node.run("rbd", "snap", "create", "rbd/vol-2@before")
        # It watches until it reads an end.
        watcher = subprocess.Popen(self.node.command("rbd", "watch", "rbd/vol-3"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.addCleanup(watcher.stdin.close)
        self.addCleanup(watcher.wait)
        self.addCleanup(watcher.kill)
        wait_until(lambda: json.loads(self.node.run("rbd", "status", "--format", "json", "rbd/vol-3"))["watchers"], 20, "a watcher")
        machine = document({}, self.node.storage)["hypervisor"]

        def removed(*images):
            volumes = {vm_uuid(number): {"type": "rbd", "cluster": "ceph", "pool": name, "image": f"vol-{number}",
                                         "not_before": "2020-01-01T00:00:00Z"} for name, number in images}
            return {**machine, "tombstones": {"vms": {}, "volumes": volumes}}

        # The first has brought libvirt the key.
        for expected, number, reason in ((CHANGED_AND_FAILED, 2, "image has snapshots"), (FAILED, 3, "image has watchers|still has watchers")):
            run = self.run_on(self.node, expected, hypervisor=removed(("rbd", number)))
            self.assertRegex(run.said, reason)
            self.assertNotIn("removed", self.observed(run))
        run = self.converge(hypervisor=removed(("rbd", 1), ("rbd", 4), ("gone", 5)))
        self.assertEqual(self.observed(run)["removed"], [vm_uuid(number) for number in (1, 4, 5)])
        self.assertEqual(json.loads(self.node.run("rbd", "ls", "--format", "json", "rbd")), ["vol-2", "vol-3"])


if __name__ == "__main__":
    unittest.main()
