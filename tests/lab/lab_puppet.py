"""How Puppet converges a node of the lab: by `puppet apply`, with a document that a test writes, or with what a server says."""
import json
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
VIRTAPI = os.environ.get("VIRTAPI", str(ROOT / "target/debug/virtapi"))


class Run:
    """What a run of Puppet did."""

    def __init__(self, status, said, report):
        self.status = status
        self.said = said
        self.report = report
        self.logs = re.findall(r"(?ms)^- level: (\w+)\n  message: (.*?)\n  source: (.*?)\n", report)

    def messages(self, kind):
        """The messages for the server of one kind, as they are in the report."""
        found = []
        for level, message, _ in self.logs:
            text = " ".join(message.split())
            if text[:1] in "'\"":
                text = text[1:-1].replace("''", "'") if text[0] == "'" else json.loads(text)
            if text.startswith("virtapi: {") and level == "notice":
                value = json.loads(text.removeprefix("virtapi: "))
                if kind in value:
                    found.append(value[kind])
        return found

    @property
    def outcome(self):
        """In the server's words, by the detailed exit code."""
        return {0: "unchanged", 2: "changed"}.get(self.status, "failed")


class Puppet:
    """What a node has of it."""

    # The exit codes of `agent_words` by which the agent knows a run that went well.
    success = "0,2"

    def site(self, settings, **classes):
        """What the site sets besides the server's data: parameters of virtapi::hypervisor, and those of other classes."""
        data = {f"virtapi::hypervisor::{key}": value for key, value in {"accelerate": False, **settings}.items()}
        data.update({f"virtapi::{name}::{key}": value for name, parameters in classes.items() for key, value in parameters.items()})
        (self.environment / "data/site.json").write_text(json.dumps(data), encoding="utf-8")

    def document(self, document):
        """What the server says."""
        data = {f"virtapi::{key}": document[key] for key in ("meta", "node", "roles") if key in document}
        data.update({f"virtapi::hypervisor::{key}": value for key, value in document.get("hypervisor", {}).items()})
        if "ceph" in document:
            ceph = document["ceph"]
            data["virtapi::ceph::clusters"] = ceph["clusters"]
            mon = {"mon_name" if key == "name" else key: value for key, value in (ceph["mon"] or {}).items()}
            data.update({f"virtapi::ceph::mon::{key}": value for key, value in mon.items()})
            if ceph["osds"]:
                data["virtapi::ceph::osd::osds"] = ceph["osds"]
        # Hiera would fill in what the server escapes.
        text = json.dumps(data).replace("%{", "%{literal('%')}{")
        (self.environment / "data/virtapi.json").write_text(text, encoding="utf-8")

    def puppet_words(self, *words):
        """A command of Puppet with all that is its own on this node."""
        return [*words, "--confdir", self.dir / "conf", "--codedir", self.dir / "code", "--vardir", self.dir / "var",
                "--certname", self.certname, "--color", "false"]

    def puppet(self, *words):
        return self.converge_by(["puppet", *self.puppet_words(*words)], LANG="C.UTF-8", LC_ALL="C.UTF-8")

    def apply(self, *flags, manifest="include virtapi, virtapi::hypervisor"):
        site = self.environment / "site.pp"
        site.write_text(manifest, encoding="utf-8")
        report = self.dir / "report.yaml"
        report.unlink(missing_ok=True)
        run = self.puppet("apply", "--detailed-exitcodes", "--exclude_unchanged_resources", "--lastrunreport", report, *flags, site)
        return Run(run.returncode, run.stdout + run.stderr, report.read_text(encoding="utf-8") if report.exists() else "")

    def pull(self, url, token_file):
        """From now on a server says which classes and which data there are, and is sent the reports."""
        level = {"name": "virtapi", "data_hash": "virtapi::data", "uri": f"{url}/puppet/hiera/%{{trusted.certname}}",
                 "options": {"token_file": str(token_file)}}
        site = {"name": "site", "data_hash": "json_data", "path": "site.json"}
        hierarchy = {"version": 5, "defaults": {"datadir": "data"}, "hierarchy": [level, site]}
        (self.environment / "hiera.yaml").write_text(json.dumps(hierarchy), encoding="utf-8")
        self.manifest("")
        # Reports can be sent with nothing but a password, which is no word of a command: those are seen and logged.
        reports = url.replace("://", f"://node:{token_file.read_text(encoding='utf-8')}@") + "/puppet/reports"
        classifier = f"{VIRTAPI} enc --url {url} --token-file {token_file} --cache-dir {self.dir}/classes"
        (self.dir / "conf").mkdir(exist_ok=True)
        (self.dir / "conf/puppet.conf").write_text(
            f"[main]\nreport = true\nreports = http\nreporturl = {reports}\nnode_terminus = exec\nexternal_nodes = {classifier}\n",
            encoding="utf-8")

    def manifest(self, text):
        """What the site has in its catalogs besides the classes that the server names."""
        (self.environment / "site.pp").write_text(text, encoding="utf-8")

    def agent_words(self):
        """The command that its agent runs."""
        return ["puppet", *self.puppet_words("apply", "--detailed-exitcodes", self.environment / "site.pp")]

    def run_once(self):
        """The same by hand; not while an agent is here as well."""
        run = self.converge_by(self.agent_words(), LANG="C.UTF-8", LC_ALL="C.UTF-8")
        return Run(run.returncode, run.stdout + run.stderr, "")

    def resources(self, kind):
        return self.puppet("resource", kind, "--modulepath", self.dir / "code/modules").stdout
