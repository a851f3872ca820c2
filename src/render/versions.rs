//! Which versions of nodes and clusters are committed: one question to the database for many documents.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::render::PATIENCE;
use crate::render::check::{Asked, Committed};
use crate::sql::{Sql, Statement};

/// What is committed at some moment after this was called, or an error after [`PATIENCE`].
///
/// # Errors
/// [`Error::Away`].
pub async fn committed(db: Db, asked: Asked) -> Result<Committed> {
    let deadline = Instant::now() + PATIENCE;
    let tx = timeout_at(deadline, db.connect("render")).await.map_err(away)??;
    match timeout_at(deadline, read(&tx, asked)).await {
        Ok(versions) => versions,
        Err(late) => {
            // A new connection may reach the database that this one has lost.
            tx.abandon();
            Err(away(late))
        }
    }
}

fn away(late: Elapsed) -> Error {
    Error::Away(late.into())
}

async fn read(tx: &Tx, Asked { nodes: mut names, clusters: mut ids }: Asked) -> Result<Committed> {
    names.sort_unstable();
    names.dedup();
    ids.sort_unstable();
    ids.dedup();
    let ids = ids.iter().map(ToString::to_string).collect();
    let sql = Sql::new("SELECT fqdn, id, desired_generation FROM nodes WHERE fqdn = ").any(names, "text");
    let sql = sql.text(" UNION ALL SELECT NULL, id, generation FROM ceph_clusters WHERE id = ").any(ids, "int8");
    let statement: Statement<(Nullable<Text>, BigInt, BigInt)> = sql.into();
    let found: Vec<(Option<String>, i64, i64)> = statement.load(&mut tx.conn()).await?;
    let mut committed = Committed::default();
    for (name, id, generation) in found {
        match name {
            Some(name) => drop(committed.nodes.insert(name, (id, generation))),
            None => drop(committed.clusters.insert(id, generation)),
        }
    }
    Ok(committed)
}
