"""A real hypervisor converged by a real Salt: what Puppet does there, by the same rules. Guests have no operating system, so
that none of them answers when it is asked to shut down."""
import json
import os
import pathlib
import re
import unittest

from lab_documents import MIB, document, interface, uuid, vm, volume
from lab_salt import SaltNode, Settles

DOMAIN = f"virtapi_vm_{uuid(1)}"
BRIDGE = "virtapi_bridge_br-9001-1"
DISKS = [f"virtapi_volume_{uuid(1001)}", f"virtapi_volume_{uuid(1002)}"]


class SaltTest(Settles, unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.node = SaltNode()
        cls.addClassCleanup(cls.node.remove)
        golden = cls.node.dir / "golden.qcow2"
        cls.node.run("qemu-img", "create", "-q", "-f", "qcow2", golden, f"{8 * MIB}")
        cls.golden = {"name": "golden", "format": "qcow2", "path": str(golden), "checksum": None}

    def setUp(self):
        self.generation = 0
        self.node.site({"shutdown_timeout": 1})
        self.addCleanup(self.node.clear)

    def raw(self, number, size=16 * MIB, **other):
        return {**volume(number, "raw", size, path=f"{self.node.storage}/vol-{number}.raw"), **other}

    def qcow2(self, number, size=16 * MIB, **other):
        return {**volume(number, "qcow2", size, path=f"{self.node.storage}/vol-{number}.qcow2", backing=self.golden), **other}

    def machine(self, **other):
        return {**vm(9001, [interface(9001, 1)], [self.qcow2(1), self.raw(2)]), **other}

    def apply(self, vms, *words):
        self.generation += 1
        self.node.document(document(vms, self.node.storage, self.generation))
        return self.node.apply(*words)

    def converge(self, vms):
        return self.settled(self.apply(vms))

    def assert_failed(self, run, *states):
        """That these states have failed, and that the document is not told as applied."""
        self.assertEqual((run.status, run.messages("applied")), (2, []), run.said)
        self.assertEqual(run.failed, sorted(states), run.said)

    def state(self, domain="vm-9001"):
        return self.node.virsh("domstate", domain).strip()

    def test_first_convergence(self):
        run = self.converge({uuid(1): self.machine()})
        self.assertEqual(run.changed, sorted([BRIDGE, DOMAIN, *DISKS]))
        self.assertEqual(run.messages("applied"), [{"schema": 1, "node_id": 3, "generation": 1, "clusters": {}}])
        self.assertEqual(run.messages("observed"), [{"vms": {uuid(1): "running"},
                                                     "unmanaged": {"domains": [], "bridges": [], "volumes": []}}])
        self.assertEqual(self.state(), "running")
        self.assertIn("enable", self.node.virsh("dominfo", "vm-9001").split("Autostart:")[1].split("\n")[0])
        self.assertIn("type='qemu'", self.node.virsh("dumpxml", "vm-9001"), "KVM was not asked for")
        info = json.loads(self.node.run("qemu-img", "info", "-U", "--output=json", self.node.storage / "vol-1.qcow2"))
        self.assertEqual((info["virtual-size"], info["backing-filename"], info["backing-filename-format"]),
                         (16 * MIB, self.golden["path"], "qcow2"))
        raw = (self.node.storage / "vol-2.raw").stat()
        self.assertEqual((raw.st_size, raw.st_mode & 0o777), (16 * MIB, 0o600))

    def test_a_cluster_without_monitors_is_left_alone(self):
        settings = self.node.path("/etc/ceph/ceph.conf")
        self.node.configure(virtapi_ceph={"keys": {"ceph": {"client": "AQ" + "x" * 36 + "=="}}})
        self.addCleanup(self.node.configure)
        disk = volume(1, "rbd", cluster="ceph", pool="rbd", image="vol-1")
        clusters = {"ceph": {"fsid": uuid(99), "public_network": None, "cluster_network": None, "mons": [], "pools": []}}
        self.node.document(document({uuid(1): vm(9001, [], [disk]), uuid(2): vm(9002)}, self.node.storage, clusters=clusters))
        run = self.node.apply()
        self.assertEqual(run.state("virtapi_ceph_settings_ceph")["comment"], "the document has no monitors of cluster ceph", run.said)
        self.assertLess({"virtapi_ceph_settings_ceph", f"virtapi_volume_{uuid(1001)}", DOMAIN}, set(run.failed))
        self.assertEqual((settings.exists(), self.state("vm-9002"), run.messages("applied")), (False, "running", []))

    def test_a_returner_has_what_is_told(self):
        """What POST /salt/returns reads (tests/samples/salt-returns.json has one)."""
        self.converge({uuid(1): self.machine()})
        run = self.apply({uuid(1): self.machine(cores=2)}, "--return=rawfile_json")
        returned = self.node.returned()
        self.assertEqual((returned["id"], returned["fun"], returned["retcode"]), ("lab01.example.com", "state.apply", 0))
        self.assertEqual(returned["return"], run.states)
        self.assertEqual(len(run.messages("applied") + run.messages("observed")), 2)

    def test_every_release(self):
        self.addCleanup(setattr, self.node, "release", self.node.release)
        for number, release in enumerate(("3006", "3007", "3008"), 1):
            with self.subTest(release):
                self.node.release = release
                vms = {uuid(1): self.machine(cputime_limit=10 * number)}
                # What one release has made, the next finds as it should be.
                would = self.apply(vms, "test=True").would
                self.assertIn(DOMAIN, would)
                self.assertEqual(self.converge(vms).changed, would)
                self.assertEqual(self.state(), "running")

    def test_a_dry_run_shows_and_changes_nothing(self):
        run = self.apply({uuid(1): self.machine()}, "test=True")
        self.assertEqual((run.would, run.changed, run.failed), (sorted([BRIDGE, DOMAIN, *DISKS]), [], []), run.said)
        self.assertEqual((run.messages("applied"), run.messages("observed")[0]["vms"]), ([], {}))
        self.assertEqual((self.node.virsh("list", "--all").strip(), list(self.node.storage.iterdir()), self.node.bridges()),
                         ("", [], []))
        self.converge({uuid(1): self.machine()})
        before = self.node.virsh("dumpxml", "vm-9001")
        changed = self.machine(state="stopped", cores=2, interfaces=[], volumes=[self.qcow2(1, 32 * MIB, read_iops_limit=5)])
        run = self.apply({uuid(1): changed}, "test=True")
        self.assertEqual((run.would, run.changed, run.failed), (sorted([DOMAIN, DISKS[0]]), [], []), run.said)
        changes = run.state(DOMAIN)["changes"]
        self.assertEqual(sorted(changes), ["autostart", "cores", "interfaces", "state", "volumes"])
        self.assertEqual(changes["cores"], {"old": 1, "new": 2})
        self.assertEqual(run.state(DISKS[0])["changes"], {"size_bytes": {"old": 16 * MIB, "new": 32 * MIB}})
        self.assertEqual(self.node.virsh("dumpxml", "vm-9001"), before)
        self.assertEqual(run.messages("observed")[0]["vms"], {uuid(1): "running"})

    def test_a_killed_machine_comes_back_and_a_paused_one_goes_on(self):
        self.converge({uuid(1): self.machine()})
        self.node.kill_guest("vm-9001")
        run = self.converge({uuid(1): self.machine()})
        self.assertEqual(run.state(DOMAIN)["changes"], {"state": {"old": "crashed", "new": "running"}})
        self.node.virsh("suspend", "vm-9001")
        run = self.converge({uuid(1): self.machine()})
        self.assertEqual(run.state(DOMAIN)["changes"], {"state": {"old": "paused", "new": "running"}})
        self.assertEqual(self.state(), "running")

    def test_limits_change_while_it_runs(self):
        self.converge({uuid(1): self.machine()})
        guest = self.node.guest("vm-9001")
        limited = self.qcow2(1, read_iops_limit=100, write_bps_limit=5 * MIB)
        run = self.converge({uuid(1): self.machine(cputime_limit=50, volumes=[limited, self.raw(2)])})
        self.assertNotIn("restart needed", run.said)
        (quota,) = pathlib.Path("/sys/fs/cgroup/cpu/machine").glob("qemu-*-vm-9001.*/vcpu0/cpu.cfs_quota_us")
        self.assertEqual(quota.read_text(encoding="ascii"), "50000\n")
        for which in ("--live", "--config"):
            self.assertIn("read_iops_sec  : 100", self.node.virsh("blkdeviotune", "vm-9001", "vda", which))
        self.converge({uuid(1): self.machine()})
        self.assertEqual(quota.read_text(encoding="ascii"), "-1\n")
        self.assertIn("read_iops_sec  : 0", self.node.virsh("blkdeviotune", "vm-9001", "vda", "--live"))
        self.assertEqual(self.node.guest("vm-9001"), guest)

    def test_devices_come_and_go_while_it_runs(self):
        self.converge({uuid(1): self.machine()})
        guest = self.node.guest("vm-9001")
        # In front of those that are there, which keep their names.
        more = self.machine(interfaces=[interface(9001, 7), interface(9001, 1)],
                            volumes=[self.raw(5), self.qcow2(1, 32 * MIB), self.raw(2)])
        run = self.converge({uuid(1): more})
        self.assertNotIn("restart needed", run.said)
        disks = dict(line.split(None, 1) for line in self.node.virsh("domblklist", "vm-9001").splitlines() if line.strip())
        self.assertEqual({target: pathlib.Path(path.strip()).name for target, path in disks.items()},
                         {"vda": "vol-1.qcow2", "vdb": "vol-2.raw", "vdc": "vol-5.raw"})
        self.assertIn(f"Capacity:       {32 * MIB}", self.node.virsh("domblkinfo", "vm-9001", "vda"))
        self.assertEqual(self.node.virsh("domiflist", "vm-9001").count("br-9001-"), 2)
        # A guest that does not answer keeps the device, but not the network.
        run = self.apply({uuid(1): self.machine(volumes=more["volumes"])})
        self.assertIn("interface 52:54:00:00:00:07 is cut off", run.state(DOMAIN)["warnings"][0])
        self.assertIn("down", self.node.virsh("domif-getlink", "vm-9001", "52:54:00:00:00:07"))
        self.assertEqual(self.node.apply().changed, [])
        # A volume that it keeps may be another's by now: that is an error.
        run = self.apply({uuid(1): self.machine(volumes=more["volumes"][1:])})
        self.assert_failed(run, DOMAIN)
        self.assertIn(f"does not let go of volume {uuid(1005)}", run.state(DOMAIN)["comment"])
        self.assertEqual(self.node.guest("vm-9001"), guest)

    def test_what_needs_a_restart_is_defined_and_told(self):
        self.converge({uuid(1): self.machine()})
        guest = self.node.guest("vm-9001")
        run = self.converge({uuid(1): self.machine(cores=2)})
        for each in (run, self.node.apply()):
            self.assertEqual(each.state(DOMAIN)["warnings"], ["vm-9001: restart needed: 1 cores become 2"])
        self.assertEqual(self.node.guest("vm-9001"), guest)
        self.node.virsh("attach-disk", "vm-9001", self.golden["path"], "vdz", "--mode", "readonly", "--subdriver", "qcow2", "--config")
        self.node.virsh("destroy", "vm-9001")
        self.assertNotIn("restart needed", self.converge({uuid(1): self.machine(cores=2)}).said)
        self.assertEqual(self.node.virsh("vcpucount", "vm-9001", "--current", "--live").strip(), "2")
        self.converge({uuid(1): self.machine(name="<äöü> & 'x'\n\t\"y\" $(reboot) ==")})
        self.assertEqual(self.node.virsh("desc", "--title", "vm-9001", "--config").strip(), "<äöü> & 'x' \"y\" $(reboot) ==")
        self.assertIn("vdz", self.node.virsh("dumpxml", "--inactive", "vm-9001"), "another's device stays")

    def test_a_device_that_is_passed_through_is_for_the_next_start(self):
        self.converge({uuid(1): self.machine()})
        guest = self.node.guest("vm-9001")
        gpus = [{"address": "0000:3b:00.0"}, {"address": "0000:af:1f.7"}]
        for given, reason in ((gpus, "device 0000:3b:00.0 comes; device 0000:af:1f.7 comes"), (gpus[1:], "device 0000:af:1f.7 comes"), (None, None)):
            said = self.converge({uuid(1): self.machine(gpus=given)}).said
            self.assertEqual(re.findall(r"restart needed: (device.*?7 comes)", said), [reason] if reason else [], said)
            defined = re.findall("ua-pci-[0-9a-f-]*", self.node.virsh("dumpxml", "--inactive", "vm-9001"))
            self.assertEqual(defined, ["ua-pci-0000-3b-00-0", "ua-pci-0000-af-1f-7"][2 - len(given or ()):])
            self.assertNotIn("hostdev", self.node.virsh("dumpxml", "vm-9001"))
        self.assertEqual(self.node.guest("vm-9001"), guest)

    def test_states(self):
        self.converge({uuid(1): self.machine(state="stopped")})
        self.assertEqual(self.state(), "shut off")
        self.assertIn("disable", self.node.virsh("dominfo", "vm-9001").split("Autostart:")[1].split("\n")[0])
        self.converge({uuid(1): self.machine()})
        # In maintenance people do as they please.
        self.assertEqual(self.apply({uuid(1): self.machine(state="maintenance")}).changed, [])
        # It does not answer, and nobody asked to switch it off.
        guest = self.node.guest("vm-9001")
        run = self.apply({uuid(1): self.machine(state="deactivated")})
        self.assert_failed(run, DOMAIN)
        self.assertIn("has not shut down in 1 s", run.state(DOMAIN)["comment"])
        self.assertEqual((self.state(), self.node.guest("vm-9001")), ("running", guest))
        run = self.converge({uuid(1): self.machine(state="stopped")})
        self.assertIn("is switched off", run.said)
        self.assertEqual(run.messages("observed")[0]["vms"], {uuid(1): "stopped"})

    def test_a_volume_never_shrinks_and_a_lost_one_is_not_made_anew(self):
        self.converge({uuid(1): self.machine()})
        for words in ((), ("test=True",)):
            run = self.apply({uuid(1): self.machine(volumes=[self.qcow2(1, 12 * MIB), self.raw(2)], cores=2)}, *words)
            self.assert_failed(run, DISKS[0], DOMAIN)
            self.assertIn("a volume is never made smaller", run.state(DISKS[0])["comment"])
        self.node.virsh("destroy", "vm-9001")
        lost = self.node.storage / "vol-2.raw"
        lost.rename(self.node.dir / "kept")
        run = self.apply({uuid(1): self.machine()})
        self.assert_failed(run, DISKS[1], DOMAIN)
        self.assertIn("vol-2.raw is lost: domain vm-9001 has it", run.said)
        self.assertEqual((lost.exists(), self.state()), (False, "shut off"))
        (self.node.dir / "kept").rename(lost)
        self.converge({uuid(1): self.machine()})

    def test_a_failure_touches_only_what_needs_it(self):
        missing = {**self.golden, "path": "/nonexistent.qcow2"}
        vms = {uuid(1): self.machine(volumes=[self.qcow2(1, backing=missing), self.qcow2(2, 4 * MIB)]),
               uuid(2): vm(9002, state="stopped"), uuid(3): vm(9003, virt_method="XEN")}
        run = self.apply(vms)
        self.assert_failed(run, *DISKS, DOMAIN, f"virtapi_vm_{uuid(3)}")
        self.assertIn("the golden image /nonexistent.qcow2 is not here", run.said)
        self.assertIn(f"has {8 * MIB} bytes, the volume only {4 * MIB}", run.said)
        self.assertIn("virt_method XEN is none that this state manages", run.said)
        self.assertEqual(run.messages("observed"), [{"vms": {uuid(2): "stopped"},
                                                     "unmanaged": {"domains": [], "bridges": [], "volumes": []}}])
        self.assertEqual(list(self.node.storage.iterdir()), [])

    def test_what_the_document_does_not_have_is_left_alone(self):
        self.converge({uuid(1): self.machine(), uuid(2): vm(9002)})
        guest = self.node.guest("vm-9001")
        self.node.define_foreign("somebody's own ä")
        self.node.run("ip", "link", "add", "br-foreign", "type", "bridge")
        (self.node.storage / "foreign.img").write_bytes(b"x")
        run = self.apply({uuid(2): vm(9002)})
        self.assertEqual((run.status, run.changed), (0, []), run.said)
        storage = self.node.storage
        self.assertEqual(run.messages("observed"), [{
            "vms": {uuid(2): "running"},
            "unmanaged": {"domains": ["somebody's own ä", "vm-9001"], "bridges": ["br-9001-1", "br-foreign"],
                          "volumes": [f"{storage}/foreign.img", f"{storage}/vol-1.qcow2", f"{storage}/vol-2.raw"]}}])
        self.assertEqual((self.node.guest("vm-9001"), self.state("vm-9001")), (guest, "running"))

    def test_anothers_name_is_not_taken(self):
        self.node.define_foreign("vm-9001")
        run = self.apply({uuid(1): self.machine()})
        self.assert_failed(run, DOMAIN)
        self.assertIn("already exists", run.said)
        self.assertEqual(run.messages("observed")[0]["unmanaged"]["domains"], ["vm-9001"])

    def test_a_machine_that_is_defined_no_more(self):
        self.converge({uuid(1): self.machine()})
        guest = self.node.guest("vm-9001")
        self.node.virsh("undefine", "vm-9001")
        self.converge({uuid(1): self.machine()})
        self.assertEqual(self.node.guest("vm-9001"), guest)
        self.assertIn("yes", self.node.virsh("dominfo", "vm-9001").split("Persistent:")[1].split("\n")[0])

    def test_libvirt_away(self):
        self.converge({uuid(1): self.machine()})
        self.node.stop_libvirtd()
        try:
            run = self.apply({uuid(1): self.machine(cores=2)})
        finally:
            self.node.start_libvirtd()
        self.assert_failed(run, DOMAIN)
        self.assertEqual([sorted(seen) for seen in run.messages("observed")], [["unmanaged"]])
        self.assertIsNotNone(self.node.guest("vm-9001"))

    def test_what_is_left_out_is_not_applied(self):
        self.converge({uuid(1): self.machine()})
        run = self.apply({uuid(1): self.machine(cores=2)}, f'exclude=[{{"id": {DOMAIN}}}]')
        self.assertEqual((run.status, run.changed, run.messages("applied")), (0, [], []), run.said)
        self.assertIn(f"virtapi_domain {uuid(1)} failed, or was left out", run.state("virtapi_document")["comment"])

    def test_only_the_data(self):
        self.node.site({"manage": False})
        run = self.apply({uuid(1): self.machine()})
        self.assertEqual((run.status, run.changed, run.messages("applied"), run.messages("observed")), (0, [], [], []))
        self.assertEqual(self.node.virsh("list", "--all").strip(), "")


if __name__ == "__main__":
    unittest.main()
