"""A real server beside a node of the lab, in its namespaces, and the agent that runs Puppet or Salt when it hears of a change."""
import atexit
import contextlib
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile

from lab_node import wait_until
from lab_puppet import VIRTAPI

# What the agent says when a run of its tool begins, and when it has ended, well or not.
BEGINS, ENDS = ("the command runs",), ("the command has ", "the command was ended")


class LabServer:
    """`virtapi serve` with a private Postgres, and these settings besides; what it is asked is asked from inside."""

    def __init__(self, node, address="127.0.0.1", *settings):
        self.node = node
        self.url = f"http://{address}:8000"
        self._serving, self._agents = [], {}
        self._cleanups = contextlib.ExitStack()
        # As for a node: unittest does not clean up when it is ended.
        atexit.register(self.remove)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="virtapi-lab-server-"))
        # Its Postgres runs as another user.
        self.dir.chmod(0o755)
        self._cleanups.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self._words = ["serve", "--address", address, "--port", "8000", "--data-dir", self.dir / "data", *settings]
        self._cleanups.callback(self.stop)
        self._cleanups.callback(self.stop_agents)
        self.start()
        self.token = (self.dir / "data/admin-token").read_text(encoding="utf-8").strip()

    def start(self):
        self._serving = [self._start(self.node, *self._words)]
        wait_until(lambda: self.node.run("curl", "-sf", f"{self.url}/ready", check=False) != "", 300, "the server")

    def stop(self):
        """In good order. What it has kept is there at its next start."""
        self._end(*self._serving)

    def _start(self, node, *words):
        """Runs the program on a node."""
        with open(self._log(words[0], node), "a", encoding="utf-8") as log:
            return subprocess.Popen(node.command(VIRTAPI, *words), stdout=log, stderr=subprocess.STDOUT)

    @staticmethod
    def _end(*processes):
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(300)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise

    def _log(self, what, node):
        return self.dir / f"{what}-{node.certname}.log"

    def logs(self):
        """What the server and the agents have said last."""
        return "".join(f"{path.name}:\n{path.read_text(encoding='utf-8')[-5000:]}\n" for path in sorted(self.dir.glob("*.log")))

    def remove(self):
        self._cleanups.close()

    def ask(self, method, path, body=None, token=None):
        """What the server answers to the administrator, or to whom this token is; anything but success is an error."""
        words = ["-X", method, "-H", f"Authorization: Bearer {token or self.token}", "-H", "Content-Type: application/json"]
        if body is not None:
            words += ["--data-binary", json.dumps(body)]
        text = self.node.run("curl", "-sS", "--fail-with-body", *words, f"{self.url}{path}")
        return json.loads(text) if text else None

    def read(self, path):
        """The content type and the text that the administrator gets."""
        words = ["-w", "\\n%{content_type}", "-H", f"Authorization: Bearer {self.token}"]
        text, _, content_type = self.node.run("curl", "-sS", "--fail-with-body", *words, f"{self.url}{path}").rpartition("\n")
        return content_type, text

    def post(self, collection, **body):
        return self.ask("POST", f"/v1/{collection}", body)

    def new_token(self, **whose):
        """The secret of a new token."""
        token = self.post("tokens", **whose)
        return self.ask("POST", f"/v1/tokens/{token['id']}/secret")["secret"]

    def _token_of(self, node):
        """The file that the node's own is in."""
        path = self.dir / f"token-{node.certname}"
        if not path.exists():
            path.touch(0o600)
            path.write_text(self.new_token(name=f"agent of {node.certname}", node=node.certname, scope="documents"), encoding="utf-8")
        return path

    def start_agent(self, node=None, interval=1800):
        """The node's own token, what its tool pulls and sends with it, and an agent that waits, and runs that tool."""
        node = node or self.node
        path = self._token_of(node)
        node.pull(self.url, path)
        self._agents[node] = self._start(node, "agent", "--url", self.url, "--node", node.certname, "--token-file", path, "--splay", "0",
                                         "--interval", interval, "--success", node.success, "--", *node.agent_words())

    def stop_agents(self):
        """All of them. A run that is under way comes to its end."""
        self._end(*self._agents.values())
        self._agents.clear()

    def count_in_log(self, node, words):
        """In how many lines of what the node's agent has said any of these words are."""
        lines = self._log("agent", node).read_text(encoding="utf-8").splitlines()
        return sum(any(word in line for word in words) for line in lines)
