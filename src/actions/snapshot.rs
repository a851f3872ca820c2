//! Snapshots of a VM: of all its volumes at once, or of one. The agent of its hypervisor takes them, and sets volumes back to them;
//! for that it shuts the VM down. What was written since is lost, so what cannot be restored whole is not restored in part, unless
//! it is said which volume is meant.

use chrono::Utc;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::actions::{count_restart, lock, mark};
use crate::change::{self, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::lifecycle::Lifecycle;
use crate::natural_key;
use crate::resource::Resource;
use crate::resources::{Snapshot, Vm, Volume};
use crate::row::Row;
use crate::shown::lock_structure;
use crate::sql::{Sql, Statement};
use crate::work::Work;

/// One to take.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What it is called.
    pub name: Value,
    /// When it goes; it stays without.
    pub keep_until: Option<Value>,
    /// Of which volume; of all without.
    pub volume: Option<Value>,
}

/// One to go back to.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Its name.
    pub snapshot: Value,
    /// Which volume; all without.
    pub volume: Option<Value>,
}

/// A volume: its id and its UUID.
type Meant = (i64, String);

/// Takes a snapshot of a VM's volumes, from now on; the VM's id.
///
/// # Errors
/// Not found, [`Error::Forbidden`], what is wrong with the name, [`Error::Conflict`] with a volume that holds no snapshots.
pub async fn take(tx: &Tx, key: &str, what: &Taken) -> Result<i64> {
    tx.may_write(Snapshot::KIND)?;
    lock_structure(tx, false).await?;
    let vm = lock(tx, key).await?;
    let mut work = Work::new(tx);
    let volume = work.named(Volume::KIND, "volume", what.volume.as_ref()).await?;
    let now = Utc::now();
    for (volume, uuid) in volumes(tx, &vm, volume).await? {
        let new = json!({"volume": volume, "name": what.name, "take_at": now, "keep_until": what.keep_until});
        let taken = change::apply_nested(&mut work, Change::create(Snapshot::KIND, new)).await;
        taken.map_err(|error| of_volume(error, &uuid))?;
    }
    work.finish().await?;
    Ok(vm.id())
}

/// Sets a VM's volumes back to a snapshot; the VM's id.
///
/// # Errors
/// Not found, [`Error::Forbidden`], [`Error::Conflict`] with a volume that has no such snapshot.
pub async fn restore(tx: &Tx, key: &str, what: &Restored) -> Result<i64> {
    tx.may_write(Vm::KIND)?;
    tx.may_write(Volume::KIND)?;
    lock_structure(tx, false).await?;
    let vm = lock(tx, key).await?;
    if vm["hypervisor"].is_null() {
        return Err(Error::conflict("hypervisor", "is none: the VM has not been placed yet"));
    }
    let name = what.snapshot.as_str().ok_or_else(|| Error::field("snapshot", "must be the name of a snapshot"))?;
    let mut work = Work::new(tx);
    let volume = work.named(Volume::KIND, "volume", what.volume.as_ref()).await?;
    tx.as_server(async || {
        let volumes = volumes(tx, &vm, volume).await?;
        refuse_without(tx, &volumes, name).await?;
        mark(tx, &vm, Lifecycle::Restoring).await?;
        for (volume, _) in volumes {
            set_back(&mut work, volume, name).await?;
        }
        // Of one that is off as well, so that its agent looks at it.
        count_restart(&mut work, &vm).await?;
        work.finish().await?;
        Ok(vm.id())
    })
    .await
}

/// The volumes that are meant.
async fn volumes(tx: &Tx, vm: &Row, only: Option<i64>) -> Result<Vec<Meant>> {
    let sql = Sql::new("SELECT id, uuid::text FROM volumes WHERE vm_id = ").one(vm.id().to_string(), "int8");
    let mut found: Vec<Meant> =
        Statement::<(BigInt, Text)>::from(sql.text(" ORDER BY id")).load(&mut tx.conn()).await?;
    if let Some(only) = only {
        found.retain(|(id, _)| *id == only);
        return if found.is_empty() { Err(Error::field("volume", "is not one of this VM")) } else { Ok(found) };
    }
    if found.is_empty() {
        return Err(Error::conflict("volume", "is none: the VM has no volumes"));
    }
    Ok(found)
}

/// Which volume holds no snapshots, where nobody has named one: nothing is wrong with what was asked for.
fn of_volume(error: Error, uuid: &str) -> Error {
    match error {
        Error::Invalid(fields) if fields.iter().all(|(field, _)| field == "volume") => {
            Error::Conflict(fields.into_iter().map(|(field, detail)| (field, format!("{uuid} {detail}"))).collect())
        }
        error => error,
    }
}

/// All of them, or none.
async fn refuse_without(tx: &Tx, volumes: &[Meant], snapshot: &str) -> Result<()> {
    let sql = Sql::new(
        "SELECT volume_id FROM snapshots WHERE take_at <= now() AND (keep_until IS NULL OR keep_until > now())",
    );
    let sql = sql.text(" AND name = ").one(snapshot, "text").text(" AND volume_id = ");
    let sql = sql.any(volumes.iter().map(|(id, _)| id.to_string()).collect(), "int8");
    let have: Vec<i64> = Statement::<BigInt>::from(sql).load(&mut tx.conn()).await?;
    let without = volumes.iter().filter(|(id, _)| !have.contains(id));
    let detail = |uuid| format!("is none that the volume has now (volume {uuid})");
    let wrong: Vec<_> = without.map(|(_, uuid)| ("snapshot".to_owned(), detail(uuid))).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Error::Conflict(wrong)) }
}

/// After [`mark`], which says in which generation.
async fn set_back(work: &mut Work<'_>, volume: i64, snapshot: &str) -> Result<()> {
    let tx = work.tx;
    let row = Volume::KIND.lock(tx, &natural_key::condition(Volume::KIND, &volume.to_string())?).await?;
    work.trail.will_update(tx, Volume::KIND, &row).await?;
    let sql = Sql::new("UPDATE volumes SET restores = restores + 1, updated_at = now(), restored_from = ");
    let sql = sql.one(snapshot, "text").text(" WHERE id = ").one(volume.to_string(), "int8");
    Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?;
    let pending = Sql::new(
        "INSERT INTO pending_restores SELECT d.id, p.generation FROM volumes d JOIN pending_actions p ON p.vm_id = d.vm_id \
         WHERE d.id = ",
    );
    let pending = pending.one(volume.to_string(), "int8");
    let pending = pending.text(" ON CONFLICT (volume_id) DO UPDATE SET generation = excluded.generation");
    Statement::<BigInt>::from(pending).execute(&mut tx.conn()).await?;
    work.shown.add_later(Volume::KIND, volume);
    Ok(())
}
