"""Documents of one node as the server sends them, with every value that a YAML 1.1 reader could take for another.

The emitter follows the rules that make JSON text safe YAML: whoever reads it, JSON or YAML, gets the same values.
"""
import json
import re
import subprocess

CERTNAME = "hv01.example.com"

# Text that looks like something else, or that readers stumble over. Raw `%{` is here as it is stored.
TRAPS = [
    "yes", "no", "on", "off", "y", "n", "true", "null", "~", "", " ", "012", "0o17", "0x1f", "0b101", "1_000", "1,000",
    "1e3", "1.5e-7", "1.", ".5", ".inf", ".nan", "12:34", "10:20:30", "52:54:00:12:34:56", "::1", ":sym", "fe80::1",
    "2026-01-01", "2026-01-01T10:00:00Z", "=", "<<", "- a", "? a", "a: b", "a #b", "#a", "&a", "*a", "!a", "!!str a",
    "|a", ">a", "@a", "`a", "{a}", "[a]", "\"a\"", "'a'", "a\\b", "a/b", "\t", "a\nb", "a\r\nb", "\u0001", "\u007f",
    "\u0080", "\u0085", "\u00a0", "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff", "😀", "ä", "e\u0301", "%", "%h 100%",
    "%{", "%{}", "%{facts.x}", "%{literal('%')}{x}", "%{lookup('virtapi::roles')}", "%{md5('x')}", "a%{::b}c", "%%{x}",
    "${x}", "$x", "<% x %>", "ENC[PKCS7,x]",
]
# What is in a seed.
SECRET = "correct horse battery staple"
PARAMETERS = {
    "traps": TRAPS,
    "keys": {trap: index for index, trap in enumerate(TRAPS) if trap != "<<"},
    "numbers": [0, -1, 2**53 + 1, 2**63 - 1, -2**63, 1e22, 1e-7, 1.5, -0.25, 1e16, 1.0, 123456789.125],
    "nested": {"a": [{"b": {"c": [[], {}, None, True, False]}}]},
    "ntp": "yes",
}

VLAN = {"name": "customers", "tag": 100, "vni": None}
VXLAN = {"name": "überlay", "tag": None, "vni": 16777215}


def uuid(number):
    return f"6f1c2a34-0000-4000-8000-{number:012d}"


def volume(number, kind, **place):
    limits = {f"{name}_limit": None for name in ("read_iops", "write_iops", "read_bps", "write_bps")}
    return {"uuid": uuid(number), "type": kind, "size_bytes": 53687091200, **limits, "cache": "none", **place,
            "backing": None, "snapshots": []}


def vm():
    image = {"name": "debian-12", "format": "qcow2", "path": "/var/lib/libvirt/golden/debian-12.qcow2",
             "checksum": "sha256:" + "0" * 64}
    on_image = volume(4, "qcow2", path="/var/lib/libvirt/images/vol-4.qcow2")
    on_image.update(backing=image, read_iops_limit=500, snapshots=[
        {"name": "before-upgrade", "take_at": "2026-12-01T02:00:00Z", "keep_until": None}])
    return {
        "name": "yes", "domain": "vm-7", "cores": 2, "ram_bytes": 1073741824, "cputime_limit": None,
        "virt_method": "KVM", "state": "running",
        "interfaces": [
            {"name": "eth0", "bridge": "br-7-9", "mac": "52:54:00:12:34:57", "vlans": [VLAN, VXLAN],
             "addresses": ["192.0.2.10/24", "2001:db8::10/64", "::1/128"], "mtu": 9000},
            {"name": None, "bridge": "br7fffffff-ffff", "mac": "52:54:00:12:34:58", "vlans": [], "addresses": [],
             "mtu": None}],
        "volumes": [on_image, volume(5, "lvm", vg="vg0", lv="vol-5"), volume(8, "raw", path="/srv/vol-8.raw"),
                    volume(6, "rbd", cluster="ceph", pool="012", image="vol-6")],
        "seed": {"meta-data": "instance-id: yes\n", "user-data": SECRET + "".join(TRAPS)}, "restarts": 2,
        "gpus": [{"address": "0000:3b:00.0"}, {"address": "0000:af:1f.7"}],
        "security_rules": [
            {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22,
             "remote_ip_prefix": "0.0.0.0/0"},
            {"direction": "egress", "ethertype": "IPv6", "protocol": "any", "port_range_min": None, "port_range_max": None,
             "remote_ip_prefix": None}]}


def tombstones():
    return {
        "vms": {uuid(2): {"name": "no", "domain": "vm-8", "not_before": "2026-12-08T02:00:00Z"}},
        "volumes": {
            uuid(14): {"type": "qcow2", "path": "/srv/yes: no #/vol-14.qcow2", "not_before": "2026-12-08T02:00:00Z"},
            uuid(15): {"type": "lvm", "vg": "0x1f", "lv": "vol-15", "not_before": "2026-12-08T02:00:00.5Z"},
            uuid(16): {"type": "rbd", "cluster": "ceph", "pool": "012", "image": "vol-16", "not_before": "2026-12-08T02:00:00Z"}}}


def hiera():
    """What the data is, key by key, before it is escaped for Hiera."""
    network = {"name": "mgmt", "cidr": "10.0.0.0/24", "mtu": 1500, "vlan": VLAN}
    return {
        "virtapi::meta": {"schema": 1, "node_id": 3, "generation": 12, "approved": False, "clusters": {"ceph": 4}},
        "virtapi::node": {
            "fqdn": CERTNAME, "location": "2026-01-01", "state": "running", "environment": "production",
            "parameters": PARAMETERS, "networks": {"management": network, "storage": None, "backup": None},
            "interfaces": [{"name": "eno1", "mac": "52:54:00:12:34:56", "bond": "bond0", "vlans": [VLAN],
                            "addresses": ["10.0.0.11/24"]}],
            "bonds": [{"name": "bond0", "mode": "802.3ad", "interfaces": ["52:54:00:12:34:56"]}]},
        "virtapi::roles": ["hypervisor", "ceph_mon", "ceph_osd"],
        "virtapi::hypervisor::local_storage_bytes": 1000000000000,
        "virtapi::hypervisor::local_storage_path": None,
        "virtapi::hypervisor::vg_name": "vg0",
        "virtapi::hypervisor::cores": 16,
        "virtapi::hypervisor::ram_bytes": 68719476736,
        "virtapi::hypervisor::cpu_overcommit_ratio": 1.5,
        "virtapi::hypervisor::ram_overcommit_ratio": 1.0,
        "virtapi::hypervisor::virt_methods": ["KVM", "LXC"],
        "virtapi::hypervisor::vms": {uuid(1): vm()},
        "virtapi::hypervisor::tombstones": tombstones(),
        "virtapi::ceph::clusters": {"ceph": {
            "fsid": uuid(99), "public_network": "10.1.0.0/24", "cluster_network": None,
            "mons": [{"fqdn": "st01.example.com", "name": "st01", "address": "10.1.0.11", "port": 6789}],
            "pools": [{"name": "012", "size": 3, "min_size": 2, "pg_num": 32}]}},
        "virtapi::ceph::mon::cluster": "ceph",
        "virtapi::ceph::mon::mon_name": "hv01",
        "virtapi::ceph::mon::address": "10.1.0.12",
        "virtapi::ceph::mon::port": 6789,
        "virtapi::ceph::osd::osds": [
            {"cluster": "ceph", "uuid": uuid(50), "device": "/dev/sdb", "db_device": None, "device_class": "hdd"}],
    }


def classes(data):
    """The same as parameters of classes."""
    found = {}
    for key, value in data.items():
        name, _, parameter = key.rpartition("::")
        found.setdefault(name, {})[parameter] = value
    return found


def enc():
    parameters = {"fqdn": CERTNAME, "location": "2026-01-01", "state": "running", "roles": hiera()["virtapi::roles"],
                  "generation": 12, **PARAMETERS}
    return {"classes": {name: {} for name in classes(hiera())}, "parameters": parameters, "environment": "production"}


def escape_interpolation(value):
    if isinstance(value, str):
        return value.replace("%{", "%{literal('%')}{")
    if isinstance(value, list):
        return [escape_interpolation(item) for item in value]
    if isinstance(value, dict):
        return {escape_interpolation(key): escape_interpolation(item) for key, item in value.items()}
    return value


UNSAFE = re.compile("[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]")
STRING_OR_FLOAT = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?[eE][+-]?\d+')


def safe(value):
    """JSON text that is also YAML 1.1 with the same values."""
    def fix(match):
        text = match.group()
        if text.startswith('"'):
            return UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
        mantissa, exponent = text.lower().split("e")
        return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+03d}"
    return STRING_OR_FLOAT.sub(fix, json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def read_as_yaml(ruby, texts):
    """What this Ruby reads from each text, as Puppet reads an ENC's answer."""
    program = "puts JSON.generate(JSON.parse($stdin.read).map { |text| YAML.safe_load(text) })"
    run = subprocess.run([ruby, "-ryaml", "-rjson", "-e", program], input=json.dumps(texts), capture_output=True,
                         encoding="utf-8", check=False)
    if run.returncode != 0:
        raise AssertionError(run.stderr)
    return json.loads(run.stdout)
