ALTER TABLE audit_events DISABLE TRIGGER audit_events_stay;
DELETE FROM audit_events WHERE action IN ('set_password', 'remove_password');
ALTER TABLE audit_events ENABLE TRIGGER audit_events_stay;
ALTER TABLE audit_events DROP CONSTRAINT audit_events_action_check, ADD CONSTRAINT audit_events_action_check
    CHECK (action IN ('create', 'update', 'delete', 'issue'));
DROP TABLE sessions;
DROP TABLE user_passwords;
