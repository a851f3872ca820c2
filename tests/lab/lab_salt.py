"""The same hypervisor as in lab_node, converged by a real Salt without a master: `salt-call --local` with this repository's
formula and modules. SALT_RELEASE says which release, where a test does not (3008)."""
import json
import os
import pathlib

from lab_node import Node
from lab_puppet import ROOT

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
RELEASES = pathlib.Path(os.environ.get("VIRTAPI_SALT_DIR", CACHE / "virtapi/salt"))


class SaltRun:
    """What a run of states did."""

    def __init__(self, run):
        self.status = run.returncode
        self.said = run.stdout + run.stderr
        try:
            self.states = json.loads(run.stdout)["local"]
        except (ValueError, KeyError):
            self.states = {}

    def _ids(self, wanted):
        # A run that did not come to states has a list of errors.
        states = self.states.values() if isinstance(self.states, dict) else []
        return sorted(state.get("__id__", "?") for state in states if wanted(state))

    @property
    def changed(self):
        return self._ids(lambda state: state["result"] is True and state["changes"])

    @property
    def would(self):
        return self._ids(lambda state: state["result"] is None)

    @property
    def failed(self):
        return self._ids(lambda state: state["result"] is False)

    def state(self, name):
        """The state with this id."""
        (found,) = (state for state in self.states.values() if state.get("__id__") == name)
        return found

    @property
    def outcome(self):
        """In the server's words."""
        if self.status != 0 or not self.states:
            return "failed"
        return "changed" if self.changed else "unchanged"

    def messages(self, kind):
        """What the server is told of one kind, in the comments of states."""
        comments = [state["comment"] for state in self.states.values() if state["comment"].startswith("virtapi: {")]
        values = [json.loads(comment[len("virtapi: "):]) for comment in comments]
        return [value[kind] for value in values if kind in value]


class Settles:
    """What a test case says of runs on its `node`, where `generation` is that of the document."""

    def settled(self, run):
        """A run that has changed something, after which another finds nothing to do."""
        self.assertEqual((run.status, run.failed), (0, []), run.said)
        self.assertNotEqual(run.changed, [], run.said)
        again = self.node.apply()
        self.assertEqual((again.status, again.changed, again.failed), (0, [], []), again.said)
        self.assertEqual([meta["generation"] for meta in again.messages("applied")], [self.generation], again.said)
        return run


class SaltNode(Node):
    """A hypervisor for Salt."""

    success = "0"

    def _start(self):
        self._site = {}
        self._configuration = {}
        self._source = {}
        super()._start()
        self.release = os.environ.get("SALT_RELEASE", "3008")
        (self.dir / "pillar").mkdir()
        (self.dir / "pillar/top.sls").write_text('{"base": {"*": ["data"]}}', encoding="utf-8")

    def site(self, settings):
        """What the site sets besides the server's data."""
        self._site = {"accelerate": False, **settings}

    def configure(self, **configuration):
        """What is in the minion's configuration besides; the site's settings may be there as well."""
        self._configuration = configuration

    def document(self, document):
        """What the server says."""
        pillar = {"virtapi": document, "virtapi_hypervisor": self._site}
        (self.dir / "pillar/data.sls").write_text("#!json\n" + json.dumps(pillar), encoding="utf-8")

    def returned(self):
        """What a returner was given by the last run with `--return=rawfile_json`."""
        return json.loads((self.dir / "returned").read_text(encoding="utf-8").splitlines()[-1])

    def pull(self, url, token_file):
        """From now on a server says what there is to be, and is told what has become of it."""
        self._source = {"virtapi": {"url": url, "token_file": str(token_file)}, "ext_pillar": [{"virtapi": {}}],
                        "pillar_roots": {"base": []}, "return": "virtapi"}

    def salt_words(self, *words):
        """The command that applies the formula, with all that is its own on this node."""
        config = {"id": self.certname, "file_client": "local", "root_dir": str(self.dir / "salt"), "user": "root",
                  "module_dirs": [str(ROOT / "salt/modules")],
                  "file_roots": {"base": [str(ROOT / "salt/formula")]}, "pillar_roots": {"base": [str(self.dir / "pillar")]},
                  "enable_fqdns_grains": False, "log_level": "quiet", "rawfile_json.filename": str(self.dir / "returned"),
                  **self._configuration, **self._source}
        if self._source:
            # There is no other pillar to have the site's settings in.
            config["virtapi_hypervisor"] = self._site
        (self.dir / "conf").mkdir(exist_ok=True)
        (self.dir / "conf/minion").write_text(json.dumps(config), encoding="utf-8")
        # With a master its tops say which states there are.
        how, states = ([], []) if "master" in self._source else (["--local"], ["virtapi"])
        return [RELEASES / self.release / "bin/salt-call", *how, "-c", self.dir / "conf", "--out=json", "--retcode-passthrough",
                "state.apply", *states, *words]

    def apply(self, *words):
        """Apply the formula."""
        return SaltRun(self.converge_by(self.salt_words(*words), PYTHONWARNINGS="ignore", PYTHONDONTWRITEBYTECODE="1"))

    def agent_words(self):
        return self.salt_words()

    def run_once(self):
        return self.apply()
