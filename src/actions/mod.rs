//! What can be asked of VMs that are there, besides changing their fields: power, another size, another place. What is wanted changes
//! at once; what becomes of it is seen by their agents. It knows VMs and hypervisors, and not who asks.

mod attach;
mod evacuate;
mod migrate;
mod power;
mod rebuild;
mod resize;
mod snapshot;

use diesel::sql_types::{BigInt, Bool};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::lifecycle::Lifecycle;
use crate::natural_key;
use crate::resource::Resource;
use crate::resources::{Hypervisor, Vm};
use crate::row::Row;
use crate::sql::{Sql, Statement};
use crate::work::Work;

pub use attach::{Attached, Detached};
pub use evacuate::{STATES, evacuate};
pub use power::{Power, WORDS};
pub use rebuild::Rebuild;
pub use snapshot::{Restored, Taken};

/// What is asked of one object.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Of a VM.
    Power(Power),
    /// Of a VM: the size of this flavor.
    Resize(Value),
    /// Of a VM: a volume anew.
    Rebuild(Rebuild),
    /// Of a VM: a snapshot of its volumes.
    Snapshot(Taken),
    /// Of a VM: its volumes as they were.
    Restore(Restored),
    /// Of a VM: that it has this, too.
    Attach(Attached),
    /// Of a VM: that it has this no more.
    Detach(Detached),
    /// Of a VM: to this hypervisor, or to the best one.
    Migrate(Option<Value>),
    /// Of a hypervisor: this state of its node.
    State(&'static str),
}

impl Wanted {
    /// Whose it is.
    #[must_use]
    pub fn kind(&self) -> &'static dyn Kind {
        if matches!(self, Self::State(_)) { Hypervisor::KIND } else { Vm::KIND }
    }

    /// Wants it of the object of this key; its id.
    ///
    /// # Errors
    /// Not found, [`Error::Forbidden`], what is wrong with what is asked for, [`Error::Conflict`] with what stands in its way, or
    /// [`Error::Away`].
    pub async fn grant(&self, tx: &Tx, key: &str) -> Result<i64> {
        match self {
            Self::Power(power) => power::want(tx, key, *power).await,
            Self::Resize(flavor) => resize::resize(tx, key, flavor).await,
            Self::Rebuild(rebuild) => rebuild::rebuild(tx, key, rebuild).await,
            Self::Snapshot(taken) => snapshot::take(tx, key, taken).await,
            Self::Restore(restored) => snapshot::restore(tx, key, restored).await,
            Self::Attach(what) => attach::attach(tx, key, what).await,
            Self::Detach(what) => attach::detach(tx, key, what).await,
            Self::Migrate(to) => migrate::migrate(tx, key, to.as_ref()).await,
            Self::State(state) => evacuate::set_state(tx, key, state).await,
        }
    }
}

/// Locks the VM of this key, for whoever may write it.
async fn lock(tx: &Tx, key: &str) -> Result<Row> {
    lock_of(tx, Vm::KIND, key).await
}

/// Locks the object of this key, for whoever may write it.
async fn lock_of(tx: &Tx, kind: &dyn Kind, key: &str) -> Result<Row> {
    let condition = natural_key::condition(kind, key)?;
    match kind.lock(tx, &condition).await {
        // Who may not write it does not find it to lock; for who sees it, that is another answer.
        Err(Error::NotFound) => {
            kind.find(tx, &condition).await?;
            Err(Error::Forbidden)
        }
        found => found,
    }
}

/// Whether a VM shall run.
async fn shall_run(tx: &Tx, vm: &Row) -> Result<bool> {
    let sql = Sql::new("SELECT id FROM vm_states WHERE name::text = 'running' AND id = ");
    let found: Vec<i64> =
        Statement::<BigInt>::from(sql.one(vm["state"].to_string(), "int8")).load(&mut tx.conn()).await?;
    Ok(!found.is_empty())
}

/// The volume that a VM boots from, as far as that can be told: the only one that was made from an image, or else the only one.
async fn boot_volume(tx: &Tx, vm: &Row) -> Result<Option<i64>> {
    let sql = Sql::new("SELECT id, image_id IS NOT NULL FROM volumes WHERE vm_id = ");
    let sql = sql.one(vm.id().to_string(), "int8").text(" ORDER BY id");
    let volumes: Vec<(i64, bool)> = Statement::<(BigInt, Bool)>::from(sql).load(&mut tx.conn()).await?;
    let of_image: Vec<i64> = volumes.iter().filter(|(_, of_image)| *of_image).map(|(id, _)| *id).collect();
    Ok(match (of_image.as_slice(), volumes.as_slice()) {
        ([only], _) | ([], [(only, _)]) => Some(*only),
        _ => None,
    })
}

/// One restart more, with which a VM takes on what waits for its next start.
async fn count_restart(work: &mut Work<'_>, vm: &Row) -> Result<()> {
    let tx = work.tx;
    work.trail.will_update(tx, Vm::KIND, vm).await?;
    let restart = Sql::new("UPDATE vms SET restarts = restarts + 1, updated_at = now() WHERE id = ");
    Statement::<BigInt>::from(restart.one(vm.id().to_string(), "int8")).execute(&mut tx.conn()).await?;
    work.shown.add_later(Vm::KIND, vm.id());
    Ok(())
}

/// Until the agent of its hypervisor has applied the next generation, this is what a VM is doing.
async fn mark(tx: &Tx, vm: &Row, action: Lifecycle) -> Result<()> {
    // The node is nobody else's until the commit, so that the next generation is the one that says so.
    let sql = Sql::new(
        "WITH node AS (SELECT v.id, n.desired_generation + 1 AS next FROM vms v \
         JOIN hypervisors h ON h.id = v.hypervisor_id JOIN nodes n ON n.id = h.node_id WHERE v.id = ",
    );
    let sql = sql.one(vm.id().to_string(), "int8");
    let sql = sql.text(" FOR NO KEY UPDATE OF n) INSERT INTO pending_actions SELECT id, ").one(action.word(), "text");
    let sql = sql.text(
        ", next FROM node ON CONFLICT (vm_id) DO UPDATE \
         SET action = excluded.action, generation = excluded.generation",
    );
    Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?;
    Ok(())
}
