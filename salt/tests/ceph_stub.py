"""A cluster of Ceph with one node, in place of Ceph's own programs and of systemd; it notes what it was asked."""

import json
import os

import virtapi_ceph_command
import virtapi_ceph_daemon
import virtapi_ceph_keyfile
import virtapi_command

FSID, OTHER = "5f2c1a34-0000-4000-8000-000000000009", "5f2c1a34-0000-4000-8000-000000000008"
ADDRESS = "[v2:10.1.0.11:3300,v1:10.1.0.11:6789]"
KEY = "AQ" + "k" * 36 + "=="
# What only looks.
_QUESTIONS = (
    ("fsid",),
    ("quorum_status",),
    ("osd", "dump"),
    ("osd", "tree"),
    ("osd", "pool", "ls", "detail"),
    ("osd", "safe-to-destroy"),
    ("auth", "get-key"),
    ("mon", "getmap"),
)


class Cluster:
    """What there is, and what becomes of it."""

    def __init__(self, monkeypatch, tmp_path):
        for name in ("ETC", "LIB", "RUN"):
            monkeypatch.setattr(virtapi_ceph_command, name, str(tmp_path / name))
        monkeypatch.setattr(virtapi_ceph_command, "own", lambda path: None)
        monkeypatch.setattr(virtapi_ceph_daemon, "_DEFAULTS", str(tmp_path / "defaults"))
        for name in ("QUORUM", "UP"):
            monkeypatch.setattr(virtapi_ceph_daemon, name, 0)
        monkeypatch.setattr(virtapi_command, "result", self.result)
        self.defaults = tmp_path / "defaults"
        self.lib = tmp_path / "LIB"
        # None: no monitor answers.
        self.fsid = None
        self.away = "[errno 110] RADOS timed out (error connecting)"
        self.mons = ["st01"]
        self.quorum = ["st01"]
        self.address = ADDRESS
        self.state = "leader"
        self.running = set()
        self.osds = {}
        self.classes = {}
        self.unsafe = None
        self.pools = {}
        self.asked = []
        os.makedirs(virtapi_ceph_command.ETC)
        for entity in ("mon.", "client.admin"):
            virtapi_ceph_command.write(
                virtapi_ceph_command.keyring_path("ceph", entity), virtapi_ceph_keyfile.text(entity, KEY)
            )
        virtapi_ceph_command.write(virtapi_ceph_command.settings_path("ceph"), "")

    @property
    def done(self):
        """What was not only asked."""
        return [text for text in self.asked if not text.startswith(("?", "systemctl is-"))]

    def add_mon(self):
        (self.lib / "mon/ceph-st01/store.db").mkdir(parents=True)
        self.fsid = FSID
        self.running.add("mon@st01")

    def add_osd(self, uuid, number=0, here=True, **other):
        self.osds[uuid] = dict({"osd": number, "uuid": uuid, "up": 1, "in": 1, "state": ["exists", "up"]}, **other)
        if here:
            self.add_directory(uuid, number)

    def add_directory(self, uuid, number, fsid=FSID):
        path = self.lib / "osd/ceph-{}".format(number)
        path.mkdir(parents=True, exist_ok=True)
        for name, text in (("fsid", uuid), ("ceph_fsid", fsid), ("ready", "ready")):
            (path / name).write_text(text + "\n")
        self.running.add("osd@{}".format(number))

    def result(self, functions, *words, secret=False):
        words = [str(word) for word in words]
        if words[0] == "env":
            words = words[7:]
        if words[0] == "timeout":
            words = words[2:]
        program, *words = words
        try:
            said = getattr(self, program.replace("-", "_"))(*words)
        except Failure as failure:
            return {"retcode": failure.args[1], "stdout": "", "stderr": "2026-11-22T00:00:00.0 noise\n" + failure.args[0]}
        return {"retcode": 0, "stdout": said or "", "stderr": ""}

    def note(self, *words, question=False):
        self.asked.append("? " * question + " ".join(words))

    def systemctl(self, what, *words):
        self.note("systemctl", what, *(word for word in words if word != "--quiet"))
        daemon = words[-1][len("ceph-") : -len(".service")]
        if what == "is-active" and daemon not in self.running:
            raise Failure("", 3)
        if what == "is-failed":
            raise Failure("", 1)
        if what == "start":
            self.running.add(daemon)
        if what == "disable":
            self.running.discard(daemon)

    def ceph(self, *words):
        assert words[:2] == ("--cluster", "ceph"), words
        if words[2] == "daemon":
            self.note(*words[2:], question=True)
            return self.daemon(*words[3:])
        assert words[2:6] == ("--name", "client.admin", "--connect-timeout", "10"), words
        words = tuple(word for word in words[6:] if word not in ("--format", "json"))
        question = any(words[: len(each)] == each for each in _QUESTIONS)
        self.note(*words, question=question)
        if self.fsid is None:
            raise Failure(self.away, 1)
        return getattr(self, "on_" + words[0])(*words[1:])

    def daemon(self, name, question):
        if name.replace(".", "@") not in self.running:
            raise Failure("admin_socket: exception getting command descriptions", 22)
        if question == "status":
            return json.dumps({"state": "active"})
        addresses = [dict(zip(("type", "addr"), each.split(":", 1))) for each in self.address[1:-1].split(",")]
        mons = [{"name": name, "public_addrs": {"addrvec": addresses}} for name in self.mons]
        return json.dumps({"state": self.state, "monmap": {"fsid": self.fsid, "mons": mons}})

    def on_fsid(self):
        return self.fsid + "\n"

    def on_quorum_status(self):
        return json.dumps({"quorum_names": self.quorum, "monmap": {"mons": [{"name": name} for name in self.mons]}})

    def on_mon(self, what, *words):
        if what == "remove":
            self.mons.remove(words[0])
            self.running.discard("mon@" + words[0])

    def on_auth(self, what, *words):
        return KEY if what == "get-key" else "[{}]\n\tkey = {}".format(words[0], KEY)

    def on_osd(self, what, *words):
        if what == "dump":
            pools = [{"pool_name": name} for name in self.pools]
            return json.dumps({"fsid": self.fsid, "osds": list(self.osds.values()), "pools": pools})
        if what == "tree":
            nodes = [{"id": osd["osd"], "device_class": self.classes.get(osd["osd"])} for osd in self.osds.values()]
            return json.dumps({"nodes": [{"id": -1}, *nodes]})
        if what == "new":
            with open(words[-1], encoding="utf-8") as file:
                self.new = json.load(file)
            number = len(self.osds)
            self.add_osd(words[0], number, here=False, state=["exists", "new"], up=0)
            self.classes[number] = self.new.get("crush_device_class")
            return "{}\n".format(number)
        if what == "crush" and words[0] == "set-device-class":
            self.classes[int(words[2][4:])] = words[1]
        if what == "out":
            self.of(words[0])["in"] = 0
        if what == "safe-to-destroy" and self.unsafe:
            raise Failure(self.unsafe, 16)
        if what == "purge":
            del self.osds[self.of(words[0])["uuid"]]
        return self.pool(*words) if what == "pool" else ""

    def of(self, number):
        return next(osd for osd in self.osds.values() if osd["osd"] == int(number))

    def pool(self, what, *words):
        if what == "ls":
            return json.dumps([dict(pool, pool_name=name) for name, pool in self.pools.items()])
        if what == "create":
            self.add_pool(words[0], pg_num=int(words[1]), size=int(words[3]), min_size=9)
        elif what == "set":
            self.pools[words[0]][words[1]] = int(words[2])
        else:
            assert (what, words[0]) == ("application", "enable"), words
            self.pools[words[1]]["application_metadata"][words[2]] = {}
        return ""

    def add_pool(self, name, applications=(), **other):
        pool = {"size": 3, "min_size": 2, "pg_num": 32, "pg_autoscale_mode": "off"}
        self.pools[name] = dict(pool, application_metadata=dict.fromkeys(applications, {}), **other)

    def monmaptool(self, *words):
        self.note("monmaptool", *words[:-1])

    def ceph_mon(self, *words):
        self.note("ceph-mon", "--mkfs")
        assert "--mkfs" in words and os.path.exists(words[words.index("--keyring") + 1])
        self.add_mon()
        self.running.clear()

    def ceph_authtool(self, *words):
        return KEY

    def ceph_osd(self, *words):
        words = dict(zip(words[::2], words[1::2])) if "--mkfs" not in words else words
        number, uuid = words[words.index("--id") + 1], words[words.index("--osd-uuid") + 1]
        self.note("ceph-osd", number, uuid, words[words.index("--osd-objectstore") + 1])
        self.add_directory(uuid, int(number))
        self.running.discard("osd@" + number)

    def ceph_bluestore_tool(self, *words):
        self.note("ceph-bluestore-tool", *words[:2])
        path = words[words.index("--path") + 1]
        number = int(path.rpartition("-")[2])
        self.add_directory(self.of(number)["uuid"], number)
        self.running.discard("osd@{}".format(number))


class Failure(Exception):
    """What a program says, and its exit status."""
