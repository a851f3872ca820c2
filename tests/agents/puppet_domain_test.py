"""What a run of Puppet does to one machine, in which order, and how often; with a stand-in for virsh."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from puppet_hypervisor_test import UUID, interface
from puppet_sandbox import ROOT


class DomainTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = pathlib.Path(directory.name)
        self.asked, self.libvirt = self.dir / "asked", self.dir / "domains.json"
        program = self.dir / "virsh"
        program.write_text(f'#!/bin/sh\necho "$*" >> {self.asked}\nexec python3 {ROOT}/tests/agents/virsh_stand_in.py {self.libvirt} "$@"\n',
                           encoding="utf-8")
        program.chmod(0o755)
        self.libvirt.write_text("{}", encoding="utf-8")
        (self.dir / "filters.json").write_text("{}", encoding="utf-8")
        self.bridges("1")
        self.puppet = subprocess.Popen(["ruby", ROOT / "tests/agents/puppet_domain.rb", self.dir / "bridge"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       env={**os.environ, "PATH": f"{self.dir}:{os.environ['PATH']}"}, encoding="utf-8")
        self.addCleanup(self.puppet.communicate)

    def bridges(self, value):
        """Whether the kernel gives bridged packets to its filter."""
        (self.dir / "bridge").mkdir(exist_ok=True)
        for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            (self.dir / "bridge" / name).write_text(value + "\n", encoding="ascii")

    def filters(self):
        return json.loads((self.dir / "filters.json").read_text(encoding="utf-8"))

    def domain(self, **changes):
        """The domain as it is, with these changes."""
        domains = json.loads(self.libvirt.read_text(encoding="utf-8"))
        domains[UUID].update(changes)
        self.libvirt.write_text(json.dumps(domains), encoding="utf-8")
        return domains[UUID]

    def apply(self, kind, parameters):
        """A run with one resource."""
        self.asked.write_text("", encoding="utf-8")
        self.puppet.stdin.write(json.dumps([kind, parameters]) + "\n")
        self.puppet.stdin.flush()
        self.answer = json.loads(self.puppet.stdout.readline())

    def run_once(self, **parameters):
        """The commands that change something, and what Puppet says."""
        given = {"uuid": UUID, "domain": "vm-7", "vm_name": "web", "cores": 1, "ram_bytes": 2**30, "cputime_limit": "none",
                 "virt_method": "QEMU", "state": "running", "interfaces": [interface(1)], "volumes": [], "shutdown_timeout": 1, **parameters}
        self.apply("virtapi_domain", given)
        asked = self.asked.read_text(encoding="utf-8").replace("-q -c qemu:///system ", "").replace(f" {UUID}", "").splitlines()
        return [" ".join(line.split()[:1] + [word for word in line.split() if word in ("--live", "--disable")])
                for line in asked if not line.startswith(("list", "echo", "dumpxml", "nwfilter-list"))]

    def said(self, *levels):
        return [message for level, message in self.answer["messages"] if level in levels]

    def converge(self, commands, **parameters):
        """A run that gives these commands, and one that gives none."""
        self.assertEqual(self.run_once(**parameters), commands)
        changed, said = self.answer["changed"], self.said("warning", "err")
        self.assertEqual((self.answer["failed"], self.run_once(**parameters), self.answer["changed"]), (False, [], []), self.answer)
        return changed, said


class RestartsTest(DomainTest):
    RESTART = ["define", "shutdown", "start"]

    def test_a_new_one_keeps_the_number(self):
        self.converge(["define", "autostart", "start"], restarts=3)
        self.assertIn('restarts=\'3\'', self.domain()["running"])

    def test_an_older_one_gets_the_number_and_runs_on(self):
        self.converge(["define", "autostart", "start"])
        self.assertEqual(self.converge(["define", "metadata --live"], restarts=3), (["restarts"], []))
        self.converge([], restarts=None)

    def test_a_number_that_has_grown_is_one_restart(self):
        self.converge(["define", "autostart", "start"], restarts=3)
        changed, said = self.converge(self.RESTART, restarts=5, cores=2)
        self.assertEqual((changed, said), (["cores", "restarts"], []))
        self.assertIn("<vcpu>2</vcpu>", self.domain()["running"])
        # One that has become smaller was not asked for.
        self.converge(["define", "metadata --live"], restarts=4)
        self.converge(self.RESTART, restarts=5)

    def test_one_that_does_not_run_is_not_restarted(self):
        self.converge(["define", "autostart", "start"], restarts=3)
        self.converge(["autostart --disable", "shutdown"], restarts=3, state="stopped")
        self.converge(["define"], restarts=4, state="stopped")
        self.converge(["autostart", "start"], restarts=4)
        # What shall stop is stopped, and no more.
        changed, said = self.converge(["define", "autostart --disable", "shutdown"], restarts=5, cores=2, state="stopped")
        self.assertEqual(said, [])
        self.converge(["autostart", "start"], restarts=5, cores=2)

    def test_in_maintenance_it_is_left_alone_and_told(self):
        self.converge(["define", "autostart", "start"], restarts=3)
        for _ in range(2):
            self.run_once(restarts=4, state="maintenance", autostart="true")
            self.assertEqual(self.said("warning", "err"), ["vm-7: restart needed: restart 4 is asked for"])
        self.converge(["shutdown", "start"], restarts=4)

    def test_one_that_does_not_answer_is_switched_off(self):
        self.converge(["define", "autostart", "start"], restarts=3)
        self.domain(deaf=["shutdown"])
        _, said = self.converge(["define", "shutdown", "destroy", "start"], restarts=4)
        self.assertEqual(said, ["vm-7 has not shut down in 1 s, and is switched off"])

    def test_one_that_is_paused_goes_on_to_shut_down(self):
        self.converge(["define", "autostart", "start"], restarts=3)
        self.domain(state="paused (user)")
        self.converge(["define", "resume", "shutdown", "start"], restarts=4)
        self.domain(state="paused (migrating)")
        self.assertEqual(self.run_once(restarts=5), ["define"])
        self.assertIn("vm-7 is paused (migrating), and not resumed", self.said("err")[0])

    def test_a_failure_in_the_middle(self):
        self.converge(["define", "autostart", "start"], restarts=3)
        self.domain(refuses=["shutdown"])
        self.assertEqual(self.run_once(restarts=4), ["define", "shutdown"])
        self.assertTrue(self.answer["failed"])
        # Asked for, and not done yet.
        self.domain(refuses=["start"])
        self.assertEqual(self.run_once(restarts=4), ["shutdown", "start"])
        self.assertTrue(self.answer["failed"])
        # Off: it is started, and not restarted after that.
        self.domain(refuses=[])
        self.converge(["start"], restarts=4)


SSH = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22,
       "remote_ip_prefix": "10.0.0.0/8"}
NAME = f"virtapi-{UUID}"


class FilterTest(DomainTest):
    def refers(self):
        return NAME in self.domain()["defined"], NAME in self.domain()["running"]

    def test_a_filter_comes_changes_and_goes_while_it_runs(self):
        self.converge(["nwfilter-define", "define", "autostart", "start"], security_rules=[])
        self.assertEqual((list(self.filters()), self.refers()), ([NAME], (True, True)))
        changed, said = self.converge(["nwfilter-define"], security_rules=[SSH])
        self.assertEqual((changed, said), (["security_rules"], []))
        self.assertIn("srcipaddr='10.0.0.0'", self.filters()[NAME])
        self.converge(["define", "update-device --live", "nwfilter-undefine"])
        self.assertEqual((self.filters(), self.refers()), ({}, (False, False)))
        self.converge(["nwfilter-define", "define", "update-device --live"], security_rules=[SSH])
        self.assertEqual((list(self.filters()), self.refers()), ([NAME], (True, True)))

    def test_what_others_have_done_to_it_is_undone(self):
        self.converge(["nwfilter-define", "define", "autostart", "start"], security_rules=[SSH])
        other = self.filters()[NAME].replace("srcipmask='8'", "srcipmask='0'")
        (self.dir / "filters.json").write_text(json.dumps({NAME: other, "foreign": "<filter/>"}), encoding="utf-8")
        self.converge(["nwfilter-define"], security_rules=[SSH])
        self.assertIn("foreign", self.filters())

    def test_one_that_does_not_run(self):
        self.converge(["nwfilter-define", "define", "autostart --disable"], security_rules=[SSH], state="stopped")
        self.converge(["define", "nwfilter-undefine"], state="stopped")
        # It stops, and so nothing of what runs is changed.
        self.converge(["autostart", "start"])
        self.converge(["nwfilter-define", "define", "autostart --disable", "shutdown"], security_rules=[SSH], state="stopped")

    def test_a_filter_of_others_stays_where_there_is_none_of_ours(self):
        self.converge(["define", "autostart", "start"])
        theirs = "<model type='virtio' /><filterref filter='clean-traffic' />"
        self.domain(**{what: self.domain()[what].replace("<model type='virtio'/>", theirs) for what in ("defined", "running")})
        self.converge([])
        self.converge(["nwfilter-define", "define", "update-device --live"], security_rules=[])
        self.assertNotIn("clean-traffic", self.domain()["running"])

    def test_where_nothing_is_filtered_each_run_says_so(self):
        self.bridges("0")
        for _ in range(3):
            self.run_once(security_rules=[SSH])
            self.assertEqual(self.said("warning", "err"), [
                "vm-7: unfiltered: the kernel passes bridged packets by its filter (net.bridge.bridge-nf-call-iptables, "
                "net.bridge.bridge-nf-call-ip6tables, br_netfilter)"])
        self.assertEqual(self.refers(), (True, True), "it is there when the kernel is told")
        for _ in range(3):
            self.run_once(security_rules=[SSH], switch="openvswitch")
            self.assertIn("vm-7: unfiltered: libvirt filters nothing on bridges of Open vSwitch", self.said("warning"))
        self.assertEqual((self.filters(), self.refers()), ({}, (False, False)))
        self.run_once(switch="openvswitch")
        self.assertNotIn("unfiltered", str(self.said("warning")))

    def test_a_libvirt_without_filters(self):
        (self.dir / "filters.json").unlink()
        self.converge(["define", "autostart", "start"])
        self.assertEqual(self.run_once(security_rules=[SSH]), ["nwfilter-define"])
        self.assertIn("not supported by the connection driver", self.said("err")[0])
        self.assertEqual(self.refers(), (False, False), "nothing is changed that would not start")

    def test_a_rule_that_cannot_be_carried_out_touches_nothing(self):
        self.converge(["nwfilter-define", "define", "autostart", "start"], security_rules=[SSH])
        for change in ({"protocol": "sctp"}, {"protocol": "any"}, {"protocol": "icmp"}, {"port_range_max": 21}, {"port_range_max": 65536},
                       {"port_range_min": -1}, {"ethertype": "IPv6"}, {"ethertype": "ARP"}, {"direction": "both"},
                       {"remote_ip_prefix": "nowhere"}):
            with self.subTest(str(change)):
                self.assertEqual(self.run_once(security_rules=[SSH, {**SSH, **change}], cores=2), [])
                self.assertRegex(self.said("err")[0], "vm-7: security rule .* is none that can be carried out")


if __name__ == "__main__":
    unittest.main()
