"""How what the tools of a hypervisor say is read; without a hypervisor."""

import json
import struct

import pytest
import salt.loader
import virtapi_virsh
from virtapi_devices import Links, OpenvSwitch
from virtapi_segment import Segment

UUID = "a0000000-0000-4000-8000-000000000001"
OTHER = UUID[:-1] + "2"


def answers(uuid, state, name):
    xml = "<domain><name>{}</name></domain>".format(name)
    return "M {0}{1}\n\nM {0}{2}\n\nM {0}{2}\n\n".format(uuid, state, xml)


def test_a_batch_of_virsh():
    # The mark in a name is only dangerous to whom knows it.
    text = (answers(UUID, "running (booted)", "x") + answers(OTHER, "shut off (crashed)", "N y")).replace("M ", "MARK ")
    found = virtapi_virsh.domains(text, [UUID], [OTHER], "MARK")
    assert list(found) == [UUID, OTHER]
    told = [[each[key] for key in ("state", "reason", "persistent", "autostart")] for each in found.values()]
    assert told == [["running", "booted", True, False], ["crashed", "crashed", False, True]]
    assert found[UUID]["running"] == found[UUID]["defined"] == "<domain><name>x</name></domain>"
    assert found[OTHER]["running"] is None


def test_a_part_of_an_answer_is_an_error():
    with pytest.raises(Exception, match="only a part of domain " + UUID):
        virtapi_virsh.domains("M {}running (booted)\n".format(UUID), [], [], "M")


@pytest.mark.parametrize(
    "told, state",
    [
        ("running (booted)", ("running", "booted")),
        ("running", ("running", "")),
        ("idle", ("running", "")),
        ("in shutdown (user)", ("running", "user")),
        ("paused (I/O error)\n\n", ("paused", "I/O error")),
        ("pmsuspended", ("paused", "")),
        ("shut off (shutdown)", ("stopped", "shutdown")),
        ("shut off (crashed)", ("crashed", "crashed")),
        ("crashed (panicked)", ("crashed", "panicked")),
    ],
)
def test_states_of_libvirt(told, state):
    assert virtapi_virsh.state(told) == state


def test_names_and_states():
    text = "M {}a b\n\nrunning (booted)\n\nM {}c\n\nshut off (destroyed)\n".format(UUID, OTHER)
    found = virtapi_virsh.states(text, "M")
    assert found == {UUID: {"name": "a b", "state": "running"}, OTHER: {"name": "c", "state": "stopped"}}


def test_network_devices():
    vxlan = {"linkinfo": {"info_kind": "vxlan", "info_data": {"id": 5, "link": "eno1"}}, "mtu": 1450}
    links = Links(
        json.dumps(
            [
                {},
                {"ifname": "br-7-1", "flags": ["UP"], "linkinfo": {"info_kind": "bridge"}},
                {"ifname": "lo", "flags": ["UP"]},
                dict(vxlan, ifname="vx5", flags=["BROADCAST"], master="vxlan-5"),
            ]
        )
    )
    assert links.bridges == ["br-7-1"]
    assert (links.master("vx5"), links.number("vx5"), links.is_up("vx5")) == ("vxlan-5", 5, False)
    assert [(links.mtu(name), links.below(name)) for name in ("vx5", "lo", "none")] == [(1450, "eno1"), (None, None), (None, None)]
    assert (links.is_up("lo"), links.kind("lo"), links.number("lo"), "nothing" in links) == (True, None, None, False)


def tables(*given):
    return "".join(json.dumps(table) + "\n" for table in given)


# What a port of a VXLAN may be, and what is seen in it: nothing where it is somebody else's, None where it is not as it should be.
RIGHT = "vx1a4be59c6e0c"


@pytest.mark.parametrize(
    "change, tunnels",
    [
        ({}, {RIGHT: "fd00::2"}),
        ({"external_ids": {}}, {}),
        ({"external_ids": {"virtapi-peer": "fd00::3"}}, {RIGHT: None}),
        ({"name": "vx1"}, {"vx1": None}),
        ({"protected": False}, {RIGHT: None}),
        ({"type": ""}, {RIGHT: None}),
        ({"options": {"remote_ip": "fd00::2", "key": "70002"}}, {RIGHT: None}),
        ({"options": {}}, {RIGHT: None}),
    ],
)
def test_tunnels_of_open_vswitch(change, tunnels):
    port = {
        "_uuid": ["uuid", "u1"],
        "name": RIGHT,
        "protected": True,
        "external_ids": {"virtapi-peer": "fd00::2"},
        "type": "vxlan",
        "options": {"remote_ip": "fd00::2", "key": "70001", "df_default": "false"},
    }
    port.update(change)
    for name in ("external_ids", "options"):
        port[name] = ["map", [list(pair) for pair in port[name].items()]]
    told = [{"headings": ["name", "ports"], "data": [["vxlan-70001", ["uuid", "u1"]]]}]
    for headings in (["_uuid", "name", "protected", "external_ids"], ["name", "type", "options"]):
        told.append({"headings": headings, "data": [[port[name] for name in headings]]})
    overlay = Segment([{"name": "overlay", "tag": None, "vni": 70001}])
    assert OpenvSwitch(tables(*told)).tunnels(overlay) == tunnels


def test_the_narrowest_port_of_open_vswitch():
    ports = {"eno1": (9000, ""), "eno2": (1600, ""), "uplink0": (1500, "internal"), "dn-7-1": (["set", []], "patch"), "gone": (["set", []], "")}
    uuids = ["set", [["uuid", name] for name in ports]]
    bridges = {"headings": ["name", "ports"], "data": [["uplink0", uuids], ["empty", ["set", []]]]}
    rows = [[["uuid", name], name] for name in ports]
    interfaces = [[name, mtu, kind] for name, (mtu, kind) in ports.items()]
    database = OpenvSwitch(
        tables(bridges, {"headings": ["_uuid", "name"], "data": rows}, {"headings": ["name", "mtu", "type"], "data": interfaces})
    )
    assert [database.narrowest(name) for name in ("uplink0", "empty", "none")] == [("eno2", 1600), None, None]


def test_open_vswitch():
    bridges = {
        "headings": ["name", "ports", "datapath_type"],
        "data": [
            ["br-7-1", ["uuid", "u1"], "netdev"],
            ["uplink0", ["set", [["uuid", "u2"], ["uuid", "u3"]]], "netdev"],
        ],
    }
    ports = {
        "headings": ["_uuid", "name", "tag", "trunks"],
        "data": [
            [["uuid", "u1"], "up-7-1", ["set", []], ["set", []]],
            [["uuid", "u2"], "dn-7-1", 100, ["set", []]],
            [["uuid", "u3"], "dn-8-1", ["set", []], ["set", [200, 100]]],
        ],
    }
    database = OpenvSwitch(tables(bridges, ports, {"headings": ["name"], "data": []}))
    assert (database.bridges, database.datapath_type("uplink0")) == (["br-7-1", "uplink0"], "netdev")
    told = [(database.bridge_of(port), database.is_access(port), database.tags(port)) for port in ("up-7-1", "dn-7-1")]
    assert told == [("br-7-1", False, []), ("uplink0", True, [100])]
    assert (database.bridge_of("dn-8-1"), database.tags("dn-8-1")) == ("uplink0", [100, 200])
    assert (database.bridge_of("none"), database.tags("none")) == (None, [])


@pytest.mark.parametrize(
    "content, size",
    [
        (struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 32, 5, 16, 2**40) + b"/x", 2**40),
        (struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 32, 5, 16, 2**40)[:20], None),
        (b"\0" * 64, None),
        (b"", None),
    ],
)
def test_headers_of_qcow2(opts, tmp_path, content, size):
    (tmp_path / "image").write_bytes(content)
    assert salt.loader.minion_mods(opts)["virtapi_volume.qcow2_size"](str(tmp_path / "image")) == size


def test_a_pool_of_a_cluster_without_monitors_is_not_asked(opts):
    volume = {"type": "rbd", "cluster": "ceph", "pool": "rbd", "image": "vol-9"}
    functions = salt.loader.minion_mods(opts, context={})
    with pytest.raises(Exception, match="the document has no monitors of cluster ceph"):
        functions["virtapi_volume.size"](volume, {"mons": []})
    _found, unknown = functions["virtapi_volume.there"]({UUID: volume}, {"ceph": {"mons": []}})
    assert unknown == {UUID: "the document has no monitors of cluster ceph"}
