"""Puppet with everything of its own in a temporary directory: settings, code, state and the module under test."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Seconds for a question: enough for a busy machine, short enough to wait for.
TIMEOUT = 5
VIRTAPI = os.environ.get("VIRTAPI", str(ROOT / "target/debug/virtapi"))


class Sandbox:
    """A place to run Puppet in; `environment` holds its one environment, production."""

    def __init__(self, certname):
        self.certname = certname
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="virtapi-puppet-"))
        self.applied = self.dir / "applied"
        self.environment = self.dir / "code/environments/production"
        (self.environment / "manifests").mkdir(parents=True)
        (self.dir / "code/modules").mkdir()
        (self.dir / "code/modules/virtapi").symlink_to(ROOT / "puppet")
        (self.environment / "data").mkdir()
        # This machine is neither a hypervisor nor a storage node.
        self.settings({})
        self.site("")
        self._reports = []

    def remove(self):
        shutil.rmtree(self.dir)

    def site(self, manifest):
        """The site manifest; it always writes a file, which tells whether a catalog was applied."""
        text = f"file {{ '{self.applied}': content => 'applied' }}\n{manifest}"
        (self.environment / "manifests/site.pp").write_text(text, encoding="utf-8")

    def settings(self, settings):
        """What the site sets itself in Hiera."""
        nothing = {"virtapi::hypervisor::manage": False, "virtapi::ceph::manage": False}
        (self.environment / "data/site.json").write_text(json.dumps({**nothing, **settings}), encoding="utf-8")

    def hiera(self, *levels):
        """The hierarchy's levels, and below them what the site sets itself."""
        levels = [*levels, {"name": "site", "data_hash": "json_data", "datadir": "data", "path": "site.json"}]
        lines = ["version: 5", "hierarchy:"]
        for level in levels:
            # JSON is YAML, and needs no care with quotes.
            lines.append(f"  - {json.dumps(level)}")
        (self.environment / "hiera.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def enc(self, url, *flags):
        """Classify by `virtapi enc`."""
        (self.dir / "enc.toml").write_text(
            f'url = "{url}"\ntimeout = {TIMEOUT}\ncache_dir = "{self.dir}/copies"\n', encoding="utf-8")
        words = [VIRTAPI, "enc", "--config", str(self.dir / "enc.toml"), *flags]
        self._enc = ["--node_terminus", "exec", "--external_nodes", " ".join(words)]

    def report(self, url):
        """Send reports there, as `reports = http` does."""
        self._reports = ["--report", "--reports", "http", "--reporturl", url]

    def _run(self, *words):
        self.applied.unlink(missing_ok=True)
        settings = ["--confdir", self.dir / "conf", "--codedir", self.dir / "code", "--vardir", self.dir / "var",
                    "--certname", self.certname, "--color", "false"]
        environment = {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        return subprocess.run(["puppet", *map(str, [*words, *settings, *self._enc, *self._reports])], env=environment, timeout=120,
                              capture_output=True, encoding="utf-8", check=False)

    def compile(self):
        """The catalog, as resources by reference."""
        run = self._run("catalog", "compile", self.certname, "--facts_terminus", "facter", "--render-as", "json")
        if run.returncode != 0:
            raise AssertionError(run.stdout + run.stderr)
        catalog = json.loads(run.stdout[run.stdout.index("{"):])
        return {f"{resource['type']}[{resource['title']}]": resource for resource in catalog["resources"]}, catalog

    def apply(self, *flags):
        """Apply for real; returns the exit status and what was said."""
        run = self._run("apply", "--detailed-exitcodes", *flags, self.environment / "manifests")
        return run.returncode, run.stdout + run.stderr
