"""Machines on logical volumes that are active: a guest of QEMU, and a container whose limits are those of the second version of control
groups. They come, go on, and go with their volumes. lab_kernel_test runs this in a machine with a kernel of its own (lab_kernel), where
everything is slow, so that there are few runs, each of which does much."""
import os
import pathlib
import subprocess
import tempfile
import unittest

from lab_containers import make_root
from lab_documents import MIB, document, interface, uuid, vm, volume
from lab_kernel_inside import PATIENCE
from lab_lvm import ActiveVolumeGroup, can_activate
from lab_node import Node, wait_until
from lab_salt import SaltNode

GROUPS = pathlib.Path("/sys/fs/cgroup")
GUEST, CONTAINER = "vm-9001", "vm-9002"
LONG_AGO, FAR_AHEAD = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
# How the kernel counts a processor.
PERIOD = 100000


def mount_groups():
    """The second version alone, and what it may limit, for the groups below it."""
    if not (GROUPS / "cgroup.controllers").exists():
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", GROUPS], check=True)
        (GROUPS / "cgroup.subtree_control").write_text("+cpu +memory +pids", encoding="ascii")


class PuppetMachines(Node):
    patience = PATIENCE


class SaltMachines(SaltNode):
    patience = PATIENCE


class MachinesScenario:
    """The steps; `make_node` says by which tool."""

    def setUp(self):
        mount_groups()
        self.node = self.make_node()
        self.addCleanup(self.node.remove)
        self.node.site({"shutdown_timeout": 1})
        # As `make lab` asks and does.
        self.assertTrue(can_activate(self.node))
        self.group = ActiveVolumeGroup(self.addCleanup, self.node)
        self.addCleanup(self.node.clear)
        self.generation = 0

    def test_machines_on_volumes(self):
        self.make_container_root()
        self.group.make("somebodys")
        self.converge("changed", self.machines())
        self.assert_run()
        self.converge("unchanged", self.machines())

        pid = self.container_pid()
        self.converge("changed", self.machines(cores=2, ram_bytes=48 * MIB))
        self.assertEqual((self.container_pid(), self.limit("cpu.max"), self.limit("memory.max")),
                         (pid, f"{2 * PERIOD} {PERIOD}", str(48 * MIB)))

        self.converge("changed", {}, LONG_AGO, FAR_AHEAD)
        self.assertEqual((self.node.virsh("list", "--all", "--name").strip(), self.node.containers()), ("", {}))
        self.assertEqual(sorted(self.group.names()), ["somebodys", "vol-1", "vol-2"])
        self.converge("changed", {}, LONG_AGO, LONG_AGO)
        self.assertEqual(self.group.names(), ["somebodys"])
        self.converge("unchanged", {}, LONG_AGO, LONG_AGO)

    def make_container_root(self):
        """The volume is there already, and what is there is taken as it is."""
        self.group.make("vol-2")
        with tempfile.TemporaryDirectory() as place:
            make_root(pathlib.Path(place) / "root")
            subprocess.run(["dd", "bs=1M", "status=none", f"if={place}/root", f"of={self.group.device('vol-2')}"], check=True)

    def volume(self, number):
        return volume(number, "lvm", vg=self.group.name, lv=f"vol-{number}")

    def machines(self, **limits):
        guest = vm(9001, [], [self.volume(1)])
        container = {**vm(9002, [interface(9002, 1)], [self.volume(2)]), "virt_method": "LXC", **limits}
        return {uuid(1): guest, uuid(2): container}

    def tombstones(self, machines, volumes):
        """Of all that there was."""
        return {"vms": {key: {"name": each["name"], "domain": each["domain"], "not_before": machines} for key, each in self.machines().items()},
                "volumes": {each["uuid"]: {"type": "lvm", "vg": each["vg"], "lv": each["lv"], "not_before": volumes}
                            for each in map(self.volume, (1, 2))}}

    def converge(self, expected, machines, *not_before):
        """A run with these machines in the document; or with their tombstones and those of their volumes, of these times."""
        self.generation += 1
        found = document(machines, self.node.storage, self.generation)
        found["meta"]["approved"] = True
        found["hypervisor"].update({"vg_name": self.group.name, "virt_methods": ["KVM", "LXC"]})
        if not_before:
            found["hypervisor"]["tombstones"] = self.tombstones(*not_before)
        self.node.document(found)
        run = self.node.apply()
        self.assertEqual(run.outcome, expected, run.said)
        self.assertEqual([meta["generation"] for meta in run.messages("applied")], [self.generation], run.said)

    def assert_run(self):
        self.assertEqual(self.node.virsh("domstate", GUEST).strip(), "running")
        device = os.path.realpath(self.group.device("vol-1"))
        files = pathlib.Path(f"/proc/{self.node.guest(GUEST)}/fd").iterdir()
        self.assertIn(device, [os.path.realpath(file) for file in files])
        root = pathlib.Path(f"/proc/{self.container_pid()}/root")
        wait_until((root / "log").exists, 120, "the container writes into its root")
        self.assertEqual((self.limit("cpu.max"), self.limit("memory.max")), (f"{PERIOD} {PERIOD}", str(64 * MIB)))

    def container_pid(self):
        return self.node.containers()[CONTAINER][1]

    def limit(self, key):
        (line,) = pathlib.Path(f"/proc/{self.container_pid()}/cgroup").read_text(encoding="ascii").splitlines()
        group = pathlib.Path(f"{GROUPS}{line.removeprefix('0::')}")
        return (group / key).read_text(encoding="ascii").strip()


class PuppetInside(MachinesScenario, unittest.TestCase):
    make_node = PuppetMachines


class SaltInside(MachinesScenario, unittest.TestCase):
    make_node = SaltMachines
