//! What a node's agent has found out about it, as it was sent last.

use super::prelude::*;
use crate::resources::Node;
use crate::schema::node_facts;

/// A row of `node_facts`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = node_facts, check_for_backend(Pg))]
pub struct Facts {
    id: i64,
    #[serde(rename = "node")]
    node_id: i64,
    received_at: DateTime<Utc>,
    facts: Value,
}

impl Resource for Facts {
    const NAME: &'static str = "facts";
    const ABOUT: &'static str = "What a node's agent has found out about it, as it was sent last.";
    const KEY: &'static [&'static str] = &["node"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::server("node", Type::Ref(Node::KIND)).required().belongs().about("The node."),
        Column::server("received_at", Type::Time).required().about("When they came."),
        Column::server("facts", Type::Json).required().about("Puppet's facts, by name."),
    ];
    const EXAMPLE: &'static str = "{}";
    const READ_ONLY: bool = true;

    type New = Nothing;
    crud!(node_facts: list find refuse);
}
