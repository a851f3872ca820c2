"""What must become of a seed on a hypervisor whose guest reads it, whichever tool converges it: `converged`, `looked` and
`failed` are the tests' own. The guest (scripts/setup-lab) shows on its serial console what is in its seed, and runs user data
that are a script."""
import os
import pathlib
import re

from lab_documents import MIB, document, uuid, vm, volume
from lab_node import wait_until

GUEST = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "virtapi/lab"
SEEDS = "/var/lib/libvirt/virtapi-seeds"
SECRET = "correct horse battery staple"


def seed(number, script=""):
    """Texts with all that could be lost on the way."""
    user_data = f"#!/bin/busybox sh\n# {SECRET} {number}: ä ☃ %{{x}} ${{y}} {{{{ z }}}} <&> 'a' \"b\" \\ \t|\n" + "# long\n" * 1000
    return {"meta-data": f'{{"instance-id":"i-{number}","local-hostname":"web-1"}}\n',
            "network-config": '{"version":2,"ethernets":{"eth0":{"dhcp4":true}}}\n', "user-data": user_data + script}


# To hold a drive is to lock it.
HOLD = "/bin/busybox mkdir /held; /bin/busybox mount -t iso9660 -o ro /dev/sr0 /held\n"
# Half a megabyte to each of two disks; how long it took, in hundredths of a second.
WRITE = """for disk in vda vdb; do
    began=$(/bin/busybox cut -d ' ' -f 1 /proc/uptime | /bin/busybox tr -d .)
    /bin/busybox dd if=/dev/zero of=/dev/$disk bs=64k count=8 oflag=direct 2>/dev/null
    ended=$(/bin/busybox cut -d ' ' -f 1 /proc/uptime | /bin/busybox tr -d .)
    echo "$disk took $((ended - began))"
done
"""


class SeedScenario:
    """The steps; `self.node` is the hypervisor."""

    def machine(self, given, **other):
        disks = [volume(number, "raw", path=f"{self.node.storage}/vol-{number}.raw") for number in (1, 2)]
        return {**vm(9001, [], disks, ram_bytes=192 * MIB, seed=given), **other}

    def say(self, vms, tombstones=()):
        found = document(vms, self.node.storage)
        found["hypervisor"]["tombstones"] = {"vms": dict(tombstones), "volumes": {}}
        self.node.document(found)

    def converge(self, given, **other):
        """A run that changes something, which is returned, and one that does not; neither says what is in the seed."""
        self.say({uuid(1): self.machine(given, **other)})
        would = self.looked()
        first, second = self.converged()
        for said in (would, first, second):
            self.assertNotIn(SECRET, said)
        return first, second

    def prepare(self, given, **other):
        """The kernel from outside and the console in a file, which virtapi knows nothing of and so leaves there."""
        self.converge(given, state="stopped", **other)
        xml = self.node.virsh("dumpxml", "--inactive", "vm-9001")
        system = f"<kernel>{GUEST}/kernel</kernel><initrd>{GUEST}/initrd</initrd><cmdline>quiet panic=-1</cmdline></os>"
        self.console = self.node.dir / "console"
        serial = f"<serial type='file'><source path='{self.console}' append='on'/><target port='0'/></serial>"
        xml = re.sub("<serial .*?</serial>|<console .*?</console>", "", xml.replace("</os>", system), flags=re.DOTALL)
        path = self.node.dir / "domain.xml"
        path.write_text(xml.replace("</devices>", f"{serial}</devices>"), encoding="utf-8")
        self.node.virsh("define", path)
        self.shown = 0

    def wait_for_boot(self):
        """What the guest shows from where it was last looked at until it is up."""
        def text():
            return self.console.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")[self.shown:]

        # Its last line, and by then it listens to the button.
        wait_until(lambda: self.console.exists() and re.search("^seed: .*\n(.*\n)*1\\+0 records out", text(), re.MULTILINE), 120,
                   "the guest is up")
        shown = text()
        self.shown += len(shown)
        return shown

    def assert_read(self, given):
        shown = self.wait_for_boot()
        found = dict(re.findall(r"^begin (\S+)\n(.*?)^end \1\n", shown, re.DOTALL | re.MULTILINE))
        self.assertEqual(found, given)
        return shown

    def images(self):
        directory = self.node.path(SEEDS)
        return sorted(path.name for path in directory.iterdir()) if directory.exists() else []

    def medium(self, *flags):
        """What is in the drive: the name of an image, or a dash; None without a drive."""
        disks = dict(line.split(None, 1) for line in self.node.virsh("domblklist", "vm-9001", *flags).splitlines() if line.strip())
        return pathlib.Path(disks["hda"].strip()).name if "hda" in disks else None

    def test_a_seed_reaches_the_guest(self):
        first, second = seed(1), seed(2, HOLD)
        self.prepare(first)
        (image,) = self.images()
        self.assertEqual((self.node.path(SEEDS).stat().st_mode & 0o7777, (self.node.path(SEEDS) / image).stat().st_mode & 0o7777),
                         (0o711, 0o600))
        self.converge(first)
        self.assert_read(first)
        guest = self.node.guest("vm-9001")
        # Another one: at once in the drive, and read when the guest boots again, by itself or not.
        told, again = self.converge(second)
        self.assertNotIn("restart needed", told + again)
        self.assertEqual(self.images(), [self.medium()])
        self.assertNotEqual(self.medium(), image)
        self.node.virsh("reset", "vm-9001")
        self.assert_read(second)
        # One that the guest holds stays until it stops.
        third, kept = seed(3), self.medium()
        for told in self.converge(third):
            self.assertRegex(told, "restart needed: its seed changes")
        self.assertEqual((self.medium(), self.node.guest("vm-9001")), (kept, guest))
        self.assertEqual(self.images(), sorted([kept, self.medium("--inactive")]))
        # It shuts down because it is asked to, and not because it is switched off.
        self.converge(third, state="deactivated")
        self.assertEqual(self.node.virsh("domstate", "vm-9001", "--reason").strip(), "shut off (shutdown)")
        self.assertEqual(self.images(), [self.medium()])
        told, again = self.converge(third)
        self.assertNotIn("restart needed", told + again)
        self.assert_read(third)
        # None: an empty drive at once, no drive at the next start; and again one.
        self.converge(None)
        self.assertEqual((self.medium(), self.medium("--inactive"), self.images()), ("-", None, []))
        self.node.virsh("reset", "vm-9001")
        self.assertIn("seed: none", self.wait_for_boot())
        told, again = self.converge(first)
        self.assertNotIn("restart needed", told + again)
        self.assertEqual((self.medium(), self.images()), (image, [image]))
        self.node.virsh("reset", "vm-9001")
        self.assert_read(first)
        # It goes with the machine.
        tombstone = {"name": "guest", "domain": "vm-9001", "not_before": "2020-01-01T00:00:00Z"}
        self.say({}, {uuid(1): tombstone})
        self.converged()
        self.assertEqual((self.node.virsh("list", "--all").strip(), self.images()), ("", []))

    def test_a_disk_is_as_slow_as_the_document_says(self):
        given = seed(1, WRITE)
        disks = self.machine(given)["volumes"]
        disks[1]["write_bps_limit"] = 128 * 1024
        self.prepare(given, volumes=disks)
        self.converge(given, volumes=disks)
        took = {disk: int(time) for disk, time in re.findall(r"^(vd.) took (\d+)$", self.assert_read(given), re.MULTILINE)}
        # Half a megabyte, of which a tenth of a second's may come at once.
        self.assertGreater(took["vdb"], 300)
        self.assertLess(took["vda"], took["vdb"])
        disks[0]["read_iops_limit"], disks[1]["write_bps_limit"] = 7, None
        guest = self.node.guest("vm-9001")
        self.converge(given, volumes=disks)
        for disk, limits in (("vda", {"read_iops_sec": 7}), ("vdb", {})):
            for flag in ("--live", "--config"):
                told = self.node.virsh("blkdeviotune", "vm-9001", disk, flag)
                found = {name: int(value) for name, value in re.findall(r"(\w+)\s*: (\d+)", told) if int(value)}
                self.assertEqual(found, limits)
        self.assertEqual(self.node.guest("vm-9001"), guest)

    def test_a_seed_that_cannot_be_built_is_an_error_of_its_machine_only(self):
        one, other = self.machine(seed(1)), vm(9002)
        self.say({uuid(1): one})
        self.converged()
        guest, images = self.node.guest("vm-9001"), self.images()
        self.node.run("mount", "--bind", "/bin/false", "/usr/bin/xorrisofs")
        self.say({uuid(1): dict(one, seed=seed(2), cores=2), uuid(2): other})
        said = self.failed()
        self.assertIn("xorrisofs", said)
        self.assertNotIn(SECRET, said)
        self.assertEqual((self.node.guest("vm-9001"), self.images(), self.node.virsh("domstate", "vm-9002").strip()),
                         (guest, images, "running"))
        self.assertNotIn("<vcpu placement='static'>2", self.node.virsh("dumpxml", "--inactive", "vm-9001"))
        self.node.run("umount", "/usr/bin/xorrisofs")
        self.converged()
        self.assertNotEqual(self.images(), images)

    def test_an_image_that_is_lost_is_built_again(self):
        self.converge(seed(1))
        (image,) = self.images()
        (self.node.path(SEEDS) / image).unlink()
        (self.node.path(SEEDS) / f"{uuid(1)}.unfinished").mkdir()
        # Another machine's, and somebody's own.
        others = [f"{uuid(2)}-{image[37:]}", "x.iso"]
        for name in others:
            (self.node.path(SEEDS) / name).touch()
        self.converged()
        self.assertEqual(self.images(), sorted([image, *others]))

    def test_a_machine_that_runs_has_its_first_seed_at_its_next_start(self):
        self.converge(None)
        for told in self.converge(seed(1)):
            self.assertRegex(told, "restart needed: its seed changes")
        self.assertEqual((self.medium(), self.images()), (None, [self.medium("--inactive")]))

    def test_a_machine_that_is_saved_keeps_its_image(self):
        self.converge(seed(1))
        (image,) = self.images()
        self.node.virsh("managedsave", "vm-9001")
        for told in self.converge(seed(2))[1:]:
            self.assertRegex(told, "restart needed: its seed changes")
        self.assertEqual((self.medium(), self.images()), (image, sorted([image, self.medium("--inactive")])))
        self.assertEqual(self.node.virsh("domstate", "vm-9001").strip(), "running")

    def test_qemu_of_another_user_reads_it_and_no_other(self):
        configuration = self.node.path("/etc/libvirt/qemu.conf")
        configuration.write_text(re.sub("(user|group) = .*\n", "", configuration.read_text(encoding="utf-8")), encoding="utf-8")
        self.node.stop_libvirtd()
        self.node.start_libvirtd()
        self.say({uuid(1): vm(9001, seed=seed(1))})
        self.converged()
        self.say({uuid(1): vm(9001, seed=seed(2))})
        self.converged()
        (image,) = self.images()
        found = (self.node.path(SEEDS) / image).stat()
        status = pathlib.Path(f"/proc/{self.node.guest('vm-9001')}/status").read_text(encoding="ascii")
        (user,) = re.findall(r"^Uid:\s+(\d+)", status, re.MULTILINE)
        self.assertNotEqual(int(user), 0)
        self.assertEqual((found.st_uid, found.st_mode & 0o777, self.medium()), (int(user), 0o600, image))
