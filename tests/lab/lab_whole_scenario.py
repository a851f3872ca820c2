"""What a fleet goes through, whichever tool converges it: `lab_class` is the tests' own, and what their tool says of a document that
it cannot read. From what somebody orders to a cluster in health and VMs that reach each other, and what becomes of them when
something ends, leaves or is away. That a VM has never stopped is known by the process that it runs in."""
import json
import time

from lab_documents import MIB
from lab_node import wait_until
from lab_server import BEGINS, ENDS
from lab_stand_in import StandIn
from lab_storage import OSD
from lab_whole import PATIENCE, SERVER

NOT_OURS = ("text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>")


class WholeScenario:
    """The steps, in this order; agents are there at the beginning and at the end, in between runs are by hand."""

    def setUp(self):
        self.lab = self.lab_class()
        self.addCleanup(self.lab.remove)

    def test_from_first_to_last(self):
        print(flush=True)
        self.step(self.assert_what_is_ordered_is_there)
        self.lab.server.stop_agents()
        self.step(self.assert_another_run_changes_nothing)
        self.step(self.assert_a_killed_vm_comes_back)
        self.guests = self.lab.guests()
        self.step(self.assert_each_attribute_changes)
        self.step(self.assert_an_osd_is_drained)
        self.step(self.assert_nothing_comes_of_a_garbled_document)
        self.lab.start_agents(15)
        self.step(self.assert_a_hypervisor_is_drained)
        self.step(self.assert_vms_outlive_the_source)

    def step(self, what):
        begin = time.monotonic()
        what()
        print(f"  {what.__name__}: {time.monotonic() - begin:.0f} s", flush=True)

    def wait(self, condition, what, patience=PATIENCE):
        try:
            wait_until(condition, patience, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.lab.statuses()}\n{self.lab.server.logs()}") from None

    def wait_for_sync(self):
        self.wait(self.lab.is_in_sync, "all is in sync")

    def run_once(self, expected, *nodes):
        """What came of a run by hand of each, which is to end like that."""
        runs = self.lab.run_once(nodes)
        for node, run in runs.items():
            self.assertEqual(run.outcome, expected, f"{node.name}: {run.said}")
        return runs

    def inventory(self):
        """What is on the hypervisors and in the pool, running or not."""
        local = {node.name: (sorted(node.virsh("list", "--all", "--name").split()), sorted(path.name for path in node.storage.iterdir()),
                             sorted(node.run("ovs-vsctl", "list-br").split())) for node in self.lab.hypervisors}
        return local, sorted(self.lab.storage[0].run("rbd", "ls", "rbd").split())

    def assert_what_is_ordered_is_there(self):
        lab = self.lab
        lab.describe()
        self.machines = lab.order()
        lab.start_agents()
        self.wait(lab.is_in_health, "the cluster is in health")
        self.wait_for_sync()
        for collection, count in (("nodes", 5), ("vms", 3)):
            _, page = lab.server.read(f"/v1/{collection}.html")
            self.assertEqual(page.count('data-state="in_sync"'), count, page)
        self.assertEqual(set(lab.guests()), {(machine.node.name, machine.domain) for machine in self.machines})
        for number, machine in enumerate(self.machines[:2], 1):
            disks = machine.node.virsh("domblklist", machine.domain).split()
            self.assertEqual(len(disks), 6, "three disks, each with its place")
            machine.node.probe(f"g{number}", f"192.0.2.{number}/24", "ovs-vsctl", "add-port", machine.bridge, "PORT")
        one = lab.hypervisors[0]
        self.wait(lambda: one.reaches("g1", "192.0.2.2"), "one VM's bridge reaches the other's, on the other hypervisor", 60)

    def assert_another_run_changes_nothing(self):
        guests, inventory = self.lab.guests(), self.inventory()
        self.run_once("unchanged", *self.lab.nodes)
        self.assertEqual((self.lab.guests(), self.inventory()), (guests, inventory))

    def assert_a_killed_vm_comes_back(self):
        killed, *others = self.machines
        before = self.lab.guests()
        killed.node.kill_guest(killed.domain)
        self.run_once("changed", killed.node)
        after = self.lab.guests()
        self.assertNotIn(after[killed.node.name, killed.domain], (before[killed.node.name, killed.domain], None))
        for other in others:
            key = other.node.name, other.domain
            self.assertEqual(after[key], before[key])
        self.run_once("unchanged", killed.node)

    def assert_each_attribute_changes(self):
        """While the VM runs, or for its next start, as docs/convergence.md tells."""
        ask, (vm, *_) = self.lab.server.ask, self.machines
        volumes = {each["storage_type"]["name"]: each for each in ask("GET", f"/v1/volumes?vm={vm.uuid}")["items"]}
        for each in volumes.values():
            ask("PATCH", f"/v1/volumes/{each['uuid']}", {"size_bytes": 32 * MIB, "read_iops_limit": 100, "write_bps_limit": 5 * MIB})
        ask("POST", "/v1/volumes", {"vm": vm.uuid, "size_bytes": 8 * MIB, "storage_type": "raw", "cache_option": "none"})
        ask("POST", "/v1/interfaces", {"vm": vm.uuid, "mac": "52:54:00:00:01:01", "vlans": ["customers"]})
        ask("PATCH", f"/v1/vms/{vm.uuid}", {"name": "web-one", "cputime_limit": 50, "cores": 2, "ram_bytes": 96 * MIB})
        (run,) = self.run_once("changed", vm.node).values()
        for reason in ("1 cores become 2", f"{64 * 1024} KiB of memory become {96 * 1024}"):
            self.assertRegex(run.said, f"restart needed:.*{reason}")
        self.assertEqual(self.lab.guests(), self.guests)
        virsh = vm.node.virsh
        disks = [line.split()[0] for line in virsh("domblklist", vm.domain).splitlines() if line.strip()]
        self.assertEqual(disks, ["vda", "vdb", "vdc", "vdd"])
        for disk in disks[:3]:
            self.assertIn(f"Capacity:       {32 * MIB}", virsh("domblkinfo", vm.domain, disk))
            for limit in ("read_iops_sec  : 100", f"write_bytes_sec: {5 * MIB}"):
                self.assertIn(limit, virsh("blkdeviotune", vm.domain, disk, "--live"))
        self.assertEqual(virsh("domiflist", vm.domain).count("br-"), 2)
        self.assertRegex(virsh("schedinfo", vm.domain), r"vcpu_quota *: 50000\n")
        self.assertEqual(virsh("desc", "--title", vm.domain, "--config").strip(), "web-one")
        self.assertEqual(virsh("vcpucount", vm.domain, "--current", "--config").strip(), "2")
        self.run_once("unchanged", vm.node)

    def assert_an_osd_is_drained(self):
        """It leaves virtapi, and by what the site says then the cluster: out, empty, purged."""
        lab, node = self.lab, self.lab.storage[2]
        (osd,) = lab.server.ask("GET", f"/v1/ceph-osds?node={node.certname}")["items"]
        known = {each["uuid"]: each["osd"] for each in node.ceph("osd", "dump")["osds"]}
        number = known[osd["uuid"]]
        lab.server.ask("DELETE", f"/v1/ceph-osds/{osd['id']}")
        lab.let_osd_go(node, osd["uuid"])
        self.run_once("changed", node)
        (told,) = (each for each in node.ceph("osd", "dump")["osds"] if each["osd"] == number)
        self.assertEqual((told["in"], told["up"]), (0, 1), "it is out, and serves until its data is elsewhere")
        self.wait(lambda: "safe to destroy" in node.run("bash", "-c", f"ceph osd safe-to-destroy {number} 2>&1", check=False),
                  "its data is elsewhere")
        self.run_once("changed", node)
        left = sorted(each["osd"] for each in node.ceph("osd", "dump")["osds"])
        self.assertEqual(left, sorted(set(known.values()) - {number}))
        self.assertEqual((node.daemon(OSD, number), node.path(f"/var/lib/ceph/osd/ceph-{number}").exists()), (None, False))
        self.run_once("unchanged", node)
        self.wait(lab.is_in_health, "the cluster is in health without it")
        self.assertEqual(lab.statuses()[node.certname], "in_sync")
        self.assertEqual(lab.guests(), self.guests)

    def assert_nothing_comes_of_a_garbled_document(self):
        """Somebody else answers where the server did: nothing is done by what is cut off, or lacks what a document has."""
        lab, nodes = self.lab, self.lab.hypervisors
        answers = {view: lab.server.read(view) for node in nodes for view in lab.views(node)}
        documents = [lab.views(node)[-1] for node in nodes]
        inventory = self.inventory()

        def cut_off(view, content_type, text):
            return content_type, text[:len(text) // 2] if view in documents else text

        def without_meta(view, content_type, text):
            return content_type, json.dumps(lab.without_meta(json.loads(text))) if view in documents else text

        def not_ours(_view, *_answer):
            return NOT_OURS

        lab.server.stop()
        with StandIn(lab.wire, SERVER) as stand_in:
            for garble in (cut_off, without_meta, not_ours):
                stand_in.answer({view: garble(view, *answer) for view, answer in answers.items()})
                for run in self.run_once("failed", *nodes).values():
                    self.assertRegex(run.said, self.refusals[garble.__name__])
                self.assertEqual((lab.guests(), self.inventory()), (self.guests, inventory), garble.__name__)
        lab.server.start()

    def assert_a_hypervisor_is_drained(self):
        """What can move does, and is never in two places; what is local stays, and runs on."""
        lab, (to, drained) = self.lab, self.lab.hypervisors
        *_, staying, moving = self.machines
        hypervisor = f"/v1/hypervisors/{drained.certname}"
        lab.server.ask("POST", f"{hypervisor}/maintenance")
        told = lab.server.ask("POST", f"{hypervisor}/evacuate")
        self.assertEqual({each["name"]: (each["status"], each["hypervisor"]) for each in told["results"]},
                         {staying.name: (409, drained.certname), moving.name: (200, to.certname)})

        def moved():
            running = to.guest(moving.domain), drained.guest(moving.domain)
            self.assertIn(None, running, "it runs in two places")
            return running[0] is not None

        self.wait(moved, "it runs on the other hypervisor")
        self.wait_for_sync()
        self.assertEqual(lab.server.ask("GET", f"/v1/vms/{moving.uuid}")["lifecycle"], "started")
        self.assertEqual(drained.virsh("domstate", moving.domain).strip(), "shut off")
        after = lab.guests()
        self.assertEqual(after.pop((to.name, moving.domain)), to.guest(moving.domain))
        del self.guests[drained.name, moving.domain]
        self.assertEqual(after, self.guests)
        self.guests = lab.guests()
        lab.server.ask("POST", f"{hypervisor}/resume")
        self.wait_for_sync()

    def assert_vms_outlive_the_source(self):
        """It goes while all agents run, and stays away for at least one run more of each."""
        lab = self.lab

        def count(words):
            return {node: lab.server.count_in_log(node, words) for node in lab.nodes}

        def all_have(words, more, since):
            return all(now >= since[node] + more for node, now in count(words).items())

        begun = count(BEGINS)
        self.change_all_nodes("before")
        self.wait(lambda: all_have(BEGINS, 1, begun), "all agents run")
        lab.server.stop()
        ended = count(ENDS)
        wait_until(lambda: all_have(ENDS, 2, ended), PATIENCE, f"two more runs end\n{lab.server.logs()}")
        self.assertEqual(lab.guests(), self.guests)
        lab.server.start()
        self.change_all_nodes("after")
        self.wait_for_sync()
        self.assertEqual(lab.guests(), self.guests)

    def change_all_nodes(self, value):
        for node in self.lab.nodes:
            self.lab.server.ask("PATCH", f"/v1/nodes/{node.certname}", {"parameters": {"lab": value}})
