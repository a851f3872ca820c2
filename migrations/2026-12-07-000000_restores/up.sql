-- Snapshots are taken of volumes that can hold them, and a volume is set back to one.

ALTER TABLE volumes
    -- How often it was asked to be set back, and to which snapshot last.
    ADD COLUMN restores integer NOT NULL DEFAULT 0 CONSTRAINT volumes_restores_check CHECK (restores >= 0),
    ADD COLUMN restored_from text,
    ADD CONSTRAINT volumes_restored_from_check CHECK ((restores = 0) = (restored_from IS NULL));

-- What has been there since before is left alone: no agent has taken it.
CREATE FUNCTION snapshots_check() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    type_name text;
BEGIN
    IF TG_TABLE_NAME = 'snapshots' THEN
        -- Locked, so that it stays as it is seen until this is committed.
        SELECT t.name INTO type_name FROM volumes d JOIN storage_types t ON t.id = d.storage_type_id WHERE d.id = NEW.volume_id FOR SHARE OF d;
    ELSIF EXISTS (SELECT FROM snapshots WHERE volume_id = NEW.id) THEN
        SELECT t.name INTO type_name FROM storage_types t WHERE t.id = NEW.storage_type_id;
    END IF;
    IF type_name NOT IN ('qcow2', 'rbd') THEN
        RAISE check_violation USING MESSAGE = 'only volumes of type qcow2 and rbd hold snapshots', TABLE = TG_TABLE_NAME,
            CONSTRAINT = TG_TABLE_NAME || '_snapshots_check';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER snapshots_snapshots_check AFTER INSERT OR UPDATE OF volume_id ON snapshots
    FOR EACH ROW EXECUTE FUNCTION snapshots_check();
CREATE TRIGGER volumes_snapshots_check AFTER UPDATE OF storage_type_id ON volumes
    FOR EACH ROW WHEN (NEW.storage_type_id <> OLD.storage_type_id) EXECUTE FUNCTION snapshots_check();

-- Which restores were done is known where the VM is: it stays there with its volumes until its agent has said so, which is when it has
-- applied this generation of its node's document.
CREATE TABLE pending_restores (
    volume_id bigint CONSTRAINT pending_restores_pkey PRIMARY KEY
        CONSTRAINT pending_restores_volume_id_fkey REFERENCES volumes (id) ON DELETE CASCADE,
    generation bigint NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON pending_restores TO virtapi_server;

CREATE FUNCTION restoring_check() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM pending_restores p JOIN volumes d ON d.id = p.volume_id JOIN vms v ON v.id = d.vm_id JOIN hypervisor_convergence c ON c.id = v.hypervisor_id
        WHERE CASE TG_TABLE_NAME WHEN 'vms' THEN d.vm_id = OLD.id ELSE d.id = OLD.id END
            AND p.generation > COALESCE(c.applied_generation, 0)
    ) THEN
        RAISE check_violation USING MESSAGE = 'a volume is being set back', TABLE = TG_TABLE_NAME,
            CONSTRAINT = TG_TABLE_NAME || '_restoring_check';
    END IF;
    -- Elsewhere other generations count.
    DELETE FROM pending_restores p USING volumes d
    WHERE d.id = p.volume_id AND CASE TG_TABLE_NAME WHEN 'vms' THEN d.vm_id = OLD.id ELSE d.id = OLD.id END;
    RETURN NEW;
END $$;
CREATE TRIGGER vms_restoring_check BEFORE UPDATE OF hypervisor_id ON vms
    FOR EACH ROW WHEN (OLD.hypervisor_id IS NOT NULL AND NEW.hypervisor_id IS DISTINCT FROM OLD.hypervisor_id)
    EXECUTE FUNCTION restoring_check();
CREATE TRIGGER volumes_restoring_check BEFORE UPDATE OF vm_id ON volumes
    FOR EACH ROW WHEN (OLD.vm_id IS NOT NULL AND NEW.vm_id IS DISTINCT FROM OLD.vm_id)
    EXECUTE FUNCTION restoring_check();

ALTER TABLE pending_actions
    DROP CONSTRAINT pending_actions_action_check,
    ADD CONSTRAINT pending_actions_action_check CHECK (action IN ('rebooting', 'resizing', 'rebuilding', 'restoring', 'migrating'));
