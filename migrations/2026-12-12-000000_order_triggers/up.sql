-- What is counted, checked and drawn when a VM is ordered, in fewer steps.

-- In PL/pgSQL, for a function in SQL plans its statement anew each time. Only triggers call it, and they act as the owner.
CREATE OR REPLACE FUNCTION take_of_hypervisor(hypervisor bigint, more_vms int, more_cores numeric, more_ram numeric, more_local numeric,
    more_iops numeric, more_bps numeric) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hypervisor_usage SET vms = vms + more_vms, cores = cores + more_cores, ram_bytes = ram_bytes + more_ram,
        local_bytes = local_bytes + more_local, iops = iops + more_iops, disk_bps = disk_bps + more_bps,
        free_ram_bytes = free_ram_bytes - more_ram
    WHERE hypervisor_id = hypervisor;
END $$;

-- Adds what a volume takes of its VM's hypervisor, so many times: once, or minus once.
CREATE FUNCTION take_for_volume(volume volumes, times int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hypervisor_usage u SET
        local_bytes = u.local_bytes + times * CASE t.name WHEN 'rbd' THEN 0 ELSE volume.size_bytes END,
        iops = u.iops + times * COALESCE(GREATEST(volume.read_iops_limit, volume.write_iops_limit), 0),
        disk_bps = u.disk_bps + times * COALESCE(GREATEST(volume.read_bps_limit, volume.write_bps_limit), 0)
    FROM vms v, storage_types t
    WHERE v.id = volume.vm_id AND u.hypervisor_id = v.hypervisor_id AND t.id = volume.storage_type_id;
END $$;

CREATE OR REPLACE FUNCTION count_volume() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.vm_id IS NOT NULL THEN
        PERFORM take_for_volume(OLD, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.vm_id IS NOT NULL THEN
        PERFORM take_for_volume(NEW, 1);
    END IF;
    RETURN NULL;
END $$;

-- A new one has no keys and no floating IPs yet.
DROP TRIGGER vms_of_environment ON vms;
CREATE TRIGGER vms_of_environment BEFORE UPDATE OF group_id, environment_id ON vms
    FOR EACH ROW EXECUTE FUNCTION of_environment_check();
CREATE TRIGGER vms_new_of_environment BEFORE INSERT ON vms
    FOR EACH ROW WHEN (NEW.group_id IS NOT NULL) EXECUTE FUNCTION of_environment_check();

-- Drawn by one statement and looked up by another, for each expression of a function is made ready anew in each transaction.
CREATE OR REPLACE FUNCTION free_mac() RETURNS macaddr LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    candidate macaddr;
BEGIN
    FOR attempt IN 1 .. 1000 LOOP
        SELECT lpad(to_hex(('x' || lpad(replace(split_part(r.range, '/', 1), ':', ''), 16, '0'))::bit(64)::bigint
            | floor(random() * (1::bigint << 48 - split_part(r.range, '/', 2)::int))::bigint), 12, '0')::macaddr INTO candidate
        FROM (SELECT COALESCE(NULLIF(current_setting('virtapi.mac_range', true), ''), '52:54:00:00:00:00/24')) AS r (range);
        IF NOT EXISTS (SELECT FROM interfaces WHERE mac = candidate) AND pg_try_advisory_xact_lock(7309, hashtext(candidate::text))
            AND NOT EXISTS (SELECT FROM interfaces WHERE mac = candidate) THEN
            RETURN candidate;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
