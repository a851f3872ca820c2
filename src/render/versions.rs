//! Which versions of nodes and clusters are committed: one question to the database for many documents.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use crate::auth::Actor;
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
    let tx = timeout_at(deadline, db.connect(Actor::system("render"))).await.map_err(away)??;
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

/// Nodes are read before clusters. Generations only grow, so a document that is equal in both was current when the nodes
/// were read.
async fn read(tx: &Tx, Asked { nodes: mut names, clusters: mut ids }: Asked) -> Result<Committed> {
    names.sort_unstable();
    names.dedup();
    let nodes = Sql::new("SELECT fqdn, id, generation FROM nodes WHERE fqdn = ").any(names, "text");
    let nodes: Vec<(String, i64, i64)> = Statement::<(Text, BigInt, BigInt)>::from(nodes).load(&mut tx.conn()).await?;
    ids.sort_unstable();
    ids.dedup();
    let mut clusters = Vec::new();
    if !ids.is_empty() {
        let ids = ids.iter().map(ToString::to_string).collect();
        let sql = Sql::new("SELECT id, generation FROM ceph_clusters WHERE id = ").any(ids, "int8");
        clusters = Statement::<(BigInt, BigInt)>::from(sql).load(&mut tx.conn()).await?;
    }
    let nodes = nodes.into_iter().map(|(name, id, generation)| (name, (id, generation))).collect();
    Ok(Committed { nodes, clusters: clusters.into_iter().collect() })
}
