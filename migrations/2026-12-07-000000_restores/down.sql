DELETE FROM pending_actions WHERE action = 'restoring';
ALTER TABLE pending_actions
    DROP CONSTRAINT pending_actions_action_check,
    ADD CONSTRAINT pending_actions_action_check CHECK (action IN ('rebooting', 'resizing', 'rebuilding', 'migrating'));
DROP TRIGGER volumes_restoring_check ON volumes;
DROP TRIGGER vms_restoring_check ON vms;
DROP FUNCTION restoring_check();
DROP TABLE pending_restores;
DROP TRIGGER volumes_snapshots_check ON volumes;
DROP TRIGGER snapshots_snapshots_check ON snapshots;
DROP FUNCTION snapshots_check();
ALTER TABLE volumes
    DROP CONSTRAINT volumes_restored_from_check,
    DROP COLUMN restored_from,
    DROP COLUMN restores;
