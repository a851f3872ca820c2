"""What is done to one container, in which order; with a stand-in for LXC's programs. What LXC itself does is the lab's to say."""

import json
import os
import re

import pytest
import salt.loader
import salt.utils.path
import virtapi_command
import virtapi_container_config
import virtapi_seed_files
from salt.exceptions import CommandExecutionError
from test_plan import interface, machine, volume
from test_states import states, uuid

NAME = "vm-7"
ROOT = dict(volume(1), type="raw")
SECRET = "correct horse battery staple"
FIRST = {"meta-data": "instance-id: ä\n", "user-data": "#!/bin/sh\n" + SECRET}
SECOND = dict(FIRST, **{"meta-data": "instance-id: b\n"})


class Lxc:
    """The containers of one hypervisor, and the commands that change something."""

    def __init__(self, path):
        self.path = path
        self.states = {}
        self.commands = []
        self.name = NAME
        self.obeys = True
        self.fails = None

    def run(self, functions, *words, secret=False):
        program, *rest = map(str, words)
        if program == "virsh":
            # No domains, in each of its lists.
            return "".join(command[5:] for command in rest[-1].split("; ") if command.startswith("echo "))
        assert rest[:2] == ["-P", str(self.path)], words
        if program == "lxc-ls":
            lines = ["{} {} 999999999".format(*each) for each in self.states.items()]
            return "\n".join(["NAME STATE PID"] + lines) + "\n"
        self.commands.append(" ".join([program] + [word for word in rest[4:] if word.startswith("--")]))
        if program == self.fails:
            raise CommandExecutionError(program + ": no")
        if program == "lxc-start":
            self.states[self.name] = "RUNNING"
            config = self.config.read_text()
            self.started.write_text(re.search("pre-start = </dev/null; echo (.*?) >", config).group(1))
            # LXC would not start it without what it mounts.
            assert all(os.path.isdir(place) for place in re.findall(r"lxc\.mount\.entry = (\S+) ", config))
        elif program == "lxc-unfreeze":
            self.states[NAME] = "RUNNING"
        elif program == "lxc-stop" and ("--kill" in rest or self.obeys):
            self.states[NAME] = "STOPPED"
        return ""

    @property
    def config(self):
        return self.path / self.name / "config"

    @property
    def started(self):
        return self.path / self.name / "started"


@pytest.fixture
def lxc(tmp_path, monkeypatch):
    lxc = Lxc(tmp_path / "lxc")
    monkeypatch.setattr(virtapi_command, "run", lxc.run)
    monkeypatch.setattr(salt.utils.path, "which", lambda program: "/usr/bin/" + program)
    return lxc


@pytest.fixture
def seeds(tmp_path, monkeypatch):
    """The directory of seeds, which nobody has made yet; whose something is, only root says."""
    monkeypatch.setattr(virtapi_seed_files, "DIRECTORY", str(tmp_path / "seeds"))
    owners = {}
    monkeypatch.setattr(os, "chown", lambda path, *owner: owners.update({os.path.basename(path): owner}))
    return tmp_path / "seeds", owners


@pytest.fixture
def run(lxc, seeds, opts, states):
    """Run the state once: what it returns, and the commands that it gave; limits are the kernel's, and left out."""

    def call(test=False, name=uuid(1), seed=None, **other):
        opts["pillar"] = {"virtapi": {"hypervisor": {"vms": {name: {"seed": seed}}}}}
        vm = dict(machine(state="running"), virt_method="LXC", volumes=[ROOT], interfaces=[interface(1)])
        vm["seed"] = seed and sorted(seed)
        loaded = states(test)
        loaded["virtapi_container.mod_init"]({})
        lxc.commands.clear()
        ret = loaded["virtapi_container.present"](name, dict(vm, **other), lxc_path=str(lxc.path), shutdown_timeout=0)
        ret["changes"].pop("limits", None)
        assert SECRET not in json.dumps(ret)
        return ret, [command for command in lxc.commands if command != "lxc-cgroup"]

    return call


def test_it_is_defined_started_and_left_alone(lxc, run):
    ret, commands = run()
    assert (ret["result"], sorted(ret["changes"]), commands) == (True, ["container", "state"], ["lxc-start"])
    assert lxc.config.stat().st_mode & 0o777 == 0o600
    ret, commands = run()
    assert (ret["result"], ret["changes"], commands) == (True, {}, [])


def test_a_dry_run_says_what_would_change_and_changes_nothing(lxc, run):
    ret, commands = run(test=True)
    assert (ret["result"], sorted(ret["changes"]), commands, lxc.path.exists()) == (None, ["container", "state"], [], False)
    run(state="stopped")
    before = lxc.config.read_text()
    ret, commands = run(test=True, cores=3, state="stopped")
    assert (ret["result"], sorted(ret["changes"]), commands) == (None, ["config"], [])
    assert "lxc.cgroup.cpu.cfs_quota_us = 300000" in ret["changes"]["config"]["new"]
    assert lxc.config.read_text() == before


def test_what_needs_another_start_is_defined_and_told(lxc, run):
    run(restarts=1)
    ret, commands = run(restarts=1, interfaces=[])
    assert (sorted(ret["changes"]), commands) == (["config"], [])
    for again in (ret, run(restarts=1, interfaces=[])[0]):
        assert again["warnings"] == ["vm-7: restart needed: its interfaces become others"]
    ret, commands = run(restarts=2, interfaces=[])
    assert (sorted(ret["changes"]), commands) == (["config", "restarts"], ["lxc-stop --nokill --nowait", "lxc-start"])
    assert "warnings" not in ret
    assert run(restarts=2, interfaces=[])[1] == []


def test_a_restart_that_is_interrupted_is_done_once(lxc, run):
    run(restarts=1)
    lxc.fails = "lxc-start"
    ret, commands = run(restarts=2)
    assert (ret["result"], commands) == (False, ["lxc-stop --nokill --nowait", "lxc-start"])
    lxc.fails = None
    assert run(restarts=2)[1] == ["lxc-start"]
    assert run(restarts=2)[1] == []


def test_one_that_is_not_to_run_is_not_restarted(lxc, run):
    run(restarts=1)
    ret, commands = run(restarts=2, state="maintenance")
    assert (commands, ret["warnings"]) == ([], ["vm-7: restart needed: a restart is asked for"])
    assert run(restarts=2, state="stopped")[1] == ["lxc-stop --nokill --nowait"]


def test_one_without_a_number_only_gets_it(lxc, run):
    run()
    ret, commands = run(restarts=5)
    assert (sorted(ret["changes"]), commands) == (["config", "restarts"], [])
    assert virtapi_container_config.started(lxc.started.read_text())["restarts"] == "5"
    assert run(restarts=5)[0]["changes"] == {}


def test_one_that_does_not_end_is_killed_only_where_it_is_to_be_stopped(lxc, run):
    run()
    lxc.obeys = False
    ret, commands = run(state="deactivated")
    assert (ret["result"], commands, ret["comment"]) == (False, ["lxc-stop --nokill --nowait"], "vm-7 has not shut down in 0 s")
    ret, commands = run(state="stopped")
    assert (ret["result"], commands) == (True, ["lxc-stop --nokill --nowait", "lxc-stop --kill"])
    assert ret["warnings"] == ["vm-7: has not shut down in 0 s, and is killed"]


def test_a_frozen_one_goes_on(lxc, run):
    run()
    lxc.states[NAME] = "FROZEN"
    assert run()[1] == ["lxc-unfreeze"]


def test_whether_it_starts_with_the_hypervisor_stays_where_its_state_does_not_say(lxc, run):
    run()
    assert run(state="maintenance")[0]["changes"] == {}
    run(state="stopped")
    assert run(state="maintenance")[0]["changes"] == {}
    assert "lxc.start.auto = 0" in lxc.config.read_text()


def test_without_lxc_it_is_an_error_that_says_so(lxc, run, monkeypatch):
    monkeypatch.setattr(salt.utils.path, "which", lambda program: None)
    ret, commands = run()
    assert (ret["result"], ret["comment"], commands) == (False, "vm-7: LXC is not installed here (lxc-start)", [])


def test_what_others_have_made_is_left_alone(lxc, run):
    lxc.config.parent.mkdir(parents=True)
    lxc.config.write_text("lxc.uts.name = x\n")
    ret, commands = run()
    assert (ret["result"], commands) == (False, [])
    assert "a container of this name is there already" in ret["comment"]
    lxc.name = "vm-8"
    run(domain="vm-8")
    ret, _ = run(domain="vm-9")
    assert "the container is called vm-8 and not vm-9" in ret["comment"]


@pytest.mark.parametrize("name, domain", [("--all", "vm-7"), (uuid(1), "--all"), (uuid(1), "vm-7\n"), (uuid(1), "../x")])
def test_what_is_no_name_of_ours_reaches_no_command(lxc, run, name, domain):
    ret, commands = run(name=name, domain=domain)
    assert (ret["result"], commands, lxc.path.exists()) == (False, [], False)


def directory(seed, group=1000000):
    return os.path.basename(virtapi_seed_files.directory(uuid(1), seed, group))


def test_a_seed_is_written_once_for_its_contents(lxc, run, seeds):
    place, owners = seeds
    ret, _ = run(test=True, seed=FIRST)
    assert (sorted(ret["changes"]), place.exists()) == (["container", "seed", "state"], False)
    ret, _ = run(seed=FIRST)
    digest = virtapi_seed_files.digest(FIRST)
    assert (ret["result"], ret["changes"]["seed"]) == (True, {"old": "none", "new": digest})
    assert os.listdir(str(place)) == [directory(FIRST)]
    found = place / directory(FIRST)
    assert {path.name: path.read_bytes().decode() for path in found.iterdir()} == FIRST
    assert ({path.stat().st_mode & 0o777 for path in found.iterdir()}, found.stat().st_mode & 0o777) == ({0o640}, 0o750)
    assert (place.stat().st_mode & 0o777, owners) == (0o711, dict.fromkeys(["files", *FIRST], (0, 1000000)))
    assert run(seed=FIRST)[0]["changes"] == {}


def test_a_seed_that_is_lost_is_written_again(run, seeds):
    place, _ = seeds
    run(seed=FIRST)
    found = place / directory(FIRST)
    for path in found.iterdir():
        path.unlink()
    found.rmdir()
    (place / (uuid(1) + ".unfinished")).mkdir()
    # Another machine's.
    other = place / directory(FIRST).replace(uuid(1), uuid(2))
    other.mkdir()
    ret, commands = run(seed=FIRST)
    assert (list(ret["changes"]), ret["changes"]["seed"]["old"], commands) == (["seed"], "its directory is lost", [])
    assert sorted(os.listdir(str(place))) == sorted([found.name, other.name])


def test_another_seed_waits_for_the_next_start(run, seeds):
    place, _ = seeds
    run(seed=FIRST, restarts=1)
    ret, commands = run(seed=SECOND, restarts=1)
    assert (sorted(ret["changes"]), commands) == (["config", "seed"], [])
    again, _ = run(seed=SECOND, restarts=1)
    assert again["changes"] == {}
    for each in (ret, again):
        assert each["warnings"] == ["vm-7: restart needed: its seed changes"]
    assert sorted(os.listdir(str(place))) == sorted([directory(FIRST), directory(SECOND)])
    ret, _ = run(seed=SECOND, restarts=2)
    assert (sorted(ret["changes"]), os.listdir(str(place))) == (["config", "restarts"], [directory(SECOND)])
    assert run(seed=SECOND, restarts=2)[0]["changes"] == {}
    # None any more.
    assert run(restarts=2)[0]["warnings"] == ["vm-7: restart needed: its seed changes"]
    assert os.listdir(str(place)) == [directory(SECOND)]
    ret, _ = run(restarts=2, state="stopped")
    assert (sorted(ret["changes"]), os.listdir(str(place))) == (["config", "state"], [])


def test_what_is_not_in_the_pillar_is_an_error(lxc, run, opts):
    run(seed=FIRST)
    before = lxc.config.read_text()
    ret, commands = run(name=uuid(2), seed={}, domain="vm-8")
    assert ret["result"] is True
    ret, commands = run(seed={"../x": ""})
    assert (ret["result"], ret["comment"], commands) == (False, "vm-7: the pillar does not have its seed", [])
    assert lxc.config.read_text() == before


def test_a_seed_that_cannot_be_written_changes_nothing(lxc, run, seeds, monkeypatch):
    run(seed=FIRST)
    before = lxc.config.read_text()

    def refuse(path, *owner):
        raise OSError("no")

    monkeypatch.setattr(os, "chown", refuse)
    ret, commands = run(seed=SECOND, cores=3)
    assert (ret["result"], ret["changes"], ret["comment"], commands) == (False, {}, "no", [])
    assert (lxc.config.read_text(), os.listdir(str(seeds[0]))) == (before, [directory(FIRST)])


@pytest.mark.parametrize("mounted, gone", [([True, False], True), ([True, True], False)], ids=["let go of meanwhile", "kept"])
def test_a_root_that_cannot_be_unmounted_stays_unless_it_is_mounted_no_more(lxc, run, opts, monkeypatch, mounted, gone):
    run()
    root = lxc.path / NAME / "rootfs"
    root.mkdir(exist_ok=True)
    functions = salt.loader.minion_mods(opts)

    def refuse(functions, *words):
        assert words == ("umount", str(root))
        raise CommandExecutionError("umount: no")

    monkeypatch.setattr(virtapi_command, "run", refuse)
    monkeypatch.setattr(os.path, "ismount", lambda place: mounted.pop(0))
    if gone:
        functions["virtapi_lxc.undefine"](NAME, str(lxc.path))
    else:
        with pytest.raises(CommandExecutionError):
            functions["virtapi_lxc.undefine"](NAME, str(lxc.path))
    assert root.exists() is not gone
