//! How many rows a list has: exact as far as that is cheap, an estimate of Postgres beyond.

use diesel::sql_types::{BigInt, Json};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use crate::db::Tx;
use crate::error::Result;
use crate::kind::Kind;
use crate::query::Query;
use crate::sql::{Sql, Statement};

/// Up to here a total is always exact.
const EXACT: i64 = 10_000;

/// How many there are.
pub struct Total {
    /// The number.
    pub count: i64,
    /// Whether it is only roughly right.
    pub is_estimate: bool,
}

/// How many rows match.
pub async fn total(tx: &Tx, kind: &dyn Kind, query: &Query) -> Result<Total> {
    // A view costs more than its table, and has as many rows.
    let table = if query.is_of_view { kind.source() } else { kind.table() };
    let rows = |start: &str| Sql::new(format!("{start} FROM {table} WHERE ")).then(query.matching.clone());
    let counted = if query.exact {
        rows("SELECT count(*)")
    } else {
        Sql::new("SELECT count(*) FROM (").then(rows("SELECT")).text(format!(" LIMIT {}) AS counted", EXACT + 1))
    };
    let counts: Vec<i64> = Statement::<BigInt>::from(counted).load(&mut tx.conn()).await?;
    let count = counts.into_iter().next().unwrap_or_default();
    if query.exact || count <= EXACT {
        return Ok(Total { count, is_estimate: false });
    }
    let planned: Statement<Json> = Sql::new("EXPLAIN (FORMAT JSON) ").then(rows("SELECT")).into();
    let plans: Vec<Value> = planned.load(&mut tx.conn()).await?;
    let estimate = plans.into_iter().next().and_then(|plan| plan[0]["Plan"]["Plan Rows"].as_f64()).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "a number of rows")]
    Ok(Total { count: (estimate as i64).max(EXACT + 1), is_estimate: true })
}
