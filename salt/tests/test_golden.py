"""The golden files of tests/golden: what is made of each document is what every tool has to make of it."""

import json
import os
import xml.etree.ElementTree as ElementTree

import pytest
import virtapi_container_config
import virtapi_domain_xml
import virtapi_network_filter
import virtapi_removal_plan
import virtapi_restore_plan
import virtapi_snapshot_plan
import virtapi_vxlan_peers
from salt.exceptions import CommandExecutionError
from virtapi_segment import Segment, cable

GOLDEN = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir, "tests", "golden")
with open(os.path.join(GOLDEN, "removals.json"), encoding="utf-8") as file:
    REMOVALS = json.load(file)
with open(os.path.join(GOLDEN, "snapshots", "plans.json"), encoding="utf-8") as file:
    SNAPSHOTS = json.load(file)
with open(os.path.join(GOLDEN, "containers", "refused.json"), encoding="utf-8") as file:
    REFUSED = json.load(file)
with open(os.path.join(GOLDEN, "tunnels.json"), encoding="utf-8") as file:
    TUNNELS = json.load(file)
CASES = sorted(name for name in os.listdir(GOLDEN) if os.path.exists(os.path.join(GOLDEN, name, "document.json")))


def read(case, name):
    with open(os.path.join(GOLDEN, case, name), encoding="utf-8") as file:
        return file.read()


def document(case):
    return json.loads(read(case, "document.json"))["virtapi"]


def machines(case, contained=False):
    """The containers of a document, or all its other VMs."""
    vms = document(case)["hypervisor"]["vms"].items()
    return {uuid: vm for uuid, vm in vms if (vm["virt_method"] == virtapi_container_config.METHOD) == contained}


def names(case, ending):
    return {name[: -len(ending)] for name in os.listdir(os.path.join(GOLDEN, case)) if name.endswith(ending)}


def canonical(text):
    """C14N 2.0, in which neither indentation nor the order of attributes counts."""
    return ElementTree.canonicalize(text, strip_text=True)


def test_there_are_golden_files():
    assert len(CASES) > 3


@pytest.mark.parametrize("case", CASES)
def test_the_xml_of_each_domain(case):
    settings = {"rbd_user": "libvirt", "clusters": document(case).get("ceph", {}).get("clusters", {})}
    settings.update(json.loads(read(case, "settings.json")))
    vms = machines(case)
    assert {vm["domain"] for vm in vms.values()} == names(case, ".xml")
    for uuid, vm in vms.items():
        made = virtapi_domain_xml.to_text(virtapi_domain_xml.build(uuid, vm, settings))
        assert canonical(made) == canonical(read(case, vm["domain"] + ".xml"))


@pytest.mark.parametrize("case", CASES)
def test_the_configuration_of_each_container(case):
    vms = machines(case, contained=True)
    assert {vm["domain"] for vm in vms.values()} == names(case, ".config")
    for uuid, vm in vms.items():
        config = virtapi_container_config.Config(uuid, vm, json.loads(read(case, "settings.json")))
        assert config.build() == read(case, vm["domain"] + ".config")


@pytest.mark.parametrize("case", REFUSED, ids=[case["about"] for case in REFUSED])
def test_what_a_container_cannot_have(case):
    vm = dict({"volumes": [{"type": "raw"}], "gpus": [], "seed": None, "security_rules": None}, **case["change"])
    assert virtapi_container_config.refusals(vm) == case["reasons"]


@pytest.mark.parametrize("case", CASES)
def test_the_packet_filter_of_each_domain(case):
    directory = os.path.join(GOLDEN, case, "nwfilter")
    expected = {name[:-4] for name in os.listdir(directory)} if os.path.isdir(directory) else set()
    settings = json.loads(read(case, "settings.json"))
    for uuid, vm in machines(case).items():
        has_one = virtapi_domain_xml.filter_name(uuid, vm, settings) is not None
        assert has_one == (vm["domain"] in expected)
        if has_one:
            made = virtapi_network_filter.build(uuid, vm["security_rules"])
            written = read(case, os.path.join("nwfilter", vm["domain"] + ".xml"))
            assert canonical(virtapi_domain_xml.to_text(made)) == canonical(written)
            assert virtapi_network_filter.same(written, made)


@pytest.mark.parametrize("case", CASES)
def test_the_devices_of_each_bridge(case):
    made = {}
    for vm in document(case)["hypervisor"]["vms"].values():
        for interface in vm["interfaces"]:
            segment = Segment(interface["vlans"])
            made[interface["bridge"]] = {
                "segment": str(segment),
                "cable": cable(interface["bridge"]),
                "tap": virtapi_domain_xml.tap(interface["bridge"]),
                "segment_bridge": segment.bridge if segment.own else None,
                "carrier": segment.carrier if segment.own else None,
                "group": segment.group if segment.kind == "vxlan" else None,
            }
    assert made == json.loads(read(case, "bridges.json"))


@pytest.mark.parametrize("case", TUNNELS, ids=[case["about"] for case in TUNNELS])
def test_the_tunnels_of_a_vxlan(case):
    given = case["given"]
    segment = Segment([{"name": "overlay", "tag": None, "vni": given["vni"]}])
    try:
        found = {segment.tunnel(peer): peer for peer in virtapi_vxlan_peers.others(given["peers"], given["own"])}
    except CommandExecutionError:
        found = None
    assert found == case["tunnels"]


@pytest.mark.parametrize("case", REMOVALS, ids=[case["about"] for case in REMOVALS])
def test_what_is_removed(case):
    assert virtapi_removal_plan.plan(**case["given"]) == case["plan"]


@pytest.mark.parametrize("case", SNAPSHOTS["snapshots"], ids=[case["about"] for case in SNAPSHOTS["snapshots"]])
def test_what_becomes_of_snapshots(case):
    assert virtapi_snapshot_plan.plan(**case["given"]) == case["plan"]


@pytest.mark.parametrize("case", SNAPSHOTS["restores"], ids=[case["about"] for case in SNAPSHOTS["restores"]])
def test_what_is_restored(case):
    assert virtapi_restore_plan.plan(**case["given"]) == case["plan"]


def test_the_names_of_disks():
    names = [virtapi_domain_xml.target(index) for index in (0, 25, 26, 27, 701, 702)]
    assert names == ["vda", "vdz", "vdaa", "vdab", "vdzz", "vdaaa"]


@pytest.mark.parametrize(
    "name, title",
    [
        ("a\n\tb", "a b"),
        (" \x00a\x85\u2028 ", "a"),
        ("\x1b\n", None),
        ("", None),
        ("<ä> & 'x'", "<ä> & 'x'"),
        ("\ufffe\ud800", "\ufffd\ufffd"),
    ],
)
def test_a_title_is_one_line_that_xml_can_hold(name, title):
    assert virtapi_domain_xml.title(name) == title
