//! A puppetserver or a Salt master: it asks for the documents of other nodes.

use super::prelude::*;
use crate::resources::Node;
use crate::schema::compilers;

/// A row of `compilers`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = compilers, check_for_backend(Pg))]
pub struct Compiler {
    id: i64,
    name: String,
    certname: Option<String>,
    serves: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = compilers, treat_none_as_null = true)]
pub struct NewCompiler {
    name: String,
    certname: Option<String>,
    serves: String,
}

impl Resource for Compiler {
    const NAME: &'static str = "compilers";
    const ABOUT: &'static str = "A puppetserver or a Salt master: it asks for the documents of other nodes.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique; its host name, for example."),
        Column::new("certname", Type::Fqdn).about(
            "Unique. The common name of the client certificate by which it is known; without it, only by tokens.",
        ),
        Column::new("serves", Type::Choice(&["all", "listed"]))
            .required()
            .about("Whether it may read the documents of all nodes, or of those that are listed."),
        Column::new("nodes", Type::Many(&NODES)).about("The nodes that it serves, if they are listed."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "puppet.example.com", "certname": "puppet.example.com", "serves": "listed", "nodes": [{"fqdn": "hv01.example.com", "state": "running"}]}"#;
    const REALM: Realm = Realm::Access;
    type New = NewCompiler;
    crud!(compilers: list find lock insert update delete);
}

static NODES: Link = Link { table: "compiler_nodes", own: "compiler_id", other: "node_id", kind: Node::KIND };
