//! What a document is built from, read in one pipelined round trip: a fixed number of statements, however many VMs.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Double, Int4, Integer, Jsonb, Macaddr, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use tokio::try_join;
use uuid::Uuid;

use crate::db::Tx;
use crate::error::Result;
use crate::sql::{Sql, Statement};
use crate::types::Mac;

/// `(id, generation, location, state, environment, parameters)`
pub type Node = (i64, i64, Option<String>, String, Option<String>, Value);
/// `(purpose, name, cidr, mtu, VLAN's name, tag, vni)`
pub type Network = (String, String, Option<String>, Option<i32>, Option<String>, Option<i32>, Option<i32>);
/// `(id, vm_id, name, bridge, mac, bond)`; of the node itself without a VM.
pub type Interface = (i64, Option<i64>, Option<String>, Option<String>, Mac, Option<String>);
/// `(interface_id, name, tag, vni)`
pub type Vlan = (i64, String, Option<i32>, Option<i32>);
/// `(interface_id, ip)`
pub type Address = (i64, String);
/// `(name, mode)`
pub type Bond = (String, String);
/// `(local_storage_bytes, local_storage_path, vg_name, cores, ram_bytes, cpu_overcommit_ratio, ram_overcommit_ratio)`
pub type Hypervisor = (Option<i64>, Option<String>, Option<String>, i32, i64, f64, f64);
/// `(id, uuid, name, cores, ram_bytes, cputime_limit, virt_method, state)`
pub type Vm = (i64, Uuid, String, i32, i64, Option<i32>, String, String);
/// `((id, vm_id, uuid, type, cache, size_bytes), the four limits, (pool, cluster), (image's name, format, path, checksum))`
pub type Volume = (
    (i64, i64, Uuid, String, String, i64),
    (Option<i64>, Option<i64>, Option<i64>, Option<i64>),
    (Option<String>, Option<String>),
    (Option<String>, Option<String>, Option<String>, Option<String>),
);
/// `(volume_id, name, take_at, keep_until)`
pub type Snapshot = (i64, String, DateTime<Utc>, Option<DateTime<Utc>>);
/// `(cluster, uuid, device, db_device, device_class)`
pub type Osd = (String, Uuid, String, Option<String>, Option<String>);
/// `(id, name, generation, fsid, public_network, cluster_network)`
pub type Cluster = (i64, String, i64, Uuid, Option<String>, Option<String>);
/// `(cluster_id, node_id, fqdn, name, address, port)`
pub type Mon = (i64, i64, String, String, String, i32);
/// `(cluster_id, name, size, min_size, pg_num)`
pub type Pool = (i64, String, i32, i32, i32);

/// All rows of a node's document.
pub struct Rows {
    /// Missing when there is no such node.
    pub node: Option<Node>,
    pub networks: Vec<Network>,
    pub interfaces: Vec<Interface>,
    pub vlans: Vec<Vlan>,
    pub addresses: Vec<Address>,
    pub bonds: Vec<Bond>,
    pub hypervisor: Option<Hypervisor>,
    pub virt_methods: Vec<String>,
    pub vms: Vec<Vm>,
    pub volumes: Vec<Volume>,
    pub snapshots: Vec<Snapshot>,
    pub osds: Vec<Osd>,
    pub clusters: Vec<Cluster>,
    pub mons: Vec<Mon>,
    pub pools: Vec<Pool>,
}

const NODE: &str = "SELECT n.id, n.generation, n.location, s.name, n.environment, n.parameters
    FROM nodes n JOIN node_states s ON s.id = n.state_id WHERE n.fqdn = ";

const NETWORKS: &str = "SELECT purpose, w.name, w.cidr::text, w.mtu, v.name, v.tag, v.vni
    FROM nodes n
    CROSS JOIN LATERAL (VALUES ('management', n.management_network_id), ('storage', n.storage_network_id),
        ('backup', n.backup_network_id)) AS part (purpose, network_id)
    JOIN networks w ON w.id = part.network_id LEFT JOIN vlans v ON v.id = w.vlan_id WHERE n.fqdn = ";

/// The interfaces of the node and of the VMs on it; the other statements about interfaces join it.
const INTERFACES: &str = "WITH node AS (SELECT id FROM nodes WHERE fqdn = ";
const OF_NODE: &str = "), shown AS (
    SELECT i.* FROM interfaces i WHERE i.node_id = (SELECT id FROM node)
    UNION ALL
    SELECT i.* FROM hypervisors h JOIN vms m ON m.hypervisor_id = h.id JOIN interfaces i ON i.vm_id = m.id
    WHERE h.node_id = (SELECT id FROM node))
";
const INTERFACE_ROWS: &str = "SELECT shown.id, vm_id, shown.name, bridge, mac, b.name
    FROM shown LEFT JOIN bonds b ON b.id = shown.bond_id ORDER BY shown.id";
const VLAN_ROWS: &str = "SELECT l.interface_id, v.name, v.tag, v.vni
    FROM shown JOIN interface_vlans l ON l.interface_id = shown.id JOIN vlans v ON v.id = l.vlan_id ORDER BY 1, v.id";
const ADDRESS_ROWS: &str = "SELECT a.interface_id, a.ip::text
    FROM shown JOIN addresses a ON a.interface_id = shown.id ORDER BY 1, a.id";

const BONDS: &str = "SELECT b.name, b.mode FROM bonds b JOIN nodes n ON n.id = b.node_id WHERE n.fqdn = ";

const HYPERVISOR: &str = "SELECT h.local_storage_bytes, h.local_storage_path, h.vg_name, h.cores, h.ram_bytes,
    h.cpu_overcommit_ratio, h.ram_overcommit_ratio
    FROM hypervisors h JOIN nodes n ON n.id = h.node_id WHERE n.fqdn = ";

const VIRT_METHODS: &str = "SELECT v.name FROM hypervisors h JOIN nodes n ON n.id = h.node_id
    JOIN hypervisor_virt_methods o ON o.hypervisor_id = h.id JOIN virt_methods v ON v.id = o.virt_method_id
    WHERE n.fqdn = ";

/// The VMs of the node; every statement about them begins so.
const VMS_OF_NODE: &str = " FROM nodes n JOIN hypervisors h ON h.node_id = n.id JOIN vms m ON m.hypervisor_id = h.id ";

const VMS: &str = "SELECT m.id, m.uuid, m.name, m.cores, m.ram_bytes, m.cputime_limit, v.name, s.name";
const VMS_REST: &str = "JOIN virt_methods v ON v.id = m.virt_method_id JOIN vm_states s ON s.id = m.state_id
    WHERE n.fqdn = ";

const VOLUMES: &str = "SELECT d.id, d.vm_id, d.uuid, t.name, o.name, d.size_bytes,
    d.read_iops_limit, d.write_iops_limit, d.read_bps_limit, d.write_bps_limit,
    p.name, c.name, g.name, g.format, g.path, g.checksum";
const VOLUMES_REST: &str = "JOIN volumes d ON d.vm_id = m.id
    JOIN storage_types t ON t.id = d.storage_type_id JOIN cache_options o ON o.id = d.cache_option_id
    LEFT JOIN ceph_pools p ON p.id = d.ceph_pool_id LEFT JOIN ceph_clusters c ON c.id = p.cluster_id
    LEFT JOIN images g ON g.id = d.image_id WHERE n.fqdn = ";

const SNAPSHOTS: &str = "SELECT x.volume_id, x.name, x.take_at, x.keep_until";
const SNAPSHOTS_REST: &str = "JOIN volumes d ON d.vm_id = m.id JOIN snapshots x ON x.volume_id = d.id WHERE n.fqdn = ";

const OSDS: &str = "SELECT c.name, o.uuid, o.device, o.db_device, o.device_class
    FROM ceph_osds o JOIN nodes n ON n.id = o.node_id JOIN ceph_clusters c ON c.id = o.cluster_id WHERE n.fqdn = ";

/// The clusters that the node serves or uses; the statements about mons and pools join it.
const USED: &str = "WITH node AS (SELECT id FROM nodes WHERE fqdn = ";
const OF_USED: &str = "), used AS (
    SELECT cluster_id FROM ceph_mons WHERE node_id = (SELECT id FROM node)
    UNION SELECT cluster_id FROM ceph_osds WHERE node_id = (SELECT id FROM node)
    UNION SELECT p.cluster_id FROM hypervisors h JOIN vms m ON m.hypervisor_id = h.id
        JOIN volumes d ON d.vm_id = m.id JOIN ceph_pools p ON p.id = d.ceph_pool_id
        WHERE h.node_id = (SELECT id FROM node))
";
const CLUSTER_ROWS: &str = "SELECT c.id, c.name, c.generation, c.fsid, c.public_network::text, c.cluster_network::text
    FROM used JOIN ceph_clusters c ON c.id = used.cluster_id ORDER BY c.name";
const MON_ROWS: &str = "SELECT o.cluster_id, n.id, n.fqdn, o.name, host(o.address), o.port
    FROM used JOIN ceph_mons o USING (cluster_id) JOIN nodes n ON n.id = o.node_id ORDER BY o.cluster_id, n.fqdn";
const POOL_ROWS: &str = "SELECT p.cluster_id, p.name, p.size, p.min_size, p.pg_num
    FROM used JOIN ceph_pools p USING (cluster_id) ORDER BY p.cluster_id, p.name";

type Text4 = (Nullable<Text>, Nullable<Text>, Nullable<Text>, Nullable<Text>);
type Limits = (Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>);

impl Rows {
    /// Reads them, as of the moment of the transaction.
    pub async fn read(tx: &Tx, fqdn: &str) -> Result<Self> {
        let plain = |start: &str, end: &str| Sql::new(start).one(fqdn, "text").text(end.to_owned());
        let of_vms = |columns: &str, rest: &str, order: &str| plain(&format!("{columns}{VMS_OF_NODE}{rest}"), order);
        let of_interfaces = |rows: &str| plain(INTERFACES, &format!("{OF_NODE}{rows}"));
        let of_clusters = |rows: &str| plain(USED, &format!("{OF_USED}{rows}"));

        let node: Statement<(BigInt, BigInt, Nullable<Text>, Text, Nullable<Text>, Jsonb)> = plain(NODE, "").into();
        let networks: Statement<(
            Text,
            Text,
            Nullable<Text>,
            Nullable<Int4>,
            Nullable<Text>,
            Nullable<Int4>,
            Nullable<Int4>,
        )> = plain(NETWORKS, "").into();
        let interfaces: Statement<(BigInt, Nullable<BigInt>, Nullable<Text>, Nullable<Text>, Macaddr, Nullable<Text>)> =
            of_interfaces(INTERFACE_ROWS).into();
        let vlans: Statement<(BigInt, Text, Nullable<Int4>, Nullable<Int4>)> = of_interfaces(VLAN_ROWS).into();
        let addresses: Statement<(BigInt, Text)> = of_interfaces(ADDRESS_ROWS).into();
        let bonds: Statement<(Text, Text)> = plain(BONDS, " ORDER BY b.name").into();
        let hypervisor: Statement<(Nullable<BigInt>, Nullable<Text>, Nullable<Text>, Integer, BigInt, Double, Double)> =
            plain(HYPERVISOR, "").into();
        let virt_methods: Statement<Text> = plain(VIRT_METHODS, " ORDER BY v.name").into();
        let vms: Statement<(BigInt, SqlUuid, Text, Integer, BigInt, Nullable<Integer>, Text, Text)> =
            of_vms(VMS, VMS_REST, " ORDER BY m.uuid").into();
        let volumes: Statement<(
            (BigInt, BigInt, SqlUuid, Text, Text, BigInt),
            Limits,
            (Nullable<Text>, Nullable<Text>),
            Text4,
        )> = of_vms(VOLUMES, VOLUMES_REST, " ORDER BY d.id").into();
        let snapshots: Statement<(BigInt, Text, Timestamptz, Nullable<Timestamptz>)> =
            of_vms(SNAPSHOTS, SNAPSHOTS_REST, " ORDER BY x.volume_id, x.name").into();
        let osds: Statement<(Text, SqlUuid, Text, Nullable<Text>, Nullable<Text>)> =
            plain(OSDS, " ORDER BY o.device").into();
        let clusters: Statement<(BigInt, Text, BigInt, SqlUuid, Nullable<Text>, Nullable<Text>)> =
            of_clusters(CLUSTER_ROWS).into();
        let mons: Statement<(BigInt, BigInt, Text, Text, Text, Integer)> = of_clusters(MON_ROWS).into();
        let pools: Statement<(BigInt, Text, Integer, Integer, Integer)> = of_clusters(POOL_ROWS).into();

        let mut conns = [tx.conn(); 15];
        let [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14] = &mut conns;
        let (
            node,
            networks,
            interfaces,
            vlans,
            addresses,
            bonds,
            hypervisor,
            virt_methods,
            vms,
            volumes,
            snapshots,
            osds,
            clusters,
            mons,
            pools,
        ): (
            Vec<Node>,
            Vec<Network>,
            Vec<Interface>,
            Vec<Vlan>,
            Vec<Address>,
            Vec<Bond>,
            Vec<Hypervisor>,
            Vec<String>,
            Vec<Vm>,
            Vec<Volume>,
            Vec<Snapshot>,
            Vec<Osd>,
            Vec<Cluster>,
            Vec<Mon>,
            Vec<Pool>,
        ) = try_join!(
            node.load(c0),
            networks.load(c1),
            interfaces.load(c2),
            vlans.load(c3),
            addresses.load(c4),
            bonds.load(c5),
            hypervisor.load(c6),
            virt_methods.load(c7),
            vms.load(c8),
            volumes.load(c9),
            snapshots.load(c10),
            osds.load(c11),
            clusters.load(c12),
            mons.load(c13),
            pools.load(c14),
        )?;
        let (node, hypervisor) = (node.into_iter().next(), hypervisor.into_iter().next());
        Ok(Self {
            node,
            networks,
            interfaces,
            vlans,
            addresses,
            bonds,
            hypervisor,
            virt_methods,
            vms,
            volumes,
            snapshots,
            osds,
            clusters,
            mons,
            pools,
        })
    }
}
