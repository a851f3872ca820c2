"""The whole life of a machine that a customer has ordered, whichever tool converges its hypervisor: `make_node` is the tests'
own. The guest boots from its own disk, made on a golden image (scripts/setup-lab), and its user data write what it has
found in its seed to the second part of that disk."""
import io
import json
import os
import pathlib
import struct
import subprocess
import tarfile

from lab_documents import MIB
from lab_node import CERTNAME, wait_until
from lab_receiver import Receiver
from lab_server import LabServer

DISK = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "virtapi/lab/disk.qcow2"
GOLDEN = "/var/lib/libvirt/golden/guest.qcow2"
SEEDS = "/var/lib/libvirt/virtapi-seeds"
# For a run of the agent, or two, or for a boot without KVM, on a machine that has other things to do.
PATIENCE = 300

ADDRESS, GATEWAY = "192.0.2.10", "192.0.2.1"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJd0mfTwnKqB3d8hTn6nXQ4G6rGm5rZ6pYgq6x0vXo1S alice@laptop"
# How much its flavor lets a disk write in a second; and in how many seconds the guest has written half a mebibyte, and that 32 times,
# at the soonest.
DISK_BPS, SOONEST = 4 * MIB, 3
# What was told, how long it takes to write, and by which boot. The first sector is where the guest says that it is up.
USER_DATA = """#!/bin/busybox sh
# Grüße ☃ %{x} ${y} {{ z }} <&> 'a' "b"
/bin/busybox mkdir /cd /told
/bin/busybox mount -t iso9660 -o ro /dev/sr0 /cd
/bin/busybox cp /cd/* /proc/sys/kernel/random/boot_id /told
/bin/busybox umount /cd
/bin/busybox cp /proc/uptime /told/begun
for time in $(/bin/busybox seq 32); do /bin/busybox dd if=/dev/zero of=/dev/vda2 bs=64k seek=8 count=8 conv=fsync; done
/bin/busybox cp /proc/uptime /told/ended
/bin/busybox dd if=/dev/zero of=/dev/vda2 bs=512 count=1 conv=fsync
/bin/busybox tar -c -C /told . | /bin/busybox dd of=/dev/vda2 bs=512 seek=1 conv=fsync
"""


class OrderedGuest:
    """The steps; `self.node` is the hypervisor."""

    def setUp(self):
        self.node = self.make_node()
        self.addCleanup(self.node.remove)
        # Far more than it takes.
        self.node.site({"shutdown_timeout": 120, "switch": "openvswitch", "uplink": "uplink0"})
        self.node.start_openvswitch()
        self.node.run("ovs-vsctl", "add-br", "uplink0", "--", "set", "bridge", "uplink0", "datapath_type=netdev")
        self.receiver = Receiver(self.node, "shop.example.com", "10.99.0.200")
        self.addCleanup(self.receiver.remove)
        self.server = LabServer(self.node, "127.0.0.1", "--webhook-networks", "10.99.0.0/24", "--webhook-ca", self.receiver.certificate)
        self.addCleanup(self.server.remove)
        self.describe_the_fleet()
        self.describe_the_customer()

    def describe_the_fleet(self):
        """One hypervisor, and what can be ordered: a single address is to be had."""
        post, golden = self.server.post, self.node.path(GOLDEN)
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_bytes(DISK.read_bytes())
        post("nodes", fqdn=CERTNAME, state="running")
        post("vlans", name="customers", tag=100)
        post("hypervisors", node=CERTNAME, cores=2, ram_bytes=1024 * MIB, virt_methods=["QEMU"], local_storage_bytes=1024 * MIB,
             local_storage_path=str(self.node.storage))
        post("networks", name="customers", audience="customers", vlan="customers")
        post("subnets", name="customers-v4", network="customers", cidr="192.0.2.0/24", purpose="addresses", gateway=GATEWAY,
             first=ADDRESS, last=ADDRESS)
        size = json.loads(self.node.run("qemu-img", "info", "--output=json", GOLDEN))["virtual-size"]
        post("images", name="guest", format="qcow2", path=GOLDEN, size_bytes=size)
        for name, cores, ram, limits in ("small", 1, 192 * MIB, {"disk_bps": DISK_BPS}), ("medium", 2, 256 * MIB, {}):
            post("flavors", name=name, cores=cores, ram_bytes=ram, disk_bytes=32 * MIB, virt_method="QEMU", storage_type="qcow2",
                 **limits)

    def describe_the_customer(self):
        """Who orders, and who is told."""
        post = self.server.post
        post("organizations", name="acme", full_name="Acme")
        post("environments", organization="acme", name="shop")
        post("memberships", organization="acme", user={"name": "alice", "account_type": "person", "state": "active"}, role="owner")
        self.customer = self.server.new_token(name="alice's", user="alice", scope="all")
        self.ask("POST", "/v1/keys", environment="acme/shop", name="laptop", public_key=KEY)
        self.receiver.know(self.ask("POST", "/v1/organizations/acme/callback-secret")["secret"])

    def ask(self, method, path, **body):
        """What the customer asks."""
        return self.server.ask(method, path, body or None, token=self.customer)

    def order(self, name, query=""):
        return self.ask("POST", f"/v1/vms{query}", name=name, environment="acme/shop", flavor="small", image="guest",
                        network="customers", keys=["laptop"], user_data=USER_DATA, callback_url=self.receiver.url)

    def address_of(self, vm):
        (interface,) = self.ask("GET", f"/v1/interfaces?vm={vm['id']}")["items"]
        return interface["mac"], [address["ip"] for address in interface["addresses"]]

    def vm(self):
        return self.ask("GET", self.path)

    def is_known(self):
        return self.ask("GET", f"/v1/vms?uuid={self.uuid}")["items"] != []

    def wait(self, condition, what):
        try:
            wait_until(condition, PATIENCE, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.server.logs()}") from None

    def wait_for_lifecycle(self, wanted):
        def reached():
            vm = self.vm()
            self.assertNotEqual(vm["lifecycle"], "failed", f"{vm}\n{self.server.logs()}")
            return vm["lifecycle"] == wanted

        self.wait(reached, f"it is {wanted}")

    def wait_for_node(self):
        node = f"/v1/nodes/{CERTNAME}?fields=status"
        self.wait(lambda: self.server.ask("GET", node)["status"] == "in_sync", "the agent has done its work")

    def wait_for_telling(self, *actions):
        """All that was told of it so far."""
        def told():
            return [message["action"] for message in self.receiver.messages()]

        self.wait(lambda: len(told()) >= len(actions), f"{actions[-1]} is told")
        self.assertEqual(told(), list(actions))

    def read_disk(self, sector, count):
        """Of what the guest sees; while it runs, what it has flushed. Empty where that changes just now."""
        found = self.node.dir / "sectors"
        words = ["qemu-img", "dd", "-U", "-f", "qcow2", "-O", "raw", "bs=512", f"skip={sector}", f"count={sector + count}",
                 f"if={self.disk}", f"of={found}"]
        run = subprocess.run(self.node.command(*words), capture_output=True, check=False)
        return found.read_bytes() if run.returncode == 0 else b""

    def told_by_guest(self):
        """The files of its seed as it has found them, and `boot_id`; none before it says that it is up."""
        # The second entry of the table of parts: where it begins, and how long it is.
        table = self.read_disk(0, 1)
        found = self.read_disk(*struct.unpack_from("<II", table, 446 + 16 + 8)) if table else b""
        if not found.startswith(b"up\n"):
            return {}
        with tarfile.open(fileobj=io.BytesIO(found[512:])) as archive:
            files = {pathlib.Path(member.name).name: archive.extractfile(member) for member in archive if member.isfile()}
            return {name: file.read().decode() for name, file in files.items()}

    def wait_for_boot(self, former=None):
        """What the guest tells, after another boot than the former."""
        self.wait(lambda: self.told_by_guest().get("boot_id", former) != former, "the guest is up")
        return self.told_by_guest()

    def images(self):
        directory = self.node.path(SEEDS)
        return sorted(path.name for path in directory.iterdir()) if directory.exists() else []

    def find_disk(self):
        """The file of the first one."""
        disks = dict(line.split() for line in self.node.virsh("domblklist", self.domain).splitlines() if line.strip())
        return pathlib.Path(disks["vda"])

    def domains(self):
        return self.node.virsh("list", "--all", "--name").split()

    def assert_it_is_ordered(self):
        vm = self.order("web-1")
        self.uuid, self.path, self.domain = vm["uuid"], f"/v1/vms/{vm['uuid']}", f"vm-{vm['id']}"
        self.assertEqual((vm["lifecycle"], vm["cores"], vm["state"]["name"]), ("scheduled", 1, "running"))
        self.mac, addresses = self.address_of(vm)
        self.assertEqual(addresses, [f"{ADDRESS}/24"])
        with self.assertRaisesRegex(AssertionError, "has no IPv4 address left"):
            self.order("web-2", "?dry_run=true")
        self.wait_for_telling("create")
        (created,) = self.receiver.messages()
        self.assertEqual((created["kind"], created["object"]["uuid"]), ("vms", self.uuid))

    def assert_it_has_booted(self):
        """From its own disk, and it knows what it was told."""
        self.wait_for_lifecycle("started")
        self.wait_for_telling("create", "started")
        self.assertEqual((self.domains(), self.vm()["failure"]), ([self.domain], None))
        self.disk = self.find_disk()
        self.assertEqual(self.disk.parent, self.node.storage)
        self.assertEqual(len(self.images()), 1)
        told = self.wait_for_boot()
        self.assertEqual(told["user-data"], USER_DATA)
        self.assertEqual(json.loads(told["meta-data"]),
                         {"instance-id": self.uuid, "local-hostname": "web-1", "public-keys": [KEY]})
        begun, ended = (float(told[name].split()[0]) for name in ("begun", "ended"))
        self.assertGreaterEqual(ended - begun, SOONEST, "its disk is slowed down")
        (ethernet,) = json.loads(told["network-config"])["ethernets"].values()
        self.assertEqual((ethernet["match"], ethernet["addresses"]), ({"macaddress": self.mac}, [f"{ADDRESS}/24"]))
        return told["boot_id"]

    def assert_it_stops_and_starts(self, boot):
        """What is wanted is known at once, what is seen follows."""
        self.assertEqual(self.ask("POST", f"{self.path}/stop")["lifecycle"], "started")
        self.wait_for_lifecycle("stopped")
        self.assertEqual(self.node.virsh("domstate", self.domain, "--reason").strip(), "shut off (shutdown)")
        self.wait_for_telling("create", "started", "stopped")
        self.assertEqual(self.ask("POST", f"{self.path}/start")["lifecycle"], "starting")
        self.wait_for_lifecycle("started")
        self.wait_for_telling("create", "started", "stopped", "started")
        return self.wait_for_boot(boot)["boot_id"]

    def assert_it_reboots(self, boot):
        """Once; nobody is told, for it runs before and after."""
        guest = self.node.guest(self.domain)
        self.assertEqual(self.ask("POST", f"{self.path}/reboot")["lifecycle"], "rebooting")
        self.wait_for_lifecycle("started")
        again = self.node.guest(self.domain)
        self.assertNotIn(again, (guest, None))
        boot = self.wait_for_boot(boot)["boot_id"]
        self.wait_for_node()
        self.assertEqual((self.node.guest(self.domain), self.vm()["restarts"]), (again, 1))
        return boot

    def assert_it_is_restored(self, boot):
        """What a snapshot holds, which is taken while it runs, is what it has after another boot; and it boots again."""
        guest = self.node.guest(self.domain)
        self.ask("POST", f"{self.path}/snapshot", name="before")
        self.wait_for_node()
        self.assertEqual(self.node.guest(self.domain), guest)
        self.ask("POST", f"{self.path}/reboot")
        later = self.wait_for_boot(boot)["boot_id"]
        self.ask("POST", f"{self.path}/stop")
        self.wait_for_lifecycle("stopped")
        self.assertEqual(self.told_by_guest()["boot_id"], later)
        with self.assertRaisesRegex(AssertionError, "is none that the volume has now"):
            self.ask("POST", f"{self.path}/restore", snapshot="never")
        self.assertEqual(self.ask("POST", f"{self.path}/restore", snapshot="before")["lifecycle"], "restoring")
        self.wait_for_lifecycle("stopped")
        self.assertEqual(self.told_by_guest()["boot_id"], boot)
        self.ask("POST", f"{self.path}/start")
        self.wait_for_lifecycle("started")
        return self.wait_for_boot(boot)["boot_id"]

    def assert_it_gets_another_size(self, boot):
        """By a restart."""
        self.assertEqual(self.ask("POST", f"{self.path}/resize", flavor="medium")["lifecycle"], "resizing")
        self.wait_for_lifecycle("started")
        told = self.node.virsh("dominfo", self.domain)
        self.assertRegex(told, r"CPU\(s\): +2\n")
        self.assertRegex(told, rf"Max memory: +{256 * 1024} KiB\n")
        self.assertRegex(self.node.virsh("blkdeviotune", self.domain, "vda"), r"write_bytes_sec *: +0\n")
        return self.wait_for_boot(boot)["boot_id"]

    def assert_it_is_rebuilt(self, boot):
        """Another disk, which boots and knows the same; the old one is kept for a while."""
        old = self.disk
        self.assertEqual(self.ask("POST", f"{self.path}/rebuild", image="guest")["lifecycle"], "rebuilding")
        self.wait_for_lifecycle("started")
        self.disk = self.find_disk()
        self.assertNotEqual(self.disk, old)
        told = self.wait_for_boot(boot)
        self.assertEqual((told["user-data"], json.loads(told["meta-data"])["instance-id"]), (USER_DATA, self.uuid))
        self.wait_for_node()
        self.assertTrue(old.exists())

    def assert_it_is_deleted(self):
        """No VM any more at once; on its hypervisor it stops and is kept. Then nobody answers to its address, and that is told."""
        seeds = self.images()
        self.ask("DELETE", self.path)
        self.assertFalse(self.is_known())
        # The guest still answers.
        with self.assertRaisesRegex(AssertionError, "has no IPv4 address left"):
            self.order("web-2", "?dry_run=true")
        self.wait_for_telling("create", *2 * ["started", "stopped"], "started", "delete", "deleted")
        for message in self.receiver.messages()[-2:]:
            self.assertEqual(message["object"]["uuid"], self.uuid)
        instance = self.ask("GET", f"/v1/core/virtual-machines/{self.uuid}")["instance"]
        self.assertEqual((instance["name"], instance["state"]), ("web-1", "deleted"))
        self.assertEqual(self.node.virsh("domstate", self.domain, "--reason").strip(), "shut off (shutdown)")
        self.assertTrue(self.disk.exists())
        self.assertEqual(self.images(), seeds)
        self.order("web-2", "?dry_run=true")

    def assert_it_is_gone(self):
        """When its time is over: all that there was of it, and what was to tell the agent so."""
        tombstones = self.server.ask("GET", "/v1/tombstones?sort=id")["items"]
        self.assertEqual(len(tombstones), 3, "of the machine, and of its disks")
        # First the disk that was rebuilt, for both at once are more than goes in one run unasked.
        rebuilt, *others = tombstones
        for some, left in ([rebuilt], len(others)), (others, 0):
            for tombstone in some:
                self.server.ask("PATCH", f"/v1/tombstones/{tombstone['id']}", {"not_before": "2026-01-01T00:00:00Z"})
            self.wait(lambda left=left: len(self.server.ask("GET", "/v1/tombstones")["items"]) == left, f"all but {left} are gone")
        self.assertEqual((self.domains(), self.disk.exists(), self.images()), ([], False, []))
        self.assertEqual(list(self.node.storage.iterdir()), [])
        self.wait_for_node()


class LifeScenario(OrderedGuest):
    """All of them."""

    def test_an_order_from_first_to_last(self):
        self.server.start_agent()
        self.wait_for_node()
        self.assert_it_is_ordered()
        boot = self.assert_it_has_booted()
        boot = self.assert_it_stops_and_starts(boot)
        boot = self.assert_it_reboots(boot)
        boot = self.assert_it_is_restored(boot)
        boot = self.assert_it_gets_another_size(boot)
        self.assert_it_is_rebuilt(boot)
        self.assert_it_is_deleted()
        self.assert_it_is_gone()
        # The next one has its place, and is another.
        vm = self.order("web-2")
        self.assertEqual(self.address_of(vm)[1], [f"{ADDRESS}/24"])
        self.path, self.domain = f"/v1/vms/{vm['uuid']}", f"vm-{vm['id']}"
        self.wait_for_lifecycle("started")
        self.assertEqual(self.domains(), [self.domain])
