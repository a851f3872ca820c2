"""What the Puppet module does for tombstones, and what it refuses; with stand-ins for the programs of a hypervisor."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import puppet_documents as documents
from puppet_sandbox import ROOT, Sandbox
from puppet_stub import ENC, HIERA, Stub, document

PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
UUIDS = [documents.uuid(number) for number in range(1, 10)]
VOLUME, OTHER, THIRD = documents.uuid(11), documents.uuid(12), documents.uuid(13)
CLUSTERS = {"ceph": {"mons": [{"address": "10.1.0.11", "port": 6789}, {"address": "::1", "port": 3300}]}}
CONNECTION = ("--cluster ceph --id libvirt -m 10.1.0.11:6789,[::1]:3300 --client_mount_timeout=15 --rados_mon_op_timeout=15 "
              "--rados_osd_op_timeout=60")


def vm(number, until):
    return {"name": f"guest {number}", "domain": f"vm-{number}", "not_before": until}


def domain(number, state="running (booted)", **other):
    return {"name": f"vm-{number}", "state": state, "autostart": False, **other}


def rbd(image, pool="rbd", until=PAST):
    return {"type": "rbd", "cluster": "ceph", "pool": pool, "image": image, "not_before": until}


def lvm(name, until=PAST):
    return {"type": "lvm", "vg": "vg0", "lv": name, "not_before": until}


class RemovalsTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = pathlib.Path(directory.name)
        self.storage = self.dir / "images"
        self.seeds = self.dir / "seeds"
        for place in (self.storage, self.seeds):
            place.mkdir()
        self.asked, self.libvirt = self.dir / "asked", self.dir / "domains.json"
        virsh = f"exec python3 {ROOT}/tests/agents/virsh_stand_in.py {self.libvirt} \"$@\""
        answers = f"""for answer in {self.dir}/answers/*; do
    [ -e "$answer" ] || exit 0
    case "$*" in
    *"$(cat "$answer/words")"*) cat "$answer/said" >&2; cat "$answer/text"; exit "$(cat "$answer/status")" ;;
    esac
done
"""
        for name in ("virsh", "lvs", "lvremove", "rbd"):
            program = self.dir / name
            program.write_text(f"#!/bin/sh\necho \"{name} $*\" >> {self.asked}\n{virsh if name == 'virsh' else answers}\n", encoding="utf-8")
            program.chmod(0o755)
        self.count = 0
        self.domains({})

    def domains(self, domains):
        self.libvirt.write_text(json.dumps(domains), encoding="utf-8")

    def left(self):
        return json.loads(self.libvirt.read_text(encoding="utf-8"))

    def answer(self, words, text="", status=0, said=""):
        self.count += 1
        place = self.dir / "answers" / f"{self.count:02d}"
        place.mkdir(parents=True)
        for name, value in (("words", words), ("text", text), ("status", str(status)), ("said", said)):
            (place / name).write_text(value, encoding="utf-8")

    def file(self, name, until=PAST):
        path = self.storage / name
        path.write_bytes(b"x")
        return {"type": "raw", "path": str(path), "not_before": until}

    def run_once(self, vms=None, volumes=None, approved=False, machines=(), disks=None, **other):
        """What is pending, the error, and what is observed after."""
        parameters = {"tombstones": {"vms": vms or {}, "volumes": volumes or {}}, "clusters": CLUSTERS, "shutdown_timeout": 1,
                      "meta": {"schema": 1, "node_id": 3, "generation": 12, "approved": approved, "clusters": {}}}
        question = {"parameters": parameters, "vms": machines, "volumes": disks or {}, "storage": str(self.storage),
                    "seeds": str(self.seeds), **other}
        self.asked.unlink(missing_ok=True)
        run = subprocess.run(["ruby", ROOT / "tests/agents/puppet_removals.rb"], input=json.dumps(question),
                             env={**os.environ, "PATH": f"{self.dir}:{os.environ['PATH']}"}, capture_output=True, encoding="utf-8",
                             check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        answer = json.loads(run.stdout)
        return answer["pending"], answer.get("error"), answer["observed"]

    def changes(self):
        """The commands that change something."""
        asked = self.asked.read_text(encoding="utf-8").replace("-q -c qemu:///system ", "").splitlines()
        looks = ("virsh list", "virsh nwfilter-list", "virsh echo", "lvs ", "rbd ")
        return [line for line in asked if not line.startswith(looks) or " rm " in line]

    def test_nothing_is_asked_where_nothing_was_removed(self):
        self.assertEqual(self.run_once(only_look=True)[:2], ("none", None))
        asked = self.asked.read_text(encoding="utf-8")
        self.assertEqual(len(asked.splitlines()), 1, f"only the observation asks: {asked}")

    def test_machines(self):
        domains = {UUIDS[0]: domain(1, autostart=True), UUIDS[1]: domain(2, "paused (user)"), UUIDS[2]: domain(3, "shut off (crashed)"),
                   UUIDS[3]: domain(4, "crashed (panicked)"), UUIDS[4]: domain(5)}
        vms = {UUIDS[0]: vm(1, FUTURE), UUIDS[1]: vm(2, PAST), UUIDS[2]: vm(3, FUTURE), UUIDS[3]: vm(4, FUTURE), UUIDS[5]: vm(6, PAST)}
        self.domains(domains)
        pending, _, seen = self.run_once(vms, approved=True, only_look=True)
        self.assertEqual(pending, "no autostart of vm-1, stop vm-1, stop vm-2, stop vm-4, undefine vm-2")
        self.assertEqual((self.left(), self.changes()), (domains, []))
        self.assertEqual((seen["unmanaged"]["domains"], seen["removed"]), (["vm-5"], [UUIDS[5]]))
        self.assertEqual(self.run_once(vms, approved=True)[1], None)
        self.assertEqual(self.changes(), [
            f"virsh autostart {UUIDS[0]} --disable", f"virsh shutdown {UUIDS[0]}", f"virsh resume {UUIDS[1]}", f"virsh shutdown {UUIDS[1]}",
            f"virsh shutdown {UUIDS[3]}",
            f"virsh undefine {UUIDS[1]} --managed-save --nvram --snapshots-metadata --checkpoints-metadata"])
        pending, error, seen = self.run_once(vms)
        self.assertEqual((pending, error, self.changes(), seen["removed"]), ("none", None, [], [UUIDS[1], UUIDS[5]]))

    def test_seeds_go_with_their_machines(self):
        self.domains({UUIDS[0]: domain(1), UUIDS[1]: domain(2), UUIDS[2]: domain(3, refuses=["undefine"]), UUIDS[4]: domain(5)})
        for uuid in UUIDS[:5]:
            (self.seeds / f"{uuid}-{'0' * 32}.iso").touch()
        # What a run has left that was interrupted.
        (self.seeds / f"{UUIDS[3]}.unfinished").mkdir()
        vms = {UUIDS[0]: vm(1, FUTURE), **{uuid: vm(number, PAST) for number, uuid in enumerate(UUIDS[1:4], 2)}}
        pending, _, seen = self.run_once(vms, approved=True, only_look=True)
        self.assertTrue(pending.endswith("undefine vm-2, undefine vm-3, delete the seed of vm-4"), pending)
        self.assertEqual((len(os.listdir(self.seeds)), seen.get("removed")), (6, None))
        _, error, seen = self.run_once(vms, approved=True)
        self.assertIn("undefine of vm-3 is refused", error)
        self.assertEqual(sorted(path.name[:36] for path in self.seeds.iterdir()), [UUIDS[0], UUIDS[2], UUIDS[4]])
        self.assertEqual(seen["removed"], [UUIDS[1], UUIDS[3]])

    def test_filters_go_with_their_machines(self):
        self.domains({UUIDS[0]: domain(1, "shut off (shutdown)"), UUIDS[1]: domain(2, "shut off (shutdown)")})
        vms = {UUIDS[0]: vm(1, FUTURE), UUIDS[1]: vm(2, PAST), UUIDS[3]: vm(4, PAST)}
        filters = self.dir / "filters.json"
        names = [f"virtapi-{UUIDS[number]}" for number in (0, 1, 3, 4)] + ["foreign"]
        filters.write_text(json.dumps({name: "<filter/>" for name in names}), encoding="utf-8")
        pending, _, seen = self.run_once(vms, only_look=True)
        self.assertTrue(pending.endswith("undefine vm-2, undefine the filter of vm-4"), pending)
        self.assertEqual((len(json.loads(filters.read_text(encoding="utf-8"))), seen.get("removed")), (5, None))
        _, error, seen = self.run_once(vms)
        self.assertEqual((error, sorted(seen["removed"])), (None, sorted([UUIDS[1], UUIDS[3]])))
        self.assertEqual(list(json.loads(filters.read_text(encoding="utf-8"))), [names[0], *names[3:]])

    def test_one_that_does_not_stop_keeps_no_other(self):
        self.domains({UUIDS[0]: domain(1, refuses=["shutdown"]), UUIDS[1]: domain(2, deaf=["shutdown"], autostart=True, refuses=["autostart"]),
                      UUIDS[2]: domain(3, deaf=["shutdown", "destroy"])})
        volume = self.file("a.raw")
        _, error, seen = self.run_once({uuid: vm(number, PAST) for number, uuid in enumerate(UUIDS[:3], 1)}, {VOLUME: volume}, approved=True)
        for reason in ("shutdown of vm-1 is refused", "autostart of vm-2 is refused", "vm-1 still runs, and is not undefined",
                       "vm-3 still runs, and is not undefined"):
            self.assertIn(reason, error)
        self.assertEqual(([found["name"] for found in self.left().values()], os.listdir(self.storage)), (["vm-1", "vm-3"], []))
        self.assertEqual(seen["removed"], [UUIDS[1], VOLUME])

    def test_more_than_a_run_removes(self):
        domains = {uuid: domain(number) for number, uuid in enumerate(UUIDS[:3], 1)}
        vms = {uuid: vm(number, FUTURE) for number, uuid in enumerate(UUIDS[:3], 1)}
        self.domains(domains)
        volume = self.file("a.raw")
        _, error, seen = self.run_once(vms, {VOLUME: volume}, machines=UUIDS[3:9])
        self.assertIn("3 of 9 virtual machines would be removed, and a run removes at most 20 per cent: nothing is removed. "
                      'To approve: POST /v1/nodes/hv01.example.com/approve {"generation": 12}', error)
        self.assertEqual((self.left(), self.changes(), os.listdir(self.storage)), (domains, [], ["a.raw"]))
        self.assertEqual((seen["unmanaged"]["domains"], seen["unmanaged"]["volumes"]), ([], []))
        self.assertIsNone(self.run_once(vms, {VOLUME: volume}, machines=UUIDS[3:9], approved=True)[1])
        self.assertEqual(({found["state"] for found in self.left().values()}, os.listdir(self.storage)), ({"shut off (shutdown)"}, []))

    def test_to_undefine_is_a_removal_too(self):
        domains = {uuid: domain(number, "shut off (shutdown)") for number, uuid in enumerate(UUIDS[:2], 1)}
        self.domains(domains)
        _, error, _ = self.run_once({uuid: vm(number, PAST) for number, uuid in enumerate(UUIDS[:2], 1)}, machines=UUIDS[2:5])
        self.assertIn("2 of 5 virtual machines would be removed", error)
        self.assertEqual(self.left(), domains)

    def test_what_is_none_of_ours(self):
        domains = {UUIDS[0]: domain(1), UUIDS[1]: domain(2)}
        self.domains(domains)
        volumes = {VOLUME: self.file("a.raw"), OTHER: self.file("b.raw")}
        pending, error, _ = self.run_once({UUIDS[0]: vm(9, PAST), UUIDS[1]: vm(2, PAST)}, volumes, machines=UUIDS[1:2],
                                          disks={VOLUME: "/elsewhere", THIRD: volumes[OTHER]["path"]})
        self.assertEqual(pending, "none")
        for reason in ("domain vm-1 has the UUID of vm-9: another made it", "vm-2 has a tombstone, and the document has it",
                       "a.raw has a tombstone, and the document has it", "b.raw has a tombstone, and the document has it"):
            self.assertIn(reason, error)
        self.assertEqual((self.left(), sorted(os.listdir(self.storage))), (domains, ["a.raw", "b.raw"]))

    def test_a_volume_that_a_domain_has(self):
        link = self.dir / "link"
        for kind in ("disk", "cdrom"):
            for state in ("shut off", "running"):
                with self.subTest(f"{kind} {state}"):
                    volume = self.file("a.raw")
                    link.unlink(missing_ok=True)
                    link.symlink_to(volume["path"])
                    self.domains({UUIDS[0]: domain(1, state, disks=[[kind, str(link)]])})
                    pending, error, seen = self.run_once({}, {VOLUME: volume})
                    self.assertEqual((pending, error), (f"delete {volume['path']}", f"domain vm-1 has {volume['path']}: it stays"))
                    self.assertEqual((os.listdir(self.storage), seen.get("removed")), (["a.raw"], None))

    def test_an_old_catalog_removes_nothing(self):
        volume = self.file("a.raw")
        _, error, _ = self.run_once({}, {VOLUME: volume}, age=100)
        self.assertRegex(error, "the catalog is 10[0-9] s old")
        self.assertEqual(os.listdir(self.storage), ["a.raw"])

    def lvs(self, *names):
        rows = [{"vg_name": "vg0", "lv_name": name, "lv_size": "4194304", "vg_extent_size": "4194304"} for name in names]
        self.answer("--reportformat json", json.dumps({"report": [{"lv": rows}]}))

    def test_logical_volumes(self):
        self.lvs("vol-1", "vol-2", "vol-9")
        volumes = {VOLUME: lvm("vol-1"), OTHER: lvm("vol-2", FUTURE), THIRD: lvm("vol-3")}
        pending, error, seen = self.run_once({}, volumes)
        self.assertEqual((pending, error, self.changes()), ("delete vg0/vol-1", None, ["lvremove --yes vg0/vol-1"]))
        self.assertEqual(seen["removed"], [THIRD])

    def test_a_logical_volume_that_is_open(self):
        self.lvs("vol-1")
        self.answer("--yes vg0/vol-1", status=5, said="  Logical volume vg0/vol-1 in use.\n")
        _, error, seen = self.run_once({}, {VOLUME: lvm("vol-1")})
        self.assertIn("Logical volume vg0/vol-1 in use.", error)
        self.assertNotIn("removed", seen)

    def test_a_logical_volume_that_has_snapshots(self):
        self.lvs("vol-1")
        self.answer('--select origin="vol-1"', "  before\n")
        self.assertEqual(self.run_once({}, {VOLUME: lvm("vol-1")})[1], "vg0/vol-1 has snapshots (before): it stays")
        self.assertEqual(self.changes(), [])

    def test_what_cannot_be_looked_at_is_neither_there_nor_gone(self):
        self.answer("--reportformat json", status=5, said="lvs is ill\n")
        self.answer("ls --format json rbd", status=1, said="rbd: couldn't connect to the cluster!\n")
        # Without settings or keys it ends as it does without a pool.
        self.answer("ls --format json other", status=2, said="rbd: couldn't connect to the cluster!\n")
        volumes = {VOLUME: lvm("vol-1"), OTHER: rbd("vol-2"), THIRD: rbd("vol-3", "other"), UUIDS[8]: self.file("a.raw"),
                   UUIDS[7]: {**rbd("vol-4"), "cluster": "unknown"}}
        pending, error, seen = self.run_once({}, volumes)
        self.assertEqual((pending, os.listdir(self.storage)), (f"delete {self.storage}/a.raw", []))
        for reason in ("lvs", "pool rbd: rbd: couldn't connect", "pool other: rbd: couldn't connect", "the document has no cluster unknown"):
            self.assertIn(reason, error)
        self.assertEqual(seen["removed"], [UUIDS[8]])

    def test_snapshots_of_virtapi_go_with_their_image(self):
        program = self.dir / "rbd"
        program.write_text(f'#!/bin/sh\necho "rbd $*" >> {self.asked}\n'
                           f'exec python3 {ROOT}/tests/agents/storage_stand_in.py {self.dir} rbd "$@"\n', encoding="utf-8")
        kept = {"rbd/vol-2": ["virtapi-a", "backup"], "rbd/vol-3": ["virtapi-a", "virtapi-b"], "rbd/vol-4": ["virtapi-a"], "rbd/vol-5": []}
        images = {place: {"size": 1, "snapshots": dict.fromkeys(names, {})} for place, names in {"rbd/vol-1": kept["rbd/vol-3"], **kept}.items()}
        images["rbd/vol-3"]["protected"] = ["virtapi-b"]
        images["rbd/vol-4"]["watchers"] = images["rbd/vol-5"]["watchers"] = ["10.1.0.12"]
        (self.dir / "images.json").write_text(json.dumps(images), encoding="utf-8")
        volumes = dict(zip(UUIDS, (rbd(place.split("/")[1]) for place in images)))
        _, error, _ = self.run_once(volumes=volumes, approved=True)
        self.assertEqual(error.count("image has snapshots or watchers"), 4)
        left = json.loads((self.dir / "images.json").read_text(encoding="utf-8"))
        self.assertEqual({place: list(image["snapshots"]) for place, image in left.items()}, kept)

    def test_images(self):
        self.answer("snap ls --format json rbd/vol-1", "[]")
        self.answer("ls --format json rbd", '["vol-1","vol-2","vol-3"]', said="a warning\n")
        self.answer("ls --format json gone", status=2, said="rbd: error opening pool 'gone': (2) No such file or directory\n")
        self.answer("rm --no-progress rbd/vol-1", status=16, said="rbd: error: image still has watchers\n")
        volumes = {VOLUME: rbd("vol-1"), OTHER: rbd("vol-2"), THIRD: rbd("vol-4"), UUIDS[8]: rbd("vol-5", "gone"),
                   UUIDS[7]: rbd("vol-3", until=FUTURE)}
        pending, error, seen = self.run_once({}, volumes, approved=True)
        self.assertEqual(pending, "delete rbd/vol-1, delete rbd/vol-2")
        self.assertIn("image still has watchers", error)
        self.assertEqual(self.changes(), [f"rbd {CONNECTION} rm --no-progress rbd/vol-{number}" for number in (1, 2)])
        self.assertEqual(seen["removed"], [UUIDS[8], THIRD])


class CatalogTest(unittest.TestCase):
    def test_the_class(self):
        """Tombstones reach the type; that of an image alone brings the settings and keys of its cluster."""
        stub = Stub()
        self.addCleanup(stub.stop)
        sandbox = Sandbox(documents.CERTNAME)
        self.addCleanup(sandbox.remove)
        sandbox.enc(stub.url)
        sandbox.hiera({"name": "virtapi", "data_hash": "virtapi::data", "uri": stub.url + "/puppet/hiera/%{trusted.certname}"})
        sandbox.settings({"virtapi::hypervisor::manage": True, "virtapi::ceph::manage": True, "virtapi::hypervisor::max_removals": 7,
                          "virtapi::ceph::keys": {"ceph": {"client": "AQ" + "x" * 36 + "=="}}})
        enc = documents.enc()
        enc["classes"] = {name: {} for name in ("virtapi", "virtapi::hypervisor", "virtapi::ceph")}
        stub.paths[ENC] = document(enc, "application/yaml")
        data = {name: value for name, value in documents.hiera().items() if not name.startswith(("virtapi::ceph::mon", "virtapi::ceph::osd"))}
        data.update({"virtapi::roles": ["hypervisor"], "virtapi::hypervisor::vms": {}})
        stub.paths[HIERA] = document(documents.escape_interpolation(data))
        resources, _ = sandbox.compile()
        self.assertEqual(resources[f"Virtapi_removals[{documents.CERTNAME}]"]["parameters"], {
            "tombstones": documents.tombstones(), "meta": data["virtapi::meta"], "max_removals": 7, "rbd_user": "libvirt",
            "clusters": data["virtapi::ceph::clusters"], "lxc_path": "/var/lib/lxc", "shutdown_timeout": 60})
        self.assertIn("Virtapi_ceph_keyring[ceph/client.libvirt]", resources)
        # A server that knows of no tombstones.
        del data["virtapi::hypervisor::tombstones"]
        del data["virtapi::meta"]["approved"]
        stub.paths[HIERA] = document(documents.escape_interpolation(data))
        resources, _ = sandbox.compile()
        found = resources[f"Virtapi_removals[{documents.CERTNAME}]"]["parameters"]
        self.assertEqual((found["tombstones"], found["clusters"]), ({"vms": {}, "volumes": {}}, {}))
        self.assertNotIn("Virtapi_ceph_keyring[ceph/client.libvirt]", resources)


if __name__ == "__main__":
    unittest.main()
