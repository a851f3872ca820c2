"""A real server beside a node of the lab, in its namespaces, and the agent that runs Puppet or Salt when it hears of a change."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from lab_node import ROOT, wait_until

VIRTAPI = os.environ.get("VIRTAPI", str(ROOT / "target/debug/virtapi"))


class LabServer:
    """`virtapi serve` with a private Postgres, and these settings besides; what it is asked is asked from inside."""

    def __init__(self, node, address="127.0.0.1", *settings):
        self.node = node
        self.url = f"http://{address}:8000"
        self._cleanups = contextlib.ExitStack()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="virtapi-lab-server-"))
        # Its Postgres runs as another user.
        self.dir.chmod(0o755)
        self._cleanups.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self._start(node, "serve", "--address", address, "--port", "8000", "--data-dir", self.dir / "data", *settings)
        wait_until(lambda: node.run("curl", "-sf", f"{self.url}/ready", check=False) != "", 60, "the server")
        self.token = (self.dir / "data/admin-token").read_text(encoding="utf-8").strip()

    def _start(self, node, *words):
        """Runs the program on a node until the end of the test, and ends it in good order."""
        with open(self.dir / f"{words[0]}-{node.certname}.log", "w", encoding="utf-8") as log:
            process = subprocess.Popen(node.command(VIRTAPI, *words), stdout=log, stderr=subprocess.STDOUT)

        def end():
            process.send_signal(signal.SIGTERM)
            process.wait(60)

        self._cleanups.callback(end)

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

    def post(self, collection, **body):
        return self.ask("POST", f"/v1/{collection}", body)

    def new_token(self, **whose):
        """The secret of a new token."""
        token = self.post("tokens", **whose)
        return self.ask("POST", f"/v1/tokens/{token['id']}/secret")["secret"]

    def _token_of(self, node):
        """The node's own, and the file that it is in."""
        secret = self.new_token(name=f"agent of {node.certname}", node=node.certname, scope="documents")
        path = self.dir / f"token-{node.certname}"
        path.write_text(secret, encoding="utf-8")
        path.chmod(0o600)
        return secret, path

    def start_agent(self, node=None, classes="virtapi, virtapi::hypervisor", interval=1800):
        """The node's own token, Hiera and reports with it, and an agent that waits, and runs Puppet."""
        node = node or self.node
        secret, path = self._token_of(node)
        place = node.environment
        level = {"name": "virtapi", "data_hash": "virtapi::data", "uri": f"{self.url}/puppet/hiera/%{{trusted.certname}}",
                 "options": {"token_file": str(path)}}
        site = {"name": "site", "data_hash": "json_data", "path": "site.json"}
        hierarchy = {"version": 5, "defaults": {"datadir": "data"}, "hierarchy": [level, site]}
        (place / "hiera.yaml").write_text(json.dumps(hierarchy), encoding="utf-8")
        (place / "site.pp").write_text(f"include {classes}", encoding="utf-8")
        # Reports can be sent with nothing but a password, which is no word of a command: those are seen and logged.
        reports = self.url.replace("://", f"://node:{secret}@") + "/puppet/reports"
        (node.dir / "conf").mkdir(exist_ok=True)
        (node.dir / "conf/puppet.conf").write_text(f"[main]\nreport = true\nreports = http\nreporturl = {reports}\n", encoding="utf-8")
        self._agent(node, path, interval, "0,2", "puppet",
                    *node.puppet_words("apply", "--detailed-exitcodes", place / "site.pp"))

    def start_salt_agent(self, node=None, interval=1800):
        """The same with Salt, of a `SaltNode`: pillar and returns with the node's own token."""
        node = node or self.node
        _, path = self._token_of(node)
        node.pull(self.url, path)
        self._agent(node, path, interval, "0", *node.salt_words())

    def _agent(self, node, token_file, interval, success, *command):
        self._start(node, "agent", "--url", self.url, "--node", node.certname, "--token-file", token_file, "--splay", "0",
                    "--interval", interval, "--success", success, "--", *command)
