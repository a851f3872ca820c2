//! How a volume is kept: qcow2, raw, lvm, rbd.

use super::prelude::*;
use crate::schema::storage_types;

/// A row of `storage_types`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = storage_types, check_for_backend(Pg))]
pub struct StorageType {
    id: i64,
    name: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = storage_types, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewStorageType {
    name: String,
}

impl Resource for StorageType {
    const NAME: &'static str = "storage-types";
    const ABOUT: &'static str = "How a volume is kept.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "zfs"}"#;
    const SHARED: bool = true;
    const SHOWN_IN: &'static str = "SELECT hypervisors.node_id, NULL::int8 FROM volumes JOIN vms ON vms.id = vm_id \
        JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE storage_type_id = changed.id";
    const RULES: &'static [Rule] = &[Rule {
        constraint: "storage_types_name_in_use_check",
        field: "name",
        detail: "must stay as it is while there are volumes of this type",
    }];
    const REALM: Realm = Realm::Catalog;

    type New = NewStorageType;
    crud!(storage_types: list find lock insert update delete);
}
