//! Which nodes' documents show what: for whoever has to tell them.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use crate::db::Tx;
use crate::error::Result;
use crate::sql::{Sql, Statement};

/// The names and generations of these nodes, and of those whose documents show one of these clusters: what
/// `statements` reads of a node, the other way round.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn nodes(tx: &Tx, nodes: &[i64], clusters: &[i64]) -> Result<Vec<(String, i64)>> {
    let ids = |ids: &[i64]| ids.iter().map(ToString::to_string).collect();
    // The statement names its parameter more than once, and a bound value stands in one place.
    let sql = Sql::new("WITH cluster AS (SELECT unnest(").many(ids(clusters), "int8").text(
        ") AS id), shown AS (
    SELECT node_id FROM cluster JOIN ceph_mons ON cluster_id = cluster.id
    UNION SELECT node_id FROM cluster JOIN ceph_osds ON cluster_id = cluster.id
    UNION SELECT h.node_id FROM cluster JOIN ceph_pools p ON p.cluster_id = cluster.id
        JOIN volumes d ON d.ceph_pool_id = p.id JOIN vms m ON m.id = d.vm_id JOIN hypervisors h ON h.id = m.hypervisor_id
    UNION SELECT h.node_id FROM cluster JOIN ceph_pools p ON p.cluster_id = cluster.id
        JOIN tombstones x ON x.ceph_pool_id = p.id JOIN hypervisors h ON h.id = x.hypervisor_id
    UNION SELECT unnest(",
    );
    let sql = sql
        .many(ids(nodes), "int8")
        .text(")) SELECT fqdn, desired_generation FROM shown JOIN nodes ON nodes.id = node_id");
    Ok(Statement::<(Text, BigInt)>::from(sql).load(&mut tx.conn()).await?)
}
