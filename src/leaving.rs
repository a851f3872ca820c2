//! What stays where something was: whatever is deleted, or moves away, is still on its hypervisor, and a tombstone says so
//! to the agents there. It knows tombstones, and only by their statements what leaves them.

use diesel::sql_types::{BigInt, Json};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use crate::change::{self, Action, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::natural_key;
use crate::resource::Resource;
use crate::resources::Tombstone;
use crate::row::Row;
use crate::sql::{Sql, Statement};
use crate::work::Work;

/// What a kind leaves behind.
pub struct Leaves {
    /// The column that says where it is; empty, for what leaves nothing when it only moves.
    pub place: &'static str,
    /// The statement that tells of row `changed.id`, by the names of the API, `hypervisor`, `uuid`, `name`, `number`,
    /// `storage_type` and `ceph_pool`, the ids of what it refers to, and `size_bytes`.
    pub statement: &'static str,
}

/// For how long it is kept: as the server says, for its connections.
const GRACE_PERIOD: &str = "COALESCE(NULLIF(current_setting('virtapi.grace_period', true), ''), '7 days')::interval";

impl Leaves {
    /// Whether it is somewhere else after this: `body` is the whole of what it will be.
    pub fn moves(&self, before: &Row, body: &Value) -> bool {
        !self.place.is_empty() && body.get(self.place).unwrap_or(&Value::Null) != &before[self.place]
    }

    /// What an object that goes will leave where it is now.
    ///
    /// # Errors
    /// [`Error::Away`], as with all of these.
    pub async fn of(&self, tx: &Tx, id: i64) -> Result<Vec<Value>> {
        let sql = Sql::new(format!(
            "SELECT to_json(t) FROM (SELECT left_behind.*, now() + {GRACE_PERIOD} AS not_before FROM (SELECT "
        ))
        .one(id.to_string(), "int8")
        .text(format!(" AS id) AS changed, LATERAL ({}) AS left_behind) AS t", self.statement));
        Ok(Statement::<Json>::from(sql).load(&mut tx.conn()).await?)
    }
}

/// Leaves it, now that the object is gone.
///
/// # Errors
/// [`Error::Away`].
pub async fn leave(work: &mut Work<'_>, left: Vec<Value>) -> Result<()> {
    let (tx, kind) = (work.tx, Tombstone::KIND);
    for body in left {
        let id = if let Some(row) = earlier(tx, &body).await? {
            // It was here before, and had come back.
            work.trail.will_update(tx, kind, &row).await?;
            kind.update(tx, row.id(), body).await?;
            row.id()
        } else {
            let id = kind.insert(tx, body).await?;
            work.trail.created(kind, id);
            id
        };
        work.shown.add_later(kind, id);
    }
    Ok(())
}

/// One that is there already.
async fn earlier(tx: &Tx, body: &Value) -> Result<Option<Row>> {
    match Tombstone::KIND.lock(tx, &natural_key::condition_of(Tombstone::KIND, body)?).await {
        Ok(row) => Ok(Some(row)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many are cleared in one transaction: the locks of the next write wait for it.
const AT_ONCE: usize = 100;

/// Deletes the tombstones whose time is over and of which the agent has found nothing any more, and those of what has come
/// back; says how many. None of a node on which somebody has approved what is removed: it would end that.
///
/// # Errors
/// [`Error::Away`].
pub async fn clear(tx: &Tx) -> Result<usize> {
    let sql = Sql::new(format!(
        "SELECT t.id FROM tombstones t JOIN hypervisors h ON h.id = t.hypervisor_id \
         LEFT JOIN node_observations o ON o.node_id = h.node_id \
         WHERE ((t.not_before <= now() AND o.observed -> 'removed' ? t.uuid::text) \
         OR NOT EXISTS (SELECT FROM tombstones_in_force f WHERE f.id = t.id)) \
         AND NOT EXISTS (SELECT FROM node_approvals a JOIN nodes n ON n.id = a.node_id AND n.desired_generation = a.generation \
         WHERE a.node_id = h.node_id) ORDER BY t.id LIMIT {AT_ONCE} FOR UPDATE OF t SKIP LOCKED"
    ));
    let ids: Vec<i64> = Statement::<BigInt>::from(sql).load(&mut tx.conn()).await?;
    let count = ids.len();
    if count > 0 {
        let delete = |id: i64| Change::of(Tombstone::KIND, Action::Delete, &id.to_string(), Value::Null);
        change::apply(tx, ids.into_iter().map(delete).collect()).await?;
    }
    Ok(count)
}
