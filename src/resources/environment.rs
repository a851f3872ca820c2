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
    placement: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = environments, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewEnvironment {
    #[serde(rename = "organization")]
    organization_id: i64,
    name: String,
    #[serde(default = "spread", deserialize_with = "or_spread")]
    placement: String,
}

impl Resource for Environment {
    const NAME: &'static str = "environments";
    const ABOUT: &'static str = "A project of an organization: its VMs and volumes are in one.";
    const KEY: &'static [&'static str] = &["organization", "name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("organization", Type::Ref(Organization::KIND)).required().about("Whose it is."),
        Column::new("name", Type::Name).required().about("Unique in its organization."),
        Column::new("placement", Type::Choice(&["pack", "spread"])).by_operators().about(
            "Where its VMs go: to the fullest hypervisor that has room, or the emptiest; `spread` unless given.",
        ),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"organization": {"name": "acme", "full_name": "Acme"}, "name": "shop"}"#;
    const REALM: Realm = Realm::Organization;

    type New = NewEnvironment;
    crud!(environments: list find lock insert update delete);
}

fn spread() -> String {
    "spread".to_owned()
}

fn or_spread<'de, D: serde::Deserializer<'de>>(given: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or_else(spread))
}
