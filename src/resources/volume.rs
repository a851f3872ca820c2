//! A block device of a VM, or one that is kept for later.

use super::prelude::*;
use crate::resources::{CacheOption, CephPool, Environment, Image, StorageType, Vm, vm::MORE_THAN_LEFT};
use crate::schema::volumes;

/// A row of `volumes`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = volumes, check_for_backend(Pg))]
pub struct Volume {
    id: i64,
    uuid: Uuid,
    name: Option<String>,
    #[serde(rename = "vm")]
    vm_id: Option<i64>,
    size_bytes: i64,
    #[serde(rename = "storage_type")]
    storage_type_id: i64,
    #[serde(rename = "cache_option")]
    cache_option_id: i64,
    #[serde(rename = "ceph_pool")]
    ceph_pool_id: Option<i64>,
    #[serde(rename = "image")]
    image_id: Option<i64>,
    read_iops_limit: Option<i64>,
    write_iops_limit: Option<i64>,
    read_bps_limit: Option<i64>,
    write_bps_limit: Option<i64>,
    #[serde(rename = "environment")]
    environment_id: Option<i64>,
    lifetime: String,
    restores: i32,
    restored_from: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = volumes, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewVolume {
    uuid: Uuid,
    name: Option<String>,
    #[serde(rename = "vm")]
    vm_id: Option<i64>,
    size_bytes: i64,
    #[serde(rename = "storage_type")]
    storage_type_id: i64,
    #[serde(rename = "cache_option")]
    cache_option_id: i64,
    #[serde(rename = "ceph_pool")]
    ceph_pool_id: Option<i64>,
    #[serde(rename = "image")]
    image_id: Option<i64>,
    read_iops_limit: Option<i64>,
    write_iops_limit: Option<i64>,
    read_bps_limit: Option<i64>,
    write_bps_limit: Option<i64>,
    #[serde(rename = "environment")]
    environment_id: Option<i64>,
    #[serde(default = "own", deserialize_with = "or_own")]
    lifetime: String,
}

impl Resource for Volume {
    const NAME: &'static str = "volumes";
    const ABOUT: &'static str = "A block device of at most one VM.";
    const KEY: &'static [&'static str] = &["uuid"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("uuid", Type::Uuid).by_operators().about("Made by the server unless given."),
        Column::new("name", Type::Name).about("What people call it; unique in its environment."),
        Column::new("vm", Type::Ref(Vm::KIND)).belongs_if("lifetime", "vm").about("The VM that has it."),
        Column::new("size_bytes", Type::Int).required().between(1, i64::MAX).about("What the guest sees."),
        Column::new("storage_type", Type::Ref(StorageType::KIND)).required().about("How it is kept."),
        Column::new("cache_option", Type::Ref(CacheOption::KIND)).required().about("How the hypervisor caches it."),
        Column::new("ceph_pool", Type::Ref(CephPool::KIND))
            .by_operators()
            .about("Where an rbd volume is; no other volume has one."),
        Column::new("image", Type::Ref(Image::KIND))
            .about("The golden image that it is made from: below a qcow2 volume, copied into a raw one."),
        Column::new("read_iops_limit", Type::Int).between(1, i64::MAX).by_operators().about("Reads per second."),
        Column::new("write_iops_limit", Type::Int).between(1, i64::MAX).by_operators().about("Writes per second."),
        Column::new("read_bps_limit", Type::Int).between(1, i64::MAX).by_operators().about("Bytes read per second."),
        Column::new("write_bps_limit", Type::Int)
            .between(1, i64::MAX)
            .by_operators()
            .about("Bytes written per second."),
        Column::new("environment", Type::Ref(Environment::KIND))
            .about("Whose it is: that of its VM, if it has one; the fleet's own without one."),
        Column::new("lifetime", Type::Choice(&["own", "vm"])).about(
            "Whether it goes when its VM is deleted (`vm`), or must be taken from it first; `own` unless given.",
        ),
        Column::server("restores", Type::Int).required().about("How often somebody has asked to restore it."),
        Column::server("restored_from", Type::Text).about("The snapshot that it was to be restored to last."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"size_bytes": 53687091200, "storage_type": "qcow2", "cache_option": "none", "read_iops_limit": 500,
        "image": {"name": "debian-12", "format": "qcow2", "path": "/var/lib/libvirt/golden/debian-12.qcow2", "size_bytes": 2147483648}}"#;
    // Also where it takes a tombstone out of the document, wherever it is itself.
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM volumes JOIN vms ON vms.id = vm_id \
        JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE volumes.id = changed.id \
        UNION ALL SELECT node_id, NULL FROM volumes JOIN tombstones ON tombstones.uuid = volumes.uuid OR number = volumes.id \
        JOIN hypervisors ON hypervisors.id = hypervisor_id \
        WHERE volumes.id = changed.id AND tombstones.storage_type_id IS NOT NULL";
    const RULES: &'static [Rule] = &[
        Rule {
            constraint: "volumes_ceph_pool_check",
            field: "ceph_pool",
            detail: "must be set for an rbd volume, and for no other",
        },
        Rule {
            constraint: "volumes_environment_check",
            field: "environment",
            detail: "is not that of its VM: a volume is in the environment of its VM",
        },
        Rule { constraint: "hypervisor_usage_local_bytes_left", field: "size_bytes", detail: MORE_THAN_LEFT },
        Rule { constraint: "volumes_image_backing_check", field: "image", detail: "is only for a qcow2 or raw volume" },
        Rule {
            constraint: "volumes_volume_place_check",
            field: "storage_type",
            detail: "needs a local_storage_path (files) or a vg_name (lvm) on the hypervisor of its VM",
        },
        Rule {
            constraint: "volumes_snapshots_check",
            field: "storage_type",
            detail: "must be qcow2 or rbd as long as it has snapshots",
        },
        Rule {
            constraint: "volumes_restoring_check",
            field: "vm",
            detail: "keeps it until it is restored: the agent of its hypervisor has not said so yet",
        },
        Rule { constraint: "volumes_size_of_image_check", field: "size_bytes", detail: "is less than the image has" },
    ];
    // One that leaves its VM, or moves with it, is the only place of its data: it leaves nothing.
    const LEAVES: Option<&'static Leaves> = Some(&Leaves {
        place: "",
        statement: "SELECT hypervisor_id AS hypervisor, volumes.uuid, vms.name, volumes.id AS number, \
            storage_type_id AS storage_type, ceph_pool_id AS ceph_pool, size_bytes \
            FROM volumes JOIN vms ON vms.id = vm_id WHERE volumes.id = changed.id AND hypervisor_id IS NOT NULL",
    });
    const REALM: Realm = Realm::Customer;

    type New = NewVolume;
    crud!(volumes: list find lock insert update delete);
}

fn own() -> String {
    "own".to_owned()
}

fn or_own<'de, D: serde::Deserializer<'de>>(given: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or_else(own))
}
