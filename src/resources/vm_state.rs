//! What a VM may be: running, stopped, deactivated, maintenance.

use super::prelude::*;
use crate::schema::vm_states;

/// A row of `vm_states`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = vm_states, check_for_backend(Pg))]
pub struct VmState {
    id: i64,
    name: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = vm_states, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewVmState {
    name: String,
}

impl Resource for VmState {
    const NAME: &'static str = "vm-states";
    const ABOUT: &'static str = "What a VM may be.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "paused"}"#;
    const SHARED: bool = true;
    const SHOWN_IN: &'static str = "SELECT hypervisors.node_id, NULL::int8 FROM vms JOIN hypervisors ON hypervisors.id = vms.hypervisor_id \
        WHERE vms.state_id = changed.id";
    const REALM: Realm = Realm::Catalog;

    type New = NewVmState;
    crud!(vm_states: list find lock insert update delete);
}
