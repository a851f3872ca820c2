"""What must reach a guest, and what it may reach, by the rules of its document, whichever tool converges it: `converge` is the
tests' own, a run that changes something and one that does not, with what both have said. The guest (scripts/setup-lab) answers at
two ports, and asks at two of its neighbour; it runs what its seed says."""
import os
import pathlib
import re
import subprocess

from lab_documents import MIB, document, interface, uuid, vm, volume
from lab_node import wait_until

GUEST = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "virtapi/lab"
FILTER = f"virtapi-{uuid(1)}"
SCRIPT = """#!/bin/busybox sh
/bin/busybox ip addr add 192.0.2.1/24 dev eth0
/bin/busybox ip addr add 2001:db8::1/64 dev eth0
/bin/busybox ip link set eth0 up
for port in 22 80; do
    /bin/busybox nc -ll -p $port -e /bin/busybox echo hello &
done
while true; do
    /bin/busybox nc -w 1 192.0.2.2 81 </dev/null
    /bin/busybox nslookup x 192.0.2.2 &
    question=$!
    /bin/busybox sleep 1
    /bin/busybox kill $question
done >/dev/null 2>&1 &
"""
# What the neighbour hears: a line for each.
LISTENER = """
import select, socket, sys
connections = socket.create_server(("192.0.2.2", 81))
questions = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
questions.bind(("192.0.2.2", 53))
print("ready", flush=True)
while True:
    for one in select.select([connections, questions], [], [])[0]:
        if one is connections:
            one.accept()[0].close()
            print("connection", flush=True)
        else:
            one.recv(1500)
            print("question", flush=True)
"""
ASK = """
import socket
with socket.create_connection(("192.0.2.1", {}), timeout=2) as one:
    assert one.recv(100) == b"hello\\n"
"""


def rule(direction, protocol, port=None, prefix=None, ethertype="IPv4"):
    return {"direction": direction, "ethertype": ethertype, "protocol": protocol, "port_range_min": port, "port_range_max": port,
            "remote_ip_prefix": prefix}


class FiltersScenario:
    """The steps; `self.node` is the hypervisor."""

    def machine(self, rules, **other):
        disk = volume(1, "raw", path=f"{self.node.storage}/vol-1.raw")
        return vm(9001, [interface(9001, 1)], [disk], ram_bytes=192 * MIB, seed={"user-data": SCRIPT}, security_rules=rules, **other)

    def follow(self, rules, **other):
        said = self.converge({uuid(1): self.machine(rules, **other)})
        self.assertNotIn("unfiltered", said)
        self.assertNotIn("restart needed", said)

    def prepare(self, rules):
        """A guest that runs, with a neighbour on its bridge."""
        self.follow(rules, state="stopped")
        xml = self.node.virsh("dumpxml", "--inactive", "vm-9001")
        system = f"<kernel>{GUEST}/kernel</kernel><initrd>{GUEST}/initrd</initrd><cmdline>quiet panic=-1</cmdline></os>"
        path = self.node.dir / "domain.xml"
        path.write_text(xml.replace("</os>", system), encoding="utf-8")
        self.node.virsh("define", path)
        self.node.probe("neighbour", "192.0.2.2/24", "ip", "link", "set", "PORT", "master", "br-9001-1")
        self.addCleanup(self.node.run, "ip", "netns", "del", "neighbour")
        self.node.run("ip", "-n", "neighbour", "addr", "add", "2001:db8::2/64", "dev", "eth0", "nodad")
        self.heard = self.node.dir / "heard"
        with self.heard.open("w", encoding="utf-8") as heard:
            listener = subprocess.Popen(self.node.command("ip", "netns", "exec", "neighbour", "python3", "-c", LISTENER), stdout=heard)
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        self.follow(rules)
        disk = self.node.storage / "vol-1.raw"
        wait_until(lambda: disk.read_bytes()[:2] == b"up", 120, "the guest is up")

    def answers(self, port):
        words = self.node.command("ip", "netns", "exec", "neighbour", "python3", "-c", ASK.format(port))
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def looks(self):
        """The ways to it, each tried once."""
        return {"22": lambda: self.answers(22), "80": lambda: self.answers(80), "ping": lambda: self.node.reaches("neighbour", "192.0.2.1"),
                "ping6": lambda: self.node.reaches("neighbour", "2001:db8::1")}

    def assert_lets_in(self, *wanted):
        looks = self.looks()
        for way in wanted:
            wait_until(looks[way], 30, f"{way} goes through")
        self.assertEqual([way for way, look in looks.items() if look()], [way for way in looks if way in wanted])

    def assert_lets_out(self, *wanted):
        """The guest tries both by turns: three of one mean that the other was tried."""
        before = self.heard.read_text(encoding="utf-8").count("\n")

        def since():
            return self.heard.read_text(encoding="utf-8").split("\n")[before:]

        for way in wanted:
            wait_until(lambda: since().count(way) > 3, 60, f"the guest's {way}")
        self.assertEqual({way for way in since()[1:] if way}, set(wanted))

    def filters(self):
        return re.findall(r"virtapi-\S+", self.node.virsh("nwfilter-list"))

    def test_rules_take_effect_while_it_runs(self):
        ssh = rule("ingress", "tcp", 22, "192.0.2.0/24")
        self.prepare([])
        guest = self.node.guest("vm-9001")
        self.assert_lets_out("connection", "question")
        self.assert_lets_in()
        self.follow([ssh])
        self.assert_lets_in("22")
        self.follow([{**ssh, "remote_ip_prefix": "198.51.100.0/24"}, rule("ingress", "icmp", prefix="0.0.0.0/0")])
        self.assert_lets_in("ping")
        self.follow([{**ssh, "port_range_max": 80}, rule("ingress", "icmp", ethertype="IPv6")])
        self.assert_lets_in("22", "80", "ping6")
        self.follow([rule("ingress", "any"), rule("ingress", "any", prefix="2001:db8::/64", ethertype="IPv6")])
        self.assert_lets_in("22", "80", "ping", "ping6")
        # Only what is said goes out, and the answers to what comes in.
        self.follow([rule("egress", "udp", 53, "192.0.2.2/32"), ssh])
        self.assert_lets_out("question")
        self.assert_lets_in("22")
        # None: as without all this.
        self.follow(None)
        self.assert_lets_in("22", "80", "ping", "ping6")
        self.assert_lets_out("connection", "question")
        self.assertEqual((self.filters(), "filterref" in self.node.virsh("dumpxml", "vm-9001")), ([], False))
        self.follow([ssh])
        self.assert_lets_in("22")
        self.assertEqual((self.filters(), self.node.guest("vm-9001")), ([FILTER], guest))
        # What others have done to it is undone.
        self.node.virsh("nwfilter-define", self.changed())
        wait_until(lambda: self.answers(80), 30, "others have opened it")
        self.follow([ssh])
        self.assert_lets_in("22")
        # It goes with the machine, and not before.
        tombstone = {"name": "guest", "domain": "vm-9001", "not_before": "2999-01-01T00:00:00Z"}
        self.converge({}, {uuid(1): tombstone})
        self.assertEqual(self.filters(), [FILTER])
        self.converge({}, {uuid(1): {**tombstone, "not_before": "2020-01-01T00:00:00Z"}})
        self.assertEqual((self.filters(), self.node.virsh("list", "--all").strip()), ([], ""))

    def changed(self):
        path = self.node.dir / "changed.xml"
        path.write_text(self.node.virsh("nwfilter-dumpxml", FILTER).replace("dstportstart='22'", ""), encoding="utf-8")
        return path

    def test_every_rule_is_as_libvirt_writes_it(self):
        kinds = [rule(direction, protocol, port, prefix, ethertype) for direction in ("ingress", "egress")
                 for ethertype, prefixes in (("IPv4", (None, "0.0.0.0/0", "10.0.0.0/8", "192.0.2.130/25", "192.0.2.1/32")),
                                             ("IPv6", (None, "::/0", "2001:db8::/32", "2001:db8:0:0:1:0:0:1/128", "fe80::1:2:3:4/64")))
                 for protocol, ports in (("tcp", (None, 0, 65535)), ("udp", (None, 53)), ("icmp", (None,)), ("any", (None,)))
                 for port in ports for prefix in prefixes]
        # Each run that follows another finds nothing to do.
        self.follow(kinds, state="stopped")
        # Others refer to it, and it is their own.
        self.node.virsh("nwfilter-undefine", FILTER)
        self.follow(kinds, state="stopped")

    def test_where_nothing_is_filtered_it_is_told(self):
        self.node.run("sysctl", "-q", "-w", "net.bridge.bridge-nf-call-iptables=0")
        said = self.converge({uuid(1): vm(9001, [interface(9001, 1)], security_rules=[])})
        self.assertEqual(said.count("vm-9001: unfiltered: the kernel passes bridged packets"), 2, said)
        self.node.run("sysctl", "-q", "-w", "net.bridge.bridge-nf-call-iptables=1")
        self.assertNotIn("unfiltered", self.converge({uuid(1): vm(9001, [interface(9001, 1)], security_rules=[], cores=2)}))
        # On Open vSwitch libvirt would not start it with a filter.
        self.node.start_openvswitch()
        self.node.run("ovs-vsctl", "add-br", "uplink0", "--", "set", "bridge", "uplink0", "datapath_type=netdev")
        self.settings(switch="openvswitch", uplink="uplink0", shutdown_timeout=1)
        other = vm(9002, [interface(9002, 2)], security_rules=[])
        said = self.converge({uuid(2): other}, {uuid(1): {"name": "x", "domain": "vm-9001", "not_before": "2020-01-01T00:00:00Z"}})
        self.assertEqual(said.count("vm-9002: unfiltered: libvirt filters nothing on bridges of Open vSwitch"), 2, said)
        self.assertEqual((self.node.virsh("domstate", "vm-9002").strip(), self.filters()), ("running", []))

    def said_of(self, vms, tombstones):
        """The document for the tests' own `converge`."""
        found = document(vms, self.node.storage)
        found["hypervisor"]["tombstones"] = {"vms": tombstones or {}, "volumes": {}}
        self.node.document(found)
