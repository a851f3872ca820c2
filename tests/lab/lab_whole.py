"""The whole of it: a server, two hypervisors and three storage nodes on one wire, each with an agent that runs Puppet when the
server says that something has changed. What is on them is ordered from the server, as anybody would."""
import concurrent.futures
import contextlib
import subprocess
from typing import NamedTuple

from lab_documents import MIB, uuid
from lab_lvm import ActiveVolumeGroup, can_activate
from lab_node import Node
from lab_server import LabServer
from lab_storage import SETTINGS, Cluster, StorageNode
from lab_wire import plug

SERVER = "10.99.0.100"
# For each wait: everything runs on the same two or so cores.
PATIENCE = 600
CUSTOMERS = 100
# The VMs have no system that answers when they are to shut down.
HYPERVISOR = {"switch": "openvswitch", "uplink": "uplink0", "shutdown_timeout": 5}


class HypervisorNode(Node):
    """`hv01` with the number 1. Its VMs' VLANs are on a second wire, by Open vSwitch."""

    def __init__(self, cluster, number, wire):
        self.name = f"hv{number:02d}"
        super().__init__(f"{self.name}.example.com")
        plug(self, self.name, f"10.99.0.{10 + number}", first=wire)
        plug(self, f"{self.name}t", device="trunk0", first=wire)
        self.start_openvswitch()
        self.run("ovs-vsctl", "add-br", "uplink0", "--", "set", "bridge", "uplink0", "datapath_type=netdev", "--",
                 "add-port", "uplink0", "trunk0")
        # On a kernel without the device mapper there are no logical volumes in the lab.
        self.group = ActiveVolumeGroup(self._cleanups.callback, self) if can_activate(self) else None
        # Whoever has its volumes open ends before it.
        self._cleanups.callback(self._end_guests)
        self.settle({"keys": {"ceph": {"client": cluster.keys["client"]}}, "settings": SETTINGS, "init": "direct"})

    def settle(self, ceph):
        """What the site sets."""
        self.site(HYPERVISOR, ceph=ceph)


class Machine(NamedTuple):
    """A VM that was ordered: where, and what libvirt calls it, and its bridge."""

    name: str
    uuid: str
    node: Node
    domain: str
    bridge: str


class Lab:
    """Nobody has ordered anything yet. It goes with `remove`; `note` is told each directory that it makes."""

    storage_class, hypervisor_class = StorageNode, HypervisorNode

    def __init__(self, tell=lambda text: None, note=lambda place: None):
        self.tell, self.note = tell, note
        self._cleanups = contextlib.ExitStack()
        try:
            self._start()
        except BaseException:
            self.remove()
            raise

    def _start(self):
        self.tell("three storage nodes and two hypervisors, each in namespaces of its own")
        self.wire = self._keep(Node("virtapi.example.com"))
        plug(self.wire, "wire", SERVER)
        plug(self.wire, "trunk", device="trunk0")
        self.cluster = Cluster()
        self.storage = [self._keep(self.storage_class(self.cluster, number, self.wire)) for number in (1, 2, 3)]
        self.hypervisors = [self._keep(self.hypervisor_class(self.cluster, number, self.wire)) for number in (1, 2)]
        self.nodes = [*self.storage, *self.hypervisors]
        self.tell("a server with its Postgres")
        self.server = LabServer(self.wire, SERVER)
        self._cleanups.callback(self.server.remove)
        self.note(self.server.dir)

    def _keep(self, node):
        self._cleanups.callback(node.remove)
        self.note(node.dir)
        return node

    def remove(self):
        """The server and the agents first, then their nodes, the wire last."""
        self._cleanups.close()

    def describe(self):
        """What there is, and what shall be on it."""
        post = self.server.post
        post("vlans", name="customers", tag=CUSTOMERS)
        post("ceph-clusters", name="ceph", fsid=self.cluster.fsid, public_network="10.99.0.0/24")
        post("ceph-pools", cluster="ceph", name="rbd", pg_num=8, size=2, min_size=1)
        for node in self.storage:
            post("nodes", fqdn=node.certname, state="running")
            post("ceph-mons", node=node.certname, cluster="ceph", name=node.name, address=node.address)
            post("ceph-osds", node=node.certname, cluster="ceph", device="/dev/sdb")
        for node in self.hypervisors:
            post("nodes", fqdn=node.certname, state="running")
            post("hypervisors", node=node.certname, cores=4, ram_bytes=4096 * MIB, virt_methods=["KVM"],
                 local_storage_path=str(node.storage), vg_name=node.group and node.group.name)

    def order(self):
        """A VM on each hypervisor, with a volume of each type that can be had here, and one on the second that has only a volume
        in a pool, so that it can move."""
        first, second = self.hypervisors
        pooled = ("rbd", {"ceph_pool": "rbd"})
        logical = [("lvm", {})] if first.group else []
        everywhere = (("qcow2", {}), ("raw", {}), *logical, pooled)
        return [self._order(1, "web-1", first, everywhere), self._order(2, "web-2", second, everywhere),
                self._order(3, "moving", second, [pooled])]

    def _order(self, number, name, node, volumes):
        post = self.server.post
        vm = post("vms", uuid=uuid(number), name=name, cores=1, ram_bytes=64 * MIB, state="running", virt_method="KVM",
                  hypervisor=node.certname)
        for storage_type, more in volumes:
            post("volumes", vm=vm["uuid"], size_bytes=16 * MIB, storage_type=storage_type, cache_option="none", **more)
        interface = post("interfaces", vm=vm["uuid"], mac=f"52:54:00:00:00:{number:02x}", vlans=["customers"])
        return Machine(name, vm["uuid"], node, f"vm-{vm['id']}", f"br-{vm['id']}-{interface['id']}")

    def start_agents(self, interval=30):
        """On all nodes. A run that waits for another node ends with an error, so the next one is soon."""
        for node in self.nodes:
            self.server.start_agent(node, interval)

    def run_once(self, nodes):
        """A run by hand of each of these, at the same time; what came of each."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return dict(zip(nodes, pool.map(lambda node: node.run_once(), nodes)))

    def statuses(self):
        """The status of each node and VM, as the server sees it."""
        found = {}
        for collection, name in (("nodes", "fqdn"), ("vms", "name")):
            listed = self.server.ask("GET", f"/v1/{collection}?fields={name},status")["items"]
            found.update({each[name]: each["status"] for each in listed})
        return found

    def is_in_sync(self):
        return set(self.statuses().values()) == {"in_sync"}

    def is_in_health(self):
        """Not, either, as long as there is no cluster."""
        return self.storage[0].run("ceph", "--connect-timeout", "5", "health", check=False).startswith("HEALTH_OK")

    def guests(self):
        """The process ids of all VMs that run, by hypervisor and domain."""
        found = {}
        for node in self.hypervisors:
            found.update({(node.name, domain): node.guest(domain) for domain in node.virsh("list", "--name").split()})
        return found

    def let_osd_go(self, node, osd):
        """What the site says of one that the document has no more: that it is to be absent."""
        node.manifest(f"virtapi_ceph_osd {{ '{osd}': ensure => absent, cluster => 'ceph', init => direct }}")

    def views(self, node):
        """Where the server answers the node's tool; its document is the last."""
        return [f"/puppet/enc/{node.certname}", f"/puppet/hiera/{node.certname}"]

    @staticmethod
    def without_meta(document):
        return {key: value for key, value in document.items() if key != "virtapi::meta"}

    def let_in(self, device, address):
        """Plugs the machine itself in, so that a browser on it finds the server. The device goes with the wire."""
        wire = self.wire
        subprocess.run(["ip", "link", "add", device, "type", "veth", "peer", "name", device, "netns", wire.network], check=True)
        wire.run("ip", "link", "set", device, "master", "eth0", "up")
        subprocess.run(["ip", "addr", "add", f"{address}/24", "dev", device], check=True)
        subprocess.run(["ip", "link", "set", device, "up"], check=True)
