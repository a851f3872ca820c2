-- What is asked of a VM that is there: more of its hypervisor, another size, another place.

-- What a customer makes larger still fits where it is. An order is looked at before it is placed, and operators place as they say.
-- `role` is who a transaction acts for, whoever owns the function.
CREATE FUNCTION hypervisor_usage_check() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    h hypervisors;
    missing text;
BEGIN
    SELECT * INTO h FROM hypervisors WHERE id = NEW.hypervisor_id;
    missing := CASE
        WHEN NEW.cores > OLD.cores AND NEW.cores > cores_for_vms(h) THEN 'hypervisor_usage_cores_left'
        WHEN NEW.ram_bytes > OLD.ram_bytes AND NEW.free_ram_bytes < 0 THEN 'hypervisor_usage_ram_bytes_left'
        WHEN NEW.local_bytes > OLD.local_bytes AND NEW.local_bytes > COALESCE(h.local_storage_bytes, 0)
            THEN 'hypervisor_usage_local_bytes_left'
    END;
    IF missing IS NOT NULL THEN
        RAISE exclusion_violation USING MESSAGE = 'a hypervisor has no more than it has', TABLE = TG_TABLE_NAME, CONSTRAINT = missing;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER hypervisor_usage_check AFTER UPDATE ON hypervisor_usage
    FOR EACH ROW WHEN (current_setting('role') = 'virtapi_customer') EXECUTE FUNCTION hypervisor_usage_check();

ALTER TABLE pending_actions
    DROP CONSTRAINT pending_actions_action_check,
    ADD CONSTRAINT pending_actions_action_check CHECK (action IN ('rebooting', 'resizing', 'rebuilding', 'migrating'));
