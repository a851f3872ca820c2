//! The role of a node that runs VMs.

use super::prelude::*;
use crate::resources::{CephCluster, Network, Node, VirtMethod};
use crate::schema::hypervisors;

/// A row of `hypervisors`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = hypervisors, check_for_backend(Pg))]
pub struct Hypervisor {
    id: i64,
    #[serde(rename = "node")]
    node_id: i64,
    local_storage_bytes: Option<i64>,
    local_storage_path: Option<String>,
    vg_name: Option<String>,
    cores: i32,
    ram_bytes: i64,
    cpu_overcommit_ratio: f64,
    ram_overcommit_ratio: f64,
    reserved_cores: i32,
    reserved_ram_bytes: i64,
    iops: Option<i32>,
    disk_bps: Option<i64>,
    labels: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = hypervisors, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewHypervisor {
    #[serde(rename = "node")]
    node_id: i64,
    local_storage_bytes: Option<i64>,
    local_storage_path: Option<String>,
    vg_name: Option<String>,
    cores: i32,
    ram_bytes: i64,
    #[serde(default = "one", deserialize_with = "or_one")]
    cpu_overcommit_ratio: f64,
    #[serde(default = "one", deserialize_with = "or_one")]
    ram_overcommit_ratio: f64,
    #[serde(default, deserialize_with = "or_default")]
    reserved_cores: i32,
    #[serde(default, deserialize_with = "or_default")]
    reserved_ram_bytes: i64,
    iops: Option<i32>,
    disk_bps: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    labels: Vec<String>,
}

impl Resource for Hypervisor {
    const NAME: &'static str = "hypervisors";
    const ABOUT: &'static str = "The role of a node that runs VMs.";
    const KEY: &'static [&'static str] = &["node"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("node", Type::Ref(Node::KIND)).required().belongs().about("The node that has this role."),
        Column::new("local_storage_bytes", Type::Int)
            .between(0, i64::MAX)
            .about("How much its VMs may use of local storage."),
        Column::new("local_storage_path", Type::Path).about("Where image files are kept."),
        Column::new("vg_name", Type::Word(&VG_NAME)).about("The LVM volume group for volumes of type lvm."),
        Column::new("cores", Type::Int).required().between(1, 65536).about("CPUs for VMs."),
        Column::new("ram_bytes", Type::Int).required().between(1, i64::MAX).about("Memory for VMs."),
        Column::new("cpu_overcommit_ratio", Type::Float)
            .between(0, 1000)
            .about("Virtual CPUs per CPU; 1 unless given."),
        Column::new("ram_overcommit_ratio", Type::Float)
            .between(0, 1000)
            .about("Memory of VMs per memory; 1 unless given."),
        Column::new("reserved_cores", Type::Int).between(0, 65536).about("CPUs that no order gets; 0 unless given."),
        Column::new("reserved_ram_bytes", Type::Int)
            .between(0, i64::MAX)
            .about("Memory that no order gets; 0 unless given."),
        Column::new("iops", Type::Int).between(1, 1_000_000_000).about(
            "Reads and writes per second that the limits of its VMs' volumes add up to at most; any unless given.",
        ),
        Column::new("disk_bps", Type::Int)
            .between(1, i64::MAX)
            .about("Bytes per second that those add up to at most; any unless given."),
        Column::new("labels", Type::Labels).about("What flavors ask for."),
        Column::new("networks", Type::Many(&NETWORKS))
            .about("Of the networks of VMs, those that it reaches; all if none is named."),
        Column::new("ceph_clusters", Type::Many(&CEPH_CLUSTERS))
            .about("The clusters that it reaches; all if none is named."),
        Column::new("virt_methods", Type::Many(&VIRT_METHODS)).about("How it can run VMs."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"node": {"fqdn": "hv01.example.com", "state": "running"}, "local_storage_bytes": 1000000000000,
        "local_storage_path": "/var/lib/libvirt/images", "vg_name": "vg0", "cores": 16, "ram_bytes": 68719476736,
        "virt_methods": ["KVM", "LXC"]}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM hypervisors WHERE hypervisors.id = changed.id";
    const RULES: &'static [Rule] = &[
        Rule {
            constraint: "hypervisors_volume_place_check",
            field: "",
            detail: "must keep the local_storage_path or vg_name that volumes of its VMs need",
        },
        Rule { constraint: "hypervisors_reserved_cores_check", field: "reserved_cores", detail: "is more than it has" },
        Rule {
            constraint: "hypervisors_reserved_ram_bytes_check",
            field: "reserved_ram_bytes",
            detail: "is more than it has",
        },
    ];
    const ACTIONS: &'static [Action] = &[
        Action { path: "maintenance", text: "Maintenance", sends: None },
        Action { path: "resume", text: "Resume", sends: None },
    ];

    type New = NewHypervisor;
    crud!(hypervisors: list find lock insert update delete);
}

static VIRT_METHODS: Link =
    Link { table: "hypervisor_virt_methods", own: "hypervisor_id", other: "virt_method_id", kind: VirtMethod::KIND };

static NETWORKS: Link =
    Link { table: "hypervisor_networks", own: "hypervisor_id", other: "network_id", kind: Network::KIND };
static CEPH_CLUSTERS: Link =
    Link { table: "hypervisor_ceph_clusters", own: "hypervisor_id", other: "ceph_cluster_id", kind: CephCluster::KIND };

/// As `vgcreate(8)` allows.
static VG_NAME: Word = Word { punctuation: "_+.-", capitals: true, max: 127, prefix: "" };

fn one() -> f64 {
    1.0
}

fn or_one<'de, D: serde::Deserializer<'de>>(given: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or_else(one))
}
