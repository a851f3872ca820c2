ALTER TABLE audit_events
    DROP CONSTRAINT audit_events_action_check,
    ADD CONSTRAINT audit_events_action_check CHECK (action IN
        ('create', 'update', 'delete', 'issue', 'set_password', 'remove_password', 'login', 'refuse', 'read')) NOT VALID;
DROP TABLE node_approvals;
DROP VIEW tombstones_in_force;
DROP TABLE tombstones;
DROP FUNCTION tombstones_check();
