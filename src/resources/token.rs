//! What somebody shows to be known: without its secret, which is issued apart and shown once.

use super::prelude::*;
use crate::resources::{Compiler, Node, User};
use crate::schema::tokens;

/// A row of `tokens`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = tokens, check_for_backend(Pg))]
pub struct Token {
    id: i64,
    uuid: Uuid,
    name: String,
    #[serde(rename = "user")]
    user_id: Option<i64>,
    #[serde(rename = "node")]
    node_id: Option<i64>,
    #[serde(rename = "compiler")]
    compiler_id: Option<i64>,
    scope: String,
    source_network: Option<IpNet>,
    expires_at: Option<DateTime<Utc>>,
    prefix: Option<String>,
    last_used_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = tokens, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewToken {
    uuid: Uuid,
    name: String,
    #[serde(rename = "user")]
    user_id: Option<i64>,
    #[serde(rename = "node")]
    node_id: Option<i64>,
    #[serde(rename = "compiler")]
    compiler_id: Option<i64>,
    scope: String,
    source_network: Option<IpNet>,
    expires_at: Option<DateTime<Utc>>,
}

impl Resource for Token {
    const NAME: &'static str = "tokens";
    const ABOUT: &'static str =
        "What a user, a node or a compiler shows to be known. Its secret is issued apart, and shown once.";
    const KEY: &'static [&'static str] = &["uuid"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("uuid", Type::Uuid).about("Made by the server unless given."),
        Column::new("name", Type::Text).required().about("What it is for."),
        Column::new("user", Type::Ref(User::KIND)).belongs().about("Who holds it: a user,"),
        Column::new("node", Type::Ref(Node::KIND)).belongs().about("or a node,"),
        Column::new("compiler", Type::Ref(Compiler::KIND)).belongs().about("or a compiler."),
        Column::new("scope", Type::Choice(&["all", "read", "documents"]))
            .required()
            .about("All that its holder may do; only what changes nothing; only the documents of nodes."),
        Column::new("source_network", Type::Cidr).about("From where it is taken; from everywhere unless given."),
        Column::new("expires_at", Type::Time).about("Until when it is taken; for ever unless given."),
        Column::server("prefix", Type::Text).about("How its secret begins; nothing until one is issued."),
        Column::server("last_used_at", Type::Time).about("To the minute."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "laptop", "scope": "all", "source_network": "192.0.2.0/24", "expires_at": "2027-01-01T00:00:00Z",
        "user": {"name": "alice", "account_type": "person", "role": "operator", "state": "active"}}"#;
    const RULES: &'static [Rule] = &[Rule {
        constraint: "tokens_holder_check",
        field: "user",
        detail: "must be given, or a node, or a compiler: exactly one of the three",
    }];
    const ACTIONS: &'static [Action] = &[Action { path: "secret", text: "Issue a new secret", sends: None }];
    const REALM: Realm = Realm::Access;
    type New = NewToken;
    crud!(tokens: list find lock insert update delete);
}
