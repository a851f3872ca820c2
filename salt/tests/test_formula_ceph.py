"""What the formula renders of Ceph, through salt-call without a master, from a pillar in a file."""

import copy
import os

import pytest
import salt.loader
import salt.template
import virtapi_ceph_needed
from salt.exceptions import SaltRenderError
from test_formula import EXAMPLE, FORMULA, HYPERVISOR, KEYS, argument, function, of_roles, show_sls

CLUSTERS = EXAMPLE["virtapi"]["ceph"]["clusters"]
FSID = CLUSTERS["ceph"]["fsid"]
OSD = EXAMPLE["virtapi"]["ceph"]["osds"][0]
CLIENT = "virtapi_ceph_keyring_ceph/client.libvirt"


def site(*keys, **settings):
    return dict({"keys": {"ceph": {name: KEYS[name] for name in keys}}}, **settings)


def converging(states):
    """State and name of those for Ceph that change something."""
    found = {}
    for each in states:
        module, _, _ = function(states, each).partition(".")
        if module.startswith("virtapi_ceph"):
            found[(module, argument(states, each, "name"))] = each
    return found


def assert_told_when_all_of_it_is_so(states):
    """That the state at the end looks at all that are rendered, and at nothing else."""
    told = [argument(states, "virtapi_document", name) for name in ("ceph", "hypervisor")]
    assert virtapi_ceph_needed.needed(*told) == set(converging(states))


def test_an_osd_needs_the_key_of_its_cluster(show_sls):
    code, errors = show_sls(of_roles("ceph_osd"), "virtapi", virtapi_ceph=site("mon"))
    assert code != 0 and "needs the key admin of cluster ceph" in errors[0]


def assert_keys_are_nowhere(states):
    assert not any(key in str(states) for key in KEYS.values())


def test_a_hypervisor_that_uses_a_pool(show_sls):
    more = {"global": {"debug": 1}}
    code, states = show_sls(of_roles("hypervisor"), "virtapi", virtapi_ceph=site("client", "admin", settings=more))
    assert code == 0
    assert set(converging(states)) == {
        ("virtapi_ceph_settings", "ceph"),
        ("virtapi_ceph_keyring", "ceph/client.libvirt"),
        ("virtapi_ceph_secret", FSID),
    }
    assert argument(states, "virtapi_ceph_settings_ceph", "cluster") == CLUSTERS["ceph"]
    assert argument(states, "virtapi_ceph_settings_ceph", "settings") == more
    assert argument(states, CLIENT, "key") == "client"
    assert argument(states, "virtapi_ceph_secret_ceph", "usage") == "ceph client.libvirt"
    volumes = EXAMPLE["virtapi"]["hypervisor"]["vms"].values()
    (volume,) = [volume for vm in volumes for volume in vm["volumes"] if volume["type"] == "rbd"]
    assert argument(states, "virtapi_volume_" + volume["uuid"], "require") == [
        {"virtapi_ceph_keyring": CLIENT},
        {"virtapi_ceph_secret": "virtapi_ceph_secret_ceph"},
    ]
    assert_told_when_all_of_it_is_so(states)
    assert_keys_are_nowhere(states)


def test_tombstones_of_images_need_the_key_as_well(show_sls):
    pillar = copy.deepcopy(of_roles("hypervisor"))
    pillar["virtapi"]["hypervisor"]["vms"] = {}
    code, states = show_sls(pillar, "virtapi", virtapi_ceph=site("client"))
    assert code == 0 and len(converging(states)) == 3
    assert_told_when_all_of_it_is_so(states)


@pytest.mark.parametrize(
    "settings",
    [{}, {"keys": {}}, {"keys": {"other": {"client": KEYS["client"]}}}, dict(site("client"), manage=False)],
)
def test_without_keys_of_it_a_cluster_is_the_sites_own(show_sls, settings):
    code, states = show_sls(of_roles("hypervisor"), "virtapi", virtapi_ceph=settings)
    assert (code, converging(states)) == (0, {})
    assert "virtapi_document" in states


def test_a_hypervisor_without_volumes_in_pools_needs_no_key(show_sls):
    pillar = copy.deepcopy(of_roles("hypervisor"))
    hypervisor = pillar["virtapi"]["hypervisor"]
    del hypervisor["tombstones"]
    for vm in hypervisor["vms"].values():
        vm["volumes"] = [volume for volume in vm["volumes"] if volume["type"] != "rbd"]
    code, states = show_sls(pillar, "virtapi", virtapi_ceph=site("client"))
    assert (code, set(converging(states))) == (0, {("virtapi_ceph_settings", "ceph")})
    assert_told_when_all_of_it_is_so(states)


ADMIN = "virtapi_ceph_keyring_ceph/client.admin"


def test_a_monitor(show_sls):
    settings = site("mon", "admin", "client", bootstrap=["ceph"], init="direct")
    code, states = show_sls(of_roles("ceph_mon"), "virtapi", virtapi_ceph=settings)
    assert code == 0
    assert set(converging(states)) == {
        ("virtapi_ceph_settings", "ceph"),
        ("virtapi_ceph_keyring", "ceph/mon."),
        ("virtapi_ceph_keyring", "ceph/client.admin"),
        ("virtapi_ceph_keyring", "ceph/client.libvirt"),
        ("virtapi_ceph_mon", "ceph/hv01"),
        ("virtapi_ceph_mgr", "ceph/hv01"),
        ("virtapi_ceph_pool", "ceph/rbd"),
    }
    expected = {"mon": EXAMPLE["virtapi"]["ceph"]["mon"], "cluster": CLUSTERS["ceph"], "bootstrap": True, "init": "direct"}
    assert {name: argument(states, "virtapi_ceph_mon", name) for name in expected} == expected
    needed = [{"virtapi_ceph_keyring": "virtapi_ceph_keyring_ceph/mon."}, {"virtapi_ceph_keyring": ADMIN}]
    assert argument(states, "virtapi_ceph_mon", "require") == needed
    for each in ("virtapi_ceph_mgr", "virtapi_ceph_pool_ceph/rbd", CLIENT):
        assert argument(states, each, "require") == [{"virtapi_ceph_mon": "virtapi_ceph_mon"}]
    assert argument(states, CLIENT, "pools") == CLUSTERS["ceph"]["pools"]
    sizes = {name: argument(states, "virtapi_ceph_pool_ceph/rbd", name) for name in ("size", "min_size", "pg_num")}
    assert sizes == {"size": 3, "min_size": 2, "pg_num": 32}
    assert argument(states, "virtapi_observation", "ceph") == {"mons": ["ceph"], "osds": {}, "pools": ["ceph/rbd"]}
    assert_told_when_all_of_it_is_so(states)
    assert_keys_are_nowhere(states)


def test_an_osd(show_sls):
    code, states = show_sls(of_roles("ceph_osd"), "virtapi", virtapi_ceph=site("admin", store="file"))
    assert code == 0
    assert set(converging(states)) == {
        ("virtapi_ceph_settings", "ceph"),
        ("virtapi_ceph_keyring", "ceph/client.admin"),
        ("virtapi_ceph_osd", OSD["uuid"]),
    }
    state = "virtapi_ceph_osd_" + OSD["uuid"]
    expected = {"osd": OSD, "store": "file", "init": "systemd", "require": [{"virtapi_ceph_keyring": ADMIN}]}
    assert {name: argument(states, state, name) for name in expected} == expected
    of_ceph = {"mons": [], "osds": {OSD["uuid"]: "ceph"}, "pools": []}
    assert argument(states, "virtapi_observation", "ceph") == of_ceph
    assert_told_when_all_of_it_is_so(states)


def test_a_node_that_is_all_of_it(show_sls):
    code, states = show_sls(EXAMPLE, "virtapi", virtapi_ceph=site("mon", "admin", "client"))
    assert code == 0 and len(converging(states)) == 9
    # The monitor has told the cluster of it.
    assert argument(states, CLIENT, "pools") == CLUSTERS["ceph"]["pools"]
    needed = argument(states, "virtapi_ceph_osd_" + OSD["uuid"], "require")
    assert needed[1:] == [{"virtapi_ceph_mon": "virtapi_ceph_mon"}, {"virtapi_ceph_mgr": "virtapi_ceph_mgr"}]
    # What is in pools comes after what pools are of.
    assert argument(states, "virtapi_ceph_osd_" + OSD["uuid"], "order") == 4
    assert argument(states, "virtapi_observation", "hypervisor") == HYPERVISOR
    assert_told_when_all_of_it_is_so(states)


@pytest.mark.parametrize("roles", [["ceph_mon"], ["ceph_osd"], ["hypervisor", "ceph_mon", "ceph_osd"]])
def test_only_the_data(show_sls, roles):
    code, states = show_sls(of_roles(*roles), "virtapi", virtapi_ceph={"manage": False})
    assert (code, converging(states), "virtapi_document" in states) == (0, {}, False)


GONE = "7a9b1c34-0000-4000-8000-0000000000ff"


@pytest.mark.parametrize("without", [False, True])
def test_what_is_to_be_absent_goes_beside_the_document(show_sls, without):
    absent = {"mons": ["ceph/st03"], "mgrs": ["ceph/st03"], "osds": ["ceph/" + GONE]}
    pillar = copy.deepcopy(of_roles(*[] if without else ["ceph_osd"]))
    if without:
        del pillar["virtapi"]["ceph"]
    code, states = show_sls(pillar, "virtapi", virtapi_ceph=site("admin", absent=absent, max_removals=50))
    assert code == 0
    gone = {"virtapi_ceph_mon_ceph/st03", "virtapi_ceph_mgr_ceph/st03", "virtapi_ceph_osd_" + GONE}
    assert {each for each in states if function(states, each).endswith(".absent")} == gone
    expected = {
        "cluster": "ceph",
        "osds": {"present": {} if without else {OSD["uuid"]: "ceph"}, "absent": {GONE: "ceph"}},
        "meta": EXAMPLE["virtapi"]["meta"],
        "fqdn": "hv01.example.com",
        "max_removals": 50,
    }
    assert {name: argument(states, "virtapi_ceph_osd_" + GONE, name) for name in expected} == expected
    seen = argument(states, "virtapi_observation", "ceph")
    osds = dict(expected["osds"]["present"], **expected["osds"]["absent"])
    assert (seen["mons"], seen["osds"]) == (["ceph"], osds)


@pytest.mark.parametrize(
    "settings, message",
    [
        ("text", "must be a map"),
        ({"kyes": {}}, "has no setting kyes"),
        ({"manage": "no"}, "must be true or false"),
        ({"init": "upstart"}, "must be systemd or direct"),
        ({"bootstrap": "ceph"}, "must be a list of clusters"),
        ({"settings": {"debug": 1}}, "must be settings by section"),
        ({"keys": {"ceph": KEYS["mon"]}}, "must be keys by cluster"),
        ({"keys": {"ceph": {"osd": KEYS["mon"]}}}, "mon, admin and client, not osd"),
        ({"keys": {"ceph": {"mon": "hidden"}}}, "the key mon of cluster ceph in virtapi_ceph is no key"),
        ({"keys": {"ceph": {"mon": KEYS["mon"] + "\nhidden"}}}, "the key mon of cluster ceph in virtapi_ceph is no key"),
        ({"store": "cloud"}, "must be device, file or memory"),
        ({"max_removals": 0}, "must be per cent, from 1 to 100"),
        ({"absent": []}, "must be a map of mons, mgrs and osds"),
        ({"absent": {"pools": []}}, "has mons, mgrs and osds, not pools"),
        ({"absent": {"osds": "ceph/x"}}, "osds of absent of virtapi_ceph must be a list"),
        ({"absent": {"osds": ["x"]}}, "x of absent of virtapi_ceph must have its cluster before it"),
        ({"absent": {"osds": ["ceph/" + OSD["uuid"]]}}, OSD["uuid"] + ", which cannot be absent: delete it in virtapi first"),
        ({"absent": {"mons": ["ceph/hv01"]}}, "the document has ceph/hv01, which cannot be absent"),
        ({"absent": {"mgrs": ["ceph/hv01"]}}, "the document has ceph/hv01, which cannot be absent"),
        ({}, "needs the keys mon and admin of cluster ceph"),
        (site("admin", "client"), "needs the keys mon and admin of cluster ceph"),
        ({"keys": {"ceph": {"mon": 5}}}, "the key mon of cluster ceph in virtapi_ceph is no key"),
    ],
)
def test_a_wrong_setting_stops_the_run(opts, settings, message):
    opts.update(file_client="local", file_roots={"base": [FORMULA]}, pillar=EXAMPLE, grains={}, virtapi_ceph=settings)
    renderers = salt.loader.render(opts, salt.loader.minion_mods(opts, context={}))
    path = os.path.join(FORMULA, "virtapi/ceph/mon.sls")
    with pytest.raises(SaltRenderError) as raised:
        salt.template.compile_template(path, renderers, "jinja|json", None, None, saltenv="base", sls="virtapi.ceph.mon")
    said = str(raised.value)
    assert message in said
    assert "hidden" not in said
    assert_keys_are_nowhere(said)
