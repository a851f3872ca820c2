ALTER TABLE audit_events
    DROP CONSTRAINT audit_events_action_check,
    ADD CONSTRAINT audit_events_action_check CHECK (action IN
        ('create', 'update', 'delete', 'issue', 'approve', 'set_password', 'remove_password', 'login', 'refuse', 'read')) NOT VALID;
DROP TABLE broker_leases;
DROP TABLE broker_messages;
DROP TABLE vm_tellings;
DROP TABLE webhook_deliveries;
DROP TABLE signing_secrets;
DROP TABLE webhooks;
