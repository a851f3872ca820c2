//! The rows that a document is built from, as [`super::statements`] reads them.

mod vm;

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Double, Integer, Json, Macaddr, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use crate::types::Mac;
pub use vm::{FloatingIp, Gpu, Key, SecurityRule, Snapshot, Vm, Volume};

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
    pub tombstones: Vec<Tombstone>,
    pub virt_methods: Vec<VirtMethod>,
    pub vms: Vec<Vm>,
    pub volumes: Vec<Volume>,
    pub snapshots: Vec<Snapshot>,
    pub gpus: Vec<Gpu>,
    pub security_rules: Vec<SecurityRule>,
    pub floating_ips: Vec<FloatingIp>,
    pub keys: Vec<Key>,
    pub osds: Vec<Osd>,
    pub clusters: Vec<Cluster>,
    pub mons: Vec<Mon>,
    pub pools: Vec<Pool>,
}

/// The node itself.
#[derive(QueryableByName)]
pub struct Node {
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    #[diesel(sql_type = BigInt)]
    pub generation: i64,
    #[diesel(sql_type = Bool)]
    pub approved: bool,
    #[diesel(sql_type = Nullable<Text>)]
    pub location: Option<String>,
    #[diesel(sql_type = Text)]
    pub state: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub environment: Option<String>,
    #[diesel(sql_type = Json)]
    pub parameters: Value,
}

/// A network that the node is part of, and the VLAN that carries it.
#[derive(QueryableByName)]
pub struct Network {
    #[diesel(sql_type = Text)]
    pub purpose: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub cidr: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub mtu: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    pub vlan: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub tag: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub vni: Option<i32>,
}

/// An interface: of a VM, or else of the node itself.
#[derive(QueryableByName)]
pub struct Interface {
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub vm_id: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    pub name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub bridge: Option<String>,
    #[diesel(sql_type = Macaddr)]
    pub mac: Mac,
    #[diesel(sql_type = Nullable<Text>)]
    pub bond: Option<String>,
}

/// A VLAN of an interface.
#[derive(QueryableByName)]
pub struct Vlan {
    #[diesel(sql_type = BigInt)]
    pub interface_id: i64,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Nullable<Integer>)]
    pub tag: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub vni: Option<i32>,
}

/// An address of an interface, with its prefix length; and of a VM's, what its subnet says.
#[derive(QueryableByName)]
pub struct Address {
    #[diesel(sql_type = BigInt)]
    pub interface_id: i64,
    #[diesel(sql_type = Text)]
    pub ip: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub gateway: Option<String>,
    /// Whether the gateway is none of the addresses that the prefix length says are near.
    #[diesel(sql_type = Bool)]
    pub is_gateway_outside: bool,
    #[diesel(sql_type = Nullable<Integer>)]
    pub mtu: Option<i32>,
}

/// A bond of the node.
#[derive(QueryableByName)]
pub struct Bond {
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Text)]
    pub mode: String,
}

/// The node's role, if it has it.
#[derive(QueryableByName)]
pub struct Hypervisor {
    #[diesel(sql_type = Nullable<BigInt>)]
    pub local_storage_bytes: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    pub local_storage_path: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub vg_name: Option<String>,
    #[diesel(sql_type = Integer)]
    pub cores: i32,
    #[diesel(sql_type = BigInt)]
    pub ram_bytes: i64,
    #[diesel(sql_type = Double)]
    pub cpu_overcommit_ratio: f64,
    #[diesel(sql_type = Double)]
    pub ram_overcommit_ratio: f64,
}

/// What was removed from it.
#[derive(QueryableByName)]
pub struct Tombstone {
    #[diesel(sql_type = SqlUuid)]
    pub uuid: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    pub name: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub number: i64,
    /// Of a volume; a VM has none.
    #[diesel(sql_type = Nullable<Text>)]
    pub storage_type: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub pool: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub cluster: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    pub not_before: DateTime<Utc>,
}

/// A method that it offers.
#[derive(QueryableByName)]
pub struct VirtMethod {
    #[diesel(sql_type = Text)]
    pub name: String,
}

/// An OSD of the node.
#[derive(QueryableByName)]
pub struct Osd {
    #[diesel(sql_type = Text)]
    pub cluster: String,
    #[diesel(sql_type = SqlUuid)]
    pub uuid: Uuid,
    #[diesel(sql_type = Text)]
    pub device: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub db_device: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub device_class: Option<String>,
}

/// A cluster that the node serves or uses.
#[derive(QueryableByName)]
pub struct Cluster {
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = BigInt)]
    pub generation: i64,
    #[diesel(sql_type = SqlUuid)]
    pub fsid: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    pub public_network: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub cluster_network: Option<String>,
}

/// A monitor of such a cluster.
#[derive(QueryableByName)]
pub struct Mon {
    #[diesel(sql_type = BigInt)]
    pub cluster_id: i64,
    #[diesel(sql_type = BigInt)]
    pub node_id: i64,
    #[diesel(sql_type = Text)]
    pub fqdn: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Text)]
    pub address: String,
    #[diesel(sql_type = Integer)]
    pub port: i32,
}

/// A pool of such a cluster.
#[derive(QueryableByName)]
pub struct Pool {
    #[diesel(sql_type = BigInt)]
    pub cluster_id: i64,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Integer)]
    pub size: i32,
    #[diesel(sql_type = Integer)]
    pub min_size: i32,
    #[diesel(sql_type = Integer)]
    pub pg_num: i32,
}
