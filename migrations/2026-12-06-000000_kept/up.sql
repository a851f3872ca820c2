-- What is removed and may still be there: the place of a volume, the address of a guest.

-- A volume that is removed takes its place on the hypervisor until its agent has deleted it: it counts as long as its tombstone is there.
ALTER TABLE tombstones
    ADD COLUMN size_bytes bigint CONSTRAINT tombstones_size_bytes_check CHECK (size_bytes > 0);

CREATE VIEW tombstone_claims AS
    SELECT s.id AS tombstone_id, s.hypervisor_id, s.size_bytes AS local_bytes
    FROM tombstones s JOIN storage_types t ON t.id = s.storage_type_id WHERE t.name <> 'rbd' AND s.size_bytes IS NOT NULL;

CREATE FUNCTION count_tombstone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND (SELECT name FROM storage_types WHERE id = OLD.storage_type_id) <> 'rbd' THEN
        PERFORM take_of_hypervisor(OLD.hypervisor_id, 0, 0, 0, -COALESCE(OLD.size_bytes, 0), 0, 0);
    END IF;
    IF TG_OP <> 'DELETE' AND (SELECT name FROM storage_types WHERE id = NEW.storage_type_id) <> 'rbd' THEN
        PERFORM take_of_hypervisor(NEW.hypervisor_id, 0, 0, 0, COALESCE(NEW.size_bytes, 0), 0, 0);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tombstones_count AFTER INSERT OR DELETE OR UPDATE OF hypervisor_id, storage_type_id, size_bytes ON tombstones
    FOR EACH ROW EXECUTE FUNCTION count_tombstone();

-- An address that a guest is deprived of is held as that of a guest that is deleted: until the agent of its hypervisor has applied a
-- document without it.
CREATE FUNCTION give_back_ip(given inet, vm bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE ip_claims c SET held_node_id = n.id, held_generation = n.desired_generation
    FROM vms v JOIN hypervisors h ON h.id = v.hypervisor_id JOIN nodes n ON n.id = h.node_id
    WHERE v.id = vm AND c.ip = bare(given) AND c.held_node_id IS NULL;
    IF NOT FOUND THEN
        DELETE FROM ip_claims WHERE ip = bare(given) AND held_node_id IS NULL;
    END IF;
END $$;
CREATE OR REPLACE FUNCTION claim_ip() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND bare(NEW.ip) = bare(OLD.ip) THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        IF TG_TABLE_NAME = 'floating_ips' THEN
            PERFORM give_back_ip(OLD.ip, OLD.vm_id);
        ELSE
            PERFORM give_back_ip(OLD.ip, (SELECT vm_id FROM interfaces WHERE id = OLD.interface_id));
        END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO ip_claims AS c (ip) VALUES (bare(NEW.ip))
        ON CONFLICT (ip) DO UPDATE SET held_node_id = NULL, held_generation = NULL WHERE c.held_node_id IS NOT NULL;
        IF NOT FOUND THEN
            RAISE unique_violation USING MESSAGE = 'this address is somebody''s', TABLE = TG_TABLE_NAME,
                CONSTRAINT = TG_TABLE_NAME || '_ip_key';
        END IF;
    END IF;
    RETURN NULL;
END $$;
-- Before its addresses go with it.
CREATE FUNCTION give_back_ips() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM give_back_ip(ip, OLD.vm_id) FROM addresses WHERE interface_id = OLD.id;
    RETURN OLD;
END $$;
CREATE TRIGGER interfaces_give_back_ips BEFORE DELETE ON interfaces
    FOR EACH ROW WHEN (OLD.vm_id IS NOT NULL) EXECUTE FUNCTION give_back_ips();
