//! How many nodes and VMs are in which status, for who watches the whole: gauges of `/metrics`.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use crate::db::Tx;
use crate::error::Result;
use crate::sql::{Sql, Statement};

/// Every status. One that nobody has is counted, too: a gauge that goes away looks like one that nobody asks for.
pub const STATUSES: [&str; 5] = ["in_sync", "pending", "failed", "stale", "unmanaged"];

/// Counts anew.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn count_statuses(tx: &Tx) -> Result<()> {
    for (gauge, view) in [("virtapi_nodes", "nodes_with_status"), ("virtapi_vms", "vms_with_status")] {
        let sql = Sql::new(format!("SELECT status, count(*) FROM {view} GROUP BY status"));
        let counts: Vec<(String, i64)> = Statement::<(Text, BigInt)>::from(sql).load(&mut tx.conn()).await?;
        for status in STATUSES {
            let count = counts.iter().find(|(of, _)| of == status).map_or(0, |(_, count)| *count);
            #[expect(clippy::cast_precision_loss, reason = "nobody has so many")]
            metrics::gauge!(gauge, "status" => status).set(count as f64);
        }
    }
    Ok(())
}
