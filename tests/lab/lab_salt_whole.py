"""The whole of it, as in lab_whole, with agents that run a real Salt without a master."""
from lab_salt import SaltNode
from lab_salt_ceph import SaltStorageNode
from lab_whole import HYPERVISOR, HypervisorNode, Lab


class QuietStorageNode(SaltStorageNode):
    """One that keeps no trace of all that Salt does, which would take longer than what it does."""

    log_level = "warning"


class SaltHypervisorNode(HypervisorNode, SaltNode):
    """A hypervisor for Salt."""

    def settle(self, ceph):
        self.site(HYPERVISOR)
        self.configure(virtapi_ceph=ceph)


class SaltLab(Lab):
    """By Salt."""

    storage_class, hypervisor_class = QuietStorageNode, SaltHypervisorNode

    def let_osd_go(self, node, osd):
        node.settle(absent={"osds": [f"ceph/{osd}"]})

    def views(self, node):
        return [f"/salt/pillar/{node.certname}"]

    @staticmethod
    def without_meta(document):
        return {"virtapi": {key: value for key, value in document["virtapi"].items() if key != "meta"}}
