"""A real hypervisor converged by a real Puppet: libvirtd, QEMU without KVM, bridges. Guests have no operating system, so
that none of them answers when it is asked to shut down."""
import json
import pathlib
import re
import unittest

from lab_documents import MIB, document, interface, uuid, vm, volume
from lab_node import Node

UNCHANGED, CHANGED, FAILED, CHANGED_AND_FAILED = 0, 2, 4, 6


class HypervisorTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.node = Node()
        cls.addClassCleanup(cls.node.remove)
        golden = cls.node.dir / "golden.qcow2"
        cls.node.run("qemu-img", "create", "-q", "-f", "qcow2", golden, f"{8 * MIB}")
        cls.golden = {"name": "golden", "format": "qcow2", "path": str(golden), "checksum": None}

    def setUp(self):
        self.generation = 0
        self.node.site({"shutdown_timeout": 1})
        self.addCleanup(self.node.clear)

    # One machine with one of each.

    def raw(self, number, size=16 * MIB, **other):
        return {**volume(number, "raw", size, path=f"{self.node.storage}/vol-{number}.raw"), **other}

    def qcow2(self, number, size=16 * MIB, **other):
        return {**volume(number, "qcow2", size, path=f"{self.node.storage}/vol-{number}.qcow2", backing=self.golden), **other}

    def machine(self, **other):
        return {**vm(9001, [interface(9001, 1)], [self.qcow2(1), self.raw(2)]), **other}

    def apply(self, vms, expected, *flags):
        self.generation += 1
        self.node.document(document(vms, self.node.storage, self.generation))
        run = self.node.apply(*flags)
        self.assertEqual(run.status, expected, run.said)
        return run

    def converge(self, vms):
        """A run that changes something, and one that finds nothing to do."""
        run = self.apply(vms, CHANGED)
        again = self.node.apply()
        self.assertEqual(again.status, UNCHANGED, again.said)
        self.assertEqual([meta["generation"] for meta in again.messages("applied")], [self.generation], again.said)
        return run

    def observed(self, run):
        (found,) = run.messages("observed")
        return found

    def state(self, domain="vm-9001"):
        return self.node.virsh("domstate", domain).strip()

    def test_first_convergence(self):
        run = self.converge({uuid(1): self.machine()})
        self.assertEqual(run.messages("applied"), [{"schema": 1, "node_id": 3, "generation": 1, "clusters": {}}])
        self.assertEqual(self.observed(run), {"vms": {uuid(1): "running"},
                                              "unmanaged": {"domains": [], "bridges": [], "volumes": []}})
        self.assertEqual(self.state(), "running")
        self.assertIn("enable", self.node.virsh("dominfo", "vm-9001").split("Autostart:")[1].split("\n")[0])
        self.assertIn("type='qemu'", self.node.virsh("dumpxml", "vm-9001"), "KVM was not asked for")
        info = json.loads(self.node.run("qemu-img", "info", "-U", "--output=json", self.node.storage / "vol-1.qcow2"))
        self.assertEqual((info["virtual-size"], info["backing-filename"], info["backing-filename-format"]),
                         (16 * MIB, self.golden["path"], "qcow2"))
        self.assertEqual((self.node.storage / "vol-2.raw").stat().st_size, 16 * MIB)
        listed = self.node.resources("virtapi_domain")
        self.assertIn(f"virtapi_domain {{ '{uuid(1)}':", listed)
        self.assertIn("br-9001-1", self.node.resources("virtapi_bridge"))
        self.assertIn(uuid(1001), self.node.resources("virtapi_volume"))

    def test_a_killed_machine_comes_back(self):
        self.converge({uuid(1): self.machine()})
        self.node.kill_guest("vm-9001")
        run = self.converge({uuid(1): self.machine()})
        self.assertIn("state: state changed 'crashed' to 'running'", run.said)
        self.assertEqual(self.observed(run)["vms"], {uuid(1): "running"})

    def test_a_paused_machine_goes_on(self):
        self.converge({uuid(1): self.machine()})
        self.node.virsh("suspend", "vm-9001")
        self.converge({uuid(1): self.machine()})
        self.assertEqual(self.state(), "running")

    def test_a_machine_that_is_defined_no_more(self):
        self.converge({uuid(1): self.machine()})
        guest = self.node.guest("vm-9001")
        self.node.virsh("undefine", "vm-9001")
        self.converge({uuid(1): self.machine()})
        self.assertEqual(self.node.guest("vm-9001"), guest)
        self.assertIn("yes", self.node.virsh("dominfo", "vm-9001").split("Persistent:")[1].split("\n")[0])

    def test_states(self):
        self.converge({uuid(1): self.machine(state="stopped")})
        self.assertEqual(self.state(), "shut off")
        self.assertIn("disable", self.node.virsh("dominfo", "vm-9001").split("Autostart:")[1].split("\n")[0])
        self.converge({uuid(1): self.machine()})
        # In maintenance people do as they please.
        self.apply({uuid(1): self.machine(state="maintenance")}, UNCHANGED)
        self.assertEqual(self.state(), "running")
        # It does not answer, and nobody asked to switch it off.
        guest = self.node.guest("vm-9001")
        run = self.apply({uuid(1): self.machine(state="deactivated")}, CHANGED_AND_FAILED)
        self.assertIn("has not shut down in 1 s", run.said)
        self.assertEqual((self.state(), self.node.guest("vm-9001"), run.messages("applied")), ("running", guest, []))
        run = self.converge({uuid(1): self.machine(state="stopped")})
        self.assertIn("is switched off", run.said)
        self.assertEqual(self.observed(run)["vms"], {uuid(1): "stopped"})

    def test_what_needs_a_restart_is_defined_and_told(self):
        self.converge({uuid(1): self.machine()})
        guest = self.node.guest("vm-9001")
        for change, reason in (({"cores": 2}, "1 cores become 2"), ({"ram_bytes": 96 * MIB}, "65536 KiB of memory become 98304"),
                               ({"volumes": [self.qcow2(1, cache="writeback"), self.raw(2)]}, f"volume {uuid(1001)} changes")):
            with self.subTest(str(change)):
                run = self.converge({uuid(1): self.machine(**change)})
                self.assertRegex(run.said, f"restart needed:.*{reason}")
                self.assertRegex(self.node.apply().said, f"restart needed:.*{reason}")
                self.assertEqual(self.node.guest("vm-9001"), guest, "it was restarted")
        self.converge({uuid(1): self.machine(cores=2)})
        self.node.virsh("destroy", "vm-9001")
        self.assertNotIn("restart needed", self.converge({uuid(1): self.machine(cores=2)}).said)
        self.assertEqual(self.node.virsh("vcpucount", "vm-9001", "--current", "--live").strip(), "2")

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

    def test_the_name_is_a_title(self):
        self.converge({uuid(1): self.machine()})
        run = self.converge({uuid(1): self.machine(name="<äöü> & 'x'\n\t\"y\" $(reboot) ==")})
        self.assertNotIn("restart needed", run.said)
        self.assertEqual(self.node.virsh("desc", "--title", "vm-9001", "--config").strip(), "<äöü> & 'x' \"y\" $(reboot) ==")

    def test_limits_change_while_it_runs(self):
        self.converge({uuid(1): self.machine()})
        guest = self.node.guest("vm-9001")

        def quota():
            (path,) = pathlib.Path("/sys/fs/cgroup/cpu/machine").glob("qemu-*-vm-9001.*/vcpu0/cpu.cfs_quota_us")
            return int(path.read_text(encoding="ascii"))

        for percent, expected in ((50, 50000), (1, 1000), (None, -1)):
            run = self.converge({uuid(1): self.machine(cputime_limit=percent)})
            self.assertNotIn("restart needed", run.said)
            self.assertEqual(quota(), expected)
        limited = self.qcow2(1, read_iops_limit=100, write_bps_limit=5 * MIB)
        run = self.converge({uuid(1): self.machine(volumes=[limited, self.raw(2)])})
        self.assertIn("read_iops_sec  : 100", self.node.virsh("blkdeviotune", "vm-9001", "vda", "--live"))
        self.assertIn(f"write_bytes_sec: {5 * MIB}", self.node.virsh("blkdeviotune", "vm-9001", "vda", "--live"))
        self.assertIn("read_iops_sec  : 100", self.node.virsh("blkdeviotune", "vm-9001", "vda", "--config"))
        self.converge({uuid(1): self.machine()})
        self.assertIn("read_iops_sec  : 0", self.node.virsh("blkdeviotune", "vm-9001", "vda", "--live"))
        self.assertEqual(self.node.guest("vm-9001"), guest)

    def test_devices_come_while_it_runs(self):
        self.converge({uuid(1): self.machine()})
        guest = self.node.guest("vm-9001")
        # In front of those that are there, which keep their names.
        more = self.machine(interfaces=[interface(9001, 7), interface(9001, 1)],
                            volumes=[self.raw(5), self.qcow2(1), self.raw(2)])
        run = self.converge({uuid(1): more})
        self.assertNotIn("restart needed", run.said)
        disks = dict(line.split(None, 1) for line in self.node.virsh("domblklist", "vm-9001").splitlines() if line.strip())
        self.assertEqual({target: pathlib.Path(path.strip()).name for target, path in disks.items()},
                         {"vda": "vol-1.qcow2", "vdb": "vol-2.raw", "vdc": "vol-5.raw"})
        self.assertEqual(self.node.virsh("domiflist", "vm-9001").count("br-9001-"), 2)
        # A guest that does not answer keeps the device, but not the network.
        run = self.apply({uuid(1): self.machine(volumes=more["volumes"])}, CHANGED)
        self.assertIn("interface 52:54:00:00:00:07 is cut off", run.said)
        self.assertIn("down", self.node.virsh("domif-getlink", "vm-9001", "52:54:00:00:00:07"))
        self.apply({uuid(1): self.machine(volumes=more["volumes"])}, UNCHANGED)
        # A volume that it keeps may be another's by now: that is an error.
        run = self.apply({uuid(1): self.machine()}, CHANGED_AND_FAILED)
        self.assertIn(f"does not let go of volume {uuid(1005)}", run.said)
        self.assertEqual(run.messages("applied"), [])
        self.assertTrue((self.node.storage / "vol-5.raw").exists())
        self.assertEqual(self.node.guest("vm-9001"), guest)

    def test_a_volume_grows(self):
        self.converge({uuid(1): self.machine()})
        grown = self.machine(volumes=[self.qcow2(1, 32 * MIB), self.raw(2, 24 * MIB)])
        self.converge({uuid(1): grown})
        self.assertIn(f"Capacity:       {32 * MIB}", self.node.virsh("domblkinfo", "vm-9001", "vda"))
        self.assertIn(f"Capacity:       {24 * MIB}", self.node.virsh("domblkinfo", "vm-9001", "vdb"))
        self.converge({uuid(1): {**grown, "state": "stopped"}})
        self.converge({uuid(1): {**grown, "state": "stopped", "volumes": [self.qcow2(1, 40 * MIB), self.raw(2, 40 * MIB)]}})
        self.assertEqual((self.node.storage / "vol-2.raw").stat().st_size, 40 * MIB)

    def test_a_volume_of_odd_size(self):
        self.converge({uuid(1): self.machine(volumes=[self.qcow2(1, 16 * MIB + 1), self.raw(2, 16 * MIB + 1)])})
        self.converge({uuid(1): self.machine(volumes=[self.qcow2(1, 17 * MIB + 1), self.raw(2, 17 * MIB + 513)])})
        self.assertIn((self.node.storage / "vol-2.raw").stat().st_size, range(17 * MIB + 513, 17 * MIB + 1025))

    def test_a_volume_never_shrinks(self):
        self.converge({uuid(1): self.machine()})
        for flags in ((), ("--noop",)):
            run = self.apply({uuid(1): self.machine(volumes=[self.qcow2(1, 12 * MIB), self.raw(2)], cores=2)}, FAILED, *flags)
            self.assertIn("a volume is never made smaller", run.said)
            self.assertEqual(run.messages("applied"), [])
            self.assertEqual(self.observed(run)["vms"], {uuid(1): "running"})
        self.assertIn(f"Capacity:       {16 * MIB}", self.node.virsh("domblkinfo", "vm-9001", "vda"))

    def test_a_lost_volume_is_not_made_anew(self):
        self.converge({uuid(1): self.machine()})
        self.node.virsh("destroy", "vm-9001")
        lost = self.node.storage / "vol-2.raw"
        lost.rename(self.node.dir / "kept")
        run = self.apply({uuid(1): self.machine()}, FAILED)
        self.assertIn("vol-2.raw is lost: domain vm-9001 has it", run.said)
        self.assertEqual((lost.exists(), self.state()), (False, "shut off"))
        (self.node.dir / "kept").rename(lost)
        self.converge({uuid(1): self.machine()})

    def test_what_is_too_small_or_not_there_is_an_error(self):
        missing = {**self.golden, "path": "/nonexistent.qcow2"}
        other = vm(9002, state="stopped")
        run = self.apply({uuid(1): self.machine(volumes=[self.qcow2(1, backing=missing), self.qcow2(2, 4 * MIB)]),
                          uuid(2): other}, CHANGED_AND_FAILED)
        self.assertIn("the golden image /nonexistent.qcow2 is not here", run.said)
        self.assertIn(f"has {8 * MIB} bytes, the volume only {4 * MIB}", run.said)
        self.assertEqual(self.observed(run), {"vms": {uuid(2): "stopped"},
                                              "unmanaged": {"domains": [], "bridges": [], "volumes": []}})
        self.assertEqual(list(self.node.storage.iterdir()), [])

    def test_noop_shows_and_changes_nothing(self):
        run = self.apply({uuid(1): self.machine()}, UNCHANGED, "--noop")
        self.assertIn("current_value 'absent', should be 'present' (noop)", run.said)
        self.assertEqual((run.messages("applied"), self.observed(run)["vms"]), ([], {}))
        self.assertEqual((self.node.virsh("list", "--all").strip(), list(self.node.storage.iterdir()), self.node.bridges()),
                         ("", [], []))
        self.converge({uuid(1): self.machine()})
        before = self.node.virsh("dumpxml", "vm-9001")
        changed = self.machine(state="stopped", cores=2, interfaces=[], volumes=[self.qcow2(1, 32 * MIB, read_iops_limit=5)])
        run = self.apply({uuid(1): changed}, UNCHANGED, "--noop")
        for name in ("state", "cores", "interfaces", "volumes", "size_bytes"):
            self.assertRegex(run.said, rf"/{name}: current_value .* \(noop\)")
        self.assertEqual(run.messages("applied"), [])
        self.assertEqual(self.node.virsh("dumpxml", "vm-9001"), before)
        self.assertEqual(self.observed(run)["vms"], {uuid(1): "running"})

    def test_what_is_left_out_is_not_applied(self):
        self.converge({uuid(1): self.machine()})
        run = self.apply({uuid(1): self.machine(cores=2)}, UNCHANGED, "--tags", "virtapi_document")
        self.assertEqual(run.messages("applied"), [], run.said)

    def test_what_the_document_does_not_have_is_left_alone(self):
        self.converge({uuid(1): self.machine(), uuid(2): vm(9002)})
        guest = self.node.guest("vm-9001")
        self.node.define_foreign("somebody's own")
        self.node.run("ip", "link", "add", "br-foreign", "type", "bridge")
        (self.node.storage / "foreign.img").write_bytes(b"x")
        run = self.apply({uuid(2): vm(9002)}, UNCHANGED)
        storage = self.node.storage
        self.assertEqual(self.observed(run), {
            "vms": {uuid(2): "running"},
            "unmanaged": {"domains": ["somebody's own", "vm-9001"], "bridges": ["br-9001-1", "br-foreign"],
                          "volumes": [f"{storage}/foreign.img", f"{storage}/vol-1.qcow2", f"{storage}/vol-2.raw"]}})
        self.assertEqual((self.node.guest("vm-9001"), self.state("vm-9001")), (guest, "running"))
        self.apply({}, UNCHANGED)
        self.assertEqual(self.node.guest("vm-9001"), guest)

    def test_what_others_have_added_to_a_machine_stays(self):
        self.converge({uuid(1): self.machine()})
        self.node.virsh("attach-disk", "vm-9001", self.golden["path"], "vdz", "--mode", "readonly", "--subdriver", "qcow2", "--config")
        address = self.node.virsh("dumpxml", "--inactive", "vm-9001").split("ua-br-9001-1")[1].split("/>")[1]
        self.converge({uuid(1): self.machine(cores=2, volumes=[self.raw(5), self.qcow2(1), self.raw(2)])})
        xml = self.node.virsh("dumpxml", "--inactive", "vm-9001")
        self.assertIn("vdz", xml)
        self.assertEqual(xml.split("ua-br-9001-1")[1].split("/>")[1], address)

    def test_anothers_name_is_not_taken(self):
        self.node.define_foreign("vm-9001")
        run = self.apply({uuid(1): self.machine()}, CHANGED_AND_FAILED)
        self.assertIn("already exists", run.said)
        self.assertEqual(self.observed(run)["unmanaged"]["domains"], ["vm-9001"])

    def test_a_method_of_another_kind_is_an_error(self):
        run = self.apply({uuid(1): self.machine(virt_method="XEN"), uuid(2): vm(9002)}, CHANGED_AND_FAILED)
        self.assertIn("virt_method XEN is none that this module manages", run.said)
        self.assertEqual((self.observed(run)["vms"], run.messages("applied")), ({uuid(2): "running"}, []))

    def test_a_cluster_without_monitors_is_left_alone(self):
        settings = self.node.path("/etc/ceph/ceph.conf")
        self.node.site({"shutdown_timeout": 1}, ceph={"keys": {"ceph": {"client": "AQ" + "x" * 36 + "=="}}})
        disk = volume(1, "rbd", cluster="ceph", pool="rbd", image="vol-1")
        clusters = {"ceph": {"fsid": uuid(99), "public_network": None, "cluster_network": None, "mons": [], "pools": []}}
        self.node.document(document({uuid(1): vm(9001, [], [disk]), uuid(2): vm(9002)}, self.node.storage, clusters=clusters))
        run = self.node.apply()
        self.assertEqual(run.status, CHANGED_AND_FAILED, run.said)
        self.assertIn("the document has no monitors of cluster ceph", run.said)
        self.assertEqual((settings.exists(), self.observed(run)["vms"], run.messages("applied")), (False, {uuid(2): "running"}, []))

    def test_only_the_data(self):
        self.node.site({"manage": False})
        run = self.apply({uuid(1): self.machine()}, UNCHANGED)
        self.assertEqual((run.messages("applied"), run.messages("observed")), ([], []))
        self.assertEqual(self.node.virsh("list", "--all").strip(), "")

    def test_no_version_no_run(self):
        incomplete = document({}, self.node.storage)
        del incomplete["meta"]
        self.node.document(incomplete)
        run = self.node.apply()
        self.assertEqual(run.status, 1, run.said)
        self.assertIn("'meta'", run.said)

    def test_libvirt_away(self):
        self.converge({uuid(1): self.machine()})
        self.node.stop_libvirtd()
        try:
            run = self.apply({uuid(1): self.machine(cores=2)}, FAILED)
        finally:
            self.node.start_libvirtd()
        self.assertEqual((run.messages("applied"), [seen.get("vms") for seen in run.messages("observed")]), ([], [None]))
        self.assertIsNotNone(self.node.guest("vm-9001"))

    def test_questions_do_not_grow_with_machines(self):
        counts = []
        for number in (1, 12):
            vms = {uuid(index): vm(9100 + index, [interface(9100 + index, 1)], [self.raw(index)], state="stopped")
                   for index in range(number)}
            self.apply(vms, CHANGED)
            run = self.apply(vms, UNCHANGED, "--debug")
            counts.append(run.said.count("Debug: Executing: "))
        self.assertEqual(counts[0], counts[1])


if __name__ == "__main__":
    unittest.main()
