"""The whole of it as in lab_salt_whole, by a real Salt master on the wire: it compiles what the minions get from what the server says,
gives them modules and states, and tells the server what came of their runs."""
import json
import os
import subprocess

from lab_node import wait_until
from lab_puppet import ROOT
from lab_salt import RELEASES, SaltNode
from lab_salt_whole import QuietStorageNode, SaltHypervisorNode, SaltLab
from lab_whole import SERVER

# Where minions ask it.
PORT = 4506


class SaltMaster:
    """On a node with this address, which asks the server with a compiler's token."""

    def __init__(self, node, server, address):
        token = node.dir / "master-token"
        token.touch(0o600)
        server.post("compilers", name="salt-master", serves="all")
        token.write_text(server.new_token(name="the Salt master", compiler="salt-master", scope="documents"), encoding="utf-8")
        config = {"interface": address, "root_dir": str(node.dir / "master"), "user": "root", "auto_accept": True, "log_level": "warning",
                  "module_dirs": [str(ROOT / "salt/modules")], "file_roots": {"base": [str(ROOT / "salt/formula")]},
                  "virtapi": {"url": server.url, "token_file": str(token)}, "ext_pillar": [{"virtapi": {}}],
                  "master_tops": {"virtapi": {}}, "event_return": ["virtapi"], "event_return_whitelist": ["salt/job/*/ret/*"]}
        directory = node.dir / "master"
        directory.mkdir()
        (directory / "master").write_text(json.dumps(config), encoding="utf-8")
        program = RELEASES / os.environ.get("SALT_RELEASE", "3008") / "bin/salt-master"
        with open(directory / "said", "w", encoding="utf-8") as said:
            self._process = subprocess.Popen(
                node.command(program, "-c", directory), stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1"})
        wait_until(lambda: node.run("ss", "-Hltn", f"sport = :{PORT}") != "", 120, "the Salt master")

    def stop(self):
        self._process.terminate()
        self._process.wait(60)


class Minion(SaltNode):
    """One that has its document, and all that is done with it, from the master."""

    def pull(self, url, token_file):
        """From now on the master says what there is to be; the token is only for who waits for a change."""
        self._source = {"master": SERVER, "file_client": "remote", "module_dirs": [], "acceptance_wait_time": 1,
                        "random_startup_delay": 0}


class StorageMinion(Minion, QuietStorageNode):
    """A storage node."""


class HypervisorMinion(Minion, SaltHypervisorNode):
    """A hypervisor."""


class SaltMasterLab(SaltLab):
    """By a Salt master."""

    storage_class, hypervisor_class = StorageMinion, HypervisorMinion

    def start_agents(self, interval=30):
        self._cleanups.callback(SaltMaster(self.wire, self.server, SERVER).stop)
        # A run that is under way needs the master to come to its end.
        self._cleanups.callback(self.server.stop_agents)
        super().start_agents(interval)
