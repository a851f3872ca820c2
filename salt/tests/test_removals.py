"""What the state makes of tombstones, as Salt's own loader loads it; without a hypervisor."""

import json
import os
import struct

import pytest
import test_states
import virtapi_command
import virtapi_seed_files
from salt.exceptions import CommandExecutionError
from test_plan import volume
from test_states import states, uuid, vm

LONG_AGO = "2020-01-01T00:00:00Z"
FAR_AHEAD = "2999-01-01T00:00:00Z"
META = {"schema": 1, "node_id": 3, "generation": 12, "approved": False, "clusters": {}}
CLUSTERS = {"ceph": {"mons": [{"address": "10.1.0.11", "port": 6789}]}}
ASKED = ("echo", "list", "nwfilter-list", "domstate", "domname", "dumpxml")


class Hypervisor(test_states.Hypervisor):
    """Domains that can be stopped and undefined, logical volumes and images; ``deaf`` ones do not shut down."""

    def __init__(self):
        super().__init__()
        self.states = {}
        self.autostarted = set()
        self.transient = set()
        self.deaf = set()
        self.logical = {"vg0/vol-8": ""}
        self.filters = []
        self.images = ["vol-9"]
        self.away = False

    def add(self, number, state="running (booted)", **machine):
        self.vms[uuid(number)] = vm(domain="vm-{}".format(number), **dict({"volumes": []}, **machine))
        self.states[uuid(number)] = state

    @property
    def done(self):
        """What was not only asked."""
        words = [" ".join(words[4:] if words[0] == "virsh" else words) for words in self.commands]
        return [text for text in words if text.split()[0] not in ASKED + ("lvs",) and " ls " not in text]

    def run(self, functions, *words, secret=False):
        if words[0] == "virsh":
            if self.away:
                raise CommandExecutionError("virsh: away")
            return super().run(functions, *words)
        self.commands.append(words)
        if words[0] == "lvs" and "--select" in words:
            return next(found for name, found in self.logical.items() if name.split("/")[1] in words[-1])
        if words[0] == "lvs":
            names = (dict(zip(("vg_name", "lv_name"), name.split("/"))) for name in self.logical)
            rows = [dict(name, lv_size=4, vg_extent_size=4) for name in names]
            return json.dumps({"report": [{"lv": rows}]})
        if words[0] == "lvremove":
            del self.logical[words[-1]]
            return ""
        if words[0] == "ip":
            return "[]"
        assert words[:5] == ("rbd", "--cluster", "ceph", "--id", "libvirt") and words[6] == "10.1.0.11:6789", words
        if "ls" in words:
            return json.dumps([{"image": image, "size": 4} for image in self.images])
        assert "rm" in words, words
        self.images.remove(words[-1].split("/")[1])
        return ""

    def virsh(self, command):
        name, *rest = command.split(" ")
        if name == "list":
            listed = {"--persistent": set(self.vms) - self.transient, "--autostart": self.autostarted}
            return "\n".join(listed.get(rest[-1], self.vms)) + "\n\n"
        if name == "nwfilter-list":
            return "".join("number  {}\n".format(each) for each in self.filters)
        if name == "nwfilter-dumpxml":
            return "<filter/>\n\n"
        if name == "nwfilter-undefine":
            self.filters.remove(rest[0])
            return ""
        if name == "domname":
            return self.vms[rest[0]]["domain"] + "\n\n"
        if name in ("echo", "dumpxml"):
            return super().virsh(command)
        of = next(word for word in rest if word in self.states)
        if name == "domstate":
            return self.states[of] + "\n\n"
        if name == "autostart":
            self.autostarted.discard(of)
        elif name == "resume":
            self.states[of] = "running (unpaused)"
        elif name == "undefine" or (name == "shutdown" and of in self.transient):
            for known in (self.vms, self.states):
                del known[of]
        elif name == "destroy" or (name == "shutdown" and of not in self.deaf):
            self.states[of] = "shut off ({})".format("shutdown" if name == "shutdown" else "destroyed")
        else:
            assert name == "shutdown", command
        return ""


@pytest.fixture
def hypervisor(monkeypatch):
    hypervisor = Hypervisor()
    monkeypatch.setattr(virtapi_command, "run", hypervisor.run)
    return hypervisor


@pytest.fixture
def images(tmp_path):
    """A directory with two volumes."""
    for name in ("vol-1.raw", "vol-2.raw"):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_bytes(b"x")
    return tmp_path / "images"


@pytest.fixture(autouse=True)
def seeds(tmp_path, monkeypatch):
    """The directory of seeds, which is not this machine's own."""
    monkeypatch.setattr(virtapi_seed_files, "DIRECTORY", str(tmp_path / "seeds"))
    (tmp_path / "seeds").mkdir()
    return tmp_path / "seeds"


def tombstones(vms=(), **volumes):
    """Of machines by number; and of volumes by ``_`` and number, which are over."""
    return {
        "vms": {uuid(number): {"name": "x", "domain": "vm-{}".format(number), "not_before": at} for number, at in vms},
        "volumes": {uuid(int(key[1:])): dict(place, not_before=LONG_AGO) for key, place in volumes.items()},
    }


def document(tombstones, vms=10):
    machines = {uuid(100 + number): vm(volumes=[volume(200 + number, backing=None)]) for number in range(vms)}
    return {"vms": machines, "tombstones": tombstones, "local_storage_path": None, "vg_name": None}


def apply(states, document, **other):
    settings = dict({"meta": META, "fqdn": "hv01.example.com", "clusters": CLUSTERS, "shutdown_timeout": 0}, **other)
    return states["virtapi_removals.applied"]("tombstones", document, **settings)


def assert_nothing_to_do(hypervisor, states, document):
    hypervisor.commands.clear()
    result = apply(states(), document)
    assert (result["result"], result["changes"], hypervisor.done) == (True, {}, []), result
    assert apply(states(test=True), document)["result"] is True


def raw(path):
    return {"type": "raw", "path": str(path)}


LVM = {"type": "lvm", "vg": "vg0", "lv": "vol-8"}
RBD = {"type": "rbd", "cluster": "ceph", "pool": "rbd", "image": "vol-9"}


@pytest.mark.parametrize(
    "state, deaf, done",
    [
        ("running (booted)", False, ["shutdown"]),
        ("running (booted)", True, ["shutdown", "destroy"]),
        ("paused (user)", False, ["resume", "shutdown"]),
        ("crashed (panicked)", False, ["destroy"]),
    ],
)
def test_a_machine_is_stopped_and_kept(hypervisor, states, state, deaf, done):
    hypervisor.add(1, state)
    hypervisor.autostarted.add(uuid(1))
    hypervisor.deaf = {uuid(1)} if deaf else set()
    wanted = document(tombstones([(1, FAR_AHEAD)]))
    was = state.split(" ")[0]
    changes = {"vm-1 autostart": {"old": True, "new": False}, "vm-1": {"old": was, "new": "stopped"}}
    would = apply(states(test=True), wanted)
    assert (would["result"], would["changes"], hypervisor.done) == (None, changes, [])
    result = apply(states(), wanted)
    assert (result["result"], result["changes"]) == (True, changes), result
    assert [text.split()[0] for text in hypervisor.done] == ["autostart"] + done
    late = "vm-1: has not shut down in 0 s, and is switched off"
    assert result.get("warnings") == ([late] if deaf else None)
    assert_nothing_to_do(hypervisor, states, wanted)


@pytest.mark.parametrize("state", ["shut off (destroyed)", "shut off (crashed)"])
def test_a_machine_that_is_off_is_only_kept(hypervisor, states, state):
    hypervisor.add(1, state)
    assert_nothing_to_do(hypervisor, states, document(tombstones([(1, FAR_AHEAD)])))


def test_a_machine_goes_with_what_libvirt_keeps_of_it_when_its_time_is_over(hypervisor, states):
    hypervisor.add(1)
    wanted = document(tombstones([(1, LONG_AGO)]))
    changes = {"vm-1": {"old": "running", "new": "absent"}}
    assert apply(states(test=True), wanted)["changes"] == changes
    assert apply(states(), wanted)["changes"] == changes
    kept = "undefine {} --managed-save --nvram --snapshots-metadata --checkpoints-metadata"
    assert hypervisor.done == ["shutdown " + uuid(1), kept.format(uuid(1))]
    assert_nothing_to_do(hypervisor, states, wanted)


def test_a_machine_that_is_not_defined_is_gone_when_it_ends(hypervisor, states, monkeypatch):
    hypervisor.add(1)
    hypervisor.transient.add(uuid(1))
    answer = hypervisor.virsh

    def virsh(command):
        if command.startswith("domstate " + uuid(1)) and uuid(1) not in hypervisor.states:
            raise CommandExecutionError("virsh: failed to get domain")
        return answer(command)

    monkeypatch.setattr(hypervisor, "virsh", virsh)
    wanted = document(tombstones([(1, LONG_AGO)]))
    result = apply(states(), wanted)
    assert (result["result"], result["changes"]) == (True, {"vm-1": {"old": "running", "new": "absent"}}), result
    assert_nothing_to_do(hypervisor, states, wanted)


def test_volumes_are_deleted_when_their_time_is_over(hypervisor, states, images):
    of = tombstones([], _21=raw(images / "vol-1.raw"), _22=LVM, _23=RBD, _24=raw(images / "gone.raw"))
    of["volumes"][uuid(25)] = dict(raw(images / "vol-2.raw"), not_before=FAR_AHEAD)
    wanted = document(of, 20)
    path = str(images / "vol-1.raw")
    changes = {place: {"old": "present", "new": "absent"} for place in (path, "vg0/vol-8", "rbd/vol-9")}
    would = apply(states(test=True), wanted)
    assert (would["result"], would["changes"], os.path.exists(path)) == (None, changes, True)
    result = apply(states(), wanted)
    assert (result["result"], result["changes"]) == (True, changes), result
    assert (os.listdir(str(images)), hypervisor.logical, hypervisor.images) == (["vol-2.raw"], {}, [])
    assert "lvremove --yes vg0/vol-8" in hypervisor.done
    assert_nothing_to_do(hypervisor, states, wanted)


def test_a_machine_and_its_volume_go_in_one_run(hypervisor, states, images):
    place = {"type": "raw", "path": str(images / "vol-1.raw")}
    hypervisor.add(1, volumes=[volume(1, **place)])
    wanted = document(tombstones([(1, LONG_AGO)], _21=place))
    changes = {"vm-1": {"old": "running", "new": "absent"}, place["path"]: {"old": "present", "new": "absent"}}
    would = apply(states(test=True), wanted)
    assert (would["result"], would["changes"]) == (None, changes)
    result = apply(states(), wanted)
    assert (result["result"], result["changes"]) == (True, changes), result


@pytest.mark.parametrize("state", ["running (booted)", "shut off (destroyed)"])
@pytest.mark.parametrize("test", [False, True])
def test_a_volume_that_a_domain_has_is_kept_and_all_else_is_done(hypervisor, states, images, state, test):
    (images / "link.raw").symlink_to(images / "vol-1.raw")
    hypervisor.add(1, state, volumes=[volume(1, path=str(images / "link.raw"))])
    of = tombstones([], _21=raw(images / "vol-1.raw"), _22=raw(images / "vol-2.raw"))
    result = apply(states(test=test), document(of))
    path = str(images / "vol-1.raw")
    assert (result["result"], result["comment"]) == (False, path + " is kept: domain vm-1 has it")
    assert list(result["changes"]) == [str(images / "vol-2.raw")]
    assert sorted(os.listdir(str(images))) == ["link.raw", "vol-1.raw"] + ["vol-2.raw"] * test


def test_a_volume_that_another_is_made_on_is_kept(hypervisor, states, images):
    hypervisor.add(1)
    answer = hypervisor.virsh
    path = str(images / "vol-1.raw")
    chain = "<disk type='file'><source file='/x'/><backingStore type='file'><source file='{}'/></backingStore></disk>"

    def virsh(command):
        return answer(command).replace("<devices>", "<devices>" + chain.format(path))

    hypervisor.virsh = virsh
    result = apply(states(), document(tombstones([], _21=raw(path))))
    assert (result["result"], os.path.exists(path)) == (False, True)
    assert "domain vm-1 has it" in result["comment"]


def test_a_volume_that_only_the_header_of_another_names_is_kept(hypervisor, states, images):
    path = images / "vol-1.raw"
    name = path.name.encode()
    header = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 104, len(name), 16, 1 << 20)
    (images / "overlay.qcow2").write_bytes(header.ljust(104, b"\0") + name)
    hypervisor.add(1, "shut off (destroyed)", volumes=[volume(1, path=str(images / "overlay.qcow2"))])
    result = apply(states(), document(tombstones([], _21=raw(path))))
    assert (result["result"], path.exists()) == (False, True)
    assert "domain vm-1 has it" in result["comment"]


def test_a_volume_that_somebody_has_open_is_kept(hypervisor, states, images):
    path = str(images / "vol-1.raw")
    wanted = document(tombstones([], _21=raw(path)))
    with open(path, "rb"):
        result = apply(states(), wanted)
    message = "{} is open: process {}".format(path, os.getpid())
    assert (result["result"], result["changes"], result["comment"]) == (False, {}, message)
    assert apply(states(), wanted)["result"] is True


def test_what_is_no_file_is_kept(hypervisor, states, images):
    (images / "link").symlink_to(images / "vol-1.raw")
    (images / "directory").mkdir()
    of = tombstones([], _21=raw(images / "link"), _22=raw(images / "directory"))
    result = apply(states(), document(of))
    assert (result["result"], result["changes"]) == (False, {})
    assert sorted(os.listdir(str(images))) == ["directory", "link", "vol-1.raw", "vol-2.raw"]


def test_a_logical_volume_with_snapshots_is_kept(hypervisor, states):
    hypervisor.logical["vg0/vol-8"] = "  backup\n"
    result = apply(states(), document(tombstones([], _21=LVM)))
    assert (result["result"], result["comment"]) == (False, "vg0/vol-8 has snapshots: backup")
    assert hypervisor.done == []


def test_a_domain_of_another_name_is_left_alone(hypervisor, states):
    for number in (1, 2):
        hypervisor.add(number)
    hypervisor.vms[uuid(1)]["domain"] = "vm-77"
    result = apply(states(), document(tombstones([(1, LONG_AGO), (2, FAR_AHEAD)])))
    assert result["result"] is False
    assert result["comment"] == "the domain is called vm-77 and not vm-1: another made it, and it is left alone"
    assert list(result["changes"]) == ["vm-2"]
    assert hypervisor.done == ["shutdown " + uuid(2)]


def test_what_the_document_still_has_is_left_alone(hypervisor, states, images):
    hypervisor.add(1)
    wanted = document(tombstones([(1, LONG_AGO)]))
    wanted["vms"][uuid(1)] = hypervisor.vms[uuid(1)]
    known = [raw(images / name) for name in ("vol-1.raw", "vol-2.raw")]
    # By its UUID, by its place, and as the image that one is made on.
    wanted["vms"][uuid(2)] = vm(volumes=[volume(1, backing=known[1], path=known[0]["path"])])
    wanted["vms"][uuid(3)] = vm(volumes=[volume(2, backing=None, path="/elsewhere")])
    wanted["tombstones"]["volumes"] = {
        of: dict(place, not_before=LONG_AGO)
        for of, place in ((uuid(21), known[0]), (uuid(22), known[1]), (volume(2)["uuid"], raw(images / "vol-2.raw")))
    }
    result = apply(states(), wanted)
    assert (result["result"], result["changes"], hypervisor.done) == (False, {}, [])
    assert result["comment"].count("has a tombstone, and the document has it: it is left alone") == 4
    assert sorted(os.listdir(str(images))) == ["vol-1.raw", "vol-2.raw"]


@pytest.mark.parametrize("test", [False, True])
def test_too_much_is_refused_until_it_is_approved(hypervisor, states, images, test):
    for number in (1, 2, 3):
        hypervisor.add(number)
    hypervisor.autostarted.add(uuid(1))
    wanted = document(tombstones([(number, LONG_AGO) for number in (1, 2, 3)], _21=raw(images / "vol-1.raw")), 7)
    result = apply(states(test=test), wanted)
    assert (result["result"], result["changes"], hypervisor.done) == (False, {}, [])
    assert result["comment"] == (
        "3 of 10 virtual machines would be removed, a run removes at most 20 percent: nothing is. "
        'To approve: POST /v1/nodes/hv01.example.com/approve {"generation": 12}'
    )
    assert os.path.exists(str(images / "vol-1.raw"))
    assert apply(states(test=True), wanted, max_removals=30)["result"] is None
    result = apply(states(test=test), wanted, meta=dict(META, approved=True))
    assert (result["result"], len(result["changes"])) == (None if test else True, 5)


@pytest.mark.parametrize("approved", [None, "false", 1])
def test_only_true_is_an_approval(hypervisor, states, approved):
    for number in (1, 2, 3):
        hypervisor.add(number)
    meta = dict(META, approved=approved)
    result = apply(states(), document(tombstones([(number, FAR_AHEAD) for number in (1, 2, 3)]), 0), meta=meta)
    assert result["result"] is False
    del meta["approved"]
    assert apply(states(), document(tombstones([(1, FAR_AHEAD)]), 0), meta=meta)["result"] is True


def test_one_that_fails_keeps_no_other_from_being_removed(hypervisor, states, images):
    for number in (1, 2):
        hypervisor.add(number, volumes=[volume(number, path=str(images / "vol-{}.raw".format(number)))])
    answer = hypervisor.virsh

    def virsh(command):
        if command.startswith("shutdown " + uuid(1)):
            raise CommandExecutionError("virsh: no")
        return answer(command)

    hypervisor.virsh = virsh
    of = tombstones([(1, LONG_AGO), (2, LONG_AGO)], _21=raw(images / "vol-1.raw"), _22=raw(images / "vol-2.raw"))
    result = apply(states(), document(of))
    assert result["result"] is False
    assert result["comment"] == "virsh: no; {} is kept: domain vm-1 has it".format(images / "vol-1.raw")
    assert list(result["changes"]) == ["vm-2", str(images / "vol-2.raw")]
    assert uuid(1) in hypervisor.vms, "one that runs on is not undefined"


def test_a_pool_that_does_not_answer_is_asked_once(hypervisor, states, images, monkeypatch):
    asked = []

    def run(functions, *words, **options):
        if words[0] == "rbd":
            asked.append(words)
            raise CommandExecutionError("rbd: timed out")
        return hypervisor.run(functions, *words, **options)

    monkeypatch.setattr(virtapi_command, "run", run)
    of = tombstones([], _21=RBD, _22=dict(RBD, image="vol-10"), _23=raw(images / "vol-1.raw"))
    result = apply(states(), document(of))
    assert (result["result"], list(result["changes"])) == (False, [str(images / "vol-1.raw")])
    assert result["comment"] == "; ".join("volume {}: rbd: timed out".format(uuid(number)) for number in (21, 22))
    assert len(asked) == 1


@pytest.mark.parametrize(
    "place, message",
    [
        ({"type": "zfs"}, "type zfs is none that is managed"),
        (dict(RBD, cluster="other"), "cluster other is not described"),
    ],
)
def test_a_volume_that_cannot_be_looked_at_is_an_error(hypervisor, states, place, message):
    result = apply(states(), document(tombstones([], _21=place)))
    assert (result["result"], result["comment"]) == (False, "volume {}: {}".format(uuid(21), message))


def test_what_is_no_name_of_ours_reaches_no_command(hypervisor, states):
    of = tombstones()
    of["vms"] = {
        "--all": {"name": "x", "domain": "vm-1", "not_before": LONG_AGO},
        uuid(1): {"name": "x", "domain": "--all", "not_before": LONG_AGO},
    }
    result = apply(states(), document(of))
    assert (result["result"], result["changes"], hypervisor.done) == (False, {}, [])
    assert result["comment"].count("is no machine of virtapi") == 2


def test_questions_do_not_grow_with_tombstones(hypervisor, states):
    asked = []
    for number in (1, 12):
        of = tombstones([(each, FAR_AHEAD) for each in range(1, number + 1)])
        for each in range(1, number + 1):
            hypervisor.add(each, "shut off (shutdown)")
            for place in (LVM, RBD):
                key = uuid(len(of["volumes"]) + 1000)
                of["volumes"][key] = dict(place, not_before=FAR_AHEAD)
        hypervisor.commands.clear()
        assert apply(states(), document(of))["result"] is True
        asked.append(len(hypervisor.commands))
    assert asked[0] == asked[1]


def test_libvirt_away_removes_nothing(hypervisor, states, images):
    hypervisor.away = True
    result = apply(states(), document(tombstones([], _21=raw(images / "vol-1.raw"))))
    assert (result["result"], result["changes"], result["comment"]) == (False, {}, "virsh: away")
    assert os.path.exists(str(images / "vol-1.raw"))


def observed(states, document):
    result = states["virtapi_document.observed"]("x", document, clusters=CLUSTERS)
    return json.loads(result["comment"][len("virtapi: ") :])["observed"], result.get("warnings")


def test_what_has_a_tombstone_is_not_unmanaged_and_is_told_when_it_is_gone(hypervisor, states, images):
    hypervisor.add(1, "shut off (shutdown)")
    hypervisor.add(4)
    of = tombstones([(1, LONG_AGO), (2, LONG_AGO), (3, FAR_AHEAD)], _21=raw(images / "vol-1.raw"), _22=LVM, _23=RBD)
    of["volumes"][uuid(24)] = dict(raw("/gone"), not_before=LONG_AGO)
    of["volumes"][uuid(25)] = dict(raw("/gone"), not_before=FAR_AHEAD)
    wanted = dict(document(of, 0), local_storage_path=str(images), vg_name="vg0")
    hypervisor.logical["vg0/foreign"] = ""
    seen, warnings = observed(states(), wanted)
    volumes = sorted([str(images / "vol-2.raw"), "vg0/foreign"])
    assert seen["unmanaged"] == {"domains": ["vm-4"], "bridges": [], "volumes": volumes}
    assert (seen["removed"], warnings) == ([uuid(2), uuid(24)], None)
    # What cannot be looked at is left out.
    hypervisor.away = True
    del of["volumes"][uuid(22)]
    hypervisor.images.clear()
    seen, warnings = observed(states(), wanted)
    assert seen["removed"] == [uuid(23), uuid(24)]
    assert warnings == ["could not look: virsh: away"]
    of["volumes"] = {uuid(23): dict(RBD, cluster="other", not_before=LONG_AGO)}
    seen, warnings = observed(states(), wanted)
    assert "removed" not in seen
    assert warnings[1] == "could not look: cluster other is not described"


TAG = "virtapi_removals_|-virtapi_removals_|-tombstones_|-applied"


@pytest.mark.parametrize(
    "running, told",
    [
        ({}, False),
        ({TAG: {"result": False}}, False),
        ({TAG: {"result": None}}, False),
        ({TAG: {"result": True, "__state_ran__": False}}, False),
        ({TAG: {"result": True}}, True),
    ],
)
def test_the_version_is_told_only_when_removals_went_well(states, running, told):
    run = states()
    run.inject_globals = {"__running__": running}
    for of, expected in ((tombstones([(1, FAR_AHEAD)]), told), (tombstones(), True)):
        comment = run["virtapi_document.applied"]("x", {}, document(of, 0))["comment"]
        assert comment.startswith("virtapi: " if expected else "not applied as a whole: virtapi_removals tombstones")
