"""Orders of VMs beside pgbench: placement, addresses, volume, audit, outbox and a commit that waits for the disk."""
import json
import os
import pathlib
import re
import statistics
import time
import urllib.request

# As many ask at once as pgbench has clients.
CLIENTS = 8
# Rows of pgbench's own tables: enough that its clients do not wait for each other.
SCALE = 50

SETUP = """
UPDATE hypervisors SET cpu_overcommit_ratio = 100, ram_overcommit_ratio = 100, local_storage_bytes = 1e15::int8;
INSERT INTO organizations (name, full_name) VALUES ('bench', 'bench');
INSERT INTO environments (organization_id, name) SELECT id, 'all' FROM organizations;
INSERT INTO networks (name, audience) VALUES ('bench', 'customers');
INSERT INTO subnets (name, network_id, cidr, purpose) SELECT 'four', id, '172.16.0.0/12', 'addresses' FROM networks WHERE name = 'bench';
INSERT INTO subnets (name, network_id, cidr, purpose) SELECT 'six', id, '2001:db8::/64', 'addresses' FROM networks WHERE name = 'bench';
INSERT INTO flavors (name, cores, ram_bytes, disk_bytes, virt_method_id, storage_type_id)
    SELECT 'bench', 1, 1073741824, 10737418240, 1, id FROM storage_types WHERE name::text = 'qcow2';
VACUUM ANALYZE;
"""
ORDER = {"environment": "bench/all", "flavor": "bench", "network": "bench"}


def script(work, token):
    """wrk's: the same order again and again; the server makes the names."""
    path = work / "orders.lua"
    path.write_text(f"""request = function()
  return wrk.format('POST', '/v1/vms', {{['Content-Type'] = 'application/json', ['Authorization'] = 'Bearer {token}'}},
    [==[{json.dumps(ORDER)}]==])
end
""")
    return path


def fleet(bench, cluster, name, hypervisors, vms):
    database = bench.Database(cluster, name)
    # Four of five nodes are hypervisors.
    database.load(hypervisors * 5 // 4, vms, 1, 1)
    for statement in SETUP.split(";\n"):
        if statement.strip():
            bench.run("psql", database.dsn, "-v", "ON_ERROR_STOP=1", "-qc", statement)
    return database


def placement(bench, database, orders):
    """What the statements that find a place take, of each order, in ms: by Postgres's own log."""
    log = pathlib.Path(os.environ["TEST_PG_DIR"]) / "log"
    bench.run("psql", database.dsn, "-qc", f"ALTER DATABASE {database.name} SET log_min_duration_statement = 0")
    body, took = json.dumps(ORDER).encode(), []
    headers = {"Authorization": f"Bearer {database.token}", "Content-Type": "application/json"}
    with bench.served(database, "--pool-size", "1") as (port, _):
        for _ in range(orders):
            size = log.stat().st_size
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/vms", body, headers)
            urllib.request.urlopen(request, timeout=60).close()
            time.sleep(0.02)
            with open(log) as lines:
                lines.seek(size)
                text = lines.read()
            found = re.findall(r"duration: ([\d.]+) ms  (?:parse|bind|execute) [^:]+: SELECT u\.hypervisor_id FROM hypervisor_usage", text)
            took.append(sum(map(float, found)))
    bench.run("psql", database.dsn, "-qc", f"ALTER DATABASE {database.name} RESET log_min_duration_statement")
    # The first prepare their statements.
    return sorted(took[5:])


def measure(bench, args, cluster):
    """Prints the ratios. `bench` is the module that has the means of all."""
    few = fleet(bench, cluster, "orders_few", args.hypervisors // 10, args.many // 10)
    many = fleet(bench, cluster, "orders_many", args.hypervisors, args.many)
    bench.run("psql", f"{cluster} dbname=postgres", "-qc", "DROP DATABASE IF EXISTS pgbench", "-c", "CREATE DATABASE pgbench")
    dsn = f"{cluster} dbname=pgbench"
    bench.run("pgbench", "-iq", f"-s{SCALE}", dsn)

    def simple_update():
        out = bench.run("pgbench", "-n", "-N", "-M", "prepared", f"-c{CLIENTS}", "-j1", f"-T{args.seconds}", dsn)
        return float(re.search(r"tps = ([\d.]+)", out)[1]), 0

    def orders(port, database):
        return bench.wrk(f"http://127.0.0.1:{port}/", args.seconds, CLIENTS, script(bench.WORK, database.token))

    with bench.served(many) as (large, _), bench.served(few) as (small, _):
        result = bench.side_by_side(args.rounds, lambda: orders(large, many), simple_update)
        bench.row(f"orders, {args.hypervisors:,} hypervisors : pgbench -N", *result, ">= 0.2, p99 < 50 ms")
        result = bench.side_by_side(args.rounds, lambda: orders(large, many), lambda: orders(small, few))
        what = f"orders, {args.hypervisors:,} : {args.hypervisors // 10:,} hypervisors"
        bench.row(what, *result, ">= 0.67 (flat within 1.5)")
    took = placement(bench, many, 105)
    print(f"\n  placement among {args.hypervisors:,} hypervisors with {args.many:,} VMs: {statistics.median(took):.2f} ms, "
          f"p99 {took[int(len(took) * 0.99) - 1]:.2f} ms (aim: under 5)")
