"""The smallest Ceph in a node: one monitor, and one OSD in memory."""
import os
import signal
import uuid

from lab_node import alive, wait_until

CONF = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:3300,v1:127.0.0.1:6789]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = /run/ceph
pid file = /run/ceph/$name.pid
admin socket = /run/ceph/$name.asok
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg autoscale mode = off
mon allow pool size one = true
auth allow insecure global id reclaim = false
[mon]
mon data avail warn = 2
mon data avail crit = 1
keyring = /var/lib/ceph/mon/ceph-a/keyring
[osd]
osd objectstore = memstore
memstore device bytes = 268435456
"""
# $1: fsid, $2: UUID of the OSD.
START = """
mkdir -p /run/ceph /var/log/ceph /var/lib/ceph/mon/ceph-a /var/lib/ceph/osd/ceph-0
keys=/etc/ceph/mon.keyring
ceph-authtool -C $keys --gen-key -n mon. --cap mon 'allow *'
ceph-authtool -C /etc/ceph/ceph.client.admin.keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
ceph-authtool $keys --import-keyring /etc/ceph/ceph.client.admin.keyring
monmaptool --create --fsid $1 --addv a '[v2:127.0.0.1:3300,v1:127.0.0.1:6789]' /etc/ceph/monmap
ceph-mon -i a --mkfs --monmap /etc/ceph/monmap --keyring $keys
ceph-mon -i a --public-addrv '[v2:127.0.0.1:3300,v1:127.0.0.1:6789]'
key=$(ceph-authtool --gen-print-key)
echo "{\\"cephx_secret\\":\\"$key\\"}" | ceph osd new $2 -i -
printf '[osd.0]\\n\\tkey = %s\\n' $key > /var/lib/ceph/osd/ceph-0/keyring
ceph-osd -i 0 --mkfs --osd-uuid $2
ceph-osd -i 0
ceph osd pool create rbd 8 8
ceph osd pool application enable rbd rbd
ceph auth get-or-create client.libvirt mon 'profile rbd' osd 'profile rbd pool=rbd' > /etc/ceph/ceph.client.libvirt.keyring
"""


class Ceph:
    """A cluster in a node, which ends with `stop`."""

    def __init__(self, node):
        self.node = node
        self.fsid = str(uuid.uuid4())
        node.run("mkdir", "-p", "/etc/ceph")
        node.path("/etc/ceph/ceph.conf").write_text(CONF.format(fsid=self.fsid), encoding="utf-8")
        node.run("bash", "-ec", START, "sh", self.fsid, str(uuid.uuid4()))
        secret = node.dir / "secret.xml"
        secret.write_text(f"<secret ephemeral='no' private='yes'><uuid>{self.fsid}</uuid><usage type='ceph'><name>ceph</name></usage>"
                          "</secret>", encoding="utf-8")
        node.virsh("secret-define", secret)
        key = node.run("ceph", "auth", "get-key", "client.libvirt").strip()
        (node.dir / "key").write_text(key, encoding="ascii")
        node.virsh("secret-set-value", self.fsid, "--file", node.dir / "key")
        self.clusters = {"ceph": {"fsid": self.fsid, "public_network": None, "cluster_network": None,
                                  "mons": [{"fqdn": "lab01.example.com", "name": "a", "address": "127.0.0.1", "port": 6789}],
                                  "pools": [{"name": "rbd", "size": 1, "min_size": 1, "pg_num": 8}]}}

    def stop(self):
        for path in self.node.path("/run/ceph").glob("*.pid"):
            pid = int(path.read_text(encoding="ascii"))
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not alive(pid), 60, f"the end of {pid}")
