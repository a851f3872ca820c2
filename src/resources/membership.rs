//! What a user may do in an organization.

use super::prelude::*;
use crate::resources::{Organization, User};
use crate::schema::memberships;

/// A row of `memberships`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = memberships, check_for_backend(Pg))]
pub struct Membership {
    id: i64,
    #[serde(rename = "organization")]
    organization_id: i64,
    #[serde(rename = "user")]
    user_id: i64,
    role: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = memberships, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewMembership {
    #[serde(rename = "organization")]
    organization_id: i64,
    #[serde(rename = "user")]
    user_id: i64,
    role: String,
}

impl Resource for Membership {
    const NAME: &'static str = "memberships";
    const ABOUT: &'static str = "What a user may do in an organization.";
    const KEY: &'static [&'static str] = &["organization", "user"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("organization", Type::Ref(Organization::KIND)).required().belongs().about("Where."),
        Column::new("user", Type::Ref(User::KIND)).required().belongs().about("Who."),
        Column::new("role", Type::Choice(&["owner", "member", "viewer"])).required().about(
            "A viewer reads, a member writes VMs and volumes, an owner also environments, teams and memberships.",
        ),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"organization": {"name": "acme", "full_name": "Acme"}, "role": "owner",
        "user": {"name": "wile", "account_type": "person", "state": "active"}}"#;
    const REALM: Realm = Realm::Organization;

    type New = NewMembership;
    crud!(memberships: list find lock insert update delete);
}
