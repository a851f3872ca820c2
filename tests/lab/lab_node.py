"""A hypervisor of its own on this machine: namespaces for network, mounts and host name, in which a real libvirtd runs
real guests without KVM, and where `puppet apply` converges them.

Paths are Debian's own; what is written below /etc, /var and /run stays in the node's directory. Shared with the machine are processes, cgroups and /dev: domains have names
that are unlikely to be anybody else's, and what was started is stopped by its process id."""
import atexit
import contextlib
import fcntl
import functools
import glob
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from lab_puppet import ROOT, Puppet

CERTNAME = "lab01.example.com"
TURN = pathlib.Path("/run/lock/virtapi-lab")

# Keeps the cgroups, and what a kernel with AppArmor is told by, which a fresh sysfs would hide; libvirt and lxc look for devices in the
# sysfs of their own network.
ENTER = """
for place in fs/cgroup kernel/security; do
    ! mountpoint -q "/sys/$place" || { mkdir -p "$1/kept/$place"; mount --rbind "/sys/$place" "$1/kept/$place"; }
done
mount -t sysfs sysfs /sys
for place in fs/cgroup kernel/security; do
    [ ! -e "$1/kept/$place" ] || { mount --rbind "$1/kept/$place" "/sys/$place"; umount -l "$1/kept/$place"; }
done
rm -r "$1/kept"
mount -t tmpfs tmpfs /run; mkdir -p /run/lock /run/libvirt /run/openvswitch
for place in etc var; do
    mkdir -p "$1/$place/upper" "$1/$place/work"
    mount -t overlay -o "lowerdir=/$place,upperdir=$1/$place/upper,workdir=$1/$place/work" overlay "/$place"
done
mkdir -p /var/log/libvirt /var/lib/libvirt /etc/libvirt /var/log/openvswitch /etc/openvswitch
hostname "$2"
ip link set lo up
touch "$1/ready"
exec sleep infinity
"""

QEMU_CONF = """
security_driver = "none"
user = "root"
group = "root"
namespaces = []
stdio_handler = "file"
"""
LIBVIRTD_CONF = """
auth_unix_rw = "none"
unix_sock_dir = "/run/libvirt"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
"""


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


@functools.cache
def take_turn():
    """Until this process ends: the groups of domains are the whole machine's, and those of another lab have the same names."""
    file = TURN.open("a", encoding="ascii")

    def taken():
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    if not taken():
        print("another lab runs on this machine: its end is waited for", file=sys.stderr, flush=True)
        wait_until(taken, 3600, f"the end of the other lab, which holds {TURN} (see fuser)")
    return file


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Node(Puppet):
    """One hypervisor."""

    # Seconds that a run of a tool may take, far more than it does.
    patience = 300

    def __init__(self, certname=CERTNAME):
        self.certname = certname
        self._cleanups = contextlib.ExitStack()
        # unittest does not clean up when it is interrupted or ended.
        atexit.register(self.remove)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self._start()
        except BaseException:
            self.remove()
            raise

    def _start(self):
        take_turn()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="virtapi-lab-"))
        self._cleanups.callback(shutil.rmtree, self.dir)
        self.network = self.dir.name
        subprocess.run(["ip", "netns", "add", self.network], check=True)
        self._cleanups.callback(subprocess.run, ["ip", "netns", "del", self.network], check=False)
        self._cleanups.callback(self.end_strays, self.network)
        self._cleanups.callback(self.remove_groups)
        self._holder = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.network}", "unshare", "-m", "-u", "--propagation", "private", "bash", "-ec", ENTER,
             "sh", str(self.dir), self.certname.split(".")[0]],
            # What ends the whole group of a test's processes shall not end this one before all that is in it.
            start_new_session=True)
        self._cleanups.callback(self._end_holder)
        wait_until((self.dir / "ready").exists, 60, "namespaces")
        self.path("/etc/libvirt/qemu.conf").write_text(QEMU_CONF, encoding="utf-8")
        self.path("/etc/libvirt/libvirtd.conf").write_text(LIBVIRTD_CONF, encoding="utf-8")
        self.storage = self.dir / "images"
        self.storage.mkdir()
        self.environment = self.dir / "code/environments/production"
        (self.environment / "data").mkdir(parents=True)
        (self.dir / "code/modules").mkdir()
        (self.dir / "code/modules/virtapi").symlink_to(ROOT / "puppet")
        levels = [{"name": "virtapi", "data_hash": "json_data", "path": "virtapi.json"},
                  {"name": "site", "data_hash": "json_data", "path": "site.json"}]
        (self.environment / "hiera.yaml").write_text(
            json.dumps({"version": 5, "defaults": {"datadir": "data"}, "hierarchy": levels}), encoding="utf-8")
        self.site({})
        self._cleanups.callback(self._end_guests)
        self.start_libvirtd()

    def remove(self):
        self._cleanups.close()

    def _end_holder(self):
        self._holder.kill()
        self._holder.wait()

    def path(self, absolute):
        """A path of the node, from outside."""
        return pathlib.Path(f"/proc/{self._holder.pid}/root{absolute}")

    def _end_guests(self):
        """QEMU outlives libvirtd: both are ended by their own files of process ids."""
        if self._holder.poll() is not None:
            return
        self.end_containers()
        pids = [self._pid(path) for path in
                [self.path("/run/libvirt/libvirtd.pid"), *self.path("/run/libvirt/qemu").glob("*.pid"),
                 *self.path("/run/openvswitch").glob("*.pid")]]
        for pid in filter(None, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not alive(pid), 60, f"the end of {pid}")

    @staticmethod
    def end_strays(network):
        """Whatever still runs in this network: what was started there is the lab's."""
        pids = subprocess.run(["ip", "netns", "pids", network], check=True, capture_output=True, encoding="utf-8").stdout.split()
        for pid in map(int, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not alive(pid), 60, f"the end of {pid}")

    @staticmethod
    def _pid(path):
        try:
            return int(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    @staticmethod
    def remove_groups():
        """libvirt leaves the parent of the groups of its domains behind, and those of guests that were killed. A group that
        has processes or groups in it is not removed by the kernel."""
        left = itertools.chain(glob.glob("/sys/fs/cgroup/*/machine"), glob.glob("/sys/fs/cgroup/*/lxc.*.vm-9[0-9]*"),
                               glob.glob("/sys/fs/cgroup/*/lxc.pivot"))
        for group in left:
            for place, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(place)

    def command(self, *words):
        return ["nsenter", "-t", str(self._holder.pid), "-m", "-n", "-u", "--wd=/", *map(str, words)]

    def run(self, *words, check=True):
        run = subprocess.run(self.command(*words), capture_output=True, encoding="utf-8", timeout=120, check=False)
        if check and run.returncode != 0:
            raise AssertionError(f"{words}: {run.stdout}{run.stderr}")
        return run.stdout

    def converge_by(self, words, **environment):
        return subprocess.run(self.command(*words), env={**os.environ, **environment}, timeout=self.patience, capture_output=True,
                              encoding="utf-8", check=False)

    def virsh(self, *words, check=True):
        return self.run("virsh", "-q", "-c", "qemu:///system", *words, check=check)

    def start_libvirtd(self):
        self.run("libvirtd", "-d", "-p", "/run/libvirt/libvirtd.pid")
        wait_until(lambda: self.run("virsh", "-c", "qemu:///system", "uri", check=False) != "", 60, "libvirtd")

    def stop_libvirtd(self):
        pid = self._pid(self.path("/run/libvirt/libvirtd.pid"))
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not alive(pid), 60, "the end of libvirtd")

    def guest(self, domain):
        """The process id of a running guest; None where none runs."""
        pid = self._pid(self.path(f"/run/libvirt/qemu/{domain}.pid"))
        return pid if pid and alive(pid) else None

    def kill_guest(self, domain):
        pid = self.guest(domain)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.virsh("domstate", domain).strip() == "shut off", 60, "libvirt to see it")

    def containers(self):
        """The states of all containers by name."""
        lines = self.run("lxc-ls", "-f", "-F", "NAME,STATE,PID").splitlines()[1:] if shutil.which("lxc-ls") else []
        return {name: (state, int(pid) if pid != "-" else None) for name, state, pid in map(str.split, lines)}

    def end_containers(self):
        """They have networks of their own, which their ends in this one go with."""
        for name, (state, _) in self.containers().items():
            if state != "STOPPED":
                self.run("lxc-stop", "-n", name, "--kill", check=False)

    def start_openvswitch(self):
        """Its data path is in user space, for which no module of the kernel is needed."""
        self.run("ovsdb-tool", "create", "/etc/openvswitch/conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
        self.run("ovsdb-server", "/etc/openvswitch/conf.db", "--remote=punix:/run/openvswitch/db.sock", "--pidfile", "--detach",
                 "--log-file")
        self.run("ovs-vsctl", "--no-wait", "init")
        self.run("ovs-vswitchd", "unix:/run/openvswitch/db.sock", "--pidfile", "--detach", "--log-file")

    def probe(self, name, address, *add):
        """A network of its own that hangs on a bridge by a veth pair; `add` are the words to which the port's name is added."""
        self.run("ip", "netns", "add", name)
        self.run("ip", "link", "add", f"p-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        self.run("ip", "-n", name, "addr", "add", address, "dev", "eth0")
        for words in (("-n", name, "link", "set", "eth0", "up"), ("link", "set", f"p-{name}", "up")):
            self.run("ip", *words)
        self.run(*(f"p-{name}" if word == "PORT" else word for word in add))

    def reaches(self, name, address):
        ping = self.command("ip", "netns", "exec", name, "ping", "-c", "1", "-W", "1", address)
        return subprocess.run(ping, capture_output=True, check=False).returncode == 0

    def bridges(self):
        return [link["ifname"] for link in json.loads(self.run("ip", "-json", "link", "show", "type", "bridge")) if link]

    def define_foreign(self, name):
        """A domain that virtapi has not made."""
        path = self.dir / "foreign.xml"
        path.write_text(f'<domain type="qemu"><name>{name}</name><memory unit="MiB">32</memory>'
                        '<os><type>hvm</type></os></domain>', encoding="utf-8")
        self.virsh("define", path)

    def clear(self):
        """Take away all guests, bridges and volumes, for the next test."""
        for name in filter(None, self.virsh("list", "--all", "--uuid").split()):
            self.virsh("destroy", name, check=False)
            self.virsh("undefine", name)
        self.end_containers()
        for name in self.containers():
            shutil.rmtree(self.path(f"/var/lib/lxc/{name}"))
        links = [link["ifname"] for link in json.loads(self.run("ip", "-json", "link", "show")) if link]
        for name in filter(re.compile("(br|up|vlan|vxlan|vx|vt)").match, links):
            self.run("ip", "link", "del", name, check=False)
        shutil.rmtree(self.path("/var/lib/libvirt/virtapi-seeds"), ignore_errors=True)
        for path in self.storage.iterdir():
            path.unlink()
