"""What becomes of a machine's seed, as Salt's own loader loads the modules; without a hypervisor."""

import json
import os

import pytest
import test_states
import virtapi_command
import virtapi_seed_files
from salt.exceptions import CommandExecutionError
from test_states import changed, states, uuid, vm

SECRET = "correct horse battery staple"
FIRST = {"meta-data": "instance-id: ä\n", "user-data": "#!/bin/sh\n" + SECRET}
SECOND = dict(FIRST, **{"meta-data": "instance-id: b\n"})


class Hypervisor(test_states.Hypervisor):
    """One that builds images as well: as JSON, which can be read again."""

    fails = None

    def run(self, functions, *words, secret=False):
        if self.fails and self.fails in words:
            raise CommandExecutionError(words[0] + ": no")
        if words[0] == "virsh" and {"define", "change-media"} & set(words):
            self.commands.append(words)
            return ""
        if words[0] != "xorrisofs":
            return super().run(functions, *words)
        self.commands.append(words)
        image, directory = words[words.index("-output") + 1], words[-1]
        assert os.stat(os.path.dirname(directory)).st_mode & 0o777 == 0o700
        files = {}
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), encoding="utf-8", newline="") as file:
                files[name] = file.read()
        with open(image, "w", encoding="utf-8") as file:
            json.dump(files, file)
        return ""


@pytest.fixture
def hypervisor(monkeypatch):
    hypervisor = Hypervisor()
    monkeypatch.setattr(virtapi_command, "run", hypervisor.run)
    return hypervisor


@pytest.fixture
def seeds(tmp_path, monkeypatch):
    """The directory of seeds, which nobody has made yet."""
    monkeypatch.setattr(virtapi_seed_files, "DIRECTORY", str(tmp_path / "seeds"))
    return tmp_path / "seeds"


@pytest.fixture
def apply(opts, states):
    """Converge one machine whose seed is in the pillar."""

    def call(seed, test=False, names=None, **other):
        opts["pillar"] = {"virtapi": {"hypervisor": {"vms": {uuid(1): {"seed": seed}}}}}
        run = states(test=test)
        run["virtapi_domain.mod_init"]({})
        wanted = changed(seed=seed and (names or sorted(seed)), **other)
        result = run["virtapi_domain.present"](uuid(1), wanted, accelerate=False)
        assert SECRET not in json.dumps(result)
        return result

    return call


def image(seed):
    return os.path.basename(virtapi_seed_files.path(uuid(1), seed))


def test_an_image_is_built_once_for_its_contents(hypervisor, seeds, apply):
    hypervisor.vms = {uuid(1): vm(seed=FIRST)}
    result = apply(FIRST, test=True)
    assert (result["result"], seeds.exists()) == (None, False)
    result = apply(FIRST)
    assert (result["result"], sorted(result["changes"])) == (True, ["seed"]), result
    assert os.listdir(str(seeds)) == [image(FIRST)]
    path = seeds / image(FIRST)
    assert json.loads(path.read_text(encoding="utf-8")) == FIRST
    assert (path.stat().st_mode & 0o777, seeds.stat().st_mode & 0o777) == (0o600, 0o711)
    hypervisor.commands.clear()
    assert apply(FIRST)["changes"] == {}
    assert all(words[0] == "virsh" for words in hypervisor.commands)


def test_what_cloud_init_needs_is_there(hypervisor, seeds, apply):
    hypervisor.vms = {uuid(1): vm()}
    apply({"network-config": "{}"})
    found = json.loads((seeds / image({"network-config": "{}"})).read_text(encoding="utf-8"))
    assert found == {"meta-data": "", "user-data": "", "network-config": "{}"}


def test_another_seed_is_defined_and_put_into_the_drive(hypervisor, seeds, apply):
    hypervisor.vms = {uuid(1): vm(seed=FIRST)}
    apply(FIRST)
    hypervisor.commands.clear()
    result = apply(SECOND)
    old, new = (virtapi_seed_files.digest(seed) for seed in (FIRST, SECOND))
    assert result["changes"] == {"seed": {"old": old, "new": new}}
    assert "warnings" not in result
    path = virtapi_seed_files.path(uuid(1), SECOND)
    assert ("virsh", "-q", "-c", "qemu:///system", "change-media", uuid(1), "hda", path, "--update", "--live") in hypervisor.commands
    assert SECRET not in str(hypervisor.commands)
    # What runs has the old one yet, as this hypervisor tells it.
    assert sorted(os.listdir(str(seeds))) == sorted([image(FIRST), image(SECOND)])
    hypervisor.vms = {uuid(1): vm(seed=SECOND)}
    assert apply(SECOND)["changes"] == {"seed": {"old": "with images that it had before", "new": new}}
    assert (os.listdir(str(seeds)), apply(SECOND)["changes"]) == ([image(SECOND)], {})


def test_a_guest_that_holds_its_seed_keeps_it(hypervisor, seeds, apply):
    hypervisor.vms = {uuid(1): vm(seed=FIRST)}
    hypervisor.fails = "change-media"
    result = apply(SECOND)
    assert (result["result"], result["warnings"]) == (True, ["vm-7: restart needed: its seed changes: virsh: no"])


def test_one_that_is_saved_keeps_the_image_that_it_had(hypervisor, seeds, apply, monkeypatch):
    hypervisor.vms = {uuid(1): vm(seed=FIRST)}
    apply(FIRST)
    asked = hypervisor.virsh
    monkeypatch.setattr(hypervisor, "virsh", lambda command: "shut off (saved)\n\n" if "domstate" in command else asked(command))
    assert apply(SECOND, state="maintenance")["result"] is True
    assert sorted(os.listdir(str(seeds))) == sorted([image(FIRST), image(SECOND)])


def test_none_any_more(hypervisor, seeds, apply):
    hypervisor.vms = {uuid(1): vm(seed=FIRST)}
    apply(FIRST)
    result = apply(None)
    assert result["changes"]["seed"]["new"] == "none"
    assert ("change-media", uuid(1), "hda", "--eject", "--live") in [words[4:] for words in hypervisor.commands]


def test_an_image_that_cannot_be_built_leaves_the_machine_as_it_is(hypervisor, seeds, apply):
    hypervisor.vms = {uuid(1): vm(seed=FIRST)}
    hypervisor.fails = "-volid"
    result = apply(SECOND, cores=2, state="stopped")
    assert (result["result"], result["changes"], result["comment"]) == (False, {}, "xorrisofs: no")
    assert os.listdir(str(seeds)) == []
    assert not [words for words in hypervisor.commands if {"define", "shutdown", "destroy", "change-media"} & set(words)]


@pytest.mark.parametrize(
    "seed, names",
    [
        ({"../etc/x": SECRET}, None),
        ({"User": SECRET}, None),
        ({"user-data": [SECRET]}, None),
        (FIRST, ["user-data"]),
        ([SECRET], None),
    ],
)
def test_what_is_no_seed_touches_nothing(hypervisor, seeds, apply, seed, names):
    hypervisor.vms = {uuid(1): vm()}
    result = apply(seed, names=names)
    assert (result["result"], result["comment"]) == (False, "vm-7: the pillar does not have its seed")
    assert (seeds.exists(), hypervisor.commands and [words for words in hypervisor.commands if "define" in words]) == (False, [])


def test_another_run_has_left_its_work(hypervisor, seeds, apply):
    hypervisor.vms = {uuid(1): vm(seed=FIRST)}
    (seeds / (uuid(1) + ".unfinished") / "files").mkdir(parents=True)
    (seeds / (uuid(2) + ".unfinished")).mkdir()
    assert apply(FIRST)["result"] is True
    assert sorted(os.listdir(str(seeds))) == sorted([image(FIRST), uuid(2) + ".unfinished"])
