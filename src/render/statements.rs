//! The statements that read a node's rows: a fixed number of them in one pipelined round trip, however many VMs there
//! are.

use diesel::QueryableByName;
use diesel::pg::Pg;
use diesel::sql_types::Untyped;
use diesel_async::RunQueryDsl;
use tokio::try_join;

use crate::db::Tx;
use crate::error::Result;
use crate::render::rows::Rows;
use crate::sql::{Sql, Statement};

/// A statement: what stands before the node's name, and what after it.
type Text = (&'static str, &'static str);

const NODE: Text = (
    "SELECT n.id, n.desired_generation AS generation,
    EXISTS (SELECT FROM node_approvals a WHERE a.node_id = n.id AND a.generation = n.desired_generation) AS approved,
    n.location, s.name AS state, n.environment, n.parameters
    FROM nodes n JOIN node_states s ON s.id = n.state_id WHERE n.fqdn = ",
    "",
);

const NETWORKS: Text = (
    "SELECT purpose, w.name, w.cidr::text AS cidr, w.mtu, v.name AS vlan, v.tag, v.vni
    FROM nodes n
    CROSS JOIN LATERAL (VALUES ('management', n.management_network_id), ('storage', n.storage_network_id),
        ('backup', n.backup_network_id)) AS part (purpose, network_id)
    JOIN networks w ON w.id = part.network_id LEFT JOIN vlans v ON v.id = w.vlan_id WHERE n.fqdn = ",
    "",
);

/// The interfaces of the node and of the VMs on it, as `shown`.
macro_rules! of_interfaces {
    ($rows:literal) => {
        (
            "WITH node AS (SELECT id FROM nodes WHERE fqdn = ",
            concat!(
                "), shown AS (
    SELECT i.* FROM interfaces i WHERE i.node_id = (SELECT id FROM node)
    UNION ALL
    SELECT i.* FROM hypervisors h JOIN vms m ON m.hypervisor_id = h.id JOIN interfaces i ON i.vm_id = m.id
    WHERE h.node_id = (SELECT id FROM node))
",
                $rows
            ),
        )
    };
}

const INTERFACES: Text = of_interfaces!(
    "SELECT shown.id, vm_id, shown.name, bridge, mac, b.name AS bond
    FROM shown LEFT JOIN bonds b ON b.id = shown.bond_id ORDER BY shown.id"
);

const VLANS: Text = of_interfaces!(
    "SELECT l.interface_id, v.name, v.tag, v.vni
    FROM shown JOIN interface_vlans l ON l.interface_id = shown.id JOIN vlans v ON v.id = l.vlan_id
    ORDER BY l.interface_id, v.id"
);

const ADDRESSES: Text = of_interfaces!(
    "SELECT a.interface_id, a.ip::text AS ip, host(s.gateway) AS gateway,
    COALESCE(NOT a.ip >>= s.gateway, FALSE) AS is_gateway_outside, w.mtu
    FROM shown JOIN addresses a ON a.interface_id = shown.id
    LEFT JOIN subnets s ON vm_id IS NOT NULL AND s.cidr >>= bare(a.ip) LEFT JOIN networks w ON w.id = s.network_id
    ORDER BY a.interface_id, a.id"
);

const BONDS: Text =
    ("SELECT b.name, b.mode FROM bonds b JOIN nodes n ON n.id = b.node_id WHERE n.fqdn = ", " ORDER BY b.name");

const HYPERVISOR: Text = (
    "SELECT h.local_storage_bytes, h.local_storage_path, h.vg_name, h.cores, h.ram_bytes,
    h.cpu_overcommit_ratio, h.ram_overcommit_ratio
    FROM hypervisors h JOIN nodes n ON n.id = h.node_id WHERE n.fqdn = ",
    "",
);

// What has no place on this hypervisor cannot be there.
const TOMBSTONES: Text = (
    "SELECT x.uuid, x.name, x.number, t.name AS storage_type, p.name AS pool, c.name AS cluster, x.not_before
    FROM nodes n JOIN hypervisors h ON h.node_id = n.id JOIN tombstones_in_force x ON x.hypervisor_id = h.id
    LEFT JOIN storage_types t ON t.id = x.storage_type_id
    LEFT JOIN ceph_pools p ON p.id = x.ceph_pool_id LEFT JOIN ceph_clusters c ON c.id = p.cluster_id
    WHERE CASE WHEN t.name IS NULL OR t.name = 'rbd' THEN TRUE WHEN t.name = 'lvm' THEN h.vg_name IS NOT NULL
        ELSE h.local_storage_path IS NOT NULL END AND n.fqdn = ",
    " ORDER BY x.uuid",
);

const VIRT_METHODS: Text = (
    "SELECT v.name FROM hypervisors h JOIN nodes n ON n.id = h.node_id
    JOIN hypervisor_virt_methods o ON o.hypervisor_id = h.id JOIN virt_methods v ON v.id = o.virt_method_id
    WHERE n.fqdn = ",
    " ORDER BY v.name",
);

const VMS: Text = (
    "SELECT m.id, m.uuid, m.name, m.cores, m.ram_bytes, m.cputime_limit, v.name AS virt_method, s.name AS state,
    m.restarts, m.firewall = 'on' AS has_firewall, m.flavor_id IS NOT NULL AS has_flavor, m.user_data
    FROM nodes n JOIN hypervisors h ON h.node_id = n.id JOIN vms m ON m.hypervisor_id = h.id
    JOIN virt_methods v ON v.id = m.virt_method_id JOIN vm_states s ON s.id = m.state_id WHERE n.fqdn = ",
    " ORDER BY m.uuid",
);

const GPUS: Text = (
    "SELECT g.vm_id, g.address
    FROM nodes n JOIN hypervisors h ON h.node_id = n.id JOIN gpus g ON g.hypervisor_id = h.id
    WHERE g.vm_id IS NOT NULL AND n.fqdn = ",
    " ORDER BY g.vm_id, g.address COLLATE \"C\"",
);

const SECURITY_RULES: Text = (
    "SELECT r.vm_id, r.direction, r.ethertype, r.protocol, r.port_range_min, r.port_range_max,
    r.remote_ip_prefix::text AS remote_ip_prefix
    FROM nodes n JOIN hypervisors h ON h.node_id = n.id JOIN vms m ON m.hypervisor_id = h.id
    JOIN security_rules r ON r.vm_id = m.id WHERE n.fqdn = ",
    " ORDER BY r.id",
);

const FLOATING_IPS: Text = (
    "SELECT f.vm_id, f.ip::text AS ip
    FROM nodes n JOIN hypervisors h ON h.node_id = n.id JOIN vms m ON m.hypervisor_id = h.id
    JOIN floating_ips f ON f.vm_id = m.id WHERE n.fqdn = ",
    " ORDER BY f.id",
);

const KEYS: Text = (
    "SELECT l.vm_id, k.public_key
    FROM nodes n JOIN hypervisors h ON h.node_id = n.id JOIN vms m ON m.hypervisor_id = h.id
    JOIN vm_keys l ON l.vm_id = m.id JOIN keys k ON k.id = l.key_id WHERE n.fqdn = ",
    " ORDER BY l.vm_id, k.name",
);

const VOLUMES: Text = (
    "SELECT d.id, d.vm_id, d.uuid, t.name AS storage_type, o.name AS cache, d.size_bytes,
    d.read_iops_limit, d.write_iops_limit, d.read_bps_limit, d.write_bps_limit, p.name AS pool, c.name AS cluster,
    g.name AS image, g.format AS image_format, g.path AS image_path, g.checksum AS image_checksum,
    d.restores, d.restored_from
    FROM nodes n JOIN hypervisors h ON h.node_id = n.id JOIN vms m ON m.hypervisor_id = h.id
    JOIN volumes d ON d.vm_id = m.id
    JOIN storage_types t ON t.id = d.storage_type_id JOIN cache_options o ON o.id = d.cache_option_id
    LEFT JOIN ceph_pools p ON p.id = d.ceph_pool_id LEFT JOIN ceph_clusters c ON c.id = p.cluster_id
    LEFT JOIN images g ON g.id = d.image_id WHERE n.fqdn = ",
    " ORDER BY d.id",
);

const SNAPSHOTS: Text = (
    "SELECT x.volume_id, x.name, x.take_at, x.keep_until
    FROM nodes n JOIN hypervisors h ON h.node_id = n.id JOIN vms m ON m.hypervisor_id = h.id
    JOIN volumes d ON d.vm_id = m.id JOIN snapshots x ON x.volume_id = d.id WHERE n.fqdn = ",
    " ORDER BY x.volume_id, x.name",
);

const OSDS: Text = (
    "SELECT c.name AS cluster, o.uuid, o.device, o.db_device, o.device_class
    FROM ceph_osds o JOIN nodes n ON n.id = o.node_id JOIN ceph_clusters c ON c.id = o.cluster_id WHERE n.fqdn = ",
    " ORDER BY o.device",
);

/// The clusters that the node serves or uses, as `used`.
macro_rules! of_clusters {
    ($rows:literal) => {
        (
            "WITH node AS (SELECT id FROM nodes WHERE fqdn = ",
            concat!(
                "), used AS (
    SELECT cluster_id FROM ceph_mons WHERE node_id = (SELECT id FROM node)
    UNION SELECT cluster_id FROM ceph_osds WHERE node_id = (SELECT id FROM node)
    UNION SELECT p.cluster_id FROM hypervisors h JOIN vms m ON m.hypervisor_id = h.id
        JOIN volumes d ON d.vm_id = m.id JOIN ceph_pools p ON p.id = d.ceph_pool_id
        WHERE h.node_id = (SELECT id FROM node)
    UNION SELECT p.cluster_id FROM hypervisors h JOIN tombstones_in_force x ON x.hypervisor_id = h.id
        JOIN ceph_pools p ON p.id = x.ceph_pool_id WHERE h.node_id = (SELECT id FROM node))
",
                $rows
            ),
        )
    };
}

const CLUSTERS: Text = of_clusters!(
    "SELECT c.id, c.name, c.generation, c.fsid, c.public_network::text AS public_network,
    c.cluster_network::text AS cluster_network
    FROM used JOIN ceph_clusters c ON c.id = used.cluster_id ORDER BY c.name"
);

const MONS: Text = of_clusters!(
    "SELECT o.cluster_id, n.id AS node_id, n.fqdn, o.name, host(o.address) AS address, o.port
    FROM used JOIN ceph_mons o USING (cluster_id) JOIN nodes n ON n.id = o.node_id ORDER BY o.cluster_id, n.fqdn"
);

const POOLS: Text = of_clusters!(
    "SELECT p.cluster_id, p.name, p.size, p.min_size, p.pg_num
    FROM used JOIN ceph_pools p USING (cluster_id) ORDER BY p.cluster_id, p.name"
);

/// Reads all rows of a node, as of the moment of the transaction.
pub async fn read(tx: &Tx, fqdn: &str) -> Result<Rows> {
    let (
        node,
        networks,
        interfaces,
        vlans,
        addresses,
        bonds,
        hypervisor,
        tombstones,
        virt_methods,
        vms,
        volumes,
        snapshots,
        gpus,
        security_rules,
        floating_ips,
        keys,
        osds,
        clusters,
        mons,
        pools,
    ) = try_join!(
        load(tx, fqdn, NODE),
        load(tx, fqdn, NETWORKS),
        load(tx, fqdn, INTERFACES),
        load(tx, fqdn, VLANS),
        load(tx, fqdn, ADDRESSES),
        load(tx, fqdn, BONDS),
        load(tx, fqdn, HYPERVISOR),
        load(tx, fqdn, TOMBSTONES),
        load(tx, fqdn, VIRT_METHODS),
        load(tx, fqdn, VMS),
        load(tx, fqdn, VOLUMES),
        load(tx, fqdn, SNAPSHOTS),
        load(tx, fqdn, GPUS),
        load(tx, fqdn, SECURITY_RULES),
        load(tx, fqdn, FLOATING_IPS),
        load(tx, fqdn, KEYS),
        load(tx, fqdn, OSDS),
        load(tx, fqdn, CLUSTERS),
        load(tx, fqdn, MONS),
        load(tx, fqdn, POOLS),
    )?;
    let (node, hypervisor): (Vec<_>, Vec<_>) = (node, hypervisor);
    let (node, hypervisor) = (node.into_iter().next(), hypervisor.into_iter().next());
    Ok(Rows {
        node,
        networks,
        interfaces,
        vlans,
        addresses,
        bonds,
        hypervisor,
        tombstones,
        virt_methods,
        vms,
        volumes,
        snapshots,
        gpus,
        security_rules,
        floating_ips,
        keys,
        osds,
        clusters,
        mons,
        pools,
    })
}

async fn load<Row: QueryableByName<Pg> + Send + 'static>(tx: &Tx, fqdn: &str, (start, end): Text) -> Result<Vec<Row>> {
    let statement: Statement<Untyped> = Sql::new(start).one(fqdn, "text").text(end).into();
    Ok(statement.load(&mut tx.conn()).await?)
}
