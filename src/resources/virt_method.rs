//! How a VM is run: KVM, QEMU, LXC.

use super::prelude::*;
use crate::schema::virt_methods;

/// A row of `virt_methods`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = virt_methods, check_for_backend(Pg))]
pub struct VirtMethod {
    id: i64,
    name: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = virt_methods, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewVirtMethod {
    name: String,
}

impl Resource for VirtMethod {
    const NAME: &'static str = "virt-methods";
    const ABOUT: &'static str = "How a VM is run. A hypervisor offers some methods, a VM uses one.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "Xen"}"#;
    const SHARED: bool = true;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM hypervisor_virt_methods \
        JOIN hypervisors ON hypervisors.id = hypervisor_id WHERE virt_method_id = changed.id";
    const REALM: Realm = Realm::Catalog;

    type New = NewVirtMethod;
    crud!(virt_methods: list find lock insert update delete);
}
