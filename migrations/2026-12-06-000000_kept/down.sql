DROP TRIGGER interfaces_give_back_ips ON interfaces;
DROP FUNCTION give_back_ips();
CREATE OR REPLACE FUNCTION claim_ip() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND bare(NEW.ip) = bare(OLD.ip) THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM ip_claims WHERE ip = bare(OLD.ip) AND held_node_id IS NULL;
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
DROP FUNCTION give_back_ip(inet, bigint);
UPDATE hypervisor_usage u SET local_bytes = u.local_bytes - c.bytes
FROM (SELECT hypervisor_id, sum(local_bytes) AS bytes FROM tombstone_claims GROUP BY 1) AS c WHERE c.hypervisor_id = u.hypervisor_id;
DROP TRIGGER tombstones_count ON tombstones;
DROP FUNCTION count_tombstone();
DROP VIEW tombstone_claims;
ALTER TABLE tombstones DROP COLUMN size_bytes;
