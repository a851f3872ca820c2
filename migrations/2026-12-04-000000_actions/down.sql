DROP TRIGGER hypervisor_usage_check ON hypervisor_usage;
DROP FUNCTION hypervisor_usage_check();
DELETE FROM pending_actions WHERE action <> 'rebooting';
ALTER TABLE pending_actions
    DROP CONSTRAINT pending_actions_action_check,
    ADD CONSTRAINT pending_actions_action_check CHECK (action IN ('rebooting'));
