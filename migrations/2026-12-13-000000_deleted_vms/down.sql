DROP TRIGGER vms_come_back ON vms;
DROP FUNCTION vms_come_back();
DROP VIEW deleted_vms_with_status;
DROP TABLE deleted_vms;
DROP VIEW tombstone_convergence;
DROP TRIGGER tombstones_generation_trigger ON tombstones;
DROP FUNCTION tombstones_generation();
DROP TABLE tombstone_generations;
