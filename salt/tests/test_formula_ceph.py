"""What the formula renders of Ceph, through salt-call without a master, from a pillar in a file."""

import copy

import pytest
import virtapi_ceph_needed
from test_formula import EXAMPLE, argument, function, of_roles, show_sls

KEYS = {name: "AQ" + name[0] * 36 + "==" for name in ("mon", "admin", "client")}
CLUSTERS = EXAMPLE["virtapi"]["ceph"]["clusters"]
FSID = CLUSTERS["ceph"]["fsid"]
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
        ({"keys": {"ceph": {"mon": 5}}}, "the key mon of cluster ceph in virtapi_ceph is no key"),
    ],
)
def test_a_wrong_setting_stops_the_run(show_sls, settings, message):
    code, errors = show_sls(EXAMPLE, "virtapi", virtapi_ceph=settings)
    assert code != 0
    assert isinstance(errors, list) and message in errors[0]
    assert "hidden" not in errors[0]
    assert_keys_are_nowhere(errors)
