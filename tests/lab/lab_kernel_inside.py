"""What is tested in a machine with a kernel of its own (lab_kernel): logical volumes that are active, and VLANs by the kernel alone.
lab_kernel_test runs it there; on this machine, whose first disk it takes and whose kernel may lack all of that, it is never run by
itself.

Everything there is slow, so that there are few runs, each of which does much; and there is no libvirtd, which takes long to start and
knows nothing of either."""
import json
import unittest

from lab_documents import MIB, VLAN, uuid, volume
from lab_lvm import DiskVolumeGroup
from lab_node import Node, wait_until
from lab_salt import SaltNode, SaltRun

OTHER_VLAN = {"name": "dmz", "tag": 200, "vni": None}
BRIDGES = ("br-9001-1", "br-9001-2", "br-9001-3")
CHANGED, UNCHANGED = "changed", "unchanged"
# What another customer has written.
FOREIGN = b"what another has left. " * 4096
# Far more than a run takes there.
PATIENCE = 1200


class Kernel:
    """What nodes of both tools have in common."""

    patience = PATIENCE

    def start_libvirtd(self):
        """Nothing here is a machine."""


class PuppetKernel(Kernel, Node):
    def converge(self, volumes, bridges):
        resources = [("virtapi_volume", each["uuid"],
                      {"provider": "lvm", "type": "lvm", "place": f"{each['vg']}/{each['lv']}", "size_bytes": each["size_bytes"]})
                     for each in volumes]
        resources += [("virtapi_bridge", name, {key: value for key, value in settings.items() if value is not None})
                      for name, settings in bridges.items()]
        return self.apply(manifest="\n".join(f"{kind} {{ '{title}': * => {self.written(settings)} }}" for kind, title, settings in resources))

    @staticmethod
    def written(settings):
        """As Puppet writes it."""
        return json.dumps(settings, separators=(", ", " => ")).replace("null", "undef")


class SaltKernel(Kernel, SaltNode):
    def converge(self, volumes, bridges):
        states = {f"volume-{each['lv']}": {"virtapi_volume.present": [{"name": each["uuid"]}, {"volume": each}]} for each in volumes}
        states.update({f"bridge-{name}": {"virtapi_bridge.present": [{"name": name}, *({key: value} for key, value in settings.items())]}
                       for name, settings in bridges.items()})
        (self.dir / "states").mkdir(exist_ok=True)
        (self.dir / "states/kernel.sls").write_text("#!json\n" + json.dumps(states), encoding="utf-8")
        self.configure(file_roots={"base": [str(self.dir / "states")]}, pillar_roots={"base": []})
        # The words that apply the formula, of which the last is what is applied.
        words = [*self.salt_words()[:-1], "kernel"]
        return SaltRun(self.converge_by(words, PYTHONWARNINGS="ignore", PYTHONDONTWRITEBYTECODE="1"))


class KernelScenario:
    """The steps; `make_node` says by which tool."""

    def setUp(self):
        self.node = self.make_node()
        self.addCleanup(self.node.remove)
        self.group = DiskVolumeGroup(self.addCleanup, self.node)

    def converge(self, expected, sizes, vlans, mtu=None):
        """A run with volumes of these sizes, by their number, and a bridge for each list of VLANs."""
        volumes = [volume(number, "lvm", size, vg=self.group.name, lv=f"vol-{number}") for number, size in sizes.items()]
        run = self.node.converge(volumes, {name: {"vlans": each, "uplink": "eno1", "mtu": mtu} for name, each in zip(BRIDGES, vlans)})
        self.assertEqual(run.outcome, expected, run.said)

    def test_volumes_and_bridges(self):
        self.leave_something_behind()
        self.lay_wires()
        wanted = {1: 16 * MIB, 2: 16 * MIB}, [[VLAN], [VLAN], [OTHER_VLAN]]
        self.converge(CHANGED, *wanted)
        self.assert_volumes_are_new()
        self.assert_segments()
        self.converge(UNCHANGED, *wanted)

        self.widen_wires()
        self.converge(CHANGED, {1: 30 * MIB, 2: 16 * MIB}, [[VLAN], [], [OTHER_VLAN]], 9000)
        self.assert_grown()
        self.assert_widened()

    def leave_something_behind(self):
        """A volume that another had before, which the next one comes in the place of: files at its beginning, by a file system whose
        mark is not in its first block."""
        self.group.make("earlier")
        self.place = self.group.noted("earlier", "seg_pe_ranges")
        image = self.node.dir / "image"
        self.node.run("xorrisofs", "-quiet", "-o", image, self.node.dir / "code")
        with open(self.group.device("earlier"), "r+b", buffering=0) as device:
            device.write(FOREIGN)
            device.seek(32 * 1024)
            device.write(image.read_bytes()[32 * 1024:])
        self.assertIn("iso9660", self.node.run("blkid", "-p", self.group.device("earlier")))
        self.node.run("lvremove", "-y", f"{self.group.name}/earlier")

    def assert_volumes_are_new(self):
        self.assertIn(self.place, [self.group.noted(f"vol-{number}", "seg_pe_ranges") for number in (1, 2)])
        for number in (1, 2):
            name = f"vol-{number}"
            self.assertEqual((self.group.noted(name, "lv_active"), self.group.noted(name, "lv_size")), ("active", "16.00m"))
            self.assertEqual(self.beginning(name), bytes(4096))
            self.assertEqual(self.node.run("blkid", "-p", self.group.device(name), check=False), "")
        # What a customer writes is there to the end.
        with open(self.group.device("vol-1"), "r+b", buffering=0) as device:
            device.write(FOREIGN)

    def beginning(self, name):
        with open(self.group.device(name), "rb") as device:
            return device.read(4096)

    def assert_grown(self):
        # Extents have 4 MiB.
        self.assertEqual((self.group.noted("vol-1", "lv_active"), self.group.noted("vol-1", "lv_size")), ("active", "32.00m"))
        self.assertEqual(self.node.run("blockdev", "--getsize64", self.group.device("vol-1")).strip(), str(32 * MIB))
        self.assertEqual(self.beginning("vol-1"), FOREIGN[:4096])

    def lay_wires(self):
        """The uplink, whose other end has an address without a tag; and one of each VLAN, in networks that nothing else is in."""
        run = self.node.run
        for name in ("there", "tagged", "other"):
            run("ip", "netns", "add", name)
        run("ip", "link", "add", "eno1", "type", "veth", "peer", "name", "eno1", "netns", "there")
        run("ip", "addr", "add", "192.0.2.9/24", "dev", "eno1")
        run("ip", "link", "set", "eno1", "up")
        run("ip", "-n", "there", "addr", "add", "192.0.2.101/24", "dev", "eno1")
        run("ip", "-n", "there", "link", "set", "eno1", "up")
        for name, tag in (("tagged", 100), ("other", 200)):
            run("ip", "-n", "there", "link", "add", "link", "eno1", "name", "vlan", "type", "vlan", "id", tag)
            run("ip", "-n", "there", "link", "set", "vlan", "netns", name)
            run("ip", "-n", name, "addr", "add", f"192.0.2.{tag}/24", "dev", "vlan")
            run("ip", "-n", name, "link", "set", "vlan", "up")

    def widen_wires(self):
        for words in ((), ("-n", "there")):
            self.node.run("ip", *words, "link", "set", "eno1", "mtu", 9050)
        self.node.run("ip", "-n", "tagged", "link", "set", "vlan", "mtu", 9000)
        self.node.run("ip", "link", "set", "p-g1", "mtu", 9000)
        self.node.run("ip", "-n", "g1", "link", "set", "eth0", "mtu", 9000)

    def assert_segments(self):
        """Who is reached on a machine's bridge: all of its VLAN, and nobody else."""
        for number, bridge in enumerate(BRIDGES, 1):
            self.node.probe(f"g{number}", f"192.0.2.{number}/24", "ip", "link", "set", "PORT", "master", bridge)
        self.wait_for("g1", 100)
        self.wait_for("g1", 2)
        self.wait_for("g3", 200)
        for name, address in (("g1", 3), ("g1", 101), ("g1", 200), ("g1", 9), ("g3", 100), ("g3", 101)):
            self.assertFalse(self.node.reaches(name, f"192.0.2.{address}"), (name, address))
        # That it was nobody's fault.
        self.assertIn("1 received", self.node.run("ping", "-c", "1", "192.0.2.101"))

    def assert_widened(self):
        self.assertFalse(self.node.reaches("g2", "192.0.2.100"))
        large = ("ip", "netns", "exec", "g1", "ping", "-c", "1", "-W", "1", "-M", "do", "-s", 9000 - 28, "192.0.2.100")
        wait_until(lambda: "1 received" in self.node.run(*large, check=False), 60, "a large packet by its VLAN")

    def wait_for(self, name, number):
        wait_until(lambda: self.node.reaches(name, f"192.0.2.{number}"), 60, f"{name} reaches {number}")


class PuppetInside(KernelScenario, unittest.TestCase):
    make_node = PuppetKernel


class SaltInside(KernelScenario, unittest.TestCase):
    make_node = SaltKernel
