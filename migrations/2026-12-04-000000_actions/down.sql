DROP TRIGGER hypervisor_usage_check ON hypervisor_usage;
DROP FUNCTION hypervisor_usage_check();
