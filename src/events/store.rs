//! The statements of the feed: what is new since a position, and forgetting what is old. What is written is written by
//! `shown`.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;
use std::collections::BTreeSet;

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::events::{Batch, Position};
use crate::render::showing;
use crate::sql::{Sql, Statement};

/// Where the feed is now: the timeline of the write-ahead log, and what a statement that begins now sees.
const NOW: &str = "left(pg_walfile_name(pg_current_wal_lsn()), 8) || '-' || pg_current_snapshot()::text";

/// The first transaction that has not begun. Rows of later ones come from another database, by a restored dump.
const FUTURE: &str = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint";

/// Where the feed is now.
///
/// # Errors
/// [`Error::Away`].
pub async fn now(tx: &Tx) -> Result<Position> {
    let now: String = Statement::<Text>::from(Sql::new(format!("SELECT {NOW}"))).get_result(&mut tx.conn()).await?;
    position(&now)
}

/// What is new since then.
///
/// # Errors
/// [`Error::Away`].
pub async fn since(tx: &Tx, then: &Position) -> Result<Batch> {
    type Row = (String, i64, Option<i64>, Option<i64>);
    let number = |sql: Sql, number: i64| sql.one(number.to_string(), "int8");
    let open = then.open.iter().map(ToString::to_string).collect();
    let sql = Sql::new(format!(
        "SELECT {NOW}, (SELECT transaction FROM events_forgotten), node_id, cluster_id FROM (SELECT) AS once LEFT JOIN (
            SELECT node_id, cluster_id FROM events WHERE transaction >= "
    ));
    let sql = number(sql, then.first_future)
        .text(format!(" AND transaction < {FUTURE} UNION SELECT node_id, cluster_id FROM events WHERE transaction = "));
    let sql = sql.any(open, "int8").text(") AS new ON true");
    let statement: Statement<(Text, BigInt, Nullable<BigInt>, Nullable<BigInt>)> = sql.into();
    let rows: Vec<Row> = statement.load(&mut tx.conn()).await?;
    // There is a row even when nothing is new.
    let (now, forgotten) = rows.as_slice().first().map_or(("", i64::MAX), |(now, forgotten, ..)| (now, *forgotten));
    let to = position(now)?;
    let is_whole = then.comes_before(&to) && then.has_seen(forgotten, &to);
    let (nodes, clusters): (Vec<_>, Vec<_>) = rows.iter().map(|(_, _, node, cluster)| (*node, *cluster)).unzip();
    let (nodes, clusters): (Vec<i64>, Vec<i64>) =
        (nodes.into_iter().flatten().collect(), clusters.into_iter().flatten().collect());
    // After the first statement: it sees all that is shown by then, and what begins to show a cluster later has an event.
    let changed = match (is_whole, nodes.is_empty() && clusters.is_empty()) {
        (true, false) => showing::nodes(tx, &nodes, &clusters).await?,
        _ => vec![],
    };
    Ok(Batch::new(then.clone(), to, is_whole, changed))
}

fn position(text: &str) -> Result<Position> {
    Position::read(text).ok_or_else(|| Error::Internal(format!("the database says that it is at {text:?}").into()))
}

/// Whether there are nodes of all these names.
///
/// # Errors
/// [`Error::Away`].
pub async fn are_known(tx: &Tx, names: &BTreeSet<String>) -> Result<bool> {
    // What cannot be stored names nothing.
    if names.iter().any(|name| name.contains('\0')) {
        return Ok(false);
    }
    let sql = Sql::new("SELECT count(*) FROM nodes WHERE fqdn = ").any(names.iter().cloned().collect(), "text");
    let found: i64 = Statement::<BigInt>::from(sql).get_result(&mut tx.conn()).await?;
    Ok(usize::try_from(found) == Ok(names.len()))
}

/// How many events are forgotten by one statement.
const FORGOTTEN_AT_ONCE: usize = 100_000;

/// Forgets what was recorded before then, and keeps how far that reaches; returns how many.
///
/// # Errors
/// [`Error::Away`].
pub async fn forget_old(tx: &Tx, before: DateTime<Utc>) -> Result<usize> {
    let sql = Sql::new("WITH gone AS (DELETE FROM events WHERE id IN (SELECT id FROM events WHERE recorded_at < ");
    let sql = sql.one(before.to_rfc3339(), "timestamptz").text(format!(
        " OR transaction >= {FUTURE} LIMIT {FORGOTTEN_AT_ONCE}) RETURNING transaction),
        kept AS (UPDATE events_forgotten
            SET transaction = least(greatest(transaction, (SELECT max(transaction) FROM gone)), {FUTURE})
            WHERE transaction > {FUTURE} OR EXISTS (SELECT FROM gone))
        SELECT count(*) FROM gone"
    ));
    let gone: i64 = Statement::<BigInt>::from(sql).get_result(&mut tx.conn()).await?;
    Ok(usize::try_from(gone).unwrap_or_default())
}
