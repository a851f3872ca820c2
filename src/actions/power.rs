//! Power: a VM is to run, to stop, or to run anew.

use serde_json::json;

use crate::actions::{count_restart, lock, mark, shall_run};
use crate::change::{self, Action, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::lifecycle::Lifecycle;
use crate::resource::Resource;
use crate::resources::Vm;
use crate::shown::lock_structure;
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

async fn reboot(tx: &Tx, key: &str) -> Result<i64> {
    tx.may_write(Vm::KIND)?;
    lock_structure(tx, false).await?;
    let vm = lock(tx, key).await?;
    tx.as_server(async || {
        if !shall_run(tx, &vm).await? {
            let detail = "is not running: what shall not run is not restarted";
            return Err(Error::conflict("state", detail));
        }
        let mut work = Work::new(tx);
        count_restart(&mut work, &vm).await?;
        mark(tx, &vm, Lifecycle::Rebooting).await?;
        work.finish().await?;
        Ok(vm.id())
    })
    .await
}
