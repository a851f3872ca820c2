//! What a run changed on a node, or could not change: one resource of Puppet, one state of Salt.

use super::prelude::*;
use crate::schema::run_events;

/// A row of `run_events`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = run_events, check_for_backend(Pg))]
pub struct RunEvent {
    id: i64,
    received_at: DateTime<Utc>,
    node: String,
    status: String,
    resource: String,
    property: Option<String>,
    message: Option<String>,
    run: i64,
}

impl Resource for RunEvent {
    const NAME: &'static str = "run-events";
    const ABOUT: &'static str = "What a run changed on a node, or could not change.";
    const KEY: &'static [&'static str] = &["id"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::server("received_at", Type::Time).required().about("When its report came."),
        Column::server("node", Type::Text).required().about("The name of the node."),
        Column::server("status", Type::Choice(&["success", "failure", "noop"]))
            .required()
            .about("Whether it was changed, could not be, or would have been."),
        Column::server("resource", Type::Text).required().about("Puppet's resource, or Salt's file and state."),
        Column::server("property", Type::Text).about("Which property of it, if the agent says so."),
        Column::server("message", Type::Text).about("What the agent says, without what can be known for a secret."),
        Column::server("run", Type::Int).required().about("The id of the run."),
    ];
    const EXAMPLE: &'static str = "{}";
    const READ_ONLY: bool = true;

    type New = Nothing;
    crud!(run_events: list find refuse);
}
