"""A fleet that is posted to the server, and what Puppet must make of it.

What is expected is written down from what was posted and not read from the server, but for the numbers and UUIDs that
the server gives.
"""
import json

import puppet_documents
from puppet_documents import CERTNAME, TRAPS

PARAMETERS = puppet_documents.PARAMETERS
# What a text of one line may be, and what a name may be (a part of a URL, not all digits). Clusters are keys of maps,
# and no YAML reader takes << for a key.
TEXTS = [trap for trap in TRAPS if 0 < len(trap) < 256 and not any(c < " " for c in trap)]
NAMES = [trap for trap in TEXTS if trap != "<<" and len(trap) <= 64 and not trap.isdigit() and "/" not in trap
         and not any("\x7f" <= c < "\xa0" for c in trap) and trap.strip() == trap and trap[0] != "."]
ANOTHER = "st01.example.com"


class Fleet:
    """Posted on creation; `expected` is the catalog's classes with their parameters."""

    def __init__(self, server):
        self.server = server
        self._macs = 0
        self._post_nodes()
        self._post_ceph()
        self._post_vms()

    def _mac(self):
        """All decimal digits, in groups that YAML 1.1 may take for a number of base 60."""
        self._macs += 1
        return f"52:54:00:12:{self._macs // 60:02d}:{self._macs % 60:02d}"

    def _vlan(self, name, **numbers):
        value = {"name": name, "tag": None, "vni": None, **numbers}
        self.server.post("vlans", **value)
        return value

    def _post_nodes(self):
        post = self.server.post
        self.vlans = [self._vlan(name, tag=number) for number, name in enumerate(NAMES, 1)]
        self.vlans.append(self._vlan("überlay", vni=0))
        vlan = self.vlans[0]
        post("networks", name="012 net", cidr="10.0.0.0/24", mtu=1500, vlan=vlan["name"])
        post("networks", name="::1", cidr="2001:db8::/64")
        self.node = {
            "fqdn": CERTNAME, "location": "2026-01-01", "state": "running", "environment": "production",
            "parameters": PARAMETERS}
        self.id = post("nodes", **self.node, management_network="012 net", storage_network="::1")["id"]
        self.node["networks"] = {
            "management": {"name": "012 net", "cidr": "10.0.0.0/24", "mtu": 1500, "vlan": vlan},
            "storage": {"name": "::1", "cidr": "2001:db8::/64", "mtu": None, "vlan": None}, "backup": None}
        post("bonds", node=CERTNAME, name="bond0", mode="802.3ad")
        macs = [self._mac(), self._mac()]
        self.node["bonds"] = [{"name": "bond0", "mode": "802.3ad", "interfaces": macs}]
        self.node["interfaces"] = []
        for mac, addresses in zip(macs, (["10.0.0.11/24", "::1/128"], [])):
            interface = {"mac": mac, "name": None, "vlans": self.vlans, "addresses": addresses}
            names = [vlan["name"] for vlan in self.vlans]
            post("interfaces", **{**interface, "vlans": names}, node=CERTNAME, bond=f"{CERTNAME}/bond0")
            self.node["interfaces"].append({**interface, "bond": "bond0"})
        self.hypervisor = {
            "local_storage_bytes": 2**62, "local_storage_path": "/srv/yes: no #", "vg_name": "0x1f", "cores": 16,
            "ram_bytes": 68719476736, "cpu_overcommit_ratio": 1.5, "ram_overcommit_ratio": 1.0,
            "virt_methods": ["KVM", "yes"]}
        post("virt-methods", name="yes")
        post("hypervisors", node=CERTNAME, **self.hypervisor)
        post("nodes", fqdn=ANOTHER, state="running")

    def _post_ceph(self):
        post = self.server.post
        self.clusters = {}
        for number, name in enumerate(NAMES):
            posted = post("ceph-clusters", name=name, public_network="10.1.0.0/24")
            pool = {"name": f"{name}.", "size": 3, "min_size": 2, "pg_num": 32}
            post("ceph-pools", **pool, cluster=name)
            self.clusters[name] = {"fsid": posted["fsid"], "public_network": "10.1.0.0/24", "cluster_network": None,
                                   "mons": [], "pools": [pool]}
            # So that the node shows the cluster.
            post("ceph-osds", node=CERTNAME, cluster=name, device=f"/dev/disk{number}", device_class="1e3")
        self.mon = {"cluster": NAMES[0], "name": "012", "address": "::1", "port": 6789}
        other = {"cluster": NAMES[0], "name": "0x1f", "address": "10.1.0.11", "port": 3300}
        for fqdn, mon in ((CERTNAME, self.mon), (ANOTHER, other)):
            post("ceph-mons", node=fqdn, **mon)
            shown = {name: value for name, value in mon.items() if name != "cluster"}
            self.clusters[NAMES[0]]["mons"].append({"fqdn": fqdn, **shown})

    def _osds(self):
        """The server made their UUIDs."""
        listed = json.loads(self.server.get("/v1/ceph-osds?limit=1000")[2])["items"]
        uuids = {item["device"]: item["uuid"] for item in listed}
        return [{"cluster": name, "uuid": uuids[f"/dev/disk{number}"], "device": f"/dev/disk{number}",
                 "db_device": None, "device_class": "1e3"} for number, name in enumerate(NAMES)]

    def _post_vms(self):
        self.vms = {}
        for text in TEXTS:
            vm = {"name": text, "cores": 2, "ram_bytes": 2**53 + 1, "cputime_limit": None, "virt_method": "yes",
                  "state": "running"}
            posted = self.server.post("vms", **vm, hypervisor=CERTNAME)
            self.vms[posted["uuid"]] = {**vm, "domain": f"vm-{posted['id']}", "interfaces": [], "volumes": [],
                                         "gpus": [], "restarts": 0, "security_rules": None}
        uuid = next(iter(self.vms))
        self._post_interface(uuid, "yes", self.vlans, ["192.0.2.10/24", "2001:db8::10/64"])
        self._post_interface(uuid, None, [], [])
        self._post_volumes(uuid)

    def _post_interface(self, vm, name, vlans, addresses):
        interface = {"name": name, "mac": self._mac(), "addresses": addresses}
        posted = self.server.post("interfaces", **interface, vlans=[vlan["name"] for vlan in vlans], vm=vm)
        bridge = f"br-{self.vms[vm]['domain'].removeprefix('vm-')}-{posted['id']}"
        self.vms[vm]["interfaces"].append({**interface, "bridge": bridge, "vlans": vlans, "mtu": None})

    def _post_volumes(self, vm):
        image = {"name": "null", "format": "qcow2", "path": "/golden/~", "checksum": "sha256:" + "0" * 64}
        self.server.post("images", **image, size_bytes=1)
        limits = {"read_iops_limit": 500, "write_iops_limit": None, "read_bps_limit": 2**62, "write_bps_limit": None}
        places = {
            "qcow2": lambda number: {"path": f"/srv/yes: no #/vol-{number}.qcow2"},
            "raw": lambda number: {"path": f"/srv/yes: no #/vol-{number}.raw"},
            "lvm": lambda number: {"vg": "0x1f", "lv": f"vol-{number}"},
            "rbd": lambda number: {"cluster": NAMES[0], "pool": f"{NAMES[0]}.", "image": f"vol-{number}"},
        }
        for kind, place in places.items():
            where = {"image": "null"} if kind == "qcow2" else {"ceph_pool": f"{NAMES[0]}."} if kind == "rbd" else {}
            posted = self.server.post("volumes", size_bytes=2**40, storage_type=kind, cache_option="none", vm=vm,
                                      **limits, **where)
            volume = {"uuid": posted["uuid"], "type": kind, "size_bytes": 2**40, **limits, "cache": "none",
                      **place(posted["id"]), "backing": image if kind == "qcow2" else None, "snapshots": []}
            if kind == "qcow2":
                snapshot = {"name": "2026-01-01", "take_at": "2026-12-01T02:00:00Z", "keep_until": None}
                self.server.post("snapshots", volume=posted["uuid"], **snapshot)
                volume["snapshots"] = [snapshot]
            self.vms[vm]["volumes"].append(volume)

    def expected(self):
        """The parameters of each class, but for `meta`, which is the server's."""
        return {
            "virtapi": {"node": self.node, "roles": ["hypervisor", "ceph_mon", "ceph_osd"]},
            "virtapi::hypervisor": {**self.hypervisor, "vms": self.vms, "tombstones": {"vms": {}, "volumes": {}}},
            "virtapi::ceph": {"clusters": self.clusters},
            "virtapi::ceph::mon": {("mon_name" if name == "name" else name): value
                                   for name, value in self.mon.items()},
            "virtapi::ceph::osd": {"osds": self._osds()},
        }

    def compare(self, test, resources):
        """Fail the test where a catalog's classes are not as expected."""
        meta = resources["Class[Virtapi]"]["parameters"].pop("meta")
        test.assertEqual((meta["schema"], meta["node_id"], set(meta["clusters"])), (1, self.id, set(self.clusters)))
        for name, parameters in self.expected().items():
            title = "::".join(part.capitalize() for part in name.split("::"))
            found = of_document(resources[f"Class[{title}]"]["parameters"])
            test.assertEqual(canonical(unordered(found)), canonical(unordered(parameters)), name)

    def documents(self):
        """What agents are sent for this node, as text."""
        paths = ("puppet/enc", "puppet/hiera", "salt/pillar", "salt/tops")
        return [self.server.get(f"/{path}/{CERTNAME}")[2] for path in paths]


# What the site sets for itself.
OWN = ("manage", "accelerate", "switch", "uplink", "vxlan_device", "vxlan_peers", "rbd_user", "shutdown_timeout", "init", "keys", "bootstrap",
       "settings", "store", "max_age", "max_removals", "seed_packages", "lxc_path", "container_ids", "container_apparmor")


def of_document(parameters):
    """The parameters of a class that the document decides, what is Sensitive in them in clear."""
    return {name: in_clear(value) for name, value in parameters.items() if name not in OWN}


def in_clear(value):
    if isinstance(value, list):
        return [in_clear(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("__ptype") == "Sensitive":
        return value["__pvalue"]
    return {key: in_clear(item) for key, item in value.items()}


def canonical(value):
    """Text that differs where a value or its type differs."""
    return json.dumps(value, sort_keys=True, indent=1)


def unordered(value):
    """The same with lists in one order, where the order says nothing: everywhere but in a node's own parameters."""
    if isinstance(value, dict):
        return {key: item if key == "parameters" else unordered(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted(map(unordered, value), key=lambda item: json.dumps(item, sort_keys=True))
    return value
