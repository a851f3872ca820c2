-- What the older program knows of VMs.
DROP VIEW vms_with_status;
DROP VIEW hypervisor_convergence;
CREATE VIEW hypervisor_convergence AS
SELECT h.id, c.desired_generation, c.applied_generation, c.last_report, c.amiss, c.status
FROM hypervisors h JOIN node_convergence c ON c.id = h.node_id;
CREATE VIEW vms_with_status WITH (security_invoker = true) AS
SELECT v.id, v.uuid, v.name, v.cores, v.ram_bytes, v.cputime_limit, v.state_id,
    CASE
        WHEN c.status IS NULL THEN 'unmanaged'
        -- The agent has done its work, and it does not run, or still does.
        WHEN c.status = 'in_sync' AND c.amiss ? v.uuid::text THEN 'failed'
        ELSE c.status
    END AS status,
    v.hypervisor_id, v.virt_method_id, v.environment_id, c.desired_generation, c.applied_generation, c.last_report,
    v.created_at, v.updated_at
FROM vms v LEFT JOIN hypervisor_convergence c ON c.id = v.hypervisor_id;
GRANT SELECT ON hypervisor_convergence, vms_with_status TO virtapi_server, virtapi_customer;

DROP TRIGGER vms_hold_ips ON vms;
DROP INDEX addresses_ip_idx;
DROP TRIGGER addresses_claim ON addresses;
DROP TRIGGER vms_count ON vms;
DROP TRIGGER volumes_count ON volumes;
DROP TRIGGER hypervisors_count ON hypervisors;
DROP TRIGGER vms_of_environment ON vms;
DROP TRIGGER vms_gpus ON vms;
DROP TABLE pending_actions, vm_keys, profiles, security_rules, gpus, floating_ips;
DROP FUNCTION floating_ips_fill(), free_mac(), free_ip(bigint), take_ip(inet, boolean), first_ip(subnets), last_ip(subnets);
DROP VIEW ip_claims_in_force;
DROP TABLE ip_claims;
DROP FUNCTION hold_ips(), claim_ip(), bare(inet), count_hypervisor(), count_volume(), count_vm(),
    take_of_hypervisor(bigint, int, numeric, numeric, numeric, numeric, numeric), ram_for_vms(hypervisors), cores_for_vms(hypervisors),
    gpus_check(), of_environment_check();
DROP VIEW volume_claims;
DROP TABLE hypervisor_usage, hypervisor_networks, hypervisor_ceph_clusters, subnets;
ALTER TABLE vms
    DROP COLUMN flavor_id, DROP COLUMN group_id, DROP COLUMN labels, DROP COLUMN user_data, DROP COLUMN callback_url, DROP COLUMN firewall,
    DROP COLUMN restarts, DROP CONSTRAINT vms_name_key;
CREATE INDEX vms_environment_id_idx ON vms (environment_id);
ALTER TABLE volumes DROP COLUMN lifetime;
ALTER TABLE hypervisors DROP COLUMN reserved_cores, DROP COLUMN reserved_ram_bytes, DROP COLUMN iops, DROP COLUMN disk_bps, DROP COLUMN labels;
ALTER TABLE environments DROP COLUMN placement;
DROP POLICY networks_server ON networks;
DROP POLICY networks_read ON networks;
ALTER TABLE networks DISABLE ROW LEVEL SECURITY;
REVOKE SELECT ON networks FROM virtapi_customer;
ALTER TABLE networks DROP COLUMN environment_id, DROP COLUMN audience;
DROP TABLE placement_groups, keys, flavors;
DROP FUNCTION flavors_check();
CREATE OR REPLACE FUNCTION storage_types_name_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM volumes WHERE storage_type_id = NEW.id)
        OR EXISTS (SELECT FROM tombstones WHERE storage_type_id = NEW.id)
    THEN
        RAISE check_violation USING MESSAGE = 'the name of a type says where its volumes are',
            TABLE = 'storage_types', CONSTRAINT = 'storage_types_name_in_use_check';
    END IF;
    RETURN NULL;
END $$;
DROP DOMAIN labels;
