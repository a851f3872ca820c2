//! A size of VMs, and what a hypervisor must have for one.

use super::prelude::*;
use crate::resources::{CephPool, StorageType, VirtMethod};
use crate::schema::flavors;

/// A row of `flavors`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = flavors, check_for_backend(Pg))]
pub struct Flavor {
    id: i64,
    name: String,
    cores: i32,
    ram_bytes: i64,
    disk_bytes: i64,
    #[serde(rename = "virt_method")]
    virt_method_id: i64,
    #[serde(rename = "storage_type")]
    storage_type_id: i64,
    #[serde(rename = "ceph_pool")]
    ceph_pool_id: Option<i64>,
    iops: Option<i32>,
    disk_bps: Option<i64>,
    gpu_model: Option<String>,
    gpu_count: i32,
    labels: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = flavors, treat_none_as_null = true, treat_none_as_default_value = false)]
#[validate(schema(function = "gpus_of_a_model"))]
pub struct NewFlavor {
    name: String,
    cores: i32,
    ram_bytes: i64,
    disk_bytes: i64,
    #[serde(rename = "virt_method")]
    virt_method_id: i64,
    #[serde(rename = "storage_type")]
    storage_type_id: i64,
    #[serde(rename = "ceph_pool")]
    ceph_pool_id: Option<i64>,
    iops: Option<i32>,
    disk_bps: Option<i64>,
    gpu_model: Option<String>,
    #[serde(default = "given::<0>", deserialize_with = "or_given::<0, _>")]
    gpu_count: i32,
    #[serde(default, deserialize_with = "or_default")]
    labels: Vec<String>,
}

impl Resource for Flavor {
    const NAME: &'static str = "flavors";
    const ABOUT: &'static str = "A size of VMs that can be ordered, and what their hypervisor must have.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::new("cores", Type::Int).required().between(1, 4096).about("Virtual CPUs."),
        Column::new("ram_bytes", Type::Int).required().between(1, i64::MAX).about("Memory."),
        Column::new("disk_bytes", Type::Int)
            .required()
            .between(1, i64::MAX)
            .about("The boot volume; as large as its image at least."),
        Column::new("virt_method", Type::Ref(VirtMethod::KIND)).required().about("How its VMs are run."),
        Column::new("storage_type", Type::Ref(StorageType::KIND)).required().about("How their volumes are kept."),
        Column::new("ceph_pool", Type::Ref(CephPool::KIND)).about("Where they are, if they are of type rbd."),
        Column::new("iops", Type::Int)
            .between(1, 1_000_000_000)
            .about("Reads and writes per second that each of their volumes is limited to."),
        Column::new("disk_bps", Type::Int)
            .between(1, i64::MAX)
            .about("Bytes per second that each of their volumes is limited to."),
        Column::new("gpu_model", Type::Word(&GPU_MODEL)).about("Which GPUs it has."),
        Column::new("gpu_count", Type::Int).between(0, 64).about("How many of them; 0 unless given."),
        Column::new("labels", Type::Labels).about("What a hypervisor must be labelled with to have one."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "small", "cores": 2, "ram_bytes": 2147483648, "disk_bytes": 21474836480, "virt_method": "KVM",
        "storage_type": "qcow2", "iops": 500}"#;
    const RULES: &'static [Rule] = &[
        Rule {
            constraint: "flavors_ceph_pool_check",
            field: "ceph_pool",
            detail: "must be set for the storage type rbd, and for no other",
        },
        Rule { constraint: "flavors_gpus_check", field: "gpu_count", detail: "and gpu_model are set together" },
    ];
    const REALM: Realm = Realm::Catalog;

    type New = NewFlavor;
    crud!(flavors: list find lock insert update delete);
}

/// As devices and flavors name them, in the same words.
pub(super) static GPU_MODEL: Word = Word { punctuation: "_.+-", capitals: true, max: 64, prefix: "" };

fn gpus_of_a_model(new: &NewFlavor) -> Result<(), ValidationError> {
    if (new.gpu_count > 0) == new.gpu_model.is_some() {
        Ok(())
    } else {
        Err(ValidationError::new("flavors_gpus_check"))
    }
}
