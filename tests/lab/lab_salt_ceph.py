"""Storage nodes as in lab_storage, converged by a real Salt without a master."""
from lab_salt import SaltNode
from lab_storage import SETTINGS, StorageNode


class SaltStorageNode(StorageNode, SaltNode):
    """One storage node for Salt, which logs all that it can say."""

    log_level = "trace"

    @property
    def log(self):
        return self.dir / "salt/log"

    def settle(self, store="file", bootstrap=("ceph",), **ceph):
        """What the site sets. It is in the minion's configuration, for Salt's log has whole pillars at level debug."""
        settings = {"keys": {"ceph": self.cluster.keys}, "init": "direct", "bootstrap": list(bootstrap), "settings": SETTINGS,
                    "store": store, **ceph}
        self.site({})
        self.configure(virtapi_ceph=settings, log_file=str(self.log), log_level_logfile=self.log_level)

    def document(self, document):
        """What the server says: of Ceph nothing where the node has nothing to do with it."""
        if not document["roles"]:
            del document["ceph"]
        super().document(document)

    def converge(self, *words, hypervisor=None, approved=False):
        """A run with the document as it is now."""
        self.log.unlink(missing_ok=True)
        self.describe(hypervisor, approved)
        return self.apply(*words)
