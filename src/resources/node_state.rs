//! What a node may be: running, stopped, deactivated, maintenance.

use super::prelude::*;
use crate::schema::node_states;

/// A row of `node_states`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = node_states, check_for_backend(Pg))]
pub struct NodeState {
    id: i64,
    name: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = node_states, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewNodeState {
    name: String,
}

impl Resource for NodeState {
    const NAME: &'static str = "node-states";
    const ABOUT: &'static str = "What a node may be.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "burning in"}"#;
    const SHARED: bool = true;
    const SHOWN_IN: &'static str = "SELECT nodes.id, NULL::int8 FROM nodes WHERE nodes.state_id = changed.id";
    type New = NewNodeState;
    crud!(node_states: list find lock insert update delete);
}
