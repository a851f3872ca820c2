-- VMs that were deleted: what they were, until a while after the agents of their hypervisors have seen them gone.

-- From which generation of its node on a document has the tombstone. That is known when all of its transaction is done.
CREATE TABLE tombstone_generations (
    tombstone_id bigint PRIMARY KEY CONSTRAINT tombstone_generations_tombstone_id_fkey REFERENCES tombstones ON DELETE CASCADE,
    generation bigint NOT NULL
);
INSERT INTO tombstone_generations
    SELECT t.id, n.desired_generation FROM tombstones t JOIN hypervisors h ON h.id = t.hypervisor_id JOIN nodes n ON n.id = h.node_id;
CREATE FUNCTION tombstones_generation() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO tombstone_generations
        SELECT t.id, n.desired_generation FROM tombstones t JOIN hypervisors h ON h.id = t.hypervisor_id JOIN nodes n ON n.id = h.node_id
        WHERE t.id = NEW.id
    ON CONFLICT (tombstone_id) DO UPDATE SET generation = excluded.generation;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER tombstones_generation_trigger AFTER INSERT OR UPDATE OF hypervisor_id, uuid, number, not_before ON tombstones
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tombstones_generation();

-- Whether the agent has seen a VM gone from where it was: it has applied a document with the tombstone, and has looked since without
-- finding it among those that shall be there. Of hypervisors a customer sees no more than this, of what was his.
CREATE VIEW tombstone_convergence AS
SELECT t.id, t.uuid, c.status, c.last_report,
    (c.applied_generation >= g.generation AND c.vms IS NOT NULL AND NOT c.vms ? t.uuid::text) IS TRUE AS is_gone
FROM tombstones t JOIN hypervisor_convergence c ON c.id = t.hypervisor_id LEFT JOIN tombstone_generations g ON g.tombstone_id = t.id
WHERE t.storage_type_id IS NULL;

CREATE TABLE deleted_vms (
    -- The one that it had.
    id bigint PRIMARY KEY,
    uuid uuid NOT NULL CONSTRAINT deleted_vms_uuid_key UNIQUE,
    name text NOT NULL,
    environment_id bigint CONSTRAINT deleted_vms_environment_id_fkey REFERENCES environments ON DELETE SET NULL,
    -- Whose it was stays known when its environment is gone as well.
    organization_id bigint CONSTRAINT deleted_vms_organization_id_fkey REFERENCES organizations ON DELETE CASCADE,
    -- As it was shown last.
    object json NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT now(),
    -- When it was found, and told, to be gone.
    gone_at timestamptz
);
CREATE INDEX deleted_vms_environment_id_idx ON deleted_vms (environment_id);
CREATE INDEX deleted_vms_organization_id_idx ON deleted_vms (organization_id);

-- Its last two states, as those of a VM that is there are in vms_with_status. docs/compute.md has the table.
CREATE VIEW deleted_vms_with_status WITH (security_invoker = true) AS
SELECT d.id, d.uuid, d.name, d.environment_id,
    CASE WHEN d.gone_at IS NULL AND c.waits THEN 'deleting' ELSE 'deleted' END AS lifecycle,
    CASE
        WHEN d.gone_at IS NOT NULL THEN NULL
        WHEN c.is_silent THEN 'its hypervisor is silent'
        WHEN c.last_failure > d.deleted_at THEN 'the last run of the agent of its hypervisor failed'
    END AS failure,
    d.object, d.deleted_at, d.gone_at
FROM deleted_vms d LEFT JOIN LATERAL (
    SELECT count(*) > 0 AS waits, bool_or(w.status = 'stale') AS is_silent,
        max(w.last_report) FILTER (WHERE w.status = 'failed') AS last_failure
    FROM tombstone_convergence w WHERE w.uuid = d.uuid AND NOT w.is_gone) AS c ON true;

-- What has come back was not deleted.
CREATE FUNCTION vms_come_back() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM deleted_vms WHERE uuid = NEW.uuid;
    RETURN NULL;
END $$;
CREATE TRIGGER vms_come_back AFTER INSERT OR UPDATE OF uuid ON vms FOR EACH ROW EXECUTE FUNCTION vms_come_back();

GRANT SELECT, INSERT, UPDATE, DELETE ON deleted_vms, tombstone_generations TO virtapi_server;
GRANT SELECT ON tombstone_convergence, deleted_vms_with_status TO virtapi_server;
GRANT SELECT ON deleted_vms, tombstone_convergence, deleted_vms_with_status TO virtapi_customer;
ALTER TABLE deleted_vms ENABLE ROW LEVEL SECURITY;
CREATE POLICY deleted_vms_server ON deleted_vms TO virtapi_server USING (true);
CREATE POLICY deleted_vms_read ON deleted_vms FOR SELECT TO virtapi_customer
    USING (environment_id IN (SELECT id FROM environments)
        OR environment_id IS NULL AND organization_id IN (SELECT organization_id FROM owned_organizations));
