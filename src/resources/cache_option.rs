//! How a hypervisor caches a volume: none, writeback, and so on.

use super::prelude::*;
use crate::schema::cache_options;

/// A row of `cache_options`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = cache_options, check_for_backend(Pg))]
pub struct CacheOption {
    id: i64,
    name: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = cache_options, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewCacheOption {
    name: String,
}

impl Resource for CacheOption {
    const NAME: &'static str = "cache-options";
    const ABOUT: &'static str = "How a hypervisor caches a volume.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "sometimes"}"#;
    const SHARED: bool = true;
    const SHOWN_IN: &'static str = "SELECT hypervisors.node_id, NULL::int8 FROM volumes JOIN vms ON vms.id = vm_id \
        JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE cache_option_id = changed.id";
    const REALM: Realm = Realm::Catalog;

    type New = NewCacheOption;
    crud!(cache_options: list find lock insert update delete);
}
