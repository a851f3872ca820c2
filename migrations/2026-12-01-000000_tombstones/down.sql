CREATE OR REPLACE FUNCTION storage_types_name_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM volumes WHERE storage_type_id = NEW.id) THEN
        RAISE check_violation USING MESSAGE = 'the name of a type says where its volumes are',
            TABLE = 'storage_types', CONSTRAINT = 'storage_types_name_in_use_check';
    END IF;
    RETURN NULL;
END $$;
ALTER TABLE audit_events
    DROP CONSTRAINT audit_events_action_check,
    ADD CONSTRAINT audit_events_action_check CHECK (action IN
        ('create', 'update', 'delete', 'issue', 'set_password', 'remove_password', 'login', 'refuse', 'read')) NOT VALID;
DROP TABLE node_approvals;
DROP VIEW tombstones_in_force;
DROP TABLE tombstones;
DROP FUNCTION tombstones_check();
