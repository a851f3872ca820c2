//! Which VMs shall be beside each other, or apart.

use super::prelude::*;
use crate::resources::Environment;
use crate::schema::placement_groups;

/// A row of `placement_groups`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = placement_groups, check_for_backend(Pg))]
pub struct PlacementGroup {
    id: i64,
    #[serde(rename = "environment")]
    environment_id: i64,
    name: String,
    policy: String,
    scope: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = placement_groups, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewPlacementGroup {
    #[serde(rename = "environment")]
    environment_id: i64,
    name: String,
    policy: String,
    scope: String,
}

impl Resource for PlacementGroup {
    const NAME: &'static str = "placement-groups";
    const ABOUT: &'static str = "VMs of an environment that shall be beside each other, or apart.";
    const KEY: &'static [&'static str] = &["environment", "name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("environment", Type::Ref(Environment::KIND)).required().belongs().about("Whose it is."),
        Column::new("name", Type::Name).required().about("Unique in its environment."),
        Column::new("policy", Type::Choice(&["affinity", "anti-affinity"])).required().about("Together, or apart."),
        Column::new("scope", Type::Choice(&["hypervisor", "location"]))
            .required()
            .about("On one hypervisor (or on different ones), or at one location."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "databases", "policy": "anti-affinity", "scope": "hypervisor", "environment": {"organization": {"name": "acme", "full_name": "Acme"}, "name": "shop"}}"#;
    const REALM: Realm = Realm::Customer;

    type New = NewPlacementGroup;
    crud!(placement_groups: list find lock insert update delete);
}
