//! A project of an organization: its VMs and volumes are in one.

use super::prelude::*;
use crate::resources::Organization;
use crate::schema::environments;

/// A row of `environments`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = environments, check_for_backend(Pg))]
pub struct Environment {
    id: i64,
    #[serde(rename = "organization")]
    organization_id: i64,
    name: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = environments, treat_none_as_null = true)]
pub struct NewEnvironment {
    #[serde(rename = "organization")]
    organization_id: i64,
    name: String,
}

impl Resource for Environment {
    const NAME: &'static str = "environments";
    const ABOUT: &'static str = "A project of an organization: its VMs and volumes are in one.";
    const KEY: &'static [&'static str] = &["organization", "name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("organization", Type::Ref(Organization::KIND)).required().about("Whose it is."),
        Column::new("name", Type::Name).required().about("Unique in its organization."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"organization": {"name": "acme", "full_name": "Acme"}, "name": "shop"}"#;
    const REALM: Realm = Realm::Organization;

    type New = NewEnvironment;
    crud!(environments: list find lock insert update delete);
}
