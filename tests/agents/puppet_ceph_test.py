"""What the Puppet module decides about clusters of Ceph, and what it refuses; with stand-ins for Ceph's programs."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import puppet_documents as documents
from puppet_sandbox import ROOT, Sandbox
from puppet_stub import ENC, HIERA, Stub, document

FSID, OTHER = documents.uuid(99), documents.uuid(98)
UUID = documents.uuid(50)
KEY = "AQ" + "x" * 36 + "=="


def ask(*questions, path=None):
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"]}
    run = subprocess.run(["ruby", ROOT / "tests/agents/puppet_ceph.rb"], input=json.dumps(questions), env=environment,
                         capture_output=True, encoding="utf-8", check=False)
    if run.returncode != 0:
        raise AssertionError(run.stderr)
    return json.loads(run.stdout)


class PlanTest(unittest.TestCase):
    maxDiff = None

    def compare(self, kind, cases):
        """Each case by name: the question, and what is found in the answer."""
        answers = ask(*({"ask": kind, **question} for question, _ in cases.values()))
        for (name, (_, expected)), answer in zip(cases.items(), answers, strict=True):
            with self.subTest(name):
                if isinstance(expected, tuple):
                    self.assertEqual(answer[0], expected[0])
                    self.assertIn(expected[1], answer[1])
                elif isinstance(expected, str):
                    self.assertIn(expected, answer)
                else:
                    self.assertEqual(answer, expected)

    def test_a_key_is_shown_nowhere(self):
        names = {"virtapi_ceph_keyring": {"name": "ceph/client.libvirt"}, "virtapi_ceph_secret": {"fsid": FSID}}
        for found in ask(*({"ask": "shown", "type": kind, "name": name, "key": KEY} for kind, name in names.items())):
            self.assertEqual(found, [True, "[redacted]", "[redacted]", "key changed [redacted] to [redacted]"])

    def test_a_cluster_without_monitors_is_refused(self):
        mon = {"fqdn": "st01.example.com", "name": "st01", "address": "10.1.0.11", "port": 6789}
        volume = {"uuid": UUID, "type": "rbd", "place": "rbd/vol-1", "cluster": "ceph", "provider": "rbd"}
        for kind, parameters in (("virtapi_ceph_cluster", {"name": "ceph"}), ("virtapi_volume", volume)):
            wrong, right = ask(*({"ask": "refused", "type": kind, "parameters": {**parameters, "mons": mons}} for mons in ([], [mon])))
            self.assertEqual((wrong, right), ("the document has no monitors of cluster ceph", None))

    def test_how_a_monitor_begins(self):
        def case(cluster_fsid, bootstrap, *traces):
            return {"fsid": FSID, "cluster_fsid": cluster_fsid, "bootstrap": bootstrap, "traces": list(traces)}

        self.compare("mon_beginning", {
            "there is one": (case(FSID, False), ["join", None]),
            "there is one, and none is to be made": (case(FSID, True, "/osd"), ["join", None]),
            "another one": (case(OTHER, True), ("refuse", f"another cluster: {OTHER}, and not {FSID}")),
            "none answers": (case(None, False), ("refuse", "made only where the site says so")),
            "none answers, and one is to be made": (case(None, True), ["bootstrap", None]),
            "none answers, and there was one": (case(None, True, "/var/lib/ceph/osd/ceph-0"), ("refuse", "/var/lib/ceph/osd/ceph-0 is here")),
        })

    def test_when_a_monitor_may_go(self):
        def case(mons, quorum):
            return {"mons": list(mons), "quorum": list(quorum), "name": "a"}

        self.compare("mon_removal", {
            "no quorum": ({"mons": None, "name": "a"}, "there is no quorum"),
            "the last": (case("a", "a"), "it is the last one"),
            "one of two": (case("ab", "ab"), None),
            "one of three": (case("abc", "abc"), None),
            "one of three, one is down": (case("abc", "ac"), "of the other 2 only 1 are in quorum, and 2 are needed"),
            "the one of three that is down": (case("abc", "bc"), None),
            "one of four, one is down": (case("abcd", "abc"), None),
            "one of five, two are down": (case("abcde", "abc"), "of the other 4 only 2 are in quorum, and 3 are needed"),
            "not there any more": (case("bc", "bc"), None),
        })

    def test_how_an_osd_begins(self):
        new, old = {"osd": 3, "state": ["exists", "new"]}, {"osd": 3, "state": ["exists", "up"]}

        def case(known, device):
            return {"uuid": UUID, "known": known, "device": device}

        self.compare("osd_beginning", {
            "a blank device": (case(None, {}), ["new", None]),
            "no device": (case(None, None), ["new", None]),
            "a device in use": (case(None, {"other": "ext4"}), ("refuse", "not blank: ext4. Nothing here erases a disk")),
            "another's device": (case(None, {"uuid": OTHER}), ("refuse", f"that of another OSD: {OTHER}")),
            "another's device, though announced": (case(new, {"uuid": OTHER}), ("refuse", "that of another OSD")),
            "purged": (case(None, {"uuid": UUID}), ("refuse", "it was purged")),
            "a run that was interrupted": (case(new, {}), ["finish", None]),
            "one that was interrupted later": (case(new, {"uuid": UUID}), ["finish", None]),
            "a system that was installed anew": (case(old, {"uuid": UUID}), ["adopt", None]),
            "a disk that was replaced": (case(old, {}), ("refuse", "osd.3, and it is not here: it is lost")),
            "a directory that is gone": (case(old, None), ("refuse", "it is lost")),
        })

    def test_how_an_osd_goes(self):
        def case(known, here, unsafe=None):
            return {"known": known, "here": here, "unsafe": unsafe}

        self.compare("osd_removal", {
            "it is in": (case({"in": 1}, True), ["out", None]),
            "it is out and not safe": (case({"in": 0}, True, "7 pgs"), ["wait", "7 pgs"]),
            "it is out and safe": (case({"in": 0}, True), ["purge", None]),
            "it is purged": (case(None, True), ["clear", None]),
            "it is gone": (case(None, False), None),
        })

    def test_pools(self):
        self.compare("pool", {
            "the same": ({"size": [3, 3], "pg_num": [32, 32, "off"]}, [None, True]),
            "more": ({"size": [2, 3], "pg_num": [16, 32, "off"]}, [None, False]),
            "fewer": ({"size": [3, 2], "pg_num": [64, 32, "off"]},
                      ["has 3 copies and is to have 2: nothing here makes copies fewer", True]),
            "Ceph counts": ({"size": [3, 3], "pg_num": [8, 32, "on"]}, [None, True]),
        })

    def test_keyrings(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "keyring")
            path.write_text(f"[client.a]\n\tkey = wrong\n[client.b]\n  key={KEY}\n\tcaps mon = \"allow *\"\n", encoding="ascii")
            caps = {"osd": 'profile rbd pool="a b"', "mon": "profile rbd"}
            (text, key), (_, missing), (_, none) = ask(
                {"ask": "keyring", "text": ["client.b", KEY, caps], "path": str(path)},
                {"ask": "keyring", "text": ["client.c", KEY, {}], "path": str(path)},
                {"ask": "keyring", "text": ["client.b", KEY, {}], "path": str(path) + "x"})
        self.assertEqual(text, f'[client.b]\n\tkey = {KEY}\n\tcaps mon = "profile rbd"\n\tcaps osd = "profile rbd pool=\\"a b\\""\n')
        self.assertEqual((key, missing, none), (KEY, None, None))

    def test_what_is_no_block_device_is_not_used(self):
        answers = ask({"ask": "device", "path": "/nonexistent"}, {"ask": "device", "path": "/dev/null"})
        for path, answer in zip(("/nonexistent", "/dev/null"), answers):
            self.assertEqual(answer, {"other": f"{path} is no block device of this node"})


class CommandsTest(unittest.TestCase):
    """Stand-ins for Ceph's programs, which note what they are asked, and answer what a test says."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = pathlib.Path(directory.name)
        self.asked = self.dir / "asked"
        for name in ("systemctl", "ceph", "ceph-mon", "ceph-osd", "ceph-mgr", "ceph-authtool", "monmaptool"):
            program = self.dir / name
            program.write_text(f"""#!/bin/sh
echo "{name} $*" >> {self.asked}
for answer in {self.dir}/answers/*; do
    [ -e "$answer" ] || exit 0
    case "$*" in
    *"$(cat "$answer/words")"*) cat "$answer/said" >&2; cat "$answer/text"; exit "$(cat "$answer/status")" ;;
    esac
done
""", encoding="utf-8")
            program.chmod(0o755)
        self.count = 0

    def answer(self, words, text="", status=0, said=""):
        self.count += 1
        place = self.dir / "answers" / f"{self.count:02d}"
        place.mkdir(parents=True)
        for name, value in (("words", words), ("text", text), ("status", str(status)), ("said", said)):
            (place / name).write_text(value, encoding="utf-8")

    def call(self, kind, parameters, *methods):
        (answer,) = ask({"ask": "call", "type": kind, "parameters": parameters, "methods": methods}, path=self.dir)
        return answer

    def changes(self):
        """The questions to the cluster that change something."""
        asked = self.asked.read_text(encoding="utf-8").splitlines() if self.asked.exists() else []
        return [line for line in asked if " --format json" not in line and " daemon " not in line and "safe-to-destroy" not in line]

    def test_a_monitor_is_not_taken_away(self):
        self.answer("quorum_status", json.dumps({"quorum_names": ["a"], "monmap": {"mons": [{"name": "a"}]}}))
        answer = self.call("virtapi_ceph_mon", {"name": "ceph/a", "ensure": "absent"}, "destroy")
        self.assertEqual(answer, {"error": "ceph/a is not taken away: it is the last one"})
        self.assertEqual(self.changes(), [])

    def test_a_monitor_is_not_taken_away_without_quorum(self):
        self.answer("quorum_status", status=1, said="2026-11-21T00:00:00 noise\n[errno 110] RADOS timed out (error connecting)\n")
        answer = self.call("virtapi_ceph_mon", {"name": "ceph/a", "ensure": "absent"}, "destroy")
        self.assertEqual(answer, {"error": "ceph/a is not taken away: there is no quorum"})
        self.assertEqual(self.changes(), [])

    def test_what_cannot_be_asked_is_not_taken_for_no_cluster(self):
        self.answer("quorum_status", status=1, said="[errno 13] RADOS permission denied (error connecting)\n")
        answer = self.call("virtapi_ceph_mon", {"name": "ceph/a", "ensure": "absent"}, "destroy")
        self.assertIn("RADOS permission denied", answer["error"])
        self.assertEqual(self.changes(), [])

    def unit(self, cluster, *methods):
        (answer,) = ask({"ask": "unit", "cluster": cluster, "methods": methods}, path=self.dir)
        return answer

    def test_units_of_systemd(self):
        self.answer("is-active", status=3)
        self.answer("is-failed", status=1)
        self.assertEqual(self.unit("ceph", "running?", "start", "stop"), [False, False, False])
        self.assertEqual(self.changes(), [f"systemctl {words} ceph-mon@a.service" for words in (
            "is-active --quiet", "enable", "is-failed --quiet", "start", "disable --now")])

    def test_a_unit_that_has_failed_is_started_again(self):
        self.assertEqual(self.unit("ceph", "running?", "start"), [True, False])
        self.assertIn("systemctl reset-failed ceph-mon@a.service", self.changes())

    def test_units_are_of_one_cluster(self):
        self.assertIn("the units of systemd are for cluster ceph, and not other", self.unit("other", "start")["error"])
        self.assertEqual(self.changes(), [])

    def absent(self, osd_in):
        (answer,) = ask({"ask": "absent", "uuid": UUID, "known": {"osd": 3, "in": osd_in, "state": ["exists"]}}, path=self.dir)
        return answer, [line.partition("--connect-timeout 10 ")[2] for line in self.changes()]

    def test_an_osd_goes_out_first(self):
        self.assertEqual(self.absent(1), (["present", False], ["osd out 3"]))

    def test_an_osd_that_is_needed_is_not_destroyed(self):
        self.answer("safe-to-destroy", status=16, said="Error EBUSY: OSD(s) 3 have 7 pgs currently mapped to them.")
        self.assertEqual(self.absent(0), (["out", True], []))

    def test_an_osd_of_which_nobody_knows_whether_it_is_needed_is_not_destroyed(self):
        self.answer("safe-to-destroy", status=1, said="[errno 110] RADOS timed out (error connecting to the cluster)")
        self.assertEqual(self.absent(0), (["out", True], []))

    def test_an_osd_that_is_not_needed_is_purged(self):
        self.assertEqual(self.absent(0), (["empty", False], ["osd purge 3 --yes-i-really-mean-it"]))

    def test_few_osds_of_a_node_go_at_the_same_time(self):
        allowed = [
            {"all": 1, "going": 1},
            {"all": 10, "going": 2},
            {"all": 12, "going": 0},
            {"all": 10, "going": 3, "gone": 2},
            {"all": 10, "going": 3, "approved": True},
            {"all": 4, "going": 2, "max_removals": 50},
        ]
        self.assertEqual(ask(*({"ask": "removals", **one} for one in allowed), path=self.dir), [None] * len(allowed))
        (said,) = ask({"ask": "removals", "all": 10, "going": 3}, path=self.dir)
        self.assertIn("3 of 10 OSDs would be removed, and at most 20 per cent are at the same time: none is.", said)
        self.assertIn('POST /v1/nodes/st01.example.com/approve {"generation": 12}', said)
        (said,) = ask({"ask": "removals", "all": 4, "going": 3, "gone": 1}, path=self.dir)
        self.assertIn("2 of 3 OSDs would be removed", said)


class CatalogTest(unittest.TestCase):
    """What the classes make of a document and a site."""

    @classmethod
    def setUpClass(cls):
        cls.stub = Stub()
        cls.addClassCleanup(cls.stub.stop)

    def setUp(self):
        self.stub.reset()
        self.sandbox = Sandbox(documents.CERTNAME)
        self.addCleanup(self.sandbox.remove)
        self.sandbox.enc(self.stub.url)
        self.sandbox.hiera({"name": "virtapi", "data_hash": "virtapi::data",
                            "uri": self.stub.url + "/puppet/hiera/%{trusted.certname}"})

    def compile(self, keys, **settings):
        self.sandbox.settings({"virtapi::ceph::manage": True, "virtapi::ceph::keys": keys, **settings})
        return self.sandbox.compile()

    def test_a_node_with_all_roles(self):
        keys = {"ceph": {"mon": KEY, "admin": KEY, "client": KEY}}
        resources, _ = self.compile(keys, **{"virtapi::hypervisor::manage": True,
                                             "virtapi::ceph::settings": {"global": {"mon host": "x"}, "osd": {"a": 1}}})
        keyrings = {title: resource for title, resource in resources.items() if title.startswith("Virtapi_ceph_keyring")}
        self.assertEqual(set(keyrings), {f"Virtapi_ceph_keyring[ceph/{name}]" for name in ("mon.", "client.admin", "client.libvirt")})
        for title, resource in keyrings.items():
            self.assertEqual(resource["sensitive_parameters"], ["key"], title)
        mon = resources["Virtapi_ceph_mon[ceph/hv01]"]["parameters"]
        self.assertEqual((mon["addresses"], mon["bootstrap"], mon["init"]), ("[v2:10.1.0.12:3300,v1:10.1.0.12:6789]", False, "systemd"))
        osd = resources[f"Virtapi_ceph_osd[{UUID}]"]["parameters"]
        self.assertEqual((osd["device"], osd["device_class"], osd["store"]), ("/dev/sdb", "hdd", "device"))
        self.assertEqual(resources["Virtapi_ceph_pool[ceph/012]"]["parameters"],
                         {"size": 3, "min_size": 2, "pg_num": 32, "application": "rbd"})
        self.assertEqual(resources["File[/etc/ceph/ceph.conf]"]["parameters"]["content"].splitlines()[1:], [
            "[global]", f"fsid = {FSID}", "mon host = x", "public network = 10.1.0.0/24", "[mon.st01]",
            "public addrv = [v2:10.1.0.11:3300,v1:10.1.0.11:6789]", "[osd]", "a = 1"])
        self.assertIn(f"Virtapi_ceph_secret[{FSID}]", resources)
        self.assertNotIn("noop", resources[f"Virtapi_document[{documents.CERTNAME}]"]["parameters"])

    def test_settings_of_a_cluster_without_monitors_wait_for_what_fails(self):
        data = documents.hiera()
        for mons in (data["virtapi::ceph::clusters"]["ceph"]["mons"], []):
            data["virtapi::ceph::clusters"]["ceph"]["mons"] = mons
            self.stub.paths[HIERA] = document(documents.escape_interpolation(data))
            resources, _ = self.compile({"ceph": {"mon": KEY, "admin": KEY, "client": KEY}})
            found = resources["Virtapi_ceph_cluster[ceph]"]["parameters"]
            self.assertEqual((found["mons"], found["before"]), (mons, "File[/etc/ceph/ceph.conf]"))

    def test_keys_that_are_missing_or_none(self):
        for keys, reason in (({}, "needs the keys mon and admin of cluster ceph"), ({"ceph": {"mon": KEY}}, "needs the keys mon and admin"),
                             ({"ceph": {"mon": "secret"}}, "parameter 'keys'")):
            with self.subTest(reason), self.assertRaises(AssertionError) as raised:
                self.compile(keys)
            self.assertIn(reason, str(raised.exception))
            self.assertNotIn("secret", str(raised.exception))

    def test_only_the_data(self):
        resources, _ = self.compile({}, **{"virtapi::ceph::manage": False})
        self.assertEqual([title for title in resources if title.startswith("Virtapi_ceph")], [])
        self.assertTrue(resources[f"Virtapi_document[{documents.CERTNAME}]"]["parameters"]["noop"])

    def test_a_hypervisor_that_uses_a_pool(self):
        data = documents.hiera()
        data["virtapi::roles"] = ["hypervisor"]
        data = {name: value for name, value in data.items() if not name.startswith(("virtapi::ceph::mon", "virtapi::ceph::osd"))}
        machine = documents.vm()
        machine["interfaces"] = []
        data["virtapi::hypervisor::vms"] = {documents.uuid(1): machine}
        self.stub.paths[HIERA] = document(documents.escape_interpolation(data))
        enc = documents.enc()
        enc["classes"] = {name: {} for name in ("virtapi", "virtapi::hypervisor", "virtapi::ceph")}
        self.stub.paths[ENC] = document(enc, "application/yaml")
        for keys, expected in (({"ceph": {"client": KEY}}, {"Virtapi_ceph_keyring[ceph/client.libvirt]", f"Virtapi_ceph_secret[{FSID}]"}),
                               ({}, set())):
            resources, _ = self.compile(keys, **{"virtapi::hypervisor::manage": True})
            self.assertEqual("File[/etc/ceph/ceph.conf]" in resources, bool(keys))
            self.assertEqual("Virtapi_ceph_cluster[ceph]" in resources, bool(keys))
            found = {title: resource for title, resource in resources.items()
                     if title.startswith("Virtapi_ceph") and not title.startswith("Virtapi_ceph_cluster")}
            self.assertEqual(set(found), expected)
            for resource in found.values():
                self.assertEqual(resource["sensitive_parameters"], ["key"])


if __name__ == "__main__":
    unittest.main()
