//! Power: a VM is to run, to stop, or to run anew. What is wanted changes at once; what becomes of it is seen by its agent. It knows VMs,
//! and not who asks.

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use serde_json::json;

use crate::change::{self, Action, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::natural_key;
use crate::resource::Resource;
use crate::resources::Vm;
use crate::shown::lock_structure;
use crate::sql::{Sql, Statement};
use crate::work::Work;

/// What is wanted of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    Start,
    /// It does not.
    Stop,
    /// It is shut down and started once.
    Reboot,
}

/// The words of the API.
pub const WORDS: [(&str, Power); 3] = [("start", Power::Start), ("stop", Power::Stop), ("reboot", Power::Reboot)];

/// Wants it; the VM's id.
///
/// # Errors
/// Not found, [`Error::Forbidden`], [`Error::Conflict`] for what shall not run and cannot be restarted, or [`Error::Away`].
pub async fn want(tx: &Tx, key: &str, power: Power) -> Result<i64> {
    let state = match power {
        Power::Start => "running",
        Power::Stop => "stopped",
        Power::Reboot => return reboot(tx, key).await,
    };
    let change = Change::of(Vm::KIND, Action::Update, key, json!({"state": state}));
    Ok(change::apply_one(tx, change).await?.done.id)
}

/// One restart more. Until the agent has applied the generation that says so, the VM is `rebooting`.
async fn reboot(tx: &Tx, key: &str) -> Result<i64> {
    tx.may_write(Vm::KIND)?;
    lock_structure(tx, false).await?;
    // Who may not write it does not find it to lock; for who sees it, that is another answer.
    let condition = natural_key::condition(Vm::KIND, key)?;
    let row = match Vm::KIND.lock(tx, &condition).await {
        Err(Error::NotFound) => {
            Vm::KIND.find(tx, &condition).await?;
            return Err(Error::Forbidden);
        }
        found => found?,
    };
    let id = row.id();
    tx.as_server(async || {
        let shall_run = Sql::new("SELECT v.id FROM vms v JOIN vm_states s ON s.id = v.state_id WHERE s.name::text = 'running' AND v.id = ");
        let found: Vec<i64> = Statement::<BigInt>::from(shall_run.one(id.to_string(), "int8")).load(&mut tx.conn()).await?;
        if found.is_empty() {
            let detail = "is not running: what shall not run is not restarted";
            return Err(Error::Conflict(vec![("state".to_owned(), detail.to_owned())]));
        }
        let mut work = Work::new(tx);
        work.trail.will_update(tx, Vm::KIND, &row).await?;
        let restart = Sql::new("UPDATE vms SET restarts = restarts + 1, updated_at = now() WHERE id = ");
        Statement::<BigInt>::from(restart.one(id.to_string(), "int8")).execute(&mut tx.conn()).await?;
        // The node is nobody else's until the commit, so that the next generation is the one that says so.
        let pending = Sql::new(
            "WITH node AS (SELECT n.desired_generation + 1 AS next FROM vms v JOIN hypervisors h ON h.id = v.hypervisor_id \
             JOIN nodes n ON n.id = h.node_id WHERE v.id = ",
        );
        let pending = pending.one(id.to_string(), "int8").text(" FOR NO KEY UPDATE OF n) INSERT INTO pending_actions SELECT ");
        let pending = pending.one(id.to_string(), "int8").text(
            ", 'rebooting', next FROM node ON CONFLICT (vm_id) DO UPDATE SET action = excluded.action, generation = excluded.generation",
        );
        Statement::<BigInt>::from(pending).execute(&mut tx.conn()).await?;
        work.shown.add_later(Vm::KIND, id);
        work.finish().await?;
        Ok(id)
    })
    .await
}
