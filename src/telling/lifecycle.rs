//! What VMs do by themselves, as their agents have seen it: that one runs, runs no longer, or does not do what it shall though
//! its agent is done. Each is told once, by the transaction in which the report is kept.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use std::collections::HashMap;

use super::outbox::{Change, tell_changes};
use super::{FAILED, STARTED, STOPPED};
use crate::audit;
use crate::db::Tx;
use crate::error::Result;
use crate::kind;
use crate::natural_key;
use crate::resource::Resource;
use crate::resources::Vm;
use crate::sql::{Sql, Statement};

/// The VMs of these nodes that are in another state than was told last. One that is being changed is told of with the next
/// report: to wait for it could be to wait for who waits for the report.
const NEWS: &str = ")),
    new AS (
        SELECT v.id, seen.state, seen.told FROM vms v JOIN (
            SELECT m.id, t.state AS told, CASE
                WHEN o.amiss ? m.uuid::text AND c.status IN ('in_sync', 'failed') THEN 'failed'
                WHEN o.observed -> 'vms' ->> m.uuid::text = 'running' THEN 'started'
                ELSE 'stopped' END AS state
            FROM reported JOIN node_observations o ON o.node_id = reported.id JOIN node_convergence c ON c.id = o.node_id
            JOIN hypervisors h ON h.node_id = o.node_id JOIN vms m ON m.hypervisor_id = h.id
            LEFT JOIN vm_tellings t ON t.vm_id = m.id
            WHERE o.observed ? 'vms') AS seen ON seen.id = v.id
        WHERE seen.told IS DISTINCT FROM seen.state
        ORDER BY v.id FOR KEY SHARE OF v SKIP LOCKED),
    kept AS (
        INSERT INTO vm_tellings (vm_id, state) SELECT id, state FROM new
        ON CONFLICT (vm_id) DO UPDATE SET state = excluded.state)
    SELECT id, state FROM new WHERE told IS NOT NULL OR state <> 'stopped' ORDER BY id";

/// Tells of what has changed with the VMs of these nodes, of which a report was kept.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn tell_of_runs(tx: &Tx, nodes: Vec<String>) -> Result<()> {
    let sql = Sql::new("WITH reported AS (SELECT id FROM nodes WHERE fqdn IN (SELECT unnest(");
    let sql = sql.many(nodes, "text").text(")").text(NEWS);
    let news: Vec<(i64, String)> = Statement::<(BigInt, Text)>::from(sql).load(&mut tx.conn()).await?;
    if news.is_empty() {
        return Ok(());
    }
    let news: HashMap<i64, String> = news.into_iter().collect();
    let mut ids: Vec<i64> = news.keys().copied().collect();
    ids.sort_unstable();
    let mut items = vec![];
    for rows in audit::rows(tx, Vm::KIND, &ids).await? {
        items.extend(audit::items(tx, Vm::KIND, rows).await?);
    }
    let keys: Vec<String> = items.iter().map(|item| natural_key::of(Vm::KIND, item)).collect();
    let changes: Vec<Change<'_>> = items
        .iter()
        .zip(&keys)
        .filter_map(|(item, key)| {
            let id = kind::id(item);
            let action =
                [STARTED, STOPPED, FAILED].into_iter().find(|action| news.get(&id).is_some_and(|n| n == action))?;
            let reason = (action == FAILED).then(|| reason(item));
            let (before, after) = (Some(item), Some(item));
            Some(Change { collection: Vm::NAME, id, key, action, before, after, reason })
        })
        .collect();
    tell_changes(tx, &changes).await
}

/// Why one has failed: what it shall be, and is not.
fn reason(item: &Value) -> String {
    let state = crate::column::text(&item["state"]);
    let does = if state == "running" { "does not run" } else { "runs" };
    format!("it shall be {state}, and {does} though its agent is done")
}
