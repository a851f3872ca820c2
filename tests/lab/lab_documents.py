"""Documents for the lab's hypervisor."""
import copy

from lab_node import CERTNAME

MIB = 1024 * 1024
LIMITS = ("read_iops_limit", "write_iops_limit", "read_bps_limit", "write_bps_limit")
VLAN = {"name": "customers", "tag": 100, "vni": None}
VXLAN = {"name": "overlay", "tag": None, "vni": 70001}


def uuid(number):
    return f"a0000000-0000-4000-8000-{number:012d}"


def volume(number, kind, size=16 * MIB, cache="none", backing=None, **place):
    return {"uuid": uuid(1000 + number), "type": kind, "size_bytes": size, **dict.fromkeys(LIMITS), "cache": cache,
            **place, "backing": backing, "snapshots": []}


def interface(machine, number, vlans=()):
    return {"name": None, "bridge": f"br-{machine}-{number}", "mac": f"52:54:00:00:00:{number:02x}",
            "vlans": list(vlans), "addresses": []}


def vm(machine, interfaces=(), volumes=(), **other):
    return {"name": f"guest {machine}", "domain": f"vm-{machine}", "cores": 1, "ram_bytes": 64 * MIB,
            "cputime_limit": None, "virt_method": "KVM", "state": "running", "interfaces": list(interfaces),
            "volumes": list(volumes), **other}


def document(vms, storage, generation=1, uplinks=None, clusters=None):
    """`uplinks` is a network device with the VLANs that it has."""
    devices = [{"name": name, "mac": "3c:ec:ef:00:00:01", "bond": None, "vlans": vlans, "addresses": []}
               for name, vlans in (uplinks or {}).items()]
    found = {
        "meta": {"schema": 1, "node_id": 3, "generation": generation, "clusters": {name: 1 for name in clusters or {}}},
        "node": {"fqdn": CERTNAME, "location": None, "state": "running", "environment": None, "parameters": {},
                 "networks": {"management": None, "storage": None, "backup": None}, "interfaces": devices, "bonds": []},
        "roles": ["hypervisor"],
        "hypervisor": {"local_storage_bytes": None, "local_storage_path": str(storage), "vg_name": None, "cores": 2,
                       "ram_bytes": 4096 * MIB, "cpu_overcommit_ratio": 1.0, "ram_overcommit_ratio": 1.0,
                       "virt_methods": ["KVM"], "vms": copy.deepcopy(vms)}}
    if clusters:
        found["ceph"] = {"clusters": clusters, "mon": None, "osds": []}
    return found
