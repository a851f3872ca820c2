-- A fleet by SQL, as fast as Postgres takes it. psql variables: hypervisors, storage (nodes), from and to (VMs of this
-- part), interfaces and volumes (of each VM). Run once with part = 'nodes', then with part = 'vms' per range.
\set ON_ERROR_STOP on
SET synchronous_commit = off;
SELECT :'part' = 'nodes' AS nodes, :'part' = 'vms' AS vms \gset
\if :nodes
INSERT INTO vlans (name, tag) SELECT 'customer-' || i, i FROM generate_series(1, 4000) i;
INSERT INTO ceph_clusters (name, fsid, public_network) VALUES ('ceph', gen_random_uuid(), '10.128.0.0/9');
INSERT INTO ceph_pools (name, cluster_id) VALUES ('rbd', 1);
INSERT INTO nodes (fqdn, location, state_id, parameters)
    SELECT 'node' || i || '.bench.example', 'rack ' || i % 400, 1, '{"ntp": "yes"}'
    FROM generate_series(1, :hypervisors + :storage) i;
INSERT INTO hypervisors (node_id, local_storage_bytes, local_storage_path, vg_name, cores, ram_bytes)
    SELECT i, 4000000000000, '/var/lib/libvirt/images', 'vg0', 64, 549755813888 FROM generate_series(1, :hypervisors) i;
INSERT INTO hypervisor_virt_methods SELECT i, 1 FROM generate_series(1, :hypervisors) i;
INSERT INTO ceph_mons (node_id, cluster_id, address)
    SELECT :hypervisors + i, 1, '10.128.0.0'::inet + i FROM generate_series(1, LEAST(5, :storage)) i;
INSERT INTO ceph_osds (node_id, cluster_id, uuid, device, device_class)
    SELECT :hypervisors + i, 1, gen_random_uuid(), '/dev/disk' || d, 'hdd'
    FROM generate_series(1, :storage) i, generate_series(1, 10) d;
\endif
\if :vms
INSERT INTO vms (uuid, name, cores, ram_bytes, state_id, hypervisor_id, virt_method_id)
    SELECT gen_random_uuid(), 'vm-' || i, 2, 4294967296, 1, 1 + i % :hypervisors, 1
    FROM generate_series(:from, :to) i;
INSERT INTO interfaces (mac, name, vm_id)
    SELECT ('5254' || lpad(to_hex(i * 4 + n), 8, '0'))::macaddr, 'eth' || n, i
    FROM generate_series(:from, :to) i, generate_series(0, :interfaces - 1) n;
INSERT INTO interface_vlans SELECT id, 1 + vm_id % 4000 FROM interfaces WHERE vm_id BETWEEN :from AND :to;
INSERT INTO addresses (ip, interface_id)
    SELECT set_masklen('10.0.0.0'::inet + id, 24), id FROM interfaces WHERE vm_id BETWEEN :from AND :to;
INSERT INTO volumes (uuid, vm_id, storage_type_id, cache_option_id, ceph_pool_id, size_bytes, read_iops_limit)
    SELECT gen_random_uuid(), i, CASE WHEN n = 1 THEN 4 ELSE 1 END, 2, CASE WHEN n = 1 THEN 1 END, 53687091200, 500
    FROM generate_series(:from, :to) i, generate_series(0, :volumes - 1) n;
\endif
