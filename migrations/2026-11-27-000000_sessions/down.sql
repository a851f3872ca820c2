ALTER TABLE audit_events DISABLE TRIGGER audit_events_stay;
DELETE FROM audit_events WHERE action IN ('set_password', 'remove_password');
ALTER TABLE audit_events ENABLE TRIGGER audit_events_stay;
ALTER TABLE audit_events
    DROP CONSTRAINT audit_events_action_check,
    ADD CONSTRAINT audit_events_action_check
        CHECK (action IN ('create', 'update', 'delete', 'issue', 'login', 'refuse', 'read')),
    DROP CONSTRAINT audit_events_object_check,
    ADD CONSTRAINT audit_events_object_check CHECK (CASE
        WHEN action IN ('create', 'update', 'delete', 'issue')
            THEN collection IS NOT NULL AND object_id IS NOT NULL AND object_key IS NOT NULL
        ELSE (collection IS NULL) = (object_id IS NULL) AND (collection IS NULL) = (object_key IS NULL)
    END);
DROP TABLE sessions;
DROP TABLE user_passwords;
