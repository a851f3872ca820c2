DROP VIEW volumes_without_place;
DROP TABLE idempotency_keys, snapshots, volumes, images, addresses, interface_vlans, interfaces, vms, ceph_osds,
    ceph_mons, ceph_pools, ceph_clusters, hypervisor_virt_methods, hypervisors, bonds, nodes, networks, vlans,
    cache_options, storage_types, virt_methods, vm_states, node_states;
DROP FUNCTION volumes_check, volume_place_check, images_size_check, storage_types_name_check, ceph_mons_name;
DROP DOMAIN name_text;
-- The extension stays: it may have been there before, and others in this database may use it.
