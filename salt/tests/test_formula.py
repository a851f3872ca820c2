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


@pytest.fixture
def show_sls(tmp_path):
    """Call ``show_sls(pillar, sls)``: the exit code and what salt-call printed."""

    def call(pillar, sls):
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


def argument(states, name, key):
    """Return one argument of a state."""
    return next(each[key] for each in states[name]["test"] if isinstance(each, dict) and key in each)


def test_every_fact_of_the_document_reaches_a_state(show_sls):
    code, states = show_sls(EXAMPLE, "virtapi")
    assert code == 0
    document = EXAMPLE["virtapi"]
    for key in ("meta", "node", "roles"):
        assert argument(states, "virtapi_node", key) == document[key]
    hypervisor = dict(argument(states, "virtapi_hypervisor", "hypervisor"), vms={})
    for uuid, vm in document["hypervisor"]["vms"].items():
        hypervisor["vms"][uuid] = argument(states, "virtapi_vm_" + uuid, "vm")
        for volume in vm["volumes"]:
            assert argument(states, "virtapi_volume_" + volume["uuid"], "volume") == volume
    assert hypervisor == document["hypervisor"]
    for name, cluster in document["ceph"]["clusters"].items():
        assert argument(states, "virtapi_ceph_cluster_" + name, "cluster") == cluster
    assert argument(states, "virtapi_ceph_mon", "mon") == document["ceph"]["mon"]
    for osd in document["ceph"]["osds"]:
        assert argument(states, "virtapi_ceph_osd_" + osd["uuid"], "osd") == osd


def test_a_node_without_roles_has_its_base_states(show_sls):
    document = {key: EXAMPLE["virtapi"][key] for key in ("meta", "node")}
    code, states = show_sls({"virtapi": dict(document, roles=[])}, "virtapi")
    assert (code, list(states)) == (0, ["virtapi_node"])


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
