//! A customer.

use super::prelude::*;
use crate::schema::organizations;

/// A row of `organizations`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = organizations, check_for_backend(Pg))]
pub struct Organization {
    id: i64,
    name: String,
    full_name: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = organizations, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewOrganization {
    name: String,
    full_name: Option<String>,
}

impl Resource for Organization {
    const NAME: &'static str = "organizations";
    const ABOUT: &'static str = "A customer.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::new("full_name", Type::Text).about("What people call it."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "acme", "full_name": "Acme Corporation"}"#;
    const REALM: Realm = Realm::Tenant;

    type New = NewOrganization;
    crud!(organizations: list find lock insert update delete);
}
