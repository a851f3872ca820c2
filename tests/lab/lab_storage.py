"""Storage nodes, which share a network: their documents, and what their site sets. Their daemons run without systemd, with
data in files or in memory."""
import json
import os
import signal
import subprocess
import unittest
import uuid

from lab_node import Node, alive, wait_until
from lab_wire import plug

SETTINGS = {
    # Copies on one node, which is all that most tests have; and a cluster of tests is not too full, nor too large. The pool that
    # Ceph makes for itself has no more copies than others, so that one OSD of three can go.
    "global": {"osd crush chooseleaf type": 0, "osd pool default size": 2, "osd pool default pg autoscale mode": "off",
               "mon allow pool size one": True, "auth allow insecure global id reclaim": False},
    "mon": {"mon data avail warn": 2, "mon data avail crit": 1},
    "mgr": {"mgr initial modules": ""},
    "osd": {"bluestore block size": 2 * 1024**3, "memstore device bytes": 256 * 1024**2},
}
# What daemons of Ceph are called.
MON, MGR, OSD = "mon", "mgr", "osd"


def key():
    return subprocess.run(["ceph-authtool", "--gen-print-key"], check=True, capture_output=True, encoding="ascii").stdout.strip()


class Cluster:
    """What its documents and its site say of a cluster."""

    def __init__(self):
        self.fsid = str(uuid.uuid4())
        self.keys = {"mon": key(), "admin": key(), "client": key()}
        self.mons = {}
        self.pools = []
        self.generation = 0

    def described(self):
        mons = [{"fqdn": f"{name}.example.com", "name": name, "address": address, "port": 6789} for name, address in sorted(self.mons.items())]
        return {"ceph": {"fsid": self.fsid, "public_network": "10.99.0.0/24", "cluster_network": None, "mons": mons, "pools": self.pools}}


def pool(name, size=2, min_size=1, pg_num=8):
    return {"name": name, "size": size, "min_size": min_size, "pg_num": pg_num}


class StorageNode(Node):
    """One storage node, `st01` with the number 1; the first of a network has its bridge."""

    def __init__(self, cluster, number=1, first=None):
        self.cluster = cluster
        self.name = f"st{number:02d}"
        self.osds = []
        super().__init__(f"{self.name}.example.com")
        self._cleanups.callback(self._end_daemons)
        self.address = f"10.99.0.{number}"
        plug(self, self.name, self.address, first=first)
        self.settle()

    def settle(self, store="file", bootstrap=("ceph",), **ceph):
        """What the site sets."""
        settings = {"keys": {"ceph": self.cluster.keys}, "init": "direct", "bootstrap": list(bootstrap), "settings": SETTINGS, **ceph}
        self.site({}, **{"ceph": settings, "ceph::osd": {"store": store}})

    def osd(self, device="/dev/nonexistent", **other):
        """One more OSD in the document; its UUID."""
        found = {"cluster": "ceph", "uuid": str(uuid.uuid4()), "device": device, "db_device": None, "device_class": None, **other}
        self.osds.append(found)
        return found["uuid"]

    def describe(self, hypervisor=None, approved=False):
        """The document as it is now, of another generation; `hypervisor` is its part of that. The roles that it has."""
        self.cluster.generation += 1
        mine = self.cluster.mons.get(self.name)
        mon = mine and {"cluster": "ceph", "name": self.name, "address": mine, "port": 6789}
        roles = [role for role, has in (("hypervisor", hypervisor), ("ceph_mon", mon), ("ceph_osd", self.osds)) if has]
        self.document({
            # As the server does it: what is of a role that it has not is not there.
            **({"hypervisor": hypervisor} if hypervisor else {}),
            "meta": {"schema": 1, "node_id": 7, "generation": self.cluster.generation, "approved": approved, "clusters": {"ceph": 1}},
            "node": {"fqdn": self.certname, "location": None, "state": "running", "environment": None, "parameters": {},
                     "networks": {"management": None, "storage": None, "backup": None}, "interfaces": [], "bonds": []},
            "roles": roles, "ceph": {"clusters": self.cluster.described(), "mon": mon, "osds": self.osds}})
        return roles

    def converge(self, *flags, manifest="", hypervisor=None):
        """A run with the document as it is now."""
        roles = self.describe(hypervisor)
        classes = ["virtapi", "virtapi::ceph", *(f"virtapi::{role.replace('_', '::')}" for role in roles)]
        return self.apply(*flags, manifest=f"include {', '.join(classes)}\n{manifest}")

    def ceph(self, *words):
        return json.loads(self.run("ceph", "--connect-timeout", "20", "--format", "json", *words))

    def daemon(self, kind, name):
        """The process id of a daemon that runs; None where none does."""
        pid = self._pid(self.path(f"/run/ceph/ceph-{kind}.{name}.pid"))
        return pid if pid and alive(pid) else None

    def kill(self, kind, name):
        pid = self.daemon(kind, name)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), 60, f"the end of {pid}")

    def _end_daemons(self):
        if self._holder.poll() is not None:
            return
        for path in self.path("/run/ceph").glob("*.pid"):
            pid = self._pid(path)
            if pid and alive(pid):
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: not alive(pid), 60, f"the end of {pid}")


class StorageTestCase(unittest.TestCase):
    """A cluster of nodes of a class that knows how they are converged."""

    node_class = None
    maxDiff = None

    def setUp(self):
        self.cluster = Cluster()
        self.nodes = []
        self.node = self.another()

    def another(self):
        node = self.node_class(self.cluster, len(self.nodes) + 1, self.nodes[0] if self.nodes else None)
        self.nodes.append(node)
        self.addCleanup(node.remove)
        return node

    def mon(self, node):
        self.cluster.mons[node.name] = node.address

    def observed(self, run):
        (found,) = run.messages("observed")
        return found

    def wait_for_health(self):
        wait_until(lambda: self.node.ceph("health")["status"] == "HEALTH_OK", 60, self.node.run("ceph", "health", "detail"))

    def quorum(self):
        return sorted(self.node.ceph("quorum_status")["quorum_names"])
