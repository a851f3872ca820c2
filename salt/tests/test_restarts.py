"""How often a machine is restarted, as Salt's own loader loads the modules; with a stand-in for virsh."""

from libvirt_stub import FIRST, apply, converge, libvirt
from test_states import states, uuid

RESTART = ["define", "shutdown", "start"]


def test_a_new_one_keeps_the_number(libvirt, converge):
    converge(FIRST, restarts=3)
    assert 'restarts="3"' in libvirt.domains[uuid(1)]["running"]


def test_an_older_one_gets_the_number_and_runs_on(converge):
    converge(FIRST)
    result = converge(["define", "metadata --live"], restarts=3)
    assert result["changes"] == {"restarts": {"old": "none", "new": 3}}
    converge([], restarts=None)
    converge([])


def test_a_number_that_has_grown_is_one_restart(libvirt, apply, converge):
    converge(FIRST, restarts=3)
    expected = {"cores": {"old": 1, "new": 2}, "restarts": {"old": 3, "new": 5}}
    result, asked = apply(test=True, restarts=5, cores=2)
    assert (result["result"], result["changes"], asked) == (None, expected, [])
    result = converge(RESTART, restarts=5, cores=2)
    assert (result["changes"], "warnings" in result) == (expected, False)
    assert "<vcpu>2</vcpu>" in libvirt.domains[uuid(1)]["running"]
    # One that has become smaller was not asked for.
    converge(["define", "metadata --live"], restarts=4, cores=2)
    converge(RESTART, restarts=5, cores=2)


def test_one_that_does_not_run_is_not_restarted(converge):
    converge(FIRST, restarts=3)
    converge(["autostart --disable", "shutdown"], restarts=3, state="stopped")
    converge(["define"], restarts=4, state="stopped")
    converge(["autostart", "start"], restarts=4)
    # What shall stop is stopped, and no more.
    result = converge(["define", "autostart --disable", "shutdown"], restarts=5, cores=2, state="stopped")
    assert "warnings" not in result
    converge(["autostart", "start"], restarts=5, cores=2)


def test_in_maintenance_it_is_left_alone_and_told(apply, converge):
    converge(FIRST, restarts=3)
    for commands in (["define"], []):
        result, asked = apply(restarts=4, state="maintenance")
        assert (result["warnings"], asked) == (["vm-7: restart needed: restart 4 is asked for"], commands)
    converge(["shutdown", "start"], restarts=4)


def test_one_that_does_not_answer_is_switched_off(libvirt, converge):
    converge(FIRST, restarts=3)
    libvirt.domains[uuid(1)]["deaf"] = ["shutdown"]
    result = converge(["define", "shutdown", "destroy", "start"], restarts=4)
    assert result["warnings"] == ["vm-7: has not shut down in 1 s, and is switched off"]


def test_one_that_is_paused_goes_on_to_shut_down(libvirt, apply, converge):
    converge(FIRST, restarts=3)
    libvirt.domains[uuid(1)]["state"] = "paused (user)"
    converge(["define", "resume", "shutdown", "start"], restarts=4)
    libvirt.domains[uuid(1)]["state"] = "paused (migrating)"
    result, asked = apply(restarts=5)
    assert (result["comment"], asked) == ("vm-7 is paused (migrating), and not resumed", ["define"])


def test_a_failure_in_the_middle(libvirt, apply, converge):
    converge(FIRST, restarts=3)
    domain = libvirt.domains[uuid(1)]
    domain["refuses"] = ["shutdown"]
    result, asked = apply(restarts=4)
    assert (result["result"], asked) == (False, ["define", "shutdown"])
    # Asked for, and not done yet.
    domain["refuses"] = ["start"]
    result, asked = apply(restarts=4)
    assert (result["result"], asked) == (False, ["shutdown", "start"])
    # Off: it is started, and not restarted after that.
    domain["refuses"] = []
    converge(["start"], restarts=4)
