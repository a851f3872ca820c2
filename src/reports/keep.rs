//! Reports into the database: all of a request's or none, each once however often it comes.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};

use super::Report;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::sql::{Sql, Statement};
use crate::telling::{self, Gone};

/// How many are kept by one statement.
const AT_ONCE: usize = 500;

/// Keeps them, in their order: of several runs of a node the last says how it is.
///
/// # Errors
/// Not found, for a node that is not in the inventory: it has no runs. [`Error::Away`].
pub async fn keep(tx: &Tx, reports: &[Report]) -> Result<()> {
    let mut seen = HashSet::new();
    let new: Vec<&Report> = reports.iter().filter(|r| seen.insert((&r.node, r.tool, &r.run))).collect();
    if new.is_empty() {
        return Ok(());
    }
    lock(tx, &new).await?;
    for reports in new.chunks(AT_ONCE) {
        let given = serde_json::to_string(reports).map_err(|error| Error::Internal(error.into()))?;
        let kept = Sql::new("WITH given AS (SELECT * FROM ROWS FROM (json_to_recordset(").one(given, "json");
        // Without a limit the planner takes every list for a hundred, and reads whole tables for one. Rounded, so that
        // there are few different statements.
        let kept = kept.text(GIVEN).text(format!(" LIMIT {}", reports.len().next_power_of_two())).text(KEEP);
        Statement::<BigInt>::from(kept).execute(&mut tx.conn()).await?;
    }
    let nodes: BTreeSet<&str> = new.iter().map(|report| report.node.as_str()).collect();
    let nodes: Vec<String> = nodes.into_iter().map(str::to_owned).collect();
    telling::tell_of_runs(tx, nodes.clone()).await?;
    telling::tell_of_gone(tx, Gone::From(nodes)).await
}

/// Makes other reports of these nodes wait, so that one that comes twice at once is seen to be there. In the order of
/// their ids, so that two requests never wait for each other.
async fn lock(tx: &Tx, reports: &[&Report]) -> Result<()> {
    let names: BTreeSet<&str> = reports.iter().map(|report| report.node.as_str()).collect();
    let wanted = names.len();
    let sql = Sql::new("SELECT n.fqdn FROM node_observations o JOIN nodes n ON n.id = o.node_id WHERE n.fqdn = ");
    let sql = sql.any(names.into_iter().map(str::to_owned).collect(), "text");
    let sql = sql.text(" ORDER BY n.id FOR NO KEY UPDATE OF o");
    let known: Vec<String> = Statement::<Text>::from(sql).load(&mut tx.conn()).await?;
    if known.len() == wanted { Ok(()) } else { Err(Error::NotFound) }
}

/// The columns of what is given.
const GIVEN: &str =
    ") AS (node text, tool text, run text, started_at timestamptz, duration_seconds float8, status text,
        mode text, environment text, version text, total int, changed int, failed int, out_of_sync int, messages json,
        events json, applied jsonb, observed jsonb)) WITH ORDINALITY AS g (node, tool, run, started_at,
        duration_seconds, status, mode, environment, version, total, changed, failed, out_of_sync, messages, events,
        applied, observed, place)";

/// What of a report goes where. A version that names another node is another's: the node was deleted, and made again. A
/// run that failed, or was a rehearsal, has applied nothing, whatever it says.
const KEEP: &str = "),
    added AS (
        INSERT INTO runs (node, tool, run, started_at, duration_seconds, status, mode, environment, version, total,
            changed, failed, out_of_sync, messages)
        SELECT node, tool, run, started_at, duration_seconds, status, mode, environment, version, total, changed,
            failed, out_of_sync, messages
        FROM given g
        WHERE NOT EXISTS (SELECT FROM runs r WHERE r.node = g.node AND r.run = g.run AND r.tool = g.tool)
        ORDER BY place
        RETURNING id, node, tool, run),
    new AS (SELECT g.*, a.id, n.id AS node_id FROM given g JOIN added a USING (node, tool, run) JOIN nodes n ON n.fqdn = g.node),
    events AS (
        INSERT INTO run_events (run, node, resource, property, status, message)
        SELECT new.id, new.node, e.resource, e.property, e.status, e.message
        FROM new, json_to_recordset(new.events) AS e (resource text, property text, status text, message text)
        ORDER BY new.place),
    last AS (
        SELECT node_id, (array_agg(id ORDER BY place DESC))[1] AS run_id,
            (array_agg(status ORDER BY place DESC))[1] = 'failed' AS has_failed,
            (array_agg(applied ORDER BY place DESC) FILTER (WHERE (applied ->> 'node_id')::bigint = node_id
                AND status <> 'failed' AND mode = 'apply'))[1] AS applied,
            (array_agg(observed ORDER BY place DESC) FILTER (WHERE observed IS NOT NULL))[1] AS observed
        FROM new GROUP BY node_id)
    UPDATE node_observations o
    SET last_report = now(), last_run_id = last.run_id, has_failed = last.has_failed,
        applied_generation = COALESCE((last.applied ->> 'generation')::bigint, o.applied_generation),
        applied_clusters = COALESCE(last.applied -> 'clusters', o.applied_clusters),
        observed = COALESCE(last.observed, o.observed),
        amiss = CASE WHEN last.observed IS NULL THEN o.amiss ELSE COALESCE((
            SELECT jsonb_agg(v.uuid) FROM hypervisors h JOIN vms v ON v.hypervisor_id = h.id JOIN vm_states s ON s.id = v.state_id
            WHERE h.node_id = last.node_id AND s.name IN ('running', 'stopped', 'deactivated')
                AND (s.name = 'running') <> (COALESCE(last.observed -> 'vms' ->> v.uuid::text, '') = 'running')
                AND last.observed ? 'vms'), '[]') END
    FROM last WHERE o.node_id = last.node_id";

/// Keeps what was found out about a node, in place of what was.
///
/// # Errors
/// Not found, for a node that is not in the inventory. [`Error::Away`].
pub async fn keep_facts(tx: &Tx, node: &str, facts: &Value) -> Result<()> {
    let sql = Sql::new("INSERT INTO node_facts (node_id, facts) SELECT id, ").one(facts.to_string(), "json");
    let sql = sql.text(" FROM nodes WHERE fqdn = ").one(node, "text");
    let sql = sql.text(" ON CONFLICT (node_id) DO UPDATE SET facts = excluded.facts, received_at = now()");
    let kept = Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?;
    if kept == 0 { Err(Error::NotFound) } else { Ok(()) }
}

/// Makes the tables of the weeks to come. Without that of today no report is taken.
///
/// # Errors
/// [`Error::Away`].
pub async fn prepare_partitions(tx: &Tx) -> Result<()> {
    let mut conn = tx.conn();
    Ok(conn.batch_execute("SELECT prepare_partitions()").await?)
}

/// Forgets the weeks that ended before these times, of runs and of their events; says how many tables that were.
///
/// # Errors
/// [`Error::Away`].
pub async fn drop_partitions(tx: &Tx, runs_before: DateTime<Utc>, events_before: DateTime<Utc>) -> Result<i64> {
    let sql = Sql::new("SELECT drop_partitions(").one(runs_before.to_rfc3339(), "timestamptz").text(", ");
    let sql = sql.one(events_before.to_rfc3339(), "timestamptz").text(")");
    Ok(Statement::<BigInt>::from(sql).get_result(&mut tx.conn()).await?)
}
