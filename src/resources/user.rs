//! Somebody who acts: a person, or a program.

use super::prelude::*;
use crate::schema::users;

/// A row of `users`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = users, check_for_backend(Pg))]
pub struct User {
    id: i64,
    name: String,
    full_name: Option<String>,
    account_type: String,
    role: Option<String>,
    state: String,
    openid_subject: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = users, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewUser {
    name: String,
    full_name: Option<String>,
    account_type: String,
    role: Option<String>,
    state: String,
    openid_subject: Option<String>,
}

impl Resource for User {
    const NAME: &'static str = "users";
    const ABOUT: &'static str = "Somebody who acts: a person, or a program.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::new("full_name", Type::Text).about("What people call it."),
        Column::new("account_type", Type::Choice(&["person", "service"]))
            .required()
            .about("A service account is a program's."),
        Column::new("role", Type::Choice(&["administrator", "operator", "auditor"]))
            .about("An administrator may do everything, an operator all but who may do what, an auditor only read."),
        Column::new("state", Type::Choice(&["active", "disabled"]))
            .required()
            .about("Nothing that a disabled user shows is taken."),
        Column::new("openid_subject", Type::Text)
            .about("By what the provider of identities knows it (its `sub`), if it logs in there. Unique."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "alice", "full_name": "Alice Liddell", "account_type": "person", "role": "operator",
        "state": "active"}"#;
    const FORMS: &'static [(&'static str, &'static str)] = &[("password", "Set a password")];
    const REALM: Realm = Realm::Access;
    type New = NewUser;
    crud!(users: list find lock insert update delete);
}
