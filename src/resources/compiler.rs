//! A puppetserver or a Salt master: it asks for the documents of other nodes.

use super::prelude::*;
use crate::error::Error;
use crate::node_filter;
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
    node_filter: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = compilers, treat_none_as_null = true, treat_none_as_default_value = false)]
#[validate(schema(function = "filter_given"))]
pub struct NewCompiler {
    name: String,
    certname: Option<String>,
    serves: String,
    #[validate(custom(function = understood))]
    node_filter: Option<String>,
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
        Column::new("serves", Type::Choice(&["all", "listed", "filter"]))
            .required()
            .about("Whether it may read the documents of all nodes, of those that are listed, or of those that a filter matches."),
        Column::new("nodes", Type::Many(&NODES)).about("The nodes that it serves, if they are listed."),
        Column::new("node_filter", Type::Text)
            .about("The filter, as the list of nodes takes it: `location=rack%2012&fqdn__startswith=hv`."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "puppet.example.com", "certname": "puppet.example.com", "serves": "listed", "nodes": [{"fqdn": "hv01.example.com", "state": "running"}]}"#;
    const RULES: &'static [Rule] = &[Rule {
        constraint: "compilers_filter_given_check",
        field: "node_filter",
        detail: "must be given to serve by a filter",
    }];
    const REALM: Realm = Realm::Access;
    type New = NewCompiler;
    crud!(compilers: list find lock insert update delete);
}

/// As `compilers_filter_given_check` has it.
fn filter_given(compiler: &NewCompiler) -> Result<(), ValidationError> {
    let given = compiler.serves != "filter" || compiler.node_filter.is_some();
    if given { Ok(()) } else { Err(ValidationError::new("compilers_filter_given_check")) }
}

fn understood(filter: &str) -> Result<(), ValidationError> {
    let wrong = |error: Error| {
        ValidationError::new("node_filter").with_message(format!("is no filter of nodes: {error}").into())
    };
    node_filter::check(filter).map_err(wrong)
}

static NODES: Link = Link { table: "compiler_nodes", own: "compiler_id", other: "node_id", kind: Node::KIND };
