"""What the states make of what a hypervisor says, as Salt's own loader loads them; without a hypervisor."""

import json

import pytest
import salt.loader
import virtapi_command
import virtapi_domain_xml
from salt.exceptions import CommandExecutionError
from test_plan import SETTINGS, interface, machine, volume


def uuid(number):
    return "a0000000-0000-4000-8000-{:012d}".format(number)


def link(name, kind, master=None, **data):
    return {"ifname": name, "flags": ["UP"], "master": master, "linkinfo": {"info_kind": kind, "info_data": data}}


LINKS = [
    link("br-7-1", "bridge"),
    link("br-7-2", "bridge"),
    link("up-7-2", "veth", "br-7-2"),
    link("dn-7-2", "veth", "vxlan-70001"),
    link("vxlan-70001", "bridge"),
    link("vx70001", "vxlan", "vxlan-70001", id=70001, link="eno1"),
]


class Hypervisor:
    """Answers in place of virsh and ip, and notes what was asked."""

    def __init__(self):
        self.vms = {}
        self.commands = []
        self.links = LINKS[:1]

    def run(self, functions, *words, secret=False):
        self.commands.append(words)
        if words[0] == "virsh":
            return "".join(map(self.virsh, " ".join(words[4:]).split("; ")))
        if words[:3] == ("ip", "link", "set"):
            return ""
        assert words == ("ip", "-json", "-details", "link", "show"), words
        return json.dumps([{"ifname": "eno1", "mtu": 1500}] + [dict(link, mtu=1500) for link in self.links])

    def virsh(self, command):
        name, *rest = command.split(" ")
        if name == "echo":
            return " ".join(rest)
        if name == "list":
            return "\n".join(self.vms) + "\n\n"
        if name == "domstate":
            return "running (booted)\n\n"
        if name == "domname":
            return "vm-7\n\n"
        assert name == "dumpxml", command
        of = next(word for word in rest if not word.startswith("--"))
        return virtapi_domain_xml.to_text(virtapi_domain_xml.build(of, self.vms[of], SETTINGS)) + "\n\n"


@pytest.fixture
def hypervisor(monkeypatch):
    hypervisor = Hypervisor()
    monkeypatch.setattr(virtapi_command, "run", hypervisor.run)
    return hypervisor


@pytest.fixture
def states(opts):
    """The states as a run has them."""

    def load(test=False):
        opts["test"] = test
        functions = salt.loader.minion_mods(opts, context={})
        return salt.loader.states(opts, functions, salt.loader.utils(opts), None)

    return load


def vm(**other):
    return machine(state="running", **other)


def changed(**other):
    return dict(vm(), **other)


def apply(states, vms):
    states["virtapi_bridge.mod_init"]({})
    states["virtapi_domain.mod_init"]({})
    found = [states["virtapi_bridge.present"](interface(1)["bridge"], []) for _ in vms]
    return found + [states["virtapi_domain.present"](each, vm, accelerate=False) for each, vm in vms.items()]


def test_questions_do_not_grow_with_machines(hypervisor, states):
    asked = []
    for number in (1, 12):
        hypervisor.vms = {uuid(index): vm() for index in range(number)}
        results = apply(states(), hypervisor.vms)
        assert all(each["result"] is True and "warnings" not in each for each in results)
        asked.append(len(hypervisor.commands))
        hypervisor.commands.clear()
    assert asked[0] == asked[1]


def test_a_dry_run_says_what_would_change_and_changes_nothing(hypervisor, states):
    hypervisor.vms = {uuid(1): vm()}
    desired = changed(cores=2, state="stopped", volumes=[volume(2, read_iops_limit=5)])
    (result,) = apply(states(test=True), {uuid(1): desired})[1:]
    assert result["result"] is None
    assert result["changes"] == {
        "cores": {"old": 1, "new": 2},
        "volumes": {
            "old": ["{} raw none".format(volume(number)["uuid"]) for number in (1, 2)],
            "new": ["{} raw none read_iops_limit=5".format(volume(2)["uuid"])],
        },
        "state": {"old": "running", "new": "stopped"},
        "autostart": {"old": True, "new": False},
    }
    assert all("define" not in words for words in hypervisor.commands)


def test_another_domain_of_that_uuid_is_left_alone(hypervisor, states):
    hypervisor.vms = {uuid(1): vm()}
    (result,) = apply(states(), {uuid(1): changed(domain="vm-8")})[1:]
    assert (result["result"], result["changes"]) == (False, {})
    assert "the domain is called vm-7 and not vm-8" in result["comment"]


@pytest.mark.parametrize(
    "name, domain", [("--all", "vm-7"), (uuid(1), "--all"), (uuid(1), "vm-7\n"), (uuid(1), "vm-07")]
)
def test_what_is_no_name_of_ours_reaches_no_command(hypervisor, states, name, domain):
    results = apply(states(), {name: changed(domain=domain)})[1:]
    results += [states()["virtapi_volume.present"]("--all", volume(1))]
    assert [each["result"] for each in results] == [False, False]
    assert "virsh" not in [words[0] for words in hypervisor.commands]


def test_a_method_of_another_kind_is_an_error(hypervisor, states):
    (result,) = apply(states(), {uuid(1): vm(virt_method="XEN")})[1:]
    assert (result["result"], result["comment"]) == (False, "vm-7: virt_method XEN is none that this state manages")


def test_what_was_done_before_a_failure_is_told(hypervisor, states, monkeypatch):
    hypervisor.vms = {uuid(1): vm()}

    def run(functions, *words, **options):
        if "blkdeviotune" in words:
            raise CommandExecutionError("virsh: no")
        return "" if "define" in words else hypervisor.run(functions, *words)

    monkeypatch.setattr(virtapi_command, "run", run)
    desired = changed(cores=2, volumes=[volume(1, read_iops_limit=5), volume(2)])
    (result,) = apply(states(), {uuid(1): desired})[1:]
    assert (result["result"], result["comment"]) == (False, "virsh: no")
    assert sorted(result["changes"]) == ["cores", "volumes"]
    assert result["warnings"] == ["vm-7: restart needed: 1 cores become 2"]


VLAN = {"name": "customers", "tag": 100, "vni": None}
VXLAN = {"name": "overlay", "tag": None, "vni": 70001}


@pytest.mark.parametrize(
    "vlans, message",
    [
        ([VLAN, VXLAN], "several VLANs (customers, overlay) needs Open vSwitch"),
        ([VLAN], "no network device of this node has VLAN customers"),
        ([VXLAN], "VXLAN needs vxlan_device"),
    ],
)
def test_a_segment_that_cannot_be_had_touches_nothing(hypervisor, states, vlans, message):
    result = states()["virtapi_bridge.present"]("br-7-1", vlans)
    assert result["result"] is False and message in result["comment"]
    assert {words[:2] for words in hypervisor.commands} <= {("ip", "-json")}


@pytest.mark.parametrize(
    "mtu, warned",
    [
        (None, None),
        (1450, None),
        (1500, "eno1 has an MTU of 1500, and vxlan 70001 with packets of 1500 bytes needs 1550"),
    ],
)
def test_what_has_no_room_below_is_told(hypervisor, states, mtu, warned):
    hypervisor.links = LINKS
    result = states()["virtapi_bridge.present"]("br-7-2", [VXLAN], mtu=mtu)
    assert (result["result"], result["changes"]) == (True, {})
    assert result.get("warnings") == (warned and ["br-7-2: " + warned])
    assert [words for words in hypervisor.commands if "mtu" in words] == []


@pytest.mark.parametrize("test", [True, False])
def test_room_is_made_for_larger_packets(hypervisor, states, test):
    result = states(test)["virtapi_bridge.present"]("br-7-1", [], mtu=9000)
    assert (result["result"], result["changes"]) == (None if test else True, {"mtu": {"old": 1500, "new": 9000}})
    made = [words for words in hypervisor.commands if "mtu" in words]
    assert made == ([] if test else [("ip", "link", "set", "br-7-1", "mtu", 9000)])


def test_the_version_is_told_as_the_server_reads_it_and_not_in_a_dry_run(states):
    meta = {"schema": 1, "node_id": 3, "generation": 12, "clusters": {"ceph": 4}}
    run = states()
    run.inject_globals = {"__running__": {}}
    result = run["virtapi_document.applied"]("x", meta)
    assert (result["result"], result["changes"]) == (True, {})
    assert json.loads(result["comment"][len("virtapi: ") :]) == {"applied": meta}
    run = states(test=True)
    run.inject_globals = {"__running__": {}}
    assert "virtapi: " not in run["virtapi_document.applied"]("x", meta)["comment"]


RESULTS = {"domain": {"result": True}, "bridge": {"result": True, "changes": {"link": {}}}, "volume": {"result": True}, "snapshots": {"result": True}}


@pytest.mark.parametrize(
    "kind, result, left_out",
    [
        ("domain", None, []),
        ("domain", {"result": False}, ["virtapi_domain " + uuid(1)]),
        ("bridge", {"result": None}, ["virtapi_bridge br-7-1"]),
        ("bridge", {"result": True, "skip_watch": True}, ["virtapi_bridge br-7-1"]),
        ("volume", {"result": True, "__state_ran__": False}, ["virtapi_volume " + volume(1)["uuid"]]),
        ("volume", {}, ["virtapi_volume " + volume(1)["uuid"]]),
        ("snapshots", {"result": False}, ["virtapi_snapshots " + volume(1)["uuid"]]),
        ("snapshots", {}, ["virtapi_snapshots " + volume(1)["uuid"]]),
    ],
)
def test_the_version_is_told_only_when_all_was_looked_at_and_is_so(states, kind, result, left_out):
    results = dict(RESULTS, **({} if result is None else {kind: result}))
    names = {"domain": uuid(1), "bridge": "br-7-1", "volume": volume(1)["uuid"], "snapshots": volume(1)["uuid"]}
    tag = "virtapi_{0}_|-virtapi_{0}_x_|-{1}_|-present"
    # What was excluded is in no result.
    running = {tag.format(each, name): results[each] for each, name in names.items() if results[each]}
    run = states()
    run.inject_globals = {"__running__": running}
    comment = run["virtapi_document.applied"]("x", {}, {"vms": {uuid(1): vm(volumes=[volume(1, snapshots=[{}])])}})["comment"]
    if left_out:
        assert comment.startswith("not applied as a whole: " + left_out[0])
    else:
        assert comment == 'virtapi: {"applied":{}}'


def test_what_is_there_is_told_in_a_form_that_every_station_reads(hypervisor, states, tmp_path):
    hypervisor.vms = {uuid(1): vm(), uuid(2): vm()}
    for name in (b"foreign.img", b"\xff.img", "ä.img".encode(), b"vol-1.raw"):
        (tmp_path / "images").mkdir(exist_ok=True)
        with open(str(tmp_path / "images").encode() + b"/" + name, "wb"):
            pass
    known = volume(1, path=str(tmp_path / "images" / "vol-1.raw"))
    vms = {uuid(1): vm(volumes=[dict(known, backing=None)])}
    document = {"local_storage_path": str(tmp_path / "images"), "vg_name": None, "vms": vms}
    comment = states(test=True)["virtapi_document.observed"]("x", document)["comment"]
    assert comment.isascii()
    seen = json.loads(comment[len("virtapi: ") :])["observed"]
    images = ["{}/images/{}".format(tmp_path, name) for name in ("foreign.img", "ä.img", "\ufffd.img")]
    assert seen == {"vms": {uuid(1): "running"}, "unmanaged": {"domains": ["vm-7"], "bridges": [], "volumes": images}}
