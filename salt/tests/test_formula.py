"""What the formula renders, through salt-call without a master, from a pillar in a file."""

import copy
import json
import os
import subprocess
import sys

import pytest
import salt.utils.yaml

FORMULA = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, "formula"))
with open(os.path.join(FORMULA, "pillar.example"), encoding="utf-8") as file:
    EXAMPLE = salt.utils.yaml.safe_load(file)


def with_names_of_seeds(hypervisor):
    """The hypervisor as states have it: what is in the files of seeds stays in the pillar."""
    vms = hypervisor["vms"].items()
    return dict(hypervisor, vms={uuid: dict(vm, seed=vm["seed"] and sorted(vm["seed"])) for uuid, vm in vms})


HYPERVISOR = with_names_of_seeds(EXAMPLE["virtapi"]["hypervisor"])


# The keys that a cluster begins with.
KEYS = {name: "AQ" + name[0] * 36 + "==" for name in ("mon", "admin", "client")}


@pytest.fixture
def show_sls(tmp_path):
    """Call ``show_sls(pillar, sls)``: the exit code and what salt-call printed. Nothing is run by that."""

    def call(pillar, sls, **configuration):
        (tmp_path / "pillar").mkdir()
        (tmp_path / "pillar" / "top.sls").write_text('{"base": {"*": ["data"]}}')
        (tmp_path / "pillar" / "data.sls").write_text("#!json\n" + json.dumps(pillar))
        config = {
            "id": "hv01.example.com",
            "file_client": "local",
            "root_dir": str(tmp_path),
            "file_roots": {"base": [FORMULA]},
            "pillar_roots": {"base": [str(tmp_path / "pillar")]},
            "enable_fqdns_grains": False,
        }
        config.update(configuration)
        (tmp_path / "minion").write_text(json.dumps(config))
        run = subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), "salt-call"), "--local", "-c", str(tmp_path)]
            + ["--out=json", "--retcode-passthrough", "state.show_sls", sls],
            check=False,
            capture_output=True,
            text=True,
        )
        return run.returncode, json.loads(run.stdout)["local"]

    return call


def function(states, name):
    """Return the function of a state."""
    (module,) = (key for key in states[name] if not key.startswith("__"))
    return "{}.{}".format(module, next(each for each in states[name][module] if isinstance(each, str)))


def argument(states, name, key):
    """Return one argument of a state."""
    arguments = states[name][function(states, name).split(".")[0]]
    return next(each[key] for each in arguments if isinstance(each, dict) and key in each)


@pytest.mark.parametrize("manage", [True, False])
def test_every_fact_of_the_document_reaches_a_state(show_sls, manage):
    ceph = {"manage": manage, "keys": {"ceph": KEYS}}
    code, states = show_sls(EXAMPLE, "virtapi", virtapi_hypervisor={"manage": manage}, virtapi_ceph=ceph)
    assert code == 0
    changing = {name for name in states if function(states, name) != "test.nop"}
    assert bool(changing) == manage
    document = EXAMPLE["virtapi"]
    for key in ("meta", "node", "roles"):
        assert argument(states, "virtapi_node", key) == document[key]
    hypervisor = dict(argument(states, "virtapi_hypervisor", "hypervisor"), vms={})
    for uuid, vm in document["hypervisor"]["vms"].items():
        hypervisor["vms"][uuid] = argument(states, "virtapi_vm_" + uuid, "vm")
        for volume in vm["volumes"]:
            assert argument(states, "virtapi_volume_" + volume["uuid"], "volume") == volume
    assert hypervisor == HYPERVISOR
    for name, cluster in document["ceph"]["clusters"].items():
        assert argument(states, "virtapi_ceph_cluster_" + name, "cluster") == cluster
    assert argument(states, "virtapi_ceph_mon", "mon") == document["ceph"]["mon"]
    for osd in document["ceph"]["osds"]:
        assert argument(states, "virtapi_ceph_osd_" + osd["uuid"], "osd") == osd


def test_snapshots_come_between_their_volume_and_its_machine_which_does_not_need_them(show_sls):
    pillar = copy.deepcopy(of_roles("hypervisor"))
    (vm,) = pillar["virtapi"]["hypervisor"]["vms"].values()
    file, image = vm["volumes"]
    image["snapshots"] = [dict(file["snapshots"][0], name="other")]
    vm["volumes"].append(dict(file, uuid=file["uuid"][:-1] + "f", snapshots=[]))
    _, states = show_sls(pillar, "virtapi")
    names = {"virtapi_snapshots_" + volume["uuid"]: volume for volume in (file, image)}
    assert {name for name in states if name.startswith("virtapi_snapshots")} == set(names)
    for name, volume in names.items():
        assert (function(states, name), argument(states, name, "volume")) == ("virtapi_snapshots.present", volume)
        assert argument(states, name, "require") == [{"virtapi_volume": "virtapi_volume_" + volume["uuid"]}]
        assert name < min(each for each in states if each.startswith("virtapi_vm_"))
    cluster = pillar["virtapi"]["ceph"]["clusters"]["ceph"]
    assert argument(states, "virtapi_snapshots_" + image["uuid"], "cluster") == cluster
    assert argument(states, "virtapi_snapshots_" + image["uuid"], "vm") == next(iter(pillar["virtapi"]["hypervisor"]["vms"]))


def test_a_node_without_roles_has_its_base_states(show_sls):
    document = {key: EXAMPLE["virtapi"][key] for key in ("meta", "node")}
    code, states = show_sls({"virtapi": dict(document, roles=[])}, "virtapi")
    assert (code, sorted(states)) == (0, ["virtapi_document", "virtapi_node"])
    assert argument(states, "virtapi_document", "meta") == document["meta"]


def of_roles(*roles):
    return {"virtapi": dict(EXAMPLE["virtapi"], roles=list(roles))}


def test_a_hypervisor_is_converged_with_the_settings_of_the_site(show_sls):
    site = {"switch": "openvswitch", "uplink": "uplink0", "accelerate": False, "rbd_user": "x", "shutdown_timeout": 5}
    code, states = show_sls(dict(of_roles("hypervisor"), virtapi_hypervisor=site), "virtapi")
    assert code == 0
    ((uuid, vm),) = EXAMPLE["virtapi"]["hypervisor"]["vms"].items()
    domain = "virtapi_vm_" + uuid
    volumes = ["virtapi_volume_" + volume["uuid"] for volume in vm["volumes"]]
    assert function(states, "virtapi_seed_packages") == "pkg.installed"
    assert function(states, domain) == "virtapi_domain.present"
    assert {name: argument(states, domain, name) for name in site if name != "uplink"} == {
        name: value for name, value in site.items() if name != "uplink"
    }
    assert argument(states, domain, "clusters") == EXAMPLE["virtapi"]["ceph"]["clusters"]
    assert argument(states, domain, "require") == [{"virtapi_bridge": "virtapi_bridge_br-7-9"}] + [
        {"virtapi_volume": volume} for volume in volumes
    ] + [{"pkg": "virtapi_seed_packages"}]
    assert argument(states, volumes[1], "rbd_user") == "x"
    assert function(states, "virtapi_bridge_br-7-9") == "virtapi_bridge.present"
    assert argument(states, "virtapi_bridge_br-7-9", "uplink") == "uplink0"
    assert argument(states, "virtapi_observation", "hypervisor") == HYPERVISOR
    assert argument(states, "virtapi_document", "hypervisor") == HYPERVISOR


@pytest.mark.parametrize(
    "seed, site, packages",
    [
        ({"user-data": "x"}, {}, ["xorriso"]),
        ({"user-data": "x"}, {"seed_packages": ["a", "b"]}, ["a", "b"]),
        ({"user-data": "x"}, {"seed_packages": []}, None),
        ({"user-data": "x"}, {"manage": False}, None),
        (None, {}, None),
    ],
)
def test_what_seeds_are_built_with_is_installed_where_there_is_one(show_sls, seed, site, packages):
    pillar = copy.deepcopy(of_roles("hypervisor"))
    ((uuid, vm),) = pillar["virtapi"]["hypervisor"]["vms"].items()
    vm["seed"] = seed
    code, states = show_sls(pillar, "virtapi", virtapi_hypervisor=site)
    assert code == 0
    assert ("virtapi_seed_packages" in states) == (packages is not None)
    if packages:
        assert argument(states, "virtapi_seed_packages", "pkgs") == packages
    assert ({"pkg": "virtapi_seed_packages"} in argument(states, "virtapi_vm_" + uuid, "require")) == (packages is not None)


def test_what_is_in_a_seed_is_in_no_state(show_sls):
    pillar = copy.deepcopy(dict(EXAMPLE, virtapi_ceph={"keys": {"ceph": KEYS}}))
    for vm in pillar["virtapi"]["hypervisor"]["vms"].values():
        vm["seed"] = {"user-data": "correct horse battery staple"}
    code, states = show_sls(pillar, "virtapi")
    assert code == 0
    assert "user-data" in json.dumps(states) and "correct horse battery staple" not in json.dumps(states)


def test_a_server_that_has_no_seeds(show_sls):
    pillar = copy.deepcopy(of_roles("hypervisor"))
    ((uuid, vm),) = pillar["virtapi"]["hypervisor"]["vms"].items()
    del vm["seed"]
    code, states = show_sls(pillar, "virtapi")
    assert (code, "virtapi_seed_packages" in states) == (0, False)
    assert argument(states, "virtapi_vm_" + uuid, "vm") == vm


@pytest.mark.parametrize("site", [{}, {"max_removals": 1, "rbd_user": "x", "shutdown_timeout": 5}])
def test_tombstones_have_one_state_after_all_machines(show_sls, site):
    code, states = show_sls(of_roles("hypervisor"), "virtapi", virtapi_hypervisor=site)
    assert code == 0
    document = EXAMPLE["virtapi"]
    expected = dict({"max_removals": 20, "rbd_user": "libvirt", "shutdown_timeout": 60}, **site)
    expected.update(name="tombstones", fqdn="hv01.example.com", clusters=document["ceph"]["clusters"])
    expected.update(meta=document["meta"], hypervisor=HYPERVISOR)
    assert function(states, "virtapi_removals") == "virtapi_removals.applied"
    assert {key: argument(states, "virtapi_removals", key) for key in expected} == expected
    for key in ("clusters", "rbd_user"):
        assert argument(states, "virtapi_observation", key) == expected[key]
    order = {name: argument(states, name, "order") for name in ("virtapi_removals", "virtapi_observation")}
    assert order == {"virtapi_removals": -1, "virtapi_observation": "last"}


@pytest.mark.parametrize("tombstones", [None, {"vms": {}, "volumes": {}}, "absent"])
def test_without_tombstones_nothing_is_to_be_removed(show_sls, tombstones):
    pillar = copy.deepcopy(of_roles("hypervisor"))
    if tombstones == "absent":
        del pillar["virtapi"]["hypervisor"]["tombstones"]
    else:
        pillar["virtapi"]["hypervisor"]["tombstones"] = tombstones
    code, states = show_sls(pillar, "virtapi")
    assert code == 0
    assert "virtapi_removals" not in states and argument(states, "virtapi_observation", "clusters") == {}


@pytest.mark.parametrize(
    "bond, vlan, switch, expected",
    [
        ("bond0", "customers", "linux", ["bond0", "bond0"]),
        (None, "customers", "linux", ["eno1", "eno1"]),
        ("bond0", "elsewhere", "linux", [None, None]),
        ("bond0", "customers", "openvswitch", [None, "bond0"]),
    ],
)
def test_a_bridge_hangs_on_the_interface_that_has_the_vlan(show_sls, bond, vlan, switch, expected):
    pillar = copy.deepcopy(of_roles("hypervisor"))
    pillar["virtapi"]["node"]["interfaces"][0].update(bond=bond, vlans=[{"name": vlan, "tag": 100, "vni": None}])
    code, states = show_sls(pillar, "virtapi", virtapi_hypervisor={"switch": switch})
    assert code == 0
    assert [argument(states, "virtapi_bridge_br-7-9", name) for name in ("uplink", "vxlan_device")] == expected


@pytest.mark.parametrize("site", [{}, {"vxlan_peers": ["198.51.100.2", "2001:db8::2"]}])
def test_bridges_know_the_other_ends_of_vxlans_and_how_large_packets_are(show_sls, site):
    code, states = show_sls(of_roles("hypervisor"), "virtapi", virtapi_hypervisor=site)
    assert (code, argument(states, "virtapi_bridge_br-7-9", "vxlan_peers")) == (0, site.get("vxlan_peers", []))
    assert argument(states, "virtapi_bridge_br-7-9", "mtu") == 1450


@pytest.mark.parametrize(
    "roles, manage, of_ceph",
    [
        (["hypervisor", "ceph_osd"], True, False),
        (["hypervisor", "ceph_osd"], False, True),
        (["ceph_mon"], True, False),
        (["hypervisor"], False, True),
    ],
)
def test_that_a_document_was_applied_is_told_only_where_all_of_it_is(show_sls, roles, manage, of_ceph):
    ceph = {"manage": of_ceph, "keys": {"ceph": KEYS}}
    code, states = show_sls(of_roles(*roles), "virtapi", virtapi_hypervisor={"manage": manage}, virtapi_ceph=ceph)
    assert code == 0
    assert "virtapi_document" not in states
    looks = (manage and "hypervisor" in roles) or (of_ceph and roles != ["hypervisor"])
    assert ("virtapi_observation" in states) == looks


def test_a_machine_whose_method_is_lxc_is_a_container(show_sls):
    document = of_roles("hypervisor")
    ((uuid, vm),) = document["virtapi"]["hypervisor"]["vms"].items()
    document["virtapi"]["hypervisor"] = dict(document["virtapi"]["hypervisor"], vms={uuid: dict(vm, virt_method="LXC")})
    site = {"lxc_path": "/srv/lxc", "container_ids": "none", "container_apparmor": "unconfined", "shutdown_timeout": 5}
    code, states = show_sls(dict(document, virtapi_hypervisor=site), "virtapi")
    container = "virtapi_vm_" + uuid
    assert (code, function(states, container)) == (0, "virtapi_container.present")
    assert {name: argument(states, container, name) for name in site} == site
    assert "virtapi_seed_packages" not in states
    assert argument(states, "virtapi_observation", "lxc_path") == "/srv/lxc"


@pytest.mark.parametrize(
    "site, message",
    [
        ("text", "must be a map"),
        ({"uplnk": "eno1"}, "has no setting uplnk"),
        ({"manage": "no"}, "must be true or false"),
        ({"seed_packages": "xorriso"}, "must be a list of packages"),
        ({"switch": "vale"}, "must be linux or openvswitch"),
        ({"vxlan_peers": "198.51.100.2"}, "vxlan_peers of virtapi_hypervisor must be a list of IP addresses"),
        ({"vxlan_peers": {"198.51.100.2": None}}, "must be a list of IP addresses"),
        ({"vxlan_peers": ["198.51.100.2", "198.51.100.0/24"]}, "must be a list of IP addresses"),
        ({"vxlan_peers": [3325256706]}, "must be a list of IP addresses"),
        ({"shutdown_timeout": 0}, "a number of seconds"),
        ({"lxc_path": "lxc"}, "lxc_path of virtapi_hypervisor must be a directory"),
        ({"container_ids": "all"}, "must be the first id and how many, or none"),
        ({"container_ids": [1000000]}, "must be the first id and how many, or none"),
        ({"container_ids": [0, 65536]}, "must be the first id and how many, or none"),
        ({"container_ids": {"first": 1, "count": 2}}, "must be the first id and how many, or none"),
        ({"container_apparmor": ""}, "must be the name of a profile"),
        ({"max_removals": 0}, "must be per cent, from 1 to 100"),
        ({"max_removals": 101}, "must be per cent, from 1 to 100"),
        ({"max_removals": "20"}, "must be per cent, from 1 to 100"),
        ({"max_removals": True}, "must be per cent, from 1 to 100"),
    ],
)
def test_a_wrong_setting_stops_the_run(show_sls, site, message):
    code, errors = show_sls(dict(EXAMPLE, virtapi_hypervisor=site), "virtapi")
    assert code != 0
    assert isinstance(errors, list) and message in errors[0]


def changed(**keys):
    document = copy.deepcopy(EXAMPLE["virtapi"])
    document.update(keys)
    return {"virtapi": {key: value for key, value in document.items() if value is not None}}


@pytest.mark.parametrize(
    "pillar, sls, message",
    [
        ({}, "virtapi", "holds no document"),
        ({}, "virtapi.hypervisor", "holds no document"),
        ({}, "virtapi.ceph", "holds no document"),
        ({"virtapi": {}}, "virtapi", "holds no document"),
        ({"virtapi": "text"}, "virtapi", "holds no document"),
        (changed(meta={"schema": 2}), "virtapi", "schema 1, not 2"),
        (changed(roles=["gateway"]), "virtapi", "knows no role gateway"),
        (changed(hypervisor=None), "virtapi", "is no hypervisor"),
        (changed(ceph=None), "virtapi.ceph", "uses no Ceph cluster"),
        (changed(ceph={"clusters": {}, "mon": None, "osds": []}), "virtapi.ceph.mon", "is no Ceph monitor"),
        (changed(ceph={"clusters": {}, "mon": None, "osds": []}), "virtapi.ceph.osd", "without Ceph OSDs"),
        (EXAMPLE, "virtapi.unavailable", "could not say what runs"),
    ],
)
def test_missing_data_stops_the_run(show_sls, pillar, sls, message):
    code, errors = show_sls(pillar, sls)
    assert code != 0
    assert isinstance(errors, list) and message in errors[0]
