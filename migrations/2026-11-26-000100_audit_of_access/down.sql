DROP INDEX audit_events_action_idx;
-- What the schema before has no words for goes with it.
ALTER TABLE audit_events DISABLE TRIGGER audit_events_stay;
DELETE FROM audit_events WHERE action IN ('login', 'refuse', 'read');
ALTER TABLE audit_events ENABLE TRIGGER audit_events_stay;
ALTER TABLE audit_events
    DROP CONSTRAINT audit_events_action_check,
    ADD CONSTRAINT audit_events_action_check CHECK (action IN ('create', 'update', 'delete', 'issue')),
    DROP CONSTRAINT audit_events_object_check,
    ALTER collection SET NOT NULL,
    ALTER object_id SET NOT NULL,
    ALTER object_key SET NOT NULL,
    DROP detail,
    DROP times;
