//! Whose documents show what was changed: their generations are raised in the transaction of the change, and events say
//! so. It knows the statements of the kinds, and not what a document looks like.

use diesel::sql_types::{BigInt, Nullable};
use diesel_async::RunQueryDsl;
use std::collections::BTreeSet;

use crate::error::Result;
use crate::sql::{Sql, Statement};
use crate::{db::Tx, kind::Kind};

/// The nodes and clusters whose document shows something.
#[derive(Default)]
pub struct Shown {
    /// The nodes.
    pub nodes: BTreeSet<i64>,
    /// The clusters.
    pub clusters: BTreeSet<i64>,
    /// What is shown as it is at the end: the rows of each kind.
    later: Vec<(&'static dyn Kind, Vec<String>)>,
}

impl Shown {
    /// Those that show a row now.
    pub async fn add(&mut self, tx: &Tx, kind: &'static dyn Kind, id: i64) -> Result<()> {
        let places = places(tx, vec![(kind, vec![id.to_string()])]).await?;
        self.take(places);
        Ok(())
    }

    /// Those that show a row when all is done.
    pub fn add_later(&mut self, kind: &'static dyn Kind, id: i64) {
        match self.later.iter_mut().find(|(other, _)| other.name() == kind.name()) {
            Some((_, ids)) => ids.push(id.to_string()),
            None => self.later.push((kind, vec![id.to_string()])),
        }
    }

    fn take(&mut self, places: Vec<Place>) {
        self.nodes.extend(places.iter().filter_map(|(node, _)| *node));
        self.clusters.extend(places.iter().filter_map(|(_, cluster)| *cluster));
    }

    /// Raises their generations, and leaves an event of each for those who wait for one. Locked in order, so that two
    /// changes never wait for each other.
    pub async fn raise_generations(&mut self, tx: &Tx) -> Result<()> {
        let later = std::mem::take(&mut self.later);
        let places = places(tx, later).await?;
        self.take(places);
        for (table, generation, column, ids) in [
            ("nodes", "desired_generation", "node_id", &self.nodes),
            ("ceph_clusters", "generation", "cluster_id", &self.clusters),
        ] {
            if ids.is_empty() {
                continue;
            }
            let ids = ids.iter().map(ToString::to_string).collect();
            let locked = Sql::new(format!("WITH locked AS (SELECT id FROM {table} WHERE id = ")).any(ids, "int8");
            // As an array, for rows that are joined may all be read to find these.
            let raise = locked.text(format!(
                " ORDER BY id FOR NO KEY UPDATE), raised AS (UPDATE {table} SET {generation} = {generation} + 1 \
                 WHERE id = ANY(ARRAY(SELECT id FROM locked)) RETURNING id) \
                 INSERT INTO events ({column}) SELECT id FROM raised ORDER BY id"
            ));
            Statement::<BigInt>::from(raise).execute(&mut tx.conn()).await?;
        }
        Ok(())
    }
}

/// A node or a cluster.
type Place = (Option<i64>, Option<i64>);

/// Whose document shows these rows, of any kinds.
async fn places(tx: &Tx, rows: Vec<(&'static dyn Kind, Vec<String>)>) -> Result<Vec<Place>> {
    let mut sql = Sql::default();
    for (kind, ids) in rows.into_iter().filter(|(kind, _)| !kind.shown_in().is_empty()) {
        // The statement of a kind names its parameter more than once, and a bound value stands in one place.
        let one = Sql::new("SELECT shown.* FROM unnest(").many(ids, "int8");
        let one = one.text(format!(") AS changed (id), LATERAL ({}) AS shown", kind.shown_in()));
        sql = if sql.is_empty() { one } else { sql.text(" UNION ").then(one) };
    }
    if sql.is_empty() {
        return Ok(vec![]);
    }
    let statement: Statement<(Nullable<BigInt>, Nullable<BigInt>)> = sql.into();
    Ok(statement.load(&mut tx.conn()).await?)
}

/// Changes that cannot move anything go on side by side; one that can has the inventory to itself until it is
/// committed. Without this, a VM that moves while it gets an interface would show it in a document of old generation.
/// What only rehearses raises no generation, and stands in nobody's way.
pub async fn lock_structure(tx: &Tx, alone: bool) -> Result<()> {
    if tx.is_rehearsal {
        return Ok(());
    }
    let how = if alone { "" } else { "_shared" };
    // Any number that nobody else uses.
    let lock = Sql::new(format!("SELECT pg_advisory_xact_lock{how}(7306)"));
    Statement::<BigInt>::from(lock).execute(&mut tx.conn()).await?;
    Ok(())
}
