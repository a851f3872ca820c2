"""Asks the server everything that its description says can be asked, and much that it says cannot, as each role: it
never fails, answers only as described, and knows nobody who does not say who it is. scripts/setup-schemathesis installs
what this needs; `make schemathesis` runs it."""
import argparse
import os
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/agents"))

from puppet_server import Server  # noqa: E402 (it is beside the tests of the agents)

PROGRAM = ROOT / "target/tools/schemathesis/bin/schemathesis"
NODE, ORGANIZATION = "hv01.example.com", "acme"

# Who asks, and the holder of its token; nobody has none.
ROLES = {
    "administrator": {"user": "admin"},
    "operator": {"user": {"name": "role", "account_type": "person", "state": "active", "role": "operator"}},
    "auditor": {"user": {"name": "role", "account_type": "person", "state": "active", "role": "auditor"}},
    "owner": {"user": "owner"},
    "viewer": {"user": "viewer"},
    "node": {"node": NODE},
    "compiler": {"compiler": {"name": "puppet.example.com", "serves": "all"}},
    "nobody": None,
}

PHASES = ["examples", "coverage", "fuzzing", "stateful"]

# Checks that say nothing here, and why.
LEFT_OUT = {
    # A body that fits every schema may break a rule over several fields, name what is not there, or be forbidden.
    "positive_data_acceptance": "what a description cannot say is refused as well",
}


class Asked:
    """A server with a fleet and a customer, and a token for a role."""

    def __init__(self, role):
        self._server = Server()
        self._server.start()
        self.url = self._server.url
        post = self._server.post
        post("nodes", fqdn=NODE, state="running")
        post("organizations", name=ORGANIZATION)
        post("environments", organization=ORGANIZATION, name="shop")
        for name in ("owner", "viewer"):
            user = {"name": name, "account_type": "person", "state": "active"}
            post("memberships", organization=ORGANIZATION, user=user, role=name)
        self.token = None
        if ROLES[role]:
            token = post("tokens", name=role, scope="all", **ROLES[role])
            self.token = self._server.write("POST", f"/v1/tokens/{token['id']}/secret")["secret"]

    def knows(self):
        """Whether the token is still good."""
        request = urllib.request.Request(f"{self.url}/v1", headers={"Authorization": f"Bearer {self.token}"})
        try:
            urllib.request.urlopen(request).close()
        except urllib.error.HTTPError as error:
            return error.code != 401
        return True

    def remove(self):
        self._server.remove()


def ask(role, options):
    """Ask as a role; returns whether all was well."""
    asked = Asked(role)
    try:
        # Each has its own time: the first ones would leave nothing for those after them.
        well = [phase_is_well(asked, role, phase, options) for phase in options.phases]
        known = asked.token is None or asked.knows()
        if not known:
            print(f"{role}: its token was taken away, so it has not asked everything", file=sys.stderr)
        return all(well) and known
    finally:
        asked.remove()


def phase_is_well(asked, role, phase, options):
    """Ask in one of the ways in which schemathesis makes up what to ask."""
    print(f"{role}: {phase}", flush=True)
    words = [PROGRAM, "run", ROOT / "openapi.json", "--url", asked.url, "--phases", phase, "--checks", "all",
             "--exclude-checks", ",".join(LEFT_OUT), "--continue-on-failure", "--no-color",
             "--max-examples", options.examples, "--max-time", options.seconds, "--seed", options.seed,
             "--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off",
             "--report", "json", "--report-json-path", options.reports / f"{role}-{phase}.json"]
    if asked.token:
        words += ["--header", f"Authorization: Bearer {asked.token}"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(ROOT / "tests/schemathesis")}
    return subprocess.run([str(word) for word in words], env=environment, cwd=options.reports, check=False).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roles", nargs="*", default=list(ROLES), help=", ".join(ROLES))
    parser.add_argument("--examples", default="20", help="for each operation")
    parser.add_argument("--seconds", default="20", help="for each role and phase")
    parser.add_argument("--phases", type=lambda text: text.split(","), default=PHASES)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--reports", type=pathlib.Path, default=ROOT / "target/schemathesis")
    options = parser.parse_args()
    options.reports.mkdir(parents=True, exist_ok=True)
    failed = [role for role in options.roles if not ask(role, options)]
    if failed:
        sys.exit(f"not well answered: {', '.join(failed)}; see {options.reports}")


if __name__ == "__main__":
    main()
