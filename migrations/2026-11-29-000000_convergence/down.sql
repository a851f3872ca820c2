DROP VIEW vms_with_status;
DROP VIEW hypervisor_convergence;
DROP VIEW nodes_with_status;
DROP VIEW node_convergence;
DROP TABLE node_facts;
DROP TRIGGER nodes_observation ON nodes;
DROP FUNCTION node_observation();
DROP TABLE node_observations;
ALTER TABLE nodes RENAME COLUMN desired_generation TO generation;
