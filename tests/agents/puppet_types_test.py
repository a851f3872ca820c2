"""The module's data types: what each takes, and the mistakes that each refuses."""
import copy
import json
import pathlib
import subprocess
import tempfile
import unittest

import puppet_documents as documents
from puppet_sandbox import ROOT

DATA = documents.hiera()
VM = documents.vm()
QCOW2, LVM, RAW, RBD = VM["volumes"]
TOMBSTONES = documents.tombstones()
GONE = {tombstone["type"]: tombstone for tombstone in TOMBSTONES["volumes"].values()}

RESTORE = {"snapshot": "before-upgrade", "number": 2}

# Keys of a machine that a server may not send.
ORDERED = ("seed", "restarts", "security_rules", "gpus")

VALID = {
    "Virtapi::Meta": [DATA["virtapi::meta"], {name: value for name, value in DATA["virtapi::meta"].items() if name != "approved"}],
    "Virtapi::Node": [DATA["virtapi::node"]],
    "Virtapi::Role": ["hypervisor", "ceph_mon", "ceph_osd"],
    "Virtapi::Vm": [VM, {**VM, **dict.fromkeys(ORDERED)}, {name: value for name, value in VM.items() if name not in ORDERED}],
    "Virtapi::Seed": [VM["seed"], {"meta-data": ""}],
    "Virtapi::SecurityRule": [*VM["security_rules"], {**VM["security_rules"][0], "protocol": "sctp", "port_range_min": None}],
    "Virtapi::Gpu": VM["gpus"],
    # An older server says nothing of the MTU.
    "Virtapi::VmInterface": [*VM["interfaces"], {name: value for name, value in VM["interfaces"][0].items() if name != "mtu"}],
    "Virtapi::Interface": DATA["virtapi::node"]["interfaces"],
    "Virtapi::Volume": [QCOW2, LVM, RAW, RBD, {**RAW, "type": "zfs"}, {**QCOW2, "restore": RESTORE}, {**RBD, "restore": None},
                        {**LVM, "restore": RESTORE}],
    "Virtapi::Volume::Restore": [RESTORE],
    "Virtapi::Tombstones": [TOMBSTONES, {"vms": {}, "volumes": {}}],
    "Virtapi::Tombstone::Vm": [{**tombstone, "name": name} for tombstone in TOMBSTONES["vms"].values() for name in ("a", None)],
    "Virtapi::Tombstone::Volume": [*GONE.values(), {**GONE["qcow2"], "type": "zfs"}],
    "Virtapi::Volume::Snapshot": QCOW2["snapshots"],
    "Virtapi::Ceph::Cluster": [DATA["virtapi::ceph::clusters"]["ceph"]],
    "Virtapi::Ceph::Osd": DATA["virtapi::ceph::osd::osds"],
    "Virtapi::Ceph::Key": ["AQ" + "x" * 36 + "=="],
    "Virtapi::Vlan": [documents.VLAN, documents.VXLAN],
    "Virtapi::Mac": ["52:54:00:12:34:56", "aa:bb:cc:dd:ee:ff"],
    "Virtapi::Ip": ["10.0.0.1", "::1", "2001:db8::10", "::ffff:192.0.2.1"],
    "Virtapi::Cidr": ["10.0.0.0/8", "192.0.2.10/32", "::/0", "2001:db8::10/64", "::1/128"],
    "Virtapi::Timestamp": ["2026-12-01T02:00:00Z", "2026-12-01T02:00:00.123456Z"],
    "Virtapi::Fqdn": ["hv01.example.com", "localhost", "_a.b-c.d1"],
    "Virtapi::Path": ["/", "/srv/yes: no #"],
    "Virtapi::ContainerIds": ["none", [100000, 65536]],
}

# What may not be there as it is: a value in place of the valid one, or by path.
WRONG = {
    "Virtapi::Mac": [5254001234, 195025312596, "52:54:00:12:34:5", "52-54-00-12-34-56", "52:54:00:12:34:5G",
                     "52:54:00:AA:BB:CC", "52:54:00:12:34:56\n", None],
    "Virtapi::Ip": ["", "10.0.0", "10.0.0.1/24", "::1/128", "fe80::1%eth0", ":1 ", 1],
    "Virtapi::Cidr": ["10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "::1", "x/24", 24],
    "Virtapi::Timestamp": ["2026-12-01", "2026-12-01T02:00:00+01:00", "2026-12-01 02:00:00Z", 20261201],
    "Virtapi::Fqdn": ["", "HV01.example.com", "hv01..example.com", "-a", "a b", "hv01.example.com\n"],
    "Virtapi::Path": ["", "srv", "/a\nb"],
    "Virtapi::Role": ["virtapi", "", None],
    "Virtapi::ContainerIds": [None, "", [], 65536, [0, 65536], [100000], [100000, 0], ["100000", 65536], [1, 2, 3]],
    "Virtapi::Ceph::Key": ["", "AQ" + "x" * 36, "AQ" + "x" * 36 + "==\n", "[client.admin]", None],
    "Virtapi::Ceph::Keys": [{"mon": None}, {"admin": "x"}, {"osd": "AQ" + "x" * 36 + "=="}],
    "Virtapi::Vlan": [{**documents.VLAN, "tag": 0}, {**documents.VLAN, "tag": 4095}, {**documents.VLAN, "tag": "100"},
                      {**documents.VLAN, "vni": 5}, {**documents.VXLAN, "vni": 2**24},
                      {"name": "a", "tag": None, "vni": None}],
    "Virtapi::Volume": [
        {**QCOW2, "type": "rbd"}, {**QCOW2, "type": "a/b"}, {**QCOW2, "type": ""}, {**QCOW2, "type": "lvm"},
        {**LVM, "vg": None}, {**RAW, "path": None},
        {**RBD, "pool": None}, {**RBD, "image": ""}, {**LVM, "path": "/a"}, {**RBD, "backing": QCOW2["backing"]},
        *({**QCOW2, "restore": value} for value in ({}, [], 2, "before-upgrade")),
        {**QCOW2, "size_bytes": "1"}, {**QCOW2, "size_bytes": -1}, {**QCOW2, "read_iops_limit": 0}],
    "Virtapi::Volume::Restore": [{**RESTORE, "snapshot": ""}, {**RESTORE, "number": "2"}, {**RESTORE, "number": -1}, {**RESTORE, "number": None}],
    "Virtapi::Seed": [None, {}, [], {"Meta": ""}, {"../a": ""}, {"a.b": ""}, {"": ""}, {"meta-data": None}, {"meta-data": {}}],
    "Virtapi::Vm": [
        *({**VM, "seed": value} for value in ({}, "", {"meta-data": 1}, {"a/b": ""})),
        *({**VM, "security_rules": value} for value in ({}, [None], "none")),
        *({**VM, "gpus": value} for value in ({}, ["0000:3b:00.0"])),
        *({**VM, "restarts": value} for value in (-1, "1", 1.5, True))],
    "Virtapi::Gpu": [{"address": value} for value in ("", "3b:00.0", "0000:3B:00.0", "0000:3b:20.0", "0000:3b:00.8", "0000:3b:00.0\n", None)],
    "Virtapi::SecurityRule": [{**VM["security_rules"][0], **wrong} for wrong in (
        {"direction": "in"}, {"ethertype": "ipv4"}, {"protocol": ""}, {"port_range_min": "22"}, {"port_range_max": 65536}, {"port_range_min": -1},
        {"remote_ip_prefix": "10.0.0.0"}, {"remote_ip_prefix": ""})],
    "Virtapi::VmInterface": [{**VM["interfaces"][0], "bridge": "br-12345678901234"},
                             *({**VM["interfaces"][0], "mtu": value} for value in (67, 65536, "1500", 1500.5))],
    "Virtapi::Meta": [{**DATA["virtapi::meta"], "approved": value} for value in ("false", 0, None)],
    "Virtapi::Tombstones": [None, [], {**TOMBSTONES, "vms": {"vm-8": TOMBSTONES["vms"][documents.uuid(2)]}},
                            {**TOMBSTONES, "volumes": {documents.uuid(2).upper(): GONE["lvm"]}}],
    "Virtapi::Tombstone::Vm": [{"name": "a", "domain": domain, "not_before": until} for domain, until in (
        ("vm-08", "2026-12-08T02:00:00Z"), ("other", "2026-12-08T02:00:00Z"), ("vm-8", None), ("vm-8", "2026-12-08"))],
    "Virtapi::Tombstone::Volume": [
        {**GONE["qcow2"], "type": "rbd"}, {**GONE["qcow2"], "type": "a/b"}, {**GONE["qcow2"], "path": "vol-14.qcow2"},
        {**GONE["lvm"], "type": "raw"}, {**GONE["lvm"], "vg": ""}, {**GONE["rbd"], "pool": None}, {**GONE["rbd"], "not_before": 0}],
}


def mistakes(value, optional=()):
    """A value with one key too few or too many, at each place where there are keys to count."""
    if isinstance(value, dict):
        for key in value.keys() - {*optional}:
            less = dict(value)
            del less[key]
            yield less
        yield {**value, "surplus": None}


# These may have any keys or elements.
FREE = {"Virtapi::Meta": ("clusters",), "Virtapi::Node": ("parameters",), "Virtapi::Tombstones": ("vms", "volumes"),
        "Virtapi::Vm": ("seed",)}
# A server that has none of these says nothing of them.
OPTIONAL = {"Virtapi::Meta": ("approved",), "Virtapi::Vm": ORDERED, "Virtapi::VmInterface": ("mtu",), "Virtapi::Volume": ("restore",), "Virtapi::Seed": tuple(VM["seed"])}


class TypesTest(unittest.TestCase):
    def test_types(self):
        cases = []
        for name, values in VALID.items():
            for value in values:
                cases.append((name, value, True))
                cases += [(name, wrong, False) for wrong in mistakes(value, OPTIONAL.get(name, ()))]
                for key, inner in value.items() if isinstance(value, dict) else ():
                    if key in FREE.get(name, ()):
                        continue
                    for index, element in enumerate(inner if isinstance(inner, list) else [inner]):
                        for wrong in mistakes(element, OPTIONAL["Virtapi::VmInterface"] if (name, key) == ("Virtapi::Vm", "interfaces") else ()):
                            spoilt = copy.deepcopy(value)
                            if isinstance(inner, list):
                                spoilt[key][index] = wrong
                            else:
                                spoilt[key] = wrong
                            cases.append((name, spoilt, False))
        cases += [(name, value, False) for name, values in WRONG.items() for value in values]
        self.assertGreater(len(cases), 200)
        for (name, value, expected), found in zip(cases, self.matches(cases), strict=True):
            self.assertEqual(found, expected, f"{name}: {json.dumps(value)}")

    def matches(self, cases):
        """What Puppet says of each; the values reach it as Hiera's do."""
        program = """
            require 'puppet'
            Puppet.initialize_settings(["--confdir", "/nonexistent", "--vardir", "/nonexistent"])
            require 'puppet_pal'
            cases = JSON.parse($stdin.read)
            answers = Puppet::Pal.in_tmp_environment("test", modulepath: [ARGV[0]], facts: {}) do |pal|
              pal.with_script_compiler do |compiler|
                types = Hash.new { |known, name| known[name] = compiler.type(name) }
                cases.map { |name, value, _| types[name].instance?(value) }
              end
            end
            puts JSON.generate(answers)
        """
        with tempfile.TemporaryDirectory() as modules:
            pathlib.Path(modules, "virtapi").symlink_to(ROOT / "puppet")
            run = subprocess.run(["ruby", "-rjson", "-e", program, modules], input=json.dumps(cases),
                                 capture_output=True, encoding="utf-8", check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)


if __name__ == "__main__":
    unittest.main()
