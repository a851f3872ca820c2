//! What is read of the VMs on a hypervisor.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

/// A VM on it.
#[derive(QueryableByName)]
pub struct Vm {
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    #[diesel(sql_type = SqlUuid)]
    pub uuid: Uuid,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Integer)]
    pub cores: i32,
    #[diesel(sql_type = BigInt)]
    pub ram_bytes: i64,
    #[diesel(sql_type = Nullable<Integer>)]
    pub cputime_limit: Option<i32>,
    #[diesel(sql_type = Text)]
    pub virt_method: String,
    #[diesel(sql_type = Text)]
    pub state: String,
    #[diesel(sql_type = Integer)]
    pub restarts: i32,
    /// Whether only what rules allow goes in, though there may be none.
    #[diesel(sql_type = Bool)]
    pub has_firewall: bool,
    #[diesel(sql_type = Bool)]
    pub has_flavor: bool,
    #[diesel(sql_type = Nullable<Text>)]
    pub user_data: Option<String>,
}

/// A device of the hypervisor that a VM has.
#[derive(QueryableByName)]
pub struct Gpu {
    #[diesel(sql_type = BigInt)]
    pub vm_id: i64,
    #[diesel(sql_type = Text)]
    pub address: String,
}

/// What goes in or out of a VM.
#[derive(QueryableByName)]
pub struct SecurityRule {
    #[diesel(sql_type = BigInt)]
    pub vm_id: i64,
    #[diesel(sql_type = Text)]
    pub direction: String,
    #[diesel(sql_type = Text)]
    pub ethertype: String,
    #[diesel(sql_type = Text)]
    pub protocol: String,
    #[diesel(sql_type = Nullable<Integer>)]
    pub port_range_min: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub port_range_max: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    pub remote_ip_prefix: Option<String>,
}

/// An address that is routed to a VM, with the prefix length of a single one.
#[derive(QueryableByName)]
pub struct FloatingIp {
    #[diesel(sql_type = BigInt)]
    pub vm_id: i64,
    #[diesel(sql_type = Text)]
    pub ip: String,
}

/// A key with which people log in to a VM.
#[derive(QueryableByName)]
pub struct Key {
    #[diesel(sql_type = BigInt)]
    pub vm_id: i64,
    #[diesel(sql_type = Text)]
    pub public_key: String,
}

/// A volume of a VM, its pool and cluster, and the image behind it.
#[derive(QueryableByName)]
pub struct Volume {
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    #[diesel(sql_type = BigInt)]
    pub vm_id: i64,
    #[diesel(sql_type = SqlUuid)]
    pub uuid: Uuid,
    #[diesel(sql_type = Text)]
    pub storage_type: String,
    #[diesel(sql_type = Text)]
    pub cache: String,
    #[diesel(sql_type = BigInt)]
    pub size_bytes: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub read_iops_limit: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub write_iops_limit: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub read_bps_limit: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub write_bps_limit: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    pub pool: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub cluster: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub image: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub image_format: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub image_path: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub image_checksum: Option<String>,
    #[diesel(sql_type = Integer)]
    pub restores: i32,
    #[diesel(sql_type = Nullable<Text>)]
    pub restored_from: Option<String>,
}

/// A snapshot of a volume.
#[derive(QueryableByName)]
pub struct Snapshot {
    #[diesel(sql_type = BigInt)]
    pub volume_id: i64,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Timestamptz)]
    pub take_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub keep_until: Option<DateTime<Utc>>,
}
