//! What an agent reports: one run of Puppet or Salt on a node, in numbers, and what went wrong.

use super::prelude::*;
use crate::schema::runs;

/// A row of `runs`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = runs, check_for_backend(Pg))]
pub struct Run {
    id: i64,
    received_at: DateTime<Utc>,
    node: String,
    status: String,
    changed: i32,
    failed: i32,
    tool: String,
    mode: String,
    total: i32,
    out_of_sync: i32,
    started_at: DateTime<Utc>,
    duration_seconds: Option<f64>,
    environment: Option<String>,
    version: Option<String>,
    run: String,
    messages: Value,
}

impl Resource for Run {
    const NAME: &'static str = "runs";
    const ABOUT: &'static str = "What an agent reports: one run of Puppet or Salt on a node.";
    const KEY: &'static [&'static str] = &["id"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::server("received_at", Type::Time).required().about("When its report came."),
        Column::server("node", Type::Text).required().about("The name of the node."),
        Column::server("status", Type::Choice(&["changed", "unchanged", "failed"])).required().about("How it ended."),
        Column::server("changed", Type::Int).required().about("How many resources were changed."),
        Column::server("failed", Type::Int).required().about("How many failed."),
        Column::server("tool", Type::Choice(&["puppet", "salt"])).required().about("Which agent."),
        Column::server("mode", Type::Choice(&["apply", "noop"])).required().about("Whether it was a rehearsal."),
        Column::server("total", Type::Int).required().about("How many resources there were."),
        Column::server("out_of_sync", Type::Int).required().about("How many were not as they should be."),
        Column::server("started_at", Type::Time).required().about("When it began, by the clock of the node."),
        Column::server("duration_seconds", Type::Float).about("How long it took, if it got so far."),
        Column::server("environment", Type::Text).about("The environment of the agent."),
        Column::server("version", Type::Text).about("Of the agent."),
        Column::server("run", Type::Text).required().about("Puppet's transaction UUID, or Salt's job id."),
        Column::server("messages", Type::Json).required().about("What went wrong, and warnings, the worst first."),
    ];
    const EXAMPLE: &'static str = "{}";
    const READ_ONLY: bool = true;

    type New = Nothing;
    crud!(runs: list find refuse);
}
