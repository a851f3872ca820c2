#!/usr/bin/env python3
"""Measures virtapi beside nginx and pgbench, in one run on one machine, and prints ratios.

Absolute numbers of a shared machine mean little; every pair is therefore measured in turn, several times, in changing
order, and the ratio is the median over the rounds. Nothing here is a test: no number makes it fail.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

import orders

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = ROOT / "target" / "bench"
SERVER = ROOT / "target" / "dist" / "virtapi"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--vms", type=int, default=100_000)
    parser.add_argument("--few", type=int, default=10_000, help="VMs of the smaller list")
    parser.add_argument("--many", type=int, default=1_000_000, help="VMs of the larger list")
    parser.add_argument("--hypervisors", type=int, default=10_000, help="that orders are placed on")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--only-reports", action="store_true", help="only measure how fast reports are taken in")
    parser.add_argument("--only-orders", action="store_true", help="only measure orders of VMs")
    parser.add_argument("--only-identities", action="store_true", help="only measure what it costs to be known")
    parser.add_argument("--before", metavar="REVISION", help="only measure cached documents, beside a build of this one")
    return parser.parse_args()


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, capture_output=True, **options).stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def build(revision, patch=None):
    """The program as it was shipped at a revision, or as it would be with a patch. It never gets where ours is built."""
    name = run("git", "rev-parse", "--short", revision, cwd=ROOT).strip() + (f"-{patch.stem}" if patch else "")
    source = WORK / "source" / name
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-m"], cwd=source, input=archive, check=True)
    if patch:
        # Within the working tree of a repository git would look for the files there.
        subprocess.run(["git", "apply", patch], cwd=source, check=True, env={**os.environ, "GIT_DIR": source / "none"})
    target = WORK / "target"
    subprocess.run(["cargo", "build", "--locked", "--profile", "dist", "--bin", "virtapi"], cwd=source, check=True,
                   env={**os.environ, "CARGO_TARGET_DIR": str(target)})
    return shutil.copy2(target / "dist" / "virtapi", WORK / f"virtapi-{name}")


class Database:
    """A database of the bench's own cluster."""

    def __init__(self, cluster, name, server=SERVER):
        self.name, self.dsn, self.server = name, f"{cluster} dbname={name}", server
        admin = f"{cluster} dbname=postgres"
        run("psql", admin, "-qc", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", "-c", f"CREATE DATABASE {name}")
        self._virtapi("migrate")
        # The first releases asked nobody who it is.
        self.token = None
        if "--request-rate" in run(server, "serve", "--help"):
            self._virtapi("user", "create", "bench", "--role", "administrator")
            self.token = self._virtapi("token", "create", "bench", "--user", "bench").strip()

    def _virtapi(self, *words):
        return run(self.server, *words, env={**os.environ, "DATABASE_URL": self.dsn})

    def load(self, nodes, vms, interfaces, volumes):
        """Loads a fleet: four of five nodes are hypervisors, the others have OSDs."""
        hypervisors = nodes * 4 // 5
        start, step = time.monotonic(), max(vms // 20, 1)
        common = ["-v", f"hypervisors={hypervisors}", "-v", f"storage={nodes - hypervisors}",
                  "-v", f"interfaces={interfaces}", "-v", f"volumes={volumes}", "-f", HERE / "fleet.sql"]
        run("psql", self.dsn, "-q", "-v", "part=nodes", *common)
        for first in range(1, vms + 1, step):
            last = min(first + step - 1, vms)
            run("psql", self.dsn, "-q", "-v", "part=vms", "-v", f"from={first}", "-v", f"to={last}", *common)
            print(f"\r  {self.name}: {last:,} of {vms:,} VMs", end="", flush=True)
        run("psql", self.dsn, "-qc", "VACUUM ANALYZE")
        took = time.monotonic() - start
        rows = nodes + vms * (1 + interfaces + volumes)
        print(f"\r  {self.name}: {nodes:,} nodes, {vms:,} VMs, {vms * interfaces:,} interfaces, "
              f"{vms * volumes:,} volumes in {took:.0f} s ({rows / took:,.0f} objects/s)")


@contextlib.contextmanager
def served(database, *flags, server=None):
    """A server on this database: its port and pid."""
    port = free_port()
    log = open(WORK / f"virtapi-{port}.log", "w")
    unlimited = ["--request-rate", "0"] if database.token else []
    process = subprocess.Popen([server or database.server, "serve", "--port", str(port), "--log-level", "warn", *unlimited, *flags],
                               env={**os.environ, "DATABASE_URL": database.dsn}, stdout=log, stderr=log)
    try:
        wait(port, process)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        log.close()


def wait(port, process):
    for _ in range(300):
        if process.poll() is not None:
            sys.exit(f"a server ended at its start, see {WORK}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.1)
    sys.exit("a server does not listen")


@contextlib.contextmanager
def nginx(body, content_type):
    """nginx, serving these bytes as a file."""
    port, directory = free_port(), WORK / "nginx"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    (directory / "document").write_bytes(body)
    user = "user root;" if os.getuid() == 0 else ""
    (directory / "nginx.conf").write_text(f"""
        {user} daemon off; worker_processes 2; pid {directory}/pid; error_log {directory}/error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type {content_type};
            open_file_cache max=100; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
            fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
            server {{ listen 127.0.0.1:{port}; root {directory}; }}
        }}""")
    process = subprocess.Popen(["nginx", "-p", directory, "-c", directory / "nginx.conf", "-e", directory / "error.log"])
    try:
        wait(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def wrk(url, seconds, connections=64, script=None, token=None):
    """Requests per second and the 99th percentile in ms."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if token:
        command += ["-H", f"Authorization: Bearer {token}"]
    out = run(*command, *(["-s", script] if script else []), url)
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(f"not every answer of {url} was good:\n{out}")
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def ab(url, seconds, token=None, certificate=None):
    """The same with ApacheBench, which is slower than wrk, and has client certificates. Connections are kept alive."""
    command = ["ab", "-q", "-k", "-c16", f"-t{seconds}", "-n100000000"]
    command += ["-H", f"Authorization: Bearer {token}"] if token else []
    command += ["-E", certificate] if certificate else []
    out = run(*command, url)

    def number(key):
        return float(re.search(rf"^ *{key}[:%]* +([\d.]+)", out, re.M)[1])

    anew = number("Complete requests") - number("Keep-Alive requests")
    if "Non-2xx" in out or number("Failed requests") or anew > 16:
        sys.exit(f"not every answer of {url} was good, or connections were not kept:\n{out}")
    return number("Requests per second"), number("99")


def certificates(certname):
    """Files of an authority, of a server's certificate and its key, and of a client with this name, as one."""
    directory = WORK / "tls"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()

    def openssl(*words):
        run("openssl", *words, cwd=directory)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "7", "-subj", "/CN=bench", "-keyout", "ca.key",
            "-out", "ca.pem")
    for name, subject in (("server", "localhost"), ("client", certname)):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out",
                f"{name}.csr")
        # One without extensions would be of X.509's first version, which rustls does not take.
        (directory / "extensions").write_text(f"subjectAltName = DNS:{subject}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "7",
                "-extfile", "extensions", "-out", f"{name}.pem")
    both = directory / "client-and-key.pem"
    both.write_text((directory / "client.pem").read_text() + (directory / "client.key").read_text())
    return directory, both


def identities(args, fleet, document):
    """What it costs to be known, and to be known over TLS: cached documents from this program, beside the same program
    with `anybody.patch`, which gives the same bytes, checked likewise, to whoever asks."""
    certname = "bench.example"
    # They differ by less than such a machine does from one second to the next: many short rounds, each of both.
    rounds, seconds = 3 * args.rounds, 1
    directory, client = certificates(certname)
    flags = list(map(str, ["--tls-certificate", directory / "server.pem", "--tls-key", directory / "server.key",
                           "--tls-client-ca", directory / "ca.pem"]))
    anybody = build("HEAD", HERE / "anybody.patch")
    with served(fleet) as (plain, _), served(fleet, *flags) as (secure, _), \
            served(fleet, server=anybody) as (open_plain, _), served(fleet, *flags, server=anybody) as (open_secure, _):
        body = json.dumps({"name": "bench", "certname": certname, "serves": "all"}).encode()
        headers = {"Authorization": f"Bearer {fleet.token}", "Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{plain}/v1/compilers", body, headers)).close()
        for path in (document, document.replace("salt/pillar", "puppet/enc")):
            what = f"cached {path.split('/')[2]}"
            row(f"{what} by token : for anybody", *side_by_side(
                rounds, lambda: wrk(f"http://127.0.0.1:{plain}{path}", seconds, token=fleet.token),
                lambda: wrk(f"http://127.0.0.1:{open_plain}{path}", seconds)), ">= 0.9")
            # wrk has no client certificates; ab is slower. 16 connections, kept alive.
            ours, theirs = f"https://127.0.0.1:{secure}{path}", f"https://127.0.0.1:{open_secure}{path}"
            for way, known in (("token", {"token": fleet.token}), ("certificate", {"certificate": client})):
                row(f"{what} by {way} : for anybody, TLS", *side_by_side(
                    rounds, lambda: ab(ours, seconds, **known), lambda: ab(theirs, seconds)), ">= 0.9")
            row(f"{what} by token, TLS : plain", *side_by_side(
                rounds, lambda: ab(ours, seconds, token=fleet.token),
                lambda: ab(f"http://127.0.0.1:{plain}{path}", seconds, token=fleet.token)), "")


def pgbench(dsn, script, seconds, clients):
    """Transactions per second."""
    out = run("pgbench", "-n", "-M", "prepared", f"-c{clients}", "-j1", f"-T{seconds}", "-f", script, dsn)
    return float(re.search(r"tps = ([\d.]+)", out)[1]), float(re.search(r"latency average = ([\d.]+)", out)[1])


def side_by_side(rounds, ours, theirs):
    """Both, in turn: our rate, their rate, the median of the ratios, our p99."""
    mine, other = [], []
    for i in range(rounds):
        for which in ((0, 1) if i % 2 == 0 else (1, 0)):
            (mine, other)[which].append((ours, theirs)[which]())
    ratios = [m[0] / o[0] for m, o in zip(mine, other)]
    rate = [statistics.median(x[0] for x in side) for side in (mine, other)]
    return rate[0], rate[1], statistics.median(ratios), min(ratios), max(ratios), statistics.median(x[1] for x in mine)


def get(port, path, token):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read(), answer.headers.get("Content-Type")


def statements_of(database, port, path, hypervisors):
    """The statements that one request runs, as a pgbench script: taken from Postgres's own log, so they are the same."""
    log = pathlib.Path(os.environ["TEST_PG_DIR"]) / "log"
    run("psql", database.dsn, "-qc", f"ALTER DATABASE {database.name} SET log_min_duration_statement = 0")
    with served(database, "--document-cache", "0") as (fresh, _):
        get(fresh, path, database.token)
        time.sleep(0.2)
        size = log.stat().st_size
        get(fresh, path, database.token)
        time.sleep(0.2)
    run("psql", database.dsn, "-qc", f"ALTER DATABASE {database.name} RESET log_min_duration_statement")
    with open(log) as lines:
        lines.seek(size)
        text = lines.read()
    found = re.findall(r"LOG:  duration: [\d.]+ ms  execute [^:]+: (.*?)(?=\n\d{4}-\d\d-\d\d |\Z)", text, re.S)
    fqdn = "('node' || :id || '.bench.example')"
    # The check of generations asks for many names at once; here for one.
    sql = [re.sub(r"\s+", " ", s).replace("$1::text[]", f"ARRAY[{fqdn}]").replace("$1::text", f"{fqdn}::text")
           .replace("$2::int8[]", "'{}'::int8[]") for s in found]
    # Who asks is known for a second, and is no part of the document.
    kept = [s for s in sql if "$" not in s and "token_secrets" not in s and s.lstrip().startswith(("SELECT", "WITH"))]
    script = WORK / f"{database.name}.pgbench"
    script.write_text(f"\\set id random(1, {hypervisors})\n\\startpipeline\n" + "".join(f"{s};\n" for s in kept) + "\\endpipeline\n")
    return script, len(kept)


def random_nodes(path, hypervisors):
    """A script of wrk that asks for another node each time."""
    script = WORK / f"{path.strip('/').replace('/', '-')}.lua"
    script.write_text(f"math.randomseed(os.time())\nrequest = function()\n"
                      f"  return wrk.format('GET', '{path}/node' .. math.random(1, {hypervisors}) .. '.bench.example')\nend\n")
    return script


def resident(pid):
    """Resident memory, now and at its highest, in MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return [int(re.search(rf"{key}:\s+(\d+)", status)[1]) / 1024 for key in ("VmRSS", "VmHWM")]


def row(what, ours, theirs, ratio, low, high, p99, aim):
    print(f"  {what:<44}{ours:>10,.0f}{theirs:>11,.0f}{ratio:>8.2f}  {low:.2f}-{high:.2f}{p99:>9.1f}   {aim}")


def reports(args, fleet):
    """Reports of Puppet, each of another run, taken in durably: Postgres waits for the disk."""
    sample = (ROOT / "tests" / "samples" / "puppet-report.yaml").read_text()
    run_of_sample = re.search(r"^transaction_uuid: (\S+)$", sample, re.M)[1]
    head, tail = sample.replace("host: hv01.example.com", "host: nodeNODE.bench.example").split(run_of_sample)
    script = WORK / "reports.lua"
    script.write_text(f"""math.randomseed(os.time())
-- Lua leaves out a line's end that follows the brackets.
local head, tail = [==[
{head}]==], [==[
{tail}]==]
local hex = function(n) return string.format('%0' .. n .. 'x', math.random(0, 16 ^ n - 1)) end
request = function()
  local run = hex(8) .. '-' .. hex(4) .. '-4' .. hex(3) .. '-8' .. hex(3) .. '-' .. hex(6) .. hex(6)
  local body = head:gsub('NODE', math.random(1, {args.nodes})) .. run .. tail
  return wrk.format('POST', '/puppet/reports', {{['Content-Type'] = 'application/x-yaml',
    ['Authorization'] = 'Bearer {fleet.token}'}}, body)
end
""")
    with served(fleet) as (port, _):
        rates = [wrk(f"http://127.0.0.1:{port}/", args.seconds, 16, script) for _ in range(args.rounds)]
    rate, late = statistics.median(r for r, _ in rates), statistics.median(p for _, p in rates)
    size = len(sample)
    durable = run("psql", fleet.dsn, "-Atqc", "SHOW fsync").strip()
    print(f"\n  reports of {size:,} B: {rate:,.0f} a second, p99 {late:.0f} ms, fsync {durable} (aim: 1,000 a second)")


def beside(args, cluster, document):
    """Cached documents, from this build and from one of before, each with its own database and the same fleet."""
    now, before = Database(cluster, "now"), Database(cluster, "before", build(args.before))
    for database in (now, before):
        database.load(args.nodes, args.vms, 2, 2)
    print(f"\n  {'':<44}{'ours/s':>10}{'before/s':>11}{'ratio':>8}  {'min-max':<9}{'p99 ms':>9}")
    with served(now) as (new, _), served(before) as (old, _):
        for path in (document, document.replace("salt/pillar", "puppet/enc")):
            sizes = [len(get(port, path, database.token)[0]) for port, database in ((new, now), (old, before))]
            ways = [lambda port=port, database=database: wrk(f"http://127.0.0.1:{port}{path}", args.seconds,
                                                             token=database.token)
                    for port, database in ((new, now), (old, before))]
            what = f"cached {path.split('/')[2]}, {sizes[0]:,} B : {sizes[1]:,} B"
            row(what, *side_by_side(args.rounds, *ways), "with a token : without" if before.token is None else "")


def main():
    args = arguments()
    WORK.mkdir(parents=True, exist_ok=True)
    os.environ["TEST_PG_DIR"] = str(WORK / "pg")
    os.environ["TEST_PG_FSYNC"] = "on"
    cluster = run(ROOT / "tests" / "pg").strip()
    hypervisors = args.nodes * 4 // 5
    document, listing = "/salt/pillar/node7.bench.example", "/v1/vms?limit=100&embed=hypervisor,interfaces,volumes"
    print("Loading")
    if args.only_reports:
        fleet = Database(cluster, "fleet")
        fleet.load(args.nodes, args.vms, 2, 2)
        reports(args, fleet)
        return
    heading = f"\n  {'':<44}{'ours/s':>10}{'theirs/s':>11}{'ratio':>8}  {'min-max':<9}{'p99 ms':>9}   aim"
    if args.only_orders:
        print(heading)
        orders.measure(sys.modules[__name__], args, cluster)
        return
    if args.only_identities:
        fleet = Database(cluster, "fleet")
        fleet.load(args.nodes, args.vms, 2, 2)
        print(heading)
        identities(args, fleet, document)
        return
    if args.before:
        beside(args, cluster, document)
        return
    fleet = Database(cluster, "fleet")
    fleet.load(args.nodes, args.vms, 2, 2)
    few, many = Database(cluster, "few"), Database(cluster, "many")
    few.load(args.nodes, args.few, 1, 1)
    many.load(args.nodes, args.many, 1, 1)
    print(heading)

    with served(fleet) as (port, pid):
        for path in (document, document.replace("salt/pillar", "puppet/enc")):
            body, content_type = get(port, path, fleet.token)
            with nginx(body, content_type) as other:
                ours, theirs = f"http://127.0.0.1:{port}{path}", f"http://127.0.0.1:{other}/document"
                result = side_by_side(args.rounds, lambda: wrk(ours, args.seconds, token=fleet.token),
                                      lambda: wrk(theirs, args.seconds))
                row(f"cached {path.split('/')[2]} ({len(body):,} B) : nginx", *result, ">= 0.5")
        wrk(f"http://127.0.0.1:{port}/", args.seconds, script=random_nodes("/salt/pillar", hypervisors),
            token=fleet.token)
        memory = resident(pid)
    identities(args, fleet, document)
    with served(fleet, "--document-cache", "0") as (port, pid):
        for view in ("salt/pillar", "puppet/enc"):
            script, count = statements_of(fleet, port, f"/{view}/node7.bench.example", hypervisors)
            lua = random_nodes(f"/{view}", hypervisors)
            result = side_by_side(args.rounds, lambda: wrk(f"http://127.0.0.1:{port}/", args.seconds, 16, lua, fleet.token),
                                  lambda: pgbench(fleet.dsn, script, args.seconds, 8))
            row(f"cold {view} : pgbench ({count} statements)", *result, ">= 0.5")
    with served(few) as (small, _), served(many) as (large, _):
        ours, theirs = (f"http://127.0.0.1:{port}{listing}" for port in (large, small))
        result = side_by_side(args.rounds, lambda: wrk(ours, args.seconds, 2, token=many.token),
                              lambda: wrk(theirs, args.seconds, 2, token=few.token))
        slower = (f"{1 / x:.2f}" for x in (result[2],))
        row(f"100 VMs, 3 embeds, of {args.many:,} : {args.few:,}", *result, f">= 0.83 (flat within 1.2; here {next(slower)}), p99 < 20 ms")
    reports(args, fleet)
    orders.measure(sys.modules[__name__], args, cluster)
    print(f"\n  memory of the server after {hypervisors:,} documents: {memory[0]:.0f} MiB, at most {memory[1]:.0f} MiB (aim: under 150)")


if __name__ == "__main__":
    main()
