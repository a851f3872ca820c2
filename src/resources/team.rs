//! Users who may do the same in an organization.

use super::prelude::*;
use crate::resources::{Organization, User};
use crate::schema::teams;

/// A row of `teams`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = teams, check_for_backend(Pg))]
pub struct Team {
    id: i64,
    #[serde(rename = "organization")]
    organization_id: i64,
    name: String,
    role: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = teams, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewTeam {
    #[serde(rename = "organization")]
    organization_id: i64,
    name: String,
    role: String,
}

static USERS: Link = Link { table: "team_users", own: "team_id", other: "user_id", kind: User::KIND };

impl Resource for Team {
    const NAME: &'static str = "teams";
    const ABOUT: &'static str = "Users who may do the same in an organization.";
    const KEY: &'static [&'static str] = &["organization", "name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("organization", Type::Ref(Organization::KIND)).required().belongs().about("Where."),
        Column::new("name", Type::Name).required().about("Unique in its organization."),
        Column::new("role", Type::Choice(&["owner", "member", "viewer"]))
            .required()
            .about("What each of its users may do."),
        Column::new("users", Type::Many(&USERS)).about("Who is in it."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"organization": {"name": "acme", "full_name": "Acme"}, "name": "web", "role": "member",
        "users": [{"name": "wile", "account_type": "person", "state": "active"}]}"#;
    const REALM: Realm = Realm::Organization;

    type New = NewTeam;
    crud!(teams: list find lock insert update delete);
}
