//! That somebody approves what a node's document removes, however much that is. It makes one more generation, which says so.
//! The next generation no longer does: that of the next change, or of the end of its day. It knows nodes, and not what is
//! removed.

use chrono::{TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::resource::Resource;
use crate::resources::Node;
use crate::schema::node_approvals;
use crate::shown::lock_structure;
use crate::work::Work;
use crate::{natural_key, policy};

/// A generation that was approved.
pub struct Approved {
    /// The node's id.
    pub node: i64,
    /// The generation that says so.
    pub generation: i64,
}

/// Approves this generation of a node's document.
///
/// # Errors
/// Not found, [`Error::Forbidden`], [`Error::Conflict`] when the document is at another generation, or [`Error::Away`].
pub async fn approve(tx: &Tx, key: &str, generation: i64) -> Result<Approved> {
    policy::write(&tx.actor, Node::KIND)?;
    lock_structure(tx, false).await?;
    let row = Node::KIND.lock(tx, &natural_key::condition(Node::KIND, key)?).await?;
    let current = &row["desired_generation"];
    if *current != generation {
        let detail = format!("is {current} by now: look at what that removes, and approve it");
        return Err(Error::conflict("generation", detail));
    }
    let (id, next) = (row.id(), generation + 1);
    let approval = diesel::insert_into(node_approvals::table)
        .values((node_approvals::node_id.eq(id), node_approvals::generation.eq(next)))
        .on_conflict(node_approvals::node_id)
        .do_update()
        .set((node_approvals::generation.eq(next), node_approvals::approved_at.eq(diesel::dsl::now)));
    approval.execute(&mut tx.conn()).await?;
    let mut work = Work::new(tx);
    work.trail.approved(Node::KIND, id);
    work.shown.nodes.insert(id);
    work.finish().await?;
    Ok(Approved { node: id, generation: next })
}

/// How long an approval is good for. What has come due since, nobody has looked at.
const DAY: TimeDelta = TimeDelta::days(1);

/// Ends the approvals that are older than a day, by one more generation; says how many.
///
/// # Errors
/// [`Error::Away`].
pub async fn end_old(tx: &Tx) -> Result<usize> {
    lock_structure(tx, false).await?;
    let old = diesel::delete(node_approvals::table.filter(node_approvals::approved_at.lt(Utc::now() - DAY)));
    let nodes: Vec<i64> = old.returning(node_approvals::node_id).get_results(&mut tx.conn()).await?;
    let (count, mut work) = (nodes.len(), Work::new(tx));
    work.shown.nodes.extend(nodes);
    work.finish().await?;
    Ok(count)
}
