//! What VMs do by themselves, as their agents have seen it: that one runs, runs no longer, or has failed; that one which was deleted is
//! gone. That is the `lifecycle` that the API shows. Each is told once, by the transaction in which the report is kept.

use diesel::sql_types::{BigInt, Json, Nullable, Text};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use super::outbox::{Change, tell_changes};
use super::{DELETED, FAILED, STARTED, STOPPED};
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
        SELECT v.id, seen.state, seen.failure, seen.told FROM vms v JOIN (
            SELECT m.id, m.lifecycle AS state, m.failure, t.state AS told
            FROM reported JOIN hypervisors h ON h.node_id = reported.id JOIN vms_with_status m ON m.hypervisor_id = h.id
            LEFT JOIN vm_tellings t ON t.vm_id = m.id
            WHERE m.lifecycle IN ('started', 'stopped', 'failed')) AS seen ON seen.id = v.id
        WHERE seen.told IS DISTINCT FROM seen.state
        ORDER BY v.id FOR KEY SHARE OF v SKIP LOCKED),
    kept AS (
        INSERT INTO vm_tellings (vm_id, state) SELECT id, state FROM new
        ON CONFLICT (vm_id) DO UPDATE SET state = excluded.state)
    SELECT id, state, failure FROM new WHERE told IS NOT NULL OR state <> 'stopped' ORDER BY id";

/// Tells of what has changed with the VMs of these nodes, of which a report was kept.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn tell_of_runs(tx: &Tx, nodes: Vec<String>) -> Result<()> {
    let sql = Sql::new("WITH reported AS (SELECT id FROM nodes WHERE fqdn IN (SELECT unnest(");
    let sql = sql.many(nodes, "text").text(")").text(NEWS);
    let news: Vec<(i64, String, Option<String>)> =
        Statement::<(BigInt, Text, Nullable<Text>)>::from(sql).load(&mut tx.conn()).await?;
    if news.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = news.iter().map(|(id, ..)| *id).collect();
    let mut items = vec![];
    for rows in audit::rows(tx, Vm::KIND, &ids).await? {
        items.extend(audit::items(tx, Vm::KIND, rows).await?);
    }
    let keys: Vec<String> = items.iter().map(|item| natural_key::of(Vm::KIND, item)).collect();
    let changes: Vec<Change<'_>> = items
        .iter()
        .zip(&keys)
        .filter_map(|(item, key)| {
            let (id, state, failure) = news.iter().find(|(id, ..)| *id == kind::id(item))?;
            let action = [STARTED, STOPPED, FAILED].into_iter().find(|action| action == state)?;
            let (before, after, reason) = (Some(item), Some(item), failure.clone());
            Some(Change { collection: Vm::NAME, id: *id, key, action, before, after, reason, organization: None })
        })
        .collect();
    tell_changes(tx, &changes).await
}

/// Which of those that were deleted may be gone by now.
pub enum Gone {
    /// Those of these ids that have left nothing anywhere.
    Nowhere(Vec<String>),
    /// Those that were on these nodes, of which a report was kept.
    From(Vec<String>),
    /// Any: the last place of one may have gone without a report.
    Any,
}

/// Tells of those among the VMs that were deleted that they are gone now. One of which somebody else is telling is left to him.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn tell_of_gone(tx: &Tx, gone: Gone) -> Result<()> {
    let sql = Sql::new(
        "WITH due AS (SELECT d.id FROM deleted_vms d JOIN deleted_vms_with_status s ON s.id = d.id \
         WHERE d.gone_at IS NULL AND s.lifecycle = 'deleted'",
    );
    let sql = match gone {
        Gone::Nowhere(ids) => {
            sql.text(" AND NOT EXISTS (SELECT FROM tombstones t WHERE t.uuid = d.uuid) AND d.id = ").any(ids, "int8")
        }
        Gone::From(nodes) => sql
            .text(
                " AND d.uuid IN (SELECT t.uuid FROM tombstones t JOIN hypervisors h ON h.id = t.hypervisor_id \
                 JOIN nodes n ON n.id = h.node_id WHERE t.storage_type_id IS NULL AND n.fqdn = ",
            )
            .any(nodes, "text")
            .text(")"),
        Gone::Any => sql,
    };
    let sql = sql.text(
        " ORDER BY d.id FOR UPDATE OF d SKIP LOCKED) UPDATE deleted_vms d SET gone_at = now() FROM due WHERE d.id = due.id \
         RETURNING d.id, d.uuid::text, d.organization_id, d.object",
    );
    let news: Vec<(i64, String, Option<i64>, Value)> =
        Statement::<(BigInt, Text, Nullable<BigInt>, Json)>::from(sql).load(&mut tx.conn()).await?;
    let changes: Vec<Change<'_>> = news
        .iter()
        .map(|(id, key, organization, object)| Change {
            collection: Vm::NAME,
            id: *id,
            key,
            action: DELETED,
            before: Some(object),
            after: None,
            reason: None,
            organization: *organization,
        })
        .collect();
    tell_changes(tx, &changes).await
}
