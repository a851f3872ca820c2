"""What a machine of the lab that is a container goes through, by whichever tool; and its root: a file system in a file, with a
busybox that sets its address, and ends when it is asked to."""
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from lab_documents import MIB, document, interface, uuid, vm, volume
from lab_node import alive, wait_until
from lab_seed import SECRET, SEEDS, seed

BUSYBOX = pathlib.Path("/bin/busybox")
DOMAIN = "vm-9001"
ADDRESS = "192.0.2.7"
# Where cloud-init looks for it.
SEED = "/var/lib/cloud/seed/nocloud"
# How the kernel counts a processor.
PERIOD = 100000

INIT = f"""#!/bin/busybox sh
/bin/busybox ip addr add {ADDRESS}/24 dev eth0
/bin/busybox ip link set eth0 up
trap '/bin/busybox echo off >/log; exit 0' PWR
# That this root may write to its own files.
/bin/busybox echo up >/log
while :; do /bin/busybox sleep 60 & wait; done
"""


def make_root(path, init=INIT, size=16 * MIB):
    """A root in a file, whose files are root's own."""
    with tempfile.TemporaryDirectory() as tree:
        for name in ("bin", "sbin", "proc", "sys", "dev", "etc", "run", "tmp"):
            (pathlib.Path(tree) / name).mkdir()
        shutil.copy(BUSYBOX, f"{tree}/bin/busybox")
        if init:
            (pathlib.Path(tree) / "sbin/init").write_text(init, encoding="utf-8")
            (pathlib.Path(tree) / "sbin/init").chmod(0o755)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-d", tree, path, f"{size // 1024}K"], check=True, capture_output=True)


class Containers:
    """The scenario, for a test case that has `node_class`, `run_once(…)`, `converge(vms)`, `unchanged(vms)` and `failed(vms)`."""

    maxDiff = None
    # Of the tool.
    node_class = None

    @classmethod
    def setUpClass(cls):
        cls.node = cls.node_class()
        cls.addClassCleanup(cls.node.remove)

    def setUp(self):
        self.generation = 0
        self.node.site({"shutdown_timeout": 1})
        self.addCleanup(self.node.clear)

    def root(self, number=1, **other):
        path = self.node.storage / f"vol-{number}.raw"
        if not path.exists():
            make_root(path)
        return {**volume(number, "raw", path=str(path)), **other}

    def golden(self, kind, **other):
        """An image of such a root, in a file of root's own; as the document has it."""
        path = self.node.dir / f"golden.{kind}"
        make_root(self.node.dir / "golden.raw")
        if kind == "qcow2":
            self.node.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", self.node.dir / "golden.raw", path)
        checksum = hashlib.sha512(path.read_bytes()).hexdigest()
        return {"name": "golden", "format": kind, "path": str(path), "checksum": f"sha512:{checksum}", **other}

    def copied(self, backing, number=1, size=64 * MIB):
        return volume(number, "raw", size, path=str(self.node.storage / f"vol-{number}.raw"), backing=backing)

    def container(self, **other):
        return {**vm(9001, [interface(9001, 1)], other.get("volumes") or [self.root()]), "virt_method": "LXC", **other}

    def containers(self):
        return {name: state for name, (state, _) in self.node.containers().items()}

    def pid(self):
        return self.node.containers()[DOMAIN][1]

    def config(self):
        return self.node.path(f"/var/lib/lxc/{DOMAIN}/config").read_text(encoding="utf-8")

    def log(self):
        """What it has written into its own root."""
        return pathlib.Path(f"/proc/{self.pid()}/root/log").read_text(encoding="utf-8")

    def inside(self, *words, check=True):
        """What a busybox says that runs as root of the container."""
        return self.node.run("lxc-attach", "-n", DOMAIN, "--", "/bin/busybox", *words, check=check)

    def seeds(self):
        directory = self.node.path(SEEDS)
        return sorted(path.name for path in directory.iterdir()) if directory.exists() else []

    def assert_read(self, given):
        self.assertEqual({name: self.inside("cat", f"{SEED}/{name}") for name in self.inside("ls", SEED).split()}, given)

    def limit(self, kind, key):
        groups = (line.split(":") for line in pathlib.Path(f"/proc/{self.pid()}/cgroup").read_text(encoding="ascii").splitlines())
        (path,) = (path for _, kinds, path in groups if kind in kinds.split(","))
        return int(pathlib.Path(f"/sys/fs/cgroup/{kind}{path}/{key}").read_text(encoding="ascii"))

    def reachable(self):
        self.node.run("ip", "addr", "replace", "192.0.2.1/24", "dev", "br-9001-1")
        wait_until(lambda: "1 received" in self.node.run("ping", "-c", "1", "-W", "1", ADDRESS, check=False), 30, "the container to answer")

    def seen(self, run):
        (found,) = run.messages("observed")
        return found

    def test_a_container_is_what_the_document_says(self):
        jumbo = {**interface(9001, 1), "mtu": 9000}
        run = self.converge({uuid(1): self.container(cores=2, cputime_limit=25, interfaces=[jumbo])})
        self.assertEqual(self.seen(run), {"vms": {uuid(1): "running"},
                                          "unmanaged": {"domains": [], "containers": [], "bridges": [], "volumes": []}})
        self.assertEqual(self.containers(), {DOMAIN: "RUNNING"})
        self.reachable()
        # Root in it is root of its own files, and nobody's beside them.
        ids = pathlib.Path(f"/proc/{self.pid()}/uid_map").read_text(encoding="ascii").split()
        self.assertEqual((ids, self.log()), (["0", "1000000", "65536"], "up\n"))
        self.assertEqual((self.node.path(f"/var/lib/lxc/{DOMAIN}").stat().st_mode & 0o777), 0o700)
        self.assertEqual((self.limit("cpu", "cpu.cfs_quota_us"), self.limit("memory", "memory.limit_in_bytes")), (PERIOD // 2, 64 * MIB))
        self.assertIn("lxc.start.auto = 1\n", self.config())
        outside = self.node.run("ip", "link", "show", "tp-9001-1")
        self.assertIn("master br-9001-1", outside)
        self.assertIn("mtu 9000 ", outside)
        self.node.run("ping", "-c", "1", "-W", "5", "-M", "do", "-s", "8972", ADDRESS)

    def test_a_seed_is_where_cloud_init_looks_for_it(self):
        first, second = seed(1), seed(2)
        self.dry({uuid(1): self.container(seed=first)})
        self.assertEqual(self.seeds(), [])
        run = self.converge({uuid(1): self.container(seed=first)})
        self.assertNotIn(SECRET, run.said)
        self.assert_read(first)
        (name,) = self.seeds()
        place = self.node.path(SEEDS) / name
        seen = {(path.stat().st_mode & 0o777, path.stat().st_uid, path.stat().st_gid) for path in place.iterdir()}
        self.assertEqual(((place.stat().st_mode & 0o777, place.stat().st_uid), seen), ((0o750, 0), {(0o640, 0, 1000000)}))
        # Its root writes nothing there, not even where it gets around the mount.
        for words in (("touch", f"{SEED}/x"), ("mount", "-o", "remount,rw,bind", SEED), ("touch", f"{SEED}/x"),
                      ("sh", "-c", f"echo x >{SEED}/user-data"), ("chmod", "666", f"{SEED}/user-data"), ("rm", f"{SEED}/user-data")):
            self.inside(*words, check=False)
        self.assert_read(first)
        # Another one waits for the next start, and what runs keeps its own.
        pid = self.pid()
        run = self.converge({uuid(1): self.container(seed=second)})
        for again in (run, self.node.apply()):
            self.assertIn("vm-9001: restart needed: its seed changes", again.said)
            self.assertNotIn(SECRET, again.said)
        self.assertEqual((self.pid(), len(self.seeds())), (pid, 2))
        self.assert_read(first)
        self.converge({uuid(1): self.container(seed=second, state="stopped")})
        (name,) = self.seeds()
        # It is lost: LXC would not start the container.
        shutil.rmtree(self.node.path(SEEDS) / name)
        run = self.converge({uuid(1): self.container(seed=second)})
        self.assertNotIn("restart needed", run.said)
        self.assert_read(second)
        # None any more.
        self.assertIn("restart needed: its seed changes", self.converge({uuid(1): self.container(restarts=1)}).said)
        self.converge({uuid(1): self.container(restarts=2)})
        self.assertEqual((self.inside("ls", SEED), self.seeds()), ("", []))

    def test_a_seed_goes_with_its_container(self):
        self.converge({uuid(1): self.container(seed=seed(1), state="stopped")})
        # Another machine's.
        (self.node.path(SEEDS) / self.seeds()[0].replace(uuid(1), uuid(2))).mkdir()
        over = {"name": "guest 9001", "domain": DOMAIN, "not_before": "2020-01-01T00:00:00Z"}
        run = self.removed({"vms": {uuid(1): over}, "volumes": {}})
        self.assertEqual((self.containers(), [name[:36] for name in self.seeds()]), ({}, [uuid(2)]), run.said)
        self.assertEqual(self.seen(run)["removed"], [uuid(1)])

    def test_a_seed_that_cannot_be_written_is_an_error_of_its_container_alone(self):
        self.converge({uuid(1): self.container(seed=seed(1))})
        pid, seeds, config = self.pid(), self.seeds(), self.config()
        self.node.run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", SEEDS)
        self.addCleanup(self.node.run, "umount", SEEDS, check=False)
        run = self.failed({uuid(1): self.container(seed=seed(2), cores=2), uuid(2): vm(9002, state="stopped")})
        self.assertIn("Read-only file system", run.said)
        self.assertNotIn(SECRET, run.said)
        self.node.run("umount", SEEDS)
        self.assertEqual((self.pid(), self.seeds(), self.config()), (pid, seeds, config))
        self.assertEqual(self.seen(run)["vms"], {uuid(1): "running", uuid(2): "stopped"})

    def test_a_container_that_was_ordered_runs(self):
        """With an image, a seed and an interface: all that an order gives it, from nothing and in one run."""
        for kind in ("raw", "qcow2"):
            with self.subTest(kind):
                backing, given = self.golden(kind), seed(1)
                # What an earlier run has left when it was interrupted.
                (self.node.storage / "vol-1.raw.unfinished").write_bytes(b"x")
                ordered = self.container(seed=given, volumes=[self.copied(backing)])
                run = self.converge({uuid(1): ordered})
                self.assertEqual(self.seen(run)["vms"], {uuid(1): "running"})
                self.reachable()
                self.assert_read(given)
                # Its root is the image's, and as large as was ordered.
                self.assertEqual(self.inside("cat", "/sbin/init"), INIT)
                self.assertGreater(int(self.inside("df", "-k", "/").splitlines()[-1].split()[1]), 48 * 1024)
                (file,) = self.node.storage.iterdir()
                self.assertEqual((file.name, file.stat().st_size, file.stat().st_mode & 0o777), ("vol-1.raw", 64 * MIB, 0o600))
                # It is its own from now on.
                self.inside("sh", "-c", "echo mine >/own")
                (self.node.dir / f"golden.{kind}").write_bytes(b"")
                self.assertEqual(self.unchanged({uuid(1): ordered}).messages("applied")[0]["generation"], self.generation)
                self.converge({uuid(1): {**ordered, "restarts": 1}})
                self.converge({uuid(1): {**ordered, "restarts": 2}})
                self.assertEqual(self.inside("cat", "/own"), "mine\n")
                self.node.clear()

    def test_rebuilt_it_has_another_root(self):
        backing = self.golden("raw")
        self.converge({uuid(1): self.container(volumes=[self.copied(backing)], restarts=1)})
        self.inside("sh", "-c", "echo mine >/own")
        self.converge({uuid(1): self.container(volumes=[self.copied(backing, 2)], restarts=2)})
        self.assertEqual(self.inside("sh", "-c", "cat /own || echo none"), "none\n")
        self.assertEqual(sorted(path.name for path in self.node.storage.iterdir()), ["vol-1.raw", "vol-2.raw"])

    def test_a_root_is_made_from_its_image_or_not_at_all(self):
        good = self.golden("raw")
        damaged = self.node.dir / "damaged.raw"
        # A file system that is one by its mark alone.
        damaged.write_bytes(bytes(1080) + b"\x53\xef" + bytes(MIB))
        wrong = f"sha512:{'0' * 128}"
        for backing, size, said in (({**good, "checksum": wrong}, 64 * MIB, f"is another one: its checksum is {good['checksum']}"),
                                    ({**good, "path": "/nonexistent.raw"}, 64 * MIB, "the golden image /nonexistent.raw is not here"),
                                    (good, 8 * MIB, f"has {16 * MIB} bytes, the volume only {8 * MIB}"),
                                    ({**good, "format": "qcow2"}, 64 * MIB, "is no qcow2"),
                                    ({**good, "path": str(damaged), "checksum": None}, 64 * MIB, "a file system that is damaged")):
            with self.subTest(said):
                run = self.unmade({uuid(1): self.container(volumes=[self.copied(backing, size=size)]), uuid(2): vm(9002, state="stopped")})
                self.assertIn(said, run.said)
                self.assertEqual((list(self.node.storage.iterdir()), self.containers()), ([], {}))
                self.assertEqual(self.seen(run)["vms"], {uuid(2): "stopped"})
        # What is there is nobody's to overwrite, whatever it is.
        (self.node.storage / "vol-1.raw").write_bytes(bytes(64 * MIB))
        self.failed({uuid(1): self.container(volumes=[self.copied(good)])})
        self.assertEqual((self.node.storage / "vol-1.raw").read_bytes(), bytes(64 * MIB))

    def test_a_killed_container_comes_back_and_a_frozen_one_goes_on(self):
        self.converge({uuid(1): self.container()})
        os.kill(self.pid(), signal.SIGKILL)
        wait_until(lambda: self.containers() == {DOMAIN: "STOPPED"}, 30, "LXC to see it")
        run = self.converge({uuid(1): self.container()})
        self.assertEqual(self.seen(run)["vms"], {uuid(1): "running"})
        self.node.run("lxc-freeze", "-n", DOMAIN)
        self.converge({uuid(1): self.container()})
        self.assertEqual(self.containers(), {DOMAIN: "RUNNING"})

    def test_one_whose_monitor_is_killed_comes_back(self):
        self.converge({uuid(1): self.container()})
        (monitor,) = self.node.run("pgrep", "-f", f"lxc monitor.*{DOMAIN}").split()
        init = self.pid()
        os.kill(int(monitor), signal.SIGKILL)
        wait_until(lambda: self.containers() == {DOMAIN: "STOPPED"} and not alive(init), 30, "LXC to see it")
        self.converge({uuid(1): self.container()})
        self.reachable()
        self.assertEqual(self.node.run("sh", "-c", "losetup -a").count("vol-1.raw"), 1)

    def test_limits_change_while_it_runs_and_all_else_waits(self):
        self.converge({uuid(1): self.container()})
        pid = self.pid()
        run = self.converge({uuid(1): self.container(cores=2, ram_bytes=32 * MIB)})
        self.assertNotIn("restart needed", run.said)
        self.assertEqual((self.limit("cpu", "cpu.cfs_quota_us"), self.limit("memory", "memory.limit_in_bytes")), (2 * PERIOD, 32 * MIB))
        # Somebody else has changed it.
        self.node.run("lxc-cgroup", "-n", DOMAIN, "memory.limit_in_bytes", 48 * MIB)
        self.converge({uuid(1): self.container(cores=2, ram_bytes=32 * MIB)})
        more = self.container(interfaces=[interface(9001, 1), interface(9001, 2)])
        for again in (self.converge({uuid(1): more}), self.node.apply()):
            self.assertIn("vm-9001: restart needed: its interfaces become others", again.said)
        self.assertEqual((self.pid(), self.limit("memory", "memory.limit_in_bytes")), (pid, 64 * MIB))
        self.assertIn("does not exist", self.node.run("sh", "-c", "ip link show tp-9001-2 2>&1; :"))
        self.assertIn("restart needed", self.converge({uuid(1): {**more, "restarts": 1}}).said)
        self.assertEqual(self.pid(), pid, "one without a number only gets it")
        self.converge({uuid(1): {**more, "restarts": 2}})
        self.assertNotEqual(self.pid(), pid)
        self.assertNotIn("restart needed", self.node.apply().said)
        self.node.run("ip", "link", "show", "tp-9001-2")

    def test_states(self):
        self.converge({uuid(1): self.container(state="stopped")})
        self.assertEqual(self.containers(), {DOMAIN: "STOPPED"})
        self.assertIn("lxc.start.auto = 0\n", self.config())
        self.converge({uuid(1): self.container()})
        # In maintenance people do as they please.
        self.unchanged({uuid(1): self.container(state="maintenance")})
        self.assertEqual(self.containers(), {DOMAIN: "RUNNING"})
        run = self.converge({uuid(1): self.container(state="deactivated")})
        self.assertEqual((self.containers(), self.seen(run)["vms"]), ({DOMAIN: "STOPPED"}, {uuid(1): "stopped"}))
        self.assertEqual(self.node.run("sh", "-c", "losetup -a"), "", "its root is let go of")

    def test_one_that_does_not_end_is_killed_only_where_it_is_to_be_stopped(self):
        make_root(self.node.storage / "vol-1.raw", "#!/bin/busybox sh\ntrap : PWR\nwhile :; do /bin/busybox sleep 1; done\n")
        self.converge({uuid(1): self.container()})
        pid = self.pid()
        run = self.failed({uuid(1): self.container(state="deactivated")})
        self.assertIn("vm-9001 has not shut down in 1 s", run.said)
        self.assertEqual(self.pid(), pid)
        run = self.converge({uuid(1): self.container(state="stopped")})
        self.assertIn("is killed", run.said)

    def test_what_it_cannot_have_is_an_error_of_it_alone(self):
        refused = {uuid(1): self.container(seed=seed(1), security_rules=[], gpus=[{"address": "0000:3b:00.0"}]), uuid(2): vm(9002, state="stopped")}
        run = self.failed(refused)
        self.assertIn("vm-9001: LXC cannot have devices that are passed through, a packet filter", run.said)
        self.assertEqual((self.containers(), self.seen(run)["vms"], run.messages("applied")), ({}, {uuid(2): "stopped"}, []))
        # A root that is none: LXC says why.
        (self.node.storage / "vol-1.raw").write_bytes(bytes(16 * MIB))
        run = self.failed({uuid(1): self.container()})
        self.assertIn("vm-9001 has not started: ", run.said)
        self.assertIn("mount", run.said)
        self.assertEqual(self.seen(run)["vms"], {uuid(1): "stopped"})

    def test_others_are_left_alone_and_told(self):
        foreign = self.node.path("/var/lib/lxc/somebody")
        foreign.mkdir()
        (foreign / "config").write_text("lxc.uts.name = somebody\n", encoding="utf-8")
        run = self.converge({uuid(1): self.container(state="stopped")})
        self.assertEqual(self.seen(run)["unmanaged"]["containers"], ["somebody"])
        # The same name, and it is another's.
        self.node.path(f"/var/lib/lxc/{DOMAIN}/config").write_text("lxc.uts.name = x\n", encoding="utf-8")
        run = self.failed({uuid(1): self.container(state="stopped")})
        self.assertIn("a container of this name is there already, and another made it", run.said)
        self.assertEqual(self.config(), "lxc.uts.name = x\n")

    def test_a_domain_and_a_container_are_never_one_machine(self):
        self.converge({uuid(1): self.container()})
        run = self.failed({uuid(1): self.container(virt_method="QEMU")})
        self.assertIn("a container of LXC has this UUID", run.said)
        self.assertEqual((self.containers(), self.node.virsh("list", "--all", "--name").strip()), ({DOMAIN: "RUNNING"}, ""))
        self.node.clear()
        self.converge({uuid(1): self.container(virt_method="QEMU")})
        run = self.failed({uuid(1): self.container()})
        self.assertIn("a domain of libvirt has this UUID", run.said)
        self.assertEqual(self.containers(), {})

    def test_a_dry_run_changes_nothing(self):
        vms = {uuid(1): self.container()}
        for change in ({}, {"cores": 2, "state": "stopped"}):
            before = (self.containers(), self.config() if self.containers() else None)
            self.dry({uuid(1): self.container(**change)})
            self.assertEqual((self.containers(), self.config() if self.containers() else None), before)
            if not self.containers():
                self.converge(vms)

    def test_a_tombstone(self):
        self.converge({uuid(1): self.container()})
        path = str(self.node.storage / "vol-1.raw")
        over, later = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"

        def tombstones(machine, disk):
            return {"vms": {uuid(1): {"name": "guest 9001", "domain": DOMAIN, "not_before": machine}},
                    "volumes": {uuid(1001): {"type": "raw", "path": path, "not_before": disk}}}

        run = self.removed(tombstones(later, later))
        self.assertEqual((self.containers(), run.messages("observed")[0].get("removed")), ({DOMAIN: "STOPPED"}, None), run.said)
        self.assertIn("lxc.start.auto = 0\n", self.config())
        # It has its volume yet.
        run = self.removed(tombstones(later, over), fails=True)
        self.assertIn("container vm-9001 has ", run.said)
        self.assertTrue(os.path.exists(path))
        run = self.removed(tombstones(over, over))
        self.assertEqual((self.containers(), os.path.exists(path)), ({}, False), run.said)
        self.assertEqual(sorted(self.seen(run)["removed"]), [uuid(1), uuid(1001)])
        self.assertFalse(self.node.path(f"/var/lib/lxc/{DOMAIN}").exists())

    def document(self, vms, tombstones=None):
        self.generation += 1
        found = document(vms, self.node.storage, self.generation)
        if tombstones:
            found["hypervisor"]["tombstones"] = tombstones
        self.node.document(found)
