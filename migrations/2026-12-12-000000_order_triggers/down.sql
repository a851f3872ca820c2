CREATE OR REPLACE FUNCTION free_mac() RETURNS macaddr LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    range text := COALESCE(NULLIF(current_setting('virtapi.mac_range', true), ''), '52:54:00:00:00:00/24');
    given bigint := ('x' || lpad(replace(split_part(range, '/', 1), ':', ''), 16, '0'))::bit(64)::bigint;
    free int := 48 - split_part(range, '/', 2)::int;
    number text;
    candidate macaddr;
BEGIN
    FOR attempt IN 1 .. 1000 LOOP
        number := lpad(to_hex(given | floor(random() * (1::bigint << free))::bigint), 12, '0');
        candidate := number::macaddr;
        IF NOT EXISTS (SELECT FROM interfaces WHERE mac = candidate) AND pg_try_advisory_xact_lock(7309, hashtext(number))
            AND NOT EXISTS (SELECT FROM interfaces WHERE mac = candidate) THEN
            RETURN candidate;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

DROP TRIGGER vms_new_of_environment ON vms;
DROP TRIGGER vms_of_environment ON vms;
CREATE TRIGGER vms_of_environment BEFORE INSERT OR UPDATE OF group_id, environment_id ON vms
    FOR EACH ROW EXECUTE FUNCTION of_environment_check();

CREATE OR REPLACE FUNCTION count_volume() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    hypervisor bigint;
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.vm_id IS NOT NULL THEN
        SELECT hypervisor_id INTO hypervisor FROM vms WHERE id = OLD.vm_id;
        IF hypervisor IS NOT NULL THEN
            PERFORM take_of_hypervisor(hypervisor, 0, 0, 0,
                CASE (SELECT name FROM storage_types WHERE id = OLD.storage_type_id) WHEN 'rbd' THEN 0 ELSE -OLD.size_bytes END,
                -COALESCE(GREATEST(OLD.read_iops_limit, OLD.write_iops_limit), 0),
                -COALESCE(GREATEST(OLD.read_bps_limit, OLD.write_bps_limit), 0));
        END IF;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.vm_id IS NOT NULL THEN
        SELECT hypervisor_id INTO hypervisor FROM vms WHERE id = NEW.vm_id;
        IF hypervisor IS NOT NULL THEN
            PERFORM take_of_hypervisor(hypervisor, 0, 0, 0,
                CASE (SELECT name FROM storage_types WHERE id = NEW.storage_type_id) WHEN 'rbd' THEN 0 ELSE NEW.size_bytes END,
                COALESCE(GREATEST(NEW.read_iops_limit, NEW.write_iops_limit), 0),
                COALESCE(GREATEST(NEW.read_bps_limit, NEW.write_bps_limit), 0));
        END IF;
    END IF;
    RETURN NULL;
END $$;

DROP FUNCTION take_for_volume(volumes, int);

CREATE OR REPLACE FUNCTION take_of_hypervisor(hypervisor bigint, more_vms int, more_cores numeric, more_ram numeric, more_local numeric,
    more_iops numeric, more_bps numeric) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE hypervisor_usage SET vms = vms + more_vms, cores = cores + more_cores, ram_bytes = ram_bytes + more_ram,
        local_bytes = local_bytes + more_local, iops = iops + more_iops, disk_bps = disk_bps + more_bps,
        free_ram_bytes = free_ram_bytes - more_ram
    WHERE hypervisor_id = hypervisor $$;
