//! What was removed and may still be on a hypervisor: until when it is kept there.

use super::prelude::*;
use crate::resources::{CephPool, Hypervisor, StorageType};
use crate::schema::tombstones;

/// A row of `tombstones`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = tombstones, check_for_backend(Pg))]
pub struct Tombstone {
    id: i64,
    #[serde(rename = "hypervisor")]
    hypervisor_id: i64,
    uuid: Uuid,
    name: Option<String>,
    number: i64,
    #[serde(rename = "storage_type")]
    storage_type_id: Option<i64>,
    #[serde(rename = "ceph_pool")]
    ceph_pool_id: Option<i64>,
    size_bytes: Option<i64>,
    not_before: DateTime<Utc>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = tombstones, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewTombstone {
    #[serde(rename = "hypervisor")]
    hypervisor_id: i64,
    uuid: Uuid,
    name: Option<String>,
    number: i64,
    #[serde(rename = "storage_type")]
    storage_type_id: Option<i64>,
    #[serde(rename = "ceph_pool")]
    ceph_pool_id: Option<i64>,
    size_bytes: Option<i64>,
    not_before: DateTime<Utc>,
}

impl Resource for Tombstone {
    const NAME: &'static str = "tombstones";
    const ABOUT: &'static str = "A VM or a volume that was removed, and that a hypervisor may still have.";
    const KEY: &'static [&'static str] = &["hypervisor", "uuid"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("hypervisor", Type::Ref(Hypervisor::KIND)).required().belongs().about("Where it was."),
        Column::new("uuid", Type::Uuid).required().about("The one that it had."),
        Column::new("name", Type::Text).about("What people called it."),
        Column::new("number", Type::Int)
            .required()
            .between(1, i64::MAX)
            .about("The id that it had: by it the domain vm-7 and the volume vol-7 are known on the hypervisor."),
        Column::new("storage_type", Type::Ref(StorageType::KIND)).about("How a volume was kept; a VM has none."),
        Column::new("ceph_pool", Type::Ref(CephPool::KIND)).belongs().about("Where an rbd volume is."),
        Column::new("size_bytes", Type::Int)
            .between(1, i64::MAX)
            .about("What a volume takes: on the hypervisor, it is not given away until it is gone."),
        Column::new("not_before", Type::Time).required().about("From when on it may be deleted there."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"hypervisor": {"node": {"fqdn": "hv01.example.com", "state": "running"}, "cores": 16, "ram_bytes": 68719476736},
        "uuid": "6f1c2a34-0000-4000-8000-000000000002", "name": "web-2", "number": 8000, "not_before": "2026-12-08T02:00:00Z"}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM tombstones JOIN hypervisors ON hypervisors.id = hypervisor_id \
        WHERE tombstones.id = changed.id";
    const CONDITIONAL: bool = true;
    const RULES: &'static [Rule] = &[
        Rule {
            constraint: "tombstones_ceph_pool_check",
            field: "ceph_pool",
            detail: "must be set for an rbd volume, and for no other",
        },
        Rule {
            constraint: "tombstones_gone_check",
            field: "uuid",
            detail: "is, or its number is, that of a VM or volume that is still there: remove that first",
        },
    ];
    type New = NewTombstone;
    crud!(tombstones: list find lock insert update delete);
}
