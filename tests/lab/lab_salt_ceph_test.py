"""Storage nodes converged by a real Salt: monitors, managers and OSDs of a real Ceph, without systemd."""
import json
import subprocess
import unittest

from lab_documents import document, vm, volume
from lab_documents import uuid as vm_uuid
from lab_node import wait_until
from lab_salt_ceph import SaltStorageNode
from lab_storage import MGR, MON, OSD, StorageTestCase, key, pool

MONITOR, MANAGER = "virtapi_ceph_mon", "virtapi_ceph_mgr"
SETTINGS = "virtapi_ceph_settings_ceph"
ADMIN, CLIENT, MONS = (f"virtapi_ceph_keyring_ceph/{name}" for name in ("client.admin", "client.libvirt", "mon."))
OF_MONITOR = [ADMIN, CLIENT, MONS, MANAGER, MONITOR, SETTINGS]
UP = {"up": True, "in": True}


def osd(uuid):
    return f"virtapi_ceph_osd_{uuid}"


def of_pool(name):
    return f"virtapi_ceph_pool_ceph/{name}"


class SaltStorageTest(StorageTestCase):
    node_class = SaltStorageNode

    def run_on(self, node, *words, changed=(), failed=(), would=(), **more):
        """A run that does just this; neither what it returns nor its log has a key."""
        run = node.converge(*words, **more)
        self.assertEqual((run.changed, run.failed, run.would), (sorted(changed), sorted(failed), sorted(would)), run.said)
        log = node.log.read_text(encoding="utf-8", errors="replace")
        for secret in self.cluster.keys.values():
            self.assertNotIn(secret, run.said)
            self.assertNotIn(secret, log)
        return run

    def converge(self, *changed, node=None, **more):
        """A run that changes this, and one that finds nothing to do."""
        node = node or self.node
        done = self.run_on(node, changed=changed, **more)
        again = self.run_on(node, **more)
        self.assertEqual([meta["generation"] for meta in again.messages("applied")], [self.cluster.generation], again.said)
        return done

    def test_one_node(self):
        self.mon(self.node)
        self.cluster.pools = [pool("rbd")]
        osds = [self.node.osd(), self.node.osd(device_class="ssd"), self.node.osd()]
        everything = [*OF_MONITOR, of_pool("rbd"), *map(osd, osds)]
        with self.subTest("a dry run shows, and changes nothing"):
            run = self.run_on(self.node, "test=True", would=everything)
            self.assertEqual(run.state(osd(osds[0]))["changes"], {"osd": {"old": "absent", "new": "present"}})
            self.assertEqual((run.messages("applied"), list(self.node.path("/var/lib/ceph/mon").iterdir())), ([], []))

        with self.subTest("to health in one run"):
            run = self.converge(*everything)
            self.assertEqual(len(run.messages("applied")), 1, run.said)
            self.assertEqual(self.observed(run), {"mons": {"ceph": ["st01"]}, "osds": {"ceph": {"0": UP, "1": UP, "2": UP}},
                                                  "unmanaged": {"osds": [], "pools": []}})
            self.wait_for_health()
            dump = self.node.ceph("osd", "dump")
            self.assertEqual({found["uuid"] for found in dump["osds"]}, set(osds))
            (made,) = [found for found in dump["pools"] if found["pool_name"] == "rbd"]
            self.assertEqual((made["size"], made["min_size"], made["pg_num"], made["application_metadata"]), (2, 1, 8, {"rbd": {}}))
            numbers = {found["uuid"]: found["osd"] for found in dump["osds"]}
            classes = {found["id"]: found["device_class"] for found in self.node.ceph("osd", "tree")["nodes"] if found["type"] == "osd"}
            self.assertEqual(classes[numbers[osds[1]]], "ssd")
            (client,) = self.node.ceph("auth", "get", "client.libvirt")
            self.assertEqual((client["key"], client["caps"]), (self.cluster.keys["client"], {"mon": "profile rbd", "osd": "profile rbd pool=rbd"}))
            log = self.node.log.read_text(encoding="utf-8", errors="replace")
            for user in self.node.ceph("auth", "ls")["auth_dump"]:
                self.assertNotIn(user["key"], run.said + log, user["entity"])
            for name in ("mon", "client.admin", "client.libvirt"):
                self.assertEqual(self.node.path(f"/etc/ceph/ceph.{name}.keyring").stat().st_mode & 0o777, 0o600, name)

        with self.subTest("what was killed comes back"):
            self.node.kill(OSD, 1)
            self.node.kill(MGR, "st01")
            stopped = next(uuid for uuid in osds if numbers[uuid] == 1)
            run = self.run_on(self.node, "test=True", would=[osd(stopped), MANAGER])
            self.assertEqual(run.state(osd(stopped))["changes"], {"state": {"old": "stopped", "new": "up"}})
            self.assertEqual(self.node.daemon(OSD, 1), None)
            self.converge(osd(stopped), MANAGER)
            self.assertTrue(self.node.daemon(OSD, 1) and self.node.daemon(MGR, "st01"))
            self.node.kill(MON, "st01")
            self.converge(MONITOR)
            self.wait_for_health()

        with self.subTest("a class changes"):
            self.node.osds[2]["device_class"] = "ssd"
            self.converge(osd(osds[2]))

        with self.subTest("a pool more, one that is larger, and never fewer copies"):
            self.cluster.pools = [pool("rbd", size=3, min_size=2, pg_num=16), pool("more images", size=1)]
            self.converge(of_pool("rbd"), of_pool("more images"), CLIENT)
            (client,) = self.node.ceph("auth", "get", "client.libvirt")
            self.assertEqual(client["caps"]["osd"], 'profile rbd pool=rbd, profile rbd pool="more images"')
            self.cluster.pools[0] = pool("rbd", size=2)
            for words in ((), ("test=True",)):
                run = self.run_on(self.node, *words, failed=[of_pool("rbd")])
                self.assertEqual(run.state(of_pool("rbd"))["comment"],
                                 "pool ceph/rbd has 3 copies and is to have 2: nothing here makes copies fewer")
                self.assertEqual(run.messages("applied"), [])

        with self.subTest("what the document does not have is left alone"):
            self.cluster.pools = [pool("rbd", size=3, min_size=2)]
            gone = self.node.osds.pop()["uuid"]
            run = self.run_on(self.node, changed=[CLIENT])
            self.assertEqual(self.observed(run)["unmanaged"], {"osds": [f"ceph/{numbers[gone]}"], "pools": ["ceph/more images"]})
            self.assertTrue(self.node.daemon(OSD, numbers[gone]))

        with self.subTest("a key changes, and nobody sees it"):
            self.cluster.keys["client"] = key()
            self.node.settle()
            run = self.converge(CLIENT)
            self.assertEqual(run.state(CLIENT)["changes"], {"key": {"old": "[redacted]", "new": "[redacted]"}})
            self.assertEqual(self.node.run("ceph", "auth", "get-key", "client.libvirt").strip(), self.cluster.keys["client"])

        with self.subTest("the last monitor stays"):
            # As on a node whose document has no monitor any more.
            self.cluster.mons.clear()
            self.node.osds.clear()
            self.node.settle(absent={"mons": ["ceph/st01"]})
            run = self.run_on(self.node, failed=["virtapi_ceph_mon_ceph/st01"])
            self.assertEqual(run.state("virtapi_ceph_mon_ceph/st01")["comment"], "ceph/st01 is not taken away: it is the last one")
            self.assertEqual((run.messages("applied"), self.node.daemon(MON, "st01") is None), ([], False))

    def test_an_osd_is_drained_and_purged(self):
        self.mon(self.node)
        self.cluster.pools = [pool("rbd", size=3)]
        osds = [self.node.osd() for _ in range(3)]
        self.converge(*OF_MONITOR, of_pool("rbd"), *map(osd, osds))
        self.wait_for_health()
        self.node.run("rbd", "create", "--size", "16M", "rbd/image")
        number = {found["uuid"]: found["osd"] for found in self.node.ceph("osd", "dump")["osds"]}[osds[2]]
        gone = osd(osds[2])
        self.node.settle(absent={"osds": [f"ceph/{osds[2]}"]})
        self.assertIn(f"the document has ceph/{osds[2]}, which cannot be absent", self.node.converge().said)

        self.node.osds.pop()
        run = self.run_on(self.node, "test=True", would=[gone])
        label = f"osd.{number} ({osds[2]})"
        self.assertEqual(run.state(gone)["changes"], {label: {"old": "in", "new": "out"}})
        run = self.run_on(self.node, changed=[gone])
        self.assertEqual((run.state(gone)["changes"], len(run.messages("applied"))), ({label: {"old": "in", "new": "out"}}, 1))
        # There is no room for its copies: that takes for ever, and each run says so and ends.
        for _ in range(2):
            (warning,) = self.run_on(self.node).state(gone)["warnings"]
            self.assertRegex(warning, rf"osd\.{number} .* is out and still needed: OSD\(s\) {number} have \d+ pgs currently mapped to them")
        self.assertTrue(self.node.daemon(OSD, number))

        self.run_on(self.node, changed=[osd(self.node.osd())])
        wait_until(lambda: "safe to destroy" in self.node.run("bash", "-c", f"ceph osd safe-to-destroy {number} 2>&1", check=False), 60,
                   "its data is elsewhere")
        run = self.run_on(self.node, changed=[gone])
        self.assertEqual(run.state(gone)["changes"], {label: {"old": "out", "new": "absent"}})
        self.assertEqual((self.node.daemon(OSD, number), self.node.path(f"/var/lib/ceph/osd/ceph-{number}").exists()), (None, False))
        self.assertNotIn(osds[2], json.dumps(self.node.ceph("osd", "dump")))
        self.run_on(self.node)
        self.wait_for_health()

        with self.subTest("more than a share goes only when that is approved"):
            going = [found["uuid"] for found in self.node.osds[:2]]
            del self.node.osds[:2]
            self.node.settle(absent={"osds": [f"ceph/{uuid}" for uuid in going]})
            run = self.run_on(self.node, failed=map(osd, going))
            self.assertIn(f'2 of 3 OSDs would be removed, and at most 20 per cent are at the same time: none is. To approve: '
                          f'POST /v1/nodes/st01.example.com/approve {{"generation": {self.cluster.generation}}}',
                          run.state(osd(going[0]))["comment"])
            self.assertEqual(run.messages("applied"), [])
            self.run_on(self.node, "test=True", would=map(osd, going), approved=True)

    def test_several_monitors(self):
        second, third = self.another(), self.another()
        for node in (self.node, second):
            self.mon(node)
        after_it = [MANAGER, CLIENT]
        with self.subTest("no cluster is made that the site does not ask for"):
            self.node.settle(bootstrap=())
            run = self.run_on(self.node, changed=[SETTINGS, ADMIN, MONS], failed=[MONITOR, *after_it])
            self.assertIn("it is made only where the site says so", run.state(MONITOR)["comment"])
            self.assertEqual(list(self.node.path("/var/lib/ceph/mon").iterdir()), [])
            self.node.settle()

        with self.subTest("the first waits for the second"):
            run = self.run_on(self.node, failed=[MONITOR, *after_it])
            self.assertEqual(run.state(MONITOR)["comment"], "ceph/st01 runs and is not in quorum (probing): it waits for st02")
            self.assertEqual((run.messages("applied"), run.messages("observed")), ([], [{}]))
            self.run_on(second, changed=OF_MONITOR)
            self.converge(MANAGER, CLIENT)
            self.assertEqual(self.quorum(), ["st01", "st02"])

        for node in self.nodes:
            node.settle(bootstrap=())
        with self.subTest("a third joins"):
            self.mon(third)
            # The key of the pools is the cluster's already.
            self.converge(*OF_MONITOR, node=third)
            self.assertEqual(self.quorum(), ["st01", "st02", "st03"])
            self.converge(SETTINGS)

        # As when it is deleted in virtapi.
        del self.cluster.mons["st03"]
        third.settle(absent={"mons": ["ceph/st03"], "mgrs": ["ceph/st03"]})
        gone = ["virtapi_ceph_mon_ceph/st03", "virtapi_ceph_mgr_ceph/st03"]
        with self.subTest("none goes without which there is no quorum"):
            second.kill(MON, "st02")
            wait_until(lambda: self.quorum() == ["st01", "st03"], 30, "the others see it")
            run = self.run_on(third, failed=gone[:1], changed=gone[1:])
            self.assertEqual(run.state(gone[0])["comment"],
                             "ceph/st03 is not taken away: of the other 2 only 1 are in quorum, and 2 are needed")
            self.assertTrue(third.daemon(MON, "st03"))
            self.assertEqual(run.messages("applied"), [])
            self.run_on(second, changed=[MONITOR])

        with self.subTest("one goes, and the others stay"):
            self.converge(gone[0], node=third)
            self.assertEqual((self.quorum(), third.daemon(MON, "st03"), third.daemon(MGR, "st03")), (["st01", "st02"], None, None))
            self.assertFalse(third.path("/var/lib/ceph/mon/ceph-st03").exists())

        with self.subTest("another address is an error"):
            self.cluster.mons = {"st01": "10.99.0.9", "st02": second.address}
            run = self.run_on(self.node, changed=[SETTINGS], failed=[MONITOR, *after_it])
            self.assertIn("a monitor does not move", run.state(MONITOR)["comment"])

    def test_devices(self):
        self.mon(self.node)
        self.node.settle(store="device")
        loops = [self.loop(number) for number in range(4)]
        self.node.run("mkfs.ext4", "-q", loops[1])
        one, other = self.node.osd(loops[0], db_device=loops[3]), self.node.osd(loops[1])
        with self.subTest("a disk that is not blank is not used"):
            run = self.run_on(self.node, changed=[*OF_MONITOR, osd(one)], failed=[osd(other)])
            self.assertEqual(run.state(osd(other))["comment"],
                             f"the OSD {other}: the device is not blank: ext4. Nothing here erases a disk")
            self.assertEqual(self.observed(run)["osds"], {"ceph": {"0": UP}})
            self.assertEqual(self.node.run("blkid", "-p", "-o", "value", "-s", "TYPE", loops[1]).strip(), "ext4")
            self.node.osds.pop()
            self.run_on(self.node)
            # As Ceph's own tool makes them.
            listed = json.loads(self.node.run("ceph-volume", "raw", "list", loops[0], "--format", "json"))
            self.assertEqual((listed[one]["osd_id"], listed[one]["device"]), (0, loops[0]))
            self.assertIn("bluefs db", self.node.run("ceph-bluestore-tool", "show-label", "--dev", loops[3]))

        with self.subTest("a system that was installed anew"):
            self.node.kill(OSD, 0)
            self.node.run("rm", "-r", "/var/lib/ceph/osd/ceph-0")
            self.node.run("chown", "root:disk", loops[0])
            self.converge(osd(one))
            self.assertTrue(self.node.daemon(OSD, 0))
            self.assertEqual([found["uuid"] for found in self.node.ceph("osd", "dump")["osds"]], [one])

        with self.subTest("a disk that was replaced"):
            self.node.kill(OSD, 0)
            self.node.run("rm", "-r", "/var/lib/ceph/osd/ceph-0")
            self.node.osds[0]["device"] = loops[2]
            run = self.run_on(self.node, failed=[osd(one)])
            self.assertIn(f"osd.0 ({one}): the cluster has it as osd.0, and it is not here: it is lost", run.state(osd(one))["comment"])
            self.assertEqual(run.messages("applied"), [])

        with self.subTest("the disk of another"):
            self.node.osds.clear()
            foreign = osd(self.node.osd(loops[0]))
            run = self.run_on(self.node, failed=[foreign])
            self.assertIn(f"the device is that of another OSD: {one}", run.state(foreign)["comment"])

        with self.subTest("a run that was interrupted"):
            self.node.osds.clear()
            announced = self.node.osd(loops[2])
            secrets = json.dumps({"cephx_secret": key()})
            self.node.run("bash", "-c", 'ceph osd new "$1" -i - <<< "$2"', "sh", announced, secrets)
            self.converge(osd(announced))
            self.assertEqual(self.observed(self.run_on(self.node))["osds"]["ceph"]["1"], UP)

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
        only = self.node.osd()
        disk = volume(1, "rbd", cluster="ceph", pool="rbd", image="vol-1")
        machine = document({vm_uuid(1): vm(9001, [], [disk])}, self.node.storage)["hypervisor"]
        of_machine = ["virtapi_ceph_secret_ceph", f"virtapi_volume_{disk['uuid']}", f"virtapi_vm_{vm_uuid(1)}"]
        run = self.converge(*OF_MONITOR, of_pool("rbd"), osd(only), *of_machine, hypervisor=machine)
        self.assertEqual(self.node.virsh("domstate", "vm-9001").strip(), "running")
        self.assertEqual(self.node.virsh("secret-list").split()[0], self.cluster.fsid)
        seen = self.observed(run)
        self.assertEqual((seen["vms"], seen["mons"], seen["osds"]), ({vm_uuid(1): "running"}, {"ceph": ["st01"]}, {"ceph": {"0": UP}}))
        self.assertEqual(seen["unmanaged"], {"domains": [], "bridges": ["eth0"], "volumes": [], "osds": [], "pools": []})
        self.cluster.keys["client"] = key()
        self.node.settle(store="memory")
        self.converge(CLIENT, "virtapi_ceph_secret_ceph", hypervisor=machine)
        self.assertEqual(self.node.virsh("secret-get-value", self.cluster.fsid).strip(), self.cluster.keys["client"])


if __name__ == "__main__":
    unittest.main()
