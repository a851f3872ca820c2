//! What an agent reports: one run of Puppet or Salt on a node, in numbers, and what went wrong.

use serde_json::json;
use std::collections::BTreeSet;

use super::prelude::*;
use crate::error::Error;
use crate::schema::{nodes, runs};
use crate::sql::Statement;

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

/// What a report adds.
#[derive(Debug, Insertable)]
#[diesel(table_name = runs)]
pub struct NewRun {
    /// The name of the node.
    pub node: String,
    /// `puppet` or `salt`.
    pub tool: &'static str,
    /// By what the tool knows the run.
    pub run: String,
    /// When it began, by the node's clock.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub duration_seconds: Option<f64>,
    /// One of the status's words.
    pub status: &'static str,
    /// `apply`, or `noop` for a rehearsal.
    pub mode: &'static str,
    /// The agent's environment.
    pub environment: Option<String>,
    /// Of the tool.
    pub version: Option<String>,
    /// How many resources there were.
    pub total: i32,
    /// How many were changed.
    pub changed: i32,
    /// How many failed.
    pub failed: i32,
    /// How many were not as they should be.
    pub out_of_sync: i32,
    /// What went wrong, and warnings.
    pub messages: Value,
}

/// How many messages of a run are kept, and how much of each in characters: one can fail ten thousand times for one
/// reason.
pub const MESSAGES: usize = 100;
const LONGEST: usize = 2000;

/// One of them. What cannot be stored is left out.
#[must_use]
pub fn message(level: &str, source: Option<&str>, text: &str) -> Value {
    let short = |text: &str| text.chars().filter(|c| *c != '\0').take(LONGEST).collect::<String>();
    json!({"level": level, "source": source.map(short), "message": short(text)})
}

/// How many runs are added by one statement: it has fifteen parameters for each, and Postgres takes 65,535.
const AT_ONCE: usize = 1000;

/// Adds runs. One that is there already stays as it is.
///
/// # Errors
/// Not found, for a node that is not in the inventory: it has no runs. [`Error::Away`].
pub async fn report(tx: &Tx, runs: &[NewRun]) -> Result<()> {
    for runs in runs.chunks(AT_ONCE) {
        let names: BTreeSet<&str> = runs.iter().map(|run| run.node.as_str()).collect();
        let known = nodes::table.filter(nodes::fqdn.eq_any(&names)).count();
        if usize::try_from(known.get_result::<i64>(&mut tx.conn()).await?) != Ok(names.len()) {
            return Err(Error::NotFound);
        }
        let added = diesel::insert_into(runs::table).values(runs).on_conflict_do_nothing();
        added.execute(&mut tx.conn()).await?;
    }
    Ok(())
}

/// How many are forgotten by one statement: it holds locks for as long as it takes.
const FORGOTTEN_AT_ONCE: usize = 10_000;

/// Forgets what came before then; returns how many.
///
/// # Errors
/// [`Error::Away`].
pub async fn forget_old_runs(tx: &Tx, before: DateTime<Utc>) -> Result<usize> {
    let sql = Sql::new("DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE received_at < ");
    let sql =
        sql.one(before.to_rfc3339(), "timestamptz").text(format!(" ORDER BY received_at LIMIT {FORGOTTEN_AT_ONCE})"));
    Ok(Statement::<diesel::sql_types::BigInt>::from(sql).execute(&mut tx.conn()).await?)
}

/// Nobody sends one but as a report.
#[derive(Deserialize, Validate)]
pub struct Nothing {}

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
