"""A hypervisor whose virsh is a stand-in, for tests of what is done to one machine, in which order, and how often."""

import pytest
import virsh_stand_in
import virtapi_command
import virtapi_network_filter
import virtapi_seed_files
from salt.exceptions import CommandExecutionError
from test_plan import interface, machine
from test_states import states, uuid

LOOKS = ("list", "echo", "dumpxml", "domstate", "nwfilter-list")


class Libvirt:
    """The domains of one hypervisor, and the commands that change something."""

    def __init__(self):
        self.domains = {}
        self.filters = {}
        self.commands = []

    def run(self, functions, *words, secret=False):
        assert words[:4] == ("virsh", "-q", "-c", "qemu:///system"), words
        words = [str(word) for word in words[4:]]
        commands = [command.split() for command in words[0].split("; ")] if len(words) == 1 else [words]
        if words[0].split()[0] not in LOOKS:
            self.commands.append(" ".join([words[0]] + [word for word in words if word in ("--live", "--config", "--disable")]))
        try:
            return "".join(virsh_stand_in.answer(self.domains, command, self.filters) for command in commands)
        except virsh_stand_in.Refused as error:
            raise CommandExecutionError(str(error))

    @staticmethod
    def bridges(place, value):
        """Whether the kernel gives bridged packets to its filter."""
        for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            (place / name).write_text(value + "\n", encoding="ascii")


@pytest.fixture
def libvirt(monkeypatch, tmp_path):
    libvirt = Libvirt()
    monkeypatch.setattr(virtapi_command, "run", libvirt.run)
    monkeypatch.setattr(virtapi_seed_files, "DIRECTORY", str(tmp_path / "seeds"))
    monkeypatch.setattr(virtapi_network_filter, "BRIDGES", str(tmp_path))
    libvirt.bridges(tmp_path, "1")
    return libvirt


@pytest.fixture
def apply(libvirt, states):
    """Converge one machine: what Salt says, and the commands."""

    def call(test=False, switch="linux", clusters=None, **other):
        libvirt.commands.clear()
        run = states(test=test)
        run["virtapi_domain.mod_init"]({})
        wanted = machine(**dict({"state": "running", "volumes": [], "interfaces": [interface(1)]}, **other))
        result = run["virtapi_domain.present"](uuid(1), wanted, accelerate=False, switch=switch, clusters=clusters, shutdown_timeout=1)
        return result, list(libvirt.commands)

    return call


@pytest.fixture
def converge(apply):
    """A run that gives these commands, and one that gives none and changes nothing."""

    def call(commands, **other):
        result, asked = apply(**other)
        assert (result["result"], asked) == (True, commands), result
        again, asked = apply(**other)
        assert (again["result"], again["changes"], asked) == (True, {}, []), again
        return result

    return call


FIRST = ["define", "autostart", "start"]
