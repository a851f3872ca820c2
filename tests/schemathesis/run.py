"""Asks the server everything that its description says can be asked, and much that it says cannot, as each role: it
never fails, answers only as described, and knows nobody who does not say who it is. What it answers is asked about
again, by the links of the description. scripts/setup-schemathesis installs what this needs; `make schemathesis` runs it
for long, each time with another seed, which is no test but a search."""
import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import subprocess
import sys
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/agents"))

from objects import NUMBERS, examples, of_customer, with_own_names  # noqa: E402 (so that it is found like the next one)
from puppet_server import Server  # noqa: E402 (it is beside the tests of the agents)

PROGRAM = ROOT / "target/tools/schemathesis/bin/schemathesis"
NODE, ORGANIZATION, ENVIRONMENT = "hv01.example.com", "acme", "acme/shop"
# Who is in the organization, with the role of the same name.
CUSTOMERS = ("owner", "member", "viewer")


def staff(role):
    """A user with a role."""
    return {"user": {"name": "role", "account_type": "person", "state": "active", "role": role}}


# Who asks, and the holder of its token; nobody has none.
ROLES = {
    "administrator": {"user": "admin"},
    "operator": staff("operator"),
    "auditor": staff("auditor"),
    **{role: {"user": role} for role in CUSTOMERS},
    "node": {"node": NODE},
    "compiler": {"compiler": {"name": "puppet.example.com", "serves": "all"}},
    "nobody": None,
}

PHASES = ["examples", "coverage", "fuzzing", "stateful"]

# What a customer has of its own.
OF_CUSTOMERS = ["environments", "memberships", "snapshots", "teams", "vms", "volumes"]
# Of how many collections links are followed at once: of all, the first requests would be nothing but lists and creations.
SHARE = 6

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
        try:
            self._fill()
            self.token = self._issue(role) if ROLES[role] else None
        except BaseException:
            self.remove()
            raise

    def _fill(self):
        """One of each kind, also of what a customer can have."""
        post = self._server.post
        post("nodes", fqdn=NODE, state="running")
        post("organizations", name=ORGANIZATION)
        post("environments", organization=ORGANIZATION, name=ENVIRONMENT.split("/")[1])
        for name in CUSTOMERS:
            user = {"name": name, "account_type": "person", "state": "active"}
            post("memberships", organization=ORGANIZATION, user=user, role=name)
        for path, example in examples().items():
            # No token: the one that is asked with has the id that `hooks` keeps.
            if path == "/v1/tokens":
                continue
            self._server.write("POST", path, with_own_names(example, next(NUMBERS)))
            if path in ("/v1/vms", "/v1/volumes", "/v1/snapshots"):
                own = of_customer(path, with_own_names(example, next(NUMBERS)), ORGANIZATION, ENVIRONMENT)
                self._server.write("POST", path, own)

    def _issue(self, role):
        token = self._server.post("tokens", name=role, scope="all", **ROLES[role])
        return self._server.write("POST", f"/v1/tokens/{token['id']}/secret")["secret"]

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
    """Ask as a role; returns what was wrong."""
    asked = Asked(role)
    try:
        # Each has its own time: the first ones would leave nothing for those after them.
        ways = [(phase, share) for phase in options.phases for share in shares(role, phase, options)]
        wrong = [problem for phase, share in ways for problem in ask_in(asked, role, phase, share, options)]
        if asked.token and not asked.knows():
            wrong.append(f"{role}: its token was taken away, so it has not asked everything")
        return wrong
    finally:
        asked.remove()


def shares(role, phase, options):
    """Whose links to follow, one share after the other; the other phases have none of their own."""
    if phase != "stateful":
        return [[]]
    of_all = [path.removeprefix("/v1/") for path in examples()]
    collections = list(OF_CUSTOMERS if role in CUSTOMERS else of_all)
    random.Random(f"{options.seed} {role}").shuffle(collections)
    return [collections[first:first + SHARE] for first in range(0, len(collections), SHARE)][:options.shares]


def ask_in(asked, role, phase, share, options):
    """Ask in one of the ways in which schemathesis makes up what to ask; returns what was wrong."""
    log = options.reports / f"{'-'.join([role, phase, *share[:1]])}.log"
    words = [PROGRAM, "--config-file", HERE / "schemathesis.toml", "run", ROOT / "openapi.json", "--url", asked.url,
             "--phases", phase, "--checks", "all", "--exclude-checks", ",".join(LEFT_OUT), "--continue-on-failure",
             "--no-color", "--max-examples", options.examples, "--max-time", options.seconds, "--seed", options.seed,
             "--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off",
             "--report", "json", "--report-json-path", log.with_suffix(".json")]
    if share:
        words += ["--include-path-regex", rf"^/(v1/({'|'.join(share)})(/|$)|history/\{{kind|puppet|node|salt)"]
    if asked.token:
        words += ["--header", f"Authorization: Bearer {asked.token}"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE),
                   "BEGIN_AT": str(list(ROLES).index(role) / len(ROLES)),
                   "CUSTOMER": f"{ORGANIZATION},{ENVIRONMENT}" if role in CUSTOMERS else ""}
    done = subprocess.run([str(word) for word in words], env=environment, cwd=options.reports, check=False,
                          capture_output=True, text=True)
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    said = f"{role}: {phase}: {number(r'([0-9]+) generated', done.stdout)} requests"
    wrong = []
    if phase == "stateful":
        followed, known = (number(rf"Links:.* ([0-9]+) {word}", done.stdout) for word in ("covered", "selected"))
        said += f", {followed} of {known} links followed: {', '.join(share)}"
        # Who reads no objects is told nothing from which a link could lead on.
        if (followed > 0) != ("user" in (ROLES[role] or {})):
            wrong.append(f"{role}: {followed} links were followed")
    print(said, flush=True)
    if done.returncode != 0:
        print(done.stdout, done.stderr, flush=True)
        wrong.append(f"{role}: {phase}: see {log}")
    return wrong


def number(pattern, text):
    """The number that stands in a text."""
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roles", nargs="*", default=list(ROLES), help=", ".join(ROLES))
    parser.add_argument("--examples", default="5", help="for each operation")
    parser.add_argument("--seconds", default="8", help="for each role and phase")
    parser.add_argument("--shares", type=int, default=1, help=f"of how many times {SHARE} collections to follow links")
    parser.add_argument("--phases", type=lambda text: text.split(","), default=PHASES)
    parser.add_argument("--seed", default="1", help="a number, or `random`")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many roles ask at once")
    parser.add_argument("--reports", type=pathlib.Path, default=ROOT / "target/schemathesis")
    options = parser.parse_args()
    if options.seed == "random":
        options.seed = str(random.randrange(2**32))
    print(f"seed {options.seed}", flush=True)
    options.reports.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        wrong = [problem for found in pool.map(lambda role: ask(role, options), options.roles) for problem in found]
    if wrong:
        sys.exit("not well answered:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
