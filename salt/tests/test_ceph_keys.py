"""Ceph's settings and keys on a node that uses a cluster, as Salt's own loader loads the states; without a cluster."""

import json
import os

import pytest
import salt.loader
import virtapi_ceph_command
import virtapi_ceph_conf
import virtapi_ceph_keyfile
import virtapi_command
from salt.exceptions import CommandExecutionError

FSID = "5f2c1a34-0000-4000-8000-000000000009"
KEYS = {name: "AQ" + name[0] * 36 + "==" for name in ("mon", "admin", "client")}
MONS = [{"fqdn": "st01.example.com", "name": "st01", "address": "10.1.0.11", "port": 6789}]
CLUSTER = {"fsid": FSID, "public_network": "10.1.0.0/24", "cluster_network": None, "mons": MONS, "pools": []}


@pytest.fixture
def etc(tmp_path, monkeypatch):
    monkeypatch.setattr(virtapi_ceph_command, "ETC", str(tmp_path / "etc/ceph"))
    return tmp_path / "etc/ceph"


@pytest.fixture
def states(opts):
    """The states as a run has them."""

    def load(test=False, keys=KEYS):
        opts.update(test=test, virtapi_ceph={"keys": {"ceph": keys}}, pillar={}, grains={})
        functions = salt.loader.minion_mods(opts, context={})
        return salt.loader.states(opts, functions, salt.loader.utils(opts), None)

    return load


class Node:
    """Answers in place of Ceph and virsh, and notes what it was asked."""

    def __init__(self):
        self.users = {}
        self.secrets = {}
        self.private = "no"
        self.asked = []
        self.loud = []

    def result(self, functions, *words, secret=False):
        words = [str(word) for word in words]
        self.asked.append(" ".join(words))
        if not secret:
            self.loud.append(" ".join(words))
        said = self.virsh(words[4:]) if words[0] == "virsh" else self.ceph(words[words.index("--connect-timeout") + 2 :])
        if said is None:
            return {"retcode": 1, "stdout": "", "stderr": "error: no"}
        return {"retcode": 0, "stdout": said, "stderr": ""}

    def ceph(self, words):
        if words[-2:] == ["auth", "ls"]:
            return json.dumps({"auth_dump": [dict(user, entity=name) for name, user in self.users.items()]})
        assert words[:3] == ["auth", "import", "-i"], words
        with open(words[3], encoding="utf-8") as file:
            text = file.read()
        assert os.stat(words[3]).st_mode & 0o777 == 0o600
        name = text[1 : text.index("]")]
        caps = dict(line[6:].split(" = ") for line in text.splitlines() if line.startswith("\tcaps "))
        caps = {service: cap.strip('"') for service, cap in caps.items()}
        self.users[name] = {"key": virtapi_ceph_keyfile.key(words[3], name), "caps": caps}
        return ""

    def virsh(self, words):
        if words[0] == "secret-list":
            return "".join(" {}   ceph   x\n".format(uuid) for uuid in self.secrets)
        if words[0] == "secret-dumpxml":
            return "<secret ephemeral='no' private='{}'>".format(self.private)
        if words[0] == "secret-get-value":
            return self.secrets[words[1]]
        with open(words[-1], encoding="utf-8") as file:
            text = file.read()
        if words[0] == "secret-define":
            assert "<name>ceph client.&lt;</name>" in text and "private='no'" in text
            self.secrets[FSID] = None
            return ""
        assert words[:2] == ["secret-set-value", FSID], words
        self.secrets[FSID] = text
        return ""


@pytest.fixture
def node(monkeypatch):
    node = Node()
    monkeypatch.setattr(virtapi_command, "result", node.result)
    return node


def ready(etc):
    """As on a node that has its settings and the administrator's key."""
    etc.mkdir(parents=True)
    for name in ("ceph.conf", "ceph.client.admin.keyring"):
        (etc / name).write_text("")


def run(states, function, *arguments, **options):
    """A dry run, a run, and one that finds nothing to do; what the second has changed."""
    would = states(test=True)[function](*arguments, **options)
    assert would["result"] is None, would
    done = states()[function](*arguments, **options)
    assert (done["result"], done["changes"]) == (True, would["changes"]), done
    for test in (True, False):
        again = states(test=test)[function](*arguments, **options)
        assert (again["result"], again["changes"]) == (True, {}), again
    for key in KEYS.values():
        assert key not in json.dumps([would, done])
    return done["changes"]


def test_settings(etc, states):
    more = {"global": {"fsid": "x", "debug": True}, "osd": {"a": 1}}
    changes = run(states, "virtapi_ceph_settings.present", "ceph", CLUSTER, settings=more)
    assert "+mon host = [v2:10.1.0.11:3300,v1:10.1.0.11:6789]" in changes["settings"]
    assert (etc / "ceph.conf").stat().st_mode & 0o777 == 0o644
    assert (etc / "ceph.conf").read_text().splitlines()[1:] == [
        "[global]",
        "fsid = x",
        "mon host = [v2:10.1.0.11:3300,v1:10.1.0.11:6789]",
        "public network = 10.1.0.0/24",
        "debug = true",
        "[mon.st01]",
        "public addrv = [v2:10.1.0.11:3300,v1:10.1.0.11:6789]",
        "[osd]",
        "a = 1",
    ]
    (etc / "ceph.conf").chmod(0o600)
    assert run(states, "virtapi_ceph_settings.present", "ceph", CLUSTER, settings=more) == {"settings": "mode 0644"}


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize("before", [None, "[global]\nmon host = 10.1.0.11\n"])
def test_settings_of_a_cluster_without_monitors_are_not_written(etc, states, before, test):
    if before:
        etc.mkdir(parents=True)
        (etc / "ceph.conf").write_text(before)
    result = states(test=test)["virtapi_ceph_settings.present"]("ceph", dict(CLUSTER, mons=[]))
    assert (result["result"], result["changes"]) == (False, {})
    assert result["comment"] == "the document has no monitors of cluster ceph"
    assert ((etc / "ceph.conf").read_text() if before else (etc / "ceph.conf").exists()) == (before or False)


def test_addresses():
    assert virtapi_ceph_conf.addresses("10.1.0.11", 3300) == "[v2:10.1.0.11:3300]"
    assert virtapi_ceph_conf.addresses("fd00::1", 6789) == "[v2:[fd00::1]:3300,v1:[fd00::1]:6789]"
    mons = [dict(MONS[0], address="fd00::1")]
    assert "ms bind ipv4 = false\nms bind ipv6 = true\n" in virtapi_ceph_conf.text(dict(CLUSTER, mons=mons), {})


def test_keyrings(tmp_path):
    path, key = tmp_path / "keyring", KEYS["mon"]
    path.write_text('[client.a]\n\tkey = wrong\n[client.b]\n  key={}\n\tcaps mon = "allow *"\n'.format(key))
    found = [virtapi_ceph_keyfile.key(str(path), name) for name in ("client.b", "client.c")]
    assert found + [virtapi_ceph_keyfile.key(str(path) + "x", "client.b")] == [key, None, None]
    text = virtapi_ceph_keyfile.text("client.b", key, {"osd": 'profile rbd pool="a b"', "mon": "profile rbd"})
    expected = '[client.b]\n\tkey = {}\n\tcaps mon = "profile rbd"\n\tcaps osd = "profile rbd pool=\\"a b\\""\n'
    assert text == expected.format(key)
    caps = virtapi_ceph_keyfile.pool_caps([{"name": "rbd"}, {"name": "more images"}])
    assert caps == {"mon": "profile rbd", "osd": 'profile rbd pool=rbd, profile rbd pool="more images"'}
    assert virtapi_ceph_keyfile.pool_caps([]) == {"mon": "profile rbd"}


def test_a_key_in_a_file(etc, node, states):
    name = "ceph/client.libvirt"
    assert run(states, "virtapi_ceph_keyring.present", name, "client") == {"keyring": {"old": "absent", "new": "present"}}
    path = etc / "ceph.client.libvirt.keyring"
    assert path.stat().st_mode & 0o777 == 0o600
    assert virtapi_ceph_keyfile.key(str(path), "client.libvirt") == KEYS["client"]
    path.chmod(0o644)
    changes = run(states, "virtapi_ceph_keyring.present", name, "client")
    assert changes == {"mode": {"old": "0644", "new": "0600"}}
    path.write_text(path.read_text().replace("AQ", "BQ"))
    changes = run(states, "virtapi_ceph_keyring.present", name, "client")
    assert changes == {"key": {"old": "[redacted]", "new": "[redacted]"}}
    run(states, "virtapi_ceph_keyring.present", "ceph/mon.", "mon")
    assert virtapi_ceph_keyfile.key(str(etc / "ceph.mon.keyring"), "mon.") == KEYS["mon"]
    assert node.asked == []


def test_a_key_that_the_cluster_is_told_of(etc, node, states):
    ready(etc)
    call = ("virtapi_ceph_keyring.present", "ceph/client.libvirt", "client")
    caps = {"mon": "profile rbd"}
    changes = run(states, *call, pools=[])
    assert changes["caps"] == {"old": None, "new": caps}
    assert node.users == {"client.libvirt": {"key": KEYS["client"], "caps": caps}}
    more = dict(caps, osd="profile rbd pool=rbd")
    pools = [{"name": "rbd", "size": 2}]
    assert run(states, *call, pools=pools) == {"caps": {"old": caps, "new": more}}
    node.users["client.libvirt"]["key"] = KEYS["mon"]
    assert run(states, *call, pools=pools) == {"key": {"old": "[redacted]", "new": "[redacted]"}}
    assert node.users["client.libvirt"]["key"] == KEYS["client"]
    # What has keys in it comes into no log.
    assert node.loud == []


def test_a_cluster_that_does_not_answer_is_told_of_nothing(etc, states, monkeypatch):
    ready(etc)
    said = "2026-11-21T00:00:00.000 noise\n[errno 110] RADOS timed out (error connecting)\n"
    answer = {"retcode": 1, "stdout": "", "stderr": said}
    monkeypatch.setattr(virtapi_command, "result", lambda *words, **options: answer)
    result = states()["virtapi_ceph_keyring.present"]("ceph/client.libvirt", "client", [])
    assert (result["result"], result["changes"]) == (False, {})
    reason = "the cluster does not answer ([errno 110] RADOS timed out (error connecting))"
    assert result["comment"] == "ceph/client.libvirt: ceph: " + reason
    assert not (etc / "ceph.client.libvirt.keyring").exists()


@pytest.mark.parametrize("keys", [{}, {"client": "secret"}, {"client": None}])
def test_without_a_key_nothing_is_written(etc, node, states, keys):
    result = states(keys=keys)["virtapi_ceph_keyring.present"]("ceph/client.libvirt", "client")
    assert result["result"] is False and "has no key client of cluster ceph" in result["comment"]
    assert "secret" not in result["comment"] and not etc.exists()


@pytest.mark.parametrize("name", ["ceph", "../client.a", "ceph/--help", "-x/client.a", "ceph/a b"])
def test_what_is_no_name_of_a_key_reaches_no_command(etc, node, states, name):
    result = states()["virtapi_ceph_keyring.present"](name, "client", [])
    assert (result["result"], node.asked, etc.exists()) == (False, [], False)
    assert "is no name of a key" in result["comment"]


def test_a_secret_of_libvirt(node, states):
    call = ("virtapi_ceph_secret.present", FSID, "ceph", "ceph client.<")
    assert run(states, *call) == {"secret": {"old": "absent", "new": "present"}}
    assert node.secrets == {FSID: KEYS["client"]}
    for wrong in ("other", None):
        node.secrets[FSID] = wrong
        assert run(states, *call) == {"key": {"old": "[redacted]", "new": "[redacted]"}}
    assert [words for words in node.loud if "get-value" in words] == []
    # Another made it, and its key cannot be looked at.
    node.secrets[FSID], node.private = "other", "yes"
    assert states()["virtapi_ceph_secret.present"](FSID, "ceph")["changes"] == {}
    result = states()["virtapi_ceph_secret.present"]("--help", "ceph")
    assert (result["result"], result["comment"]) == (False, "--help is no UUID")


def test_libvirt_away_is_an_error(states, monkeypatch):
    def away(*words, **options):
        raise CommandExecutionError("virsh: away")

    monkeypatch.setattr(virtapi_command, "run", away)
    result = states()["virtapi_ceph_secret.present"](FSID, "ceph")
    assert (result["result"], result["comment"]) == (False, "virsh: away")
