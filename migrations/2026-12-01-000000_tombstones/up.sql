-- What was removed and is still on a hypervisor: its agents delete it from `not_before` on. Where it is follows from its
-- number and its type, as of a VM (`vm-7`) or a volume (`vol-7`) that is there, so nothing else can be named.
CREATE TABLE tombstones (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hypervisor_id bigint NOT NULL CONSTRAINT tombstones_hypervisor_id_fkey REFERENCES hypervisors ON DELETE CASCADE,
    uuid uuid NOT NULL,
    -- What people called it.
    name text CONSTRAINT tombstones_name_check CHECK (length(name) BETWEEN 1 AND 255 AND name !~ '[\x01-\x1f]'),
    -- The id that it had.
    number bigint NOT NULL CONSTRAINT tombstones_number_check CHECK (number > 0),
    -- Of a volume; a VM has none.
    storage_type_id bigint CONSTRAINT tombstones_storage_type_id_fkey REFERENCES storage_types,
    ceph_pool_id bigint CONSTRAINT tombstones_ceph_pool_id_fkey REFERENCES ceph_pools ON DELETE CASCADE,
    not_before timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tombstones_uuid_key UNIQUE (hypervisor_id, uuid)
);
CREATE INDEX tombstones_storage_type_id_idx ON tombstones (storage_type_id);
CREATE INDEX tombstones_ceph_pool_id_idx ON tombstones (ceph_pool_id);
-- By which a volume finds those that it takes out of a document.
CREATE INDEX tombstones_uuid_idx ON tombstones (uuid);
CREATE INDEX tombstones_number_idx ON tombstones (number);
GRANT SELECT, INSERT, UPDATE, DELETE ON tombstones TO virtapi_server;

-- Those of what is really gone. A VM may have come back to its hypervisor meanwhile.
CREATE VIEW tombstones_in_force AS
SELECT t.* FROM tombstones t
WHERE CASE
    WHEN t.storage_type_id IS NULL THEN NOT EXISTS (
        SELECT FROM vms m WHERE m.hypervisor_id = t.hypervisor_id AND (m.uuid = t.uuid OR m.id = t.number))
    -- Wherever it is: what looks local may be storage that hypervisors share.
    ELSE NOT EXISTS (SELECT FROM volumes d WHERE d.uuid = t.uuid OR d.id = t.number)
END;
GRANT SELECT ON tombstones_in_force TO virtapi_server;

-- What a CHECK cannot see: the type's name, and whether it is still there.
CREATE FUNCTION tombstones_check() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    type_name text := (SELECT name FROM storage_types WHERE id = NEW.storage_type_id);
BEGIN
    IF (COALESCE(type_name, '') = 'rbd') <> (NEW.ceph_pool_id IS NOT NULL) THEN
        RAISE check_violation USING MESSAGE = 'an rbd volume has a pool, and no other has',
            TABLE = 'tombstones', CONSTRAINT = 'tombstones_ceph_pool_check';
    ELSIF NOT EXISTS (SELECT FROM tombstones_in_force WHERE id = NEW.id) THEN
        RAISE check_violation USING MESSAGE = 'what has a tombstone is gone',
            TABLE = 'tombstones', CONSTRAINT = 'tombstones_gone_check';
    END IF;
    -- What an agent has said of an earlier one, or of another number, is not said of this one.
    IF TG_OP = 'INSERT' OR NEW.number <> OLD.number OR NEW.not_before > OLD.not_before THEN
        UPDATE node_observations o SET observed = o.observed || jsonb_build_object('removed', (o.observed -> 'removed') - NEW.uuid::text)
        FROM hypervisors h WHERE h.id = NEW.hypervisor_id AND o.node_id = h.node_id AND o.observed -> 'removed' ? NEW.uuid::text;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tombstones_check AFTER INSERT OR UPDATE ON tombstones FOR EACH ROW EXECUTE FUNCTION tombstones_check();

-- The last generation of each node whose removals somebody has approved: agents then remove more in one run than they would.
CREATE TABLE node_approvals (
    node_id bigint PRIMARY KEY CONSTRAINT node_approvals_node_id_fkey REFERENCES nodes ON DELETE CASCADE,
    generation bigint NOT NULL,
    approved_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON node_approvals TO virtapi_server;

-- A tombstone, too, says by the name of a type where its volume is.
CREATE OR REPLACE FUNCTION storage_types_name_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM volumes WHERE storage_type_id = NEW.id)
        OR EXISTS (SELECT FROM tombstones WHERE storage_type_id = NEW.id)
    THEN
        RAISE check_violation USING MESSAGE = 'the name of a type says where its volumes are',
            TABLE = 'storage_types', CONSTRAINT = 'storage_types_name_in_use_check';
    END IF;
    RETURN NULL;
END $$;
ALTER TABLE audit_events
    DROP CONSTRAINT audit_events_action_check,
    ADD CONSTRAINT audit_events_action_check CHECK (action IN
        ('create', 'update', 'delete', 'issue', 'approve', 'set_password', 'remove_password', 'login', 'refuse', 'read'));
