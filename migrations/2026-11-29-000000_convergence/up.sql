DO $$ BEGIN
    -- Views that show each customer its own (security_invoker) are of this release.
    IF current_setting('server_version_num')::int < 150000 THEN
        RAISE EXCEPTION 'virtapi needs Postgres 15 or newer; this is %', current_setting('server_version');
    END IF;
END $$;

-- What a node is, beside what it shall be: which version of its document it has applied, how its last run ended, what
-- its agent has seen there.
ALTER TABLE nodes RENAME COLUMN generation TO desired_generation;

-- A row for each node, so that to take a report changes a small row that nobody else waits for.
CREATE TABLE node_observations (
    node_id bigint PRIMARY KEY CONSTRAINT node_observations_node_id_fkey REFERENCES nodes ON DELETE CASCADE,
    last_report timestamptz,
    last_run_id bigint,
    has_failed boolean NOT NULL DEFAULT false,
    applied_generation bigint,
    -- The generations of the clusters that the applied document showed, by name.
    applied_clusters jsonb,
    -- What runs there, in the words of the agent: `vms`, `unmanaged`, …
    observed jsonb,
    -- The UUIDs of VMs that run there and shall not, or shall and do not, by what was observed last. It is so until the
    -- document changes, and then the agent has still work to do.
    amiss jsonb NOT NULL DEFAULT '[]'
) WITH (fillfactor = 70);
INSERT INTO node_observations (node_id) SELECT id FROM nodes;
CREATE FUNCTION node_observation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO node_observations (node_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER nodes_observation AFTER INSERT ON nodes FOR EACH ROW EXECUTE FUNCTION node_observation();

-- What its agent has found out about it, as it was sent last.
CREATE TABLE node_facts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id bigint NOT NULL CONSTRAINT node_facts_node_id_key UNIQUE
        CONSTRAINT node_facts_node_id_fkey REFERENCES nodes ON DELETE CASCADE,
    received_at timestamptz NOT NULL DEFAULT now(),
    facts json NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON node_facts TO virtapi_server;

-- Where each node is between what it shall be and what it is. A node whose agent has been silent for longer than
-- `virtapi.stale_after`, which each server sets for its connections, is stale, whatever it said last.
CREATE VIEW node_convergence AS
SELECT n.id, n.desired_generation, o.applied_generation, o.last_report, o.observed, o.amiss,
    CASE
        WHEN o.last_report IS NULL THEN 'unmanaged'
        WHEN o.last_report < now() - COALESCE(NULLIF(current_setting('virtapi.stale_after', true), ''), '2 hours')::interval
            THEN 'stale'
        WHEN o.has_failed THEN 'failed'
        WHEN o.applied_generation IS DISTINCT FROM n.desired_generation THEN 'pending'
        WHEN EXISTS (SELECT FROM jsonb_each_text(o.applied_clusters) AS applied JOIN ceph_clusters c ON c.name::text = applied.key
                     WHERE c.generation::text <> applied.value) THEN 'pending'
        ELSE 'in_sync'
    END AS status
FROM nodes n LEFT JOIN node_observations o ON o.node_id = n.id;

CREATE VIEW nodes_with_status WITH (security_invoker = true) AS
SELECT n.id, n.fqdn, n.location, n.state_id, c.status, n.environment, n.parameters, n.management_network_id,
    n.storage_network_id, n.backup_network_id, n.desired_generation, c.applied_generation, c.last_report, c.observed::json AS observed,
    n.created_at, n.updated_at
FROM nodes n LEFT JOIN node_convergence c ON c.id = n.id;

-- Of a VM it is its hypervisor's, which its owner does not see. So this one asks in the name of its owner, as does the
-- view below it; nobody is shown more of them than the status of what is his.
CREATE VIEW hypervisor_convergence AS
SELECT h.id, c.desired_generation, c.applied_generation, c.last_report, c.amiss, c.status
FROM hypervisors h JOIN node_convergence c ON c.id = h.node_id;

CREATE VIEW vms_with_status WITH (security_invoker = true) AS
SELECT v.id, v.uuid, v.name, v.cores, v.ram_bytes, v.cputime_limit, v.state_id,
    CASE
        WHEN c.status IS NULL THEN 'unmanaged'
        -- The agent has done its work, and it does not run, or still does.
        WHEN c.status = 'in_sync' AND c.amiss ? v.uuid::text THEN 'failed'
        ELSE c.status
    END AS status,
    v.hypervisor_id, v.virt_method_id, v.environment_id, c.desired_generation, c.applied_generation, c.last_report,
    v.created_at, v.updated_at
FROM vms v LEFT JOIN hypervisor_convergence c ON c.id = v.hypervisor_id;

GRANT SELECT, INSERT, UPDATE ON node_observations TO virtapi_server;
GRANT SELECT ON node_convergence, nodes_with_status, hypervisor_convergence, vms_with_status TO virtapi_server;
GRANT SELECT ON hypervisor_convergence, vms_with_status TO virtapi_customer;
