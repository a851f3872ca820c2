//! Snapshots of a VM: of all its volumes at once, or of one. The agent of its hypervisor takes them, and sets volumes back to them;
//! for that it shuts the VM down. What was written since is lost, so what cannot be restored whole is not restored in part, unless
//! it is said which volume is meant.

use chrono::Utc;
use diesel::sql_types::{BigInt, Bool, Text};
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

/// A volume: its id, its UUID, and whether it has what is asked for.
type Held = (i64, String, bool);

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
    let holds = Sql::new("t.name::text IN ('qcow2', 'rbd')");
    let volumes = volumes(tx, &vm, volume, holds, Sql::default()).await?;
    refuse(&volumes, "volume", "holds no snapshots: only volumes of type qcow2 and rbd do")?;
    let now = Utc::now();
    for (volume, ..) in volumes {
        let new = json!({"volume": volume, "name": what.name, "take_at": now, "keep_until": what.keep_until});
        change::apply_nested(&mut work, Change::create(Snapshot::KIND, new)).await?;
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
        return Err(Error::Conflict(vec![("hypervisor".into(), "is none: the VM has not been placed yet".into())]));
    }
    let name = what.snapshot.as_str().ok_or_else(|| Error::field("snapshot", "must be the name of a snapshot"))?;
    let mut work = Work::new(tx);
    let volume = work.named(Volume::KIND, "volume", what.volume.as_ref()).await?;
    tx.as_server(async || {
        let joined = Sql::new(
            " LEFT JOIN snapshots x ON x.volume_id = d.id AND x.take_at <= now() \
             AND (x.keep_until IS NULL OR x.keep_until > now()) AND x.name = ",
        );
        let volumes = volumes(tx, &vm, volume, Sql::new("x.id IS NOT NULL"), joined.one(name, "text")).await?;
        refuse(&volumes, "snapshot", "is none that the volume has now")?;
        // First, for it keeps the node: its next generation is the one that says so.
        mark(tx, &vm, Lifecycle::Restoring).await?;
        for (volume, ..) in volumes {
            set_back(&mut work, volume, name).await?;
        }
        // Of one that is off as well, so that its agent looks at it.
        count_restart(&mut work, &vm).await?;
        work.finish().await?;
        Ok(vm.id())
    })
    .await
}

/// The volumes that are meant, each with whether a condition holds.
async fn volumes(tx: &Tx, vm: &Row, only: Option<i64>, condition: Sql, joined: Sql) -> Result<Vec<Held>> {
    let sql = Sql::new("SELECT d.id, d.uuid::text, ").then(condition);
    let sql = sql.text(" FROM volumes d JOIN storage_types t ON t.id = d.storage_type_id").then(joined);
    let sql = sql.text(" WHERE d.vm_id = ").one(vm.id().to_string(), "int8").text(" ORDER BY d.id");
    let mut found: Vec<Held> = Statement::<(BigInt, Text, Bool)>::from(sql).load(&mut tx.conn()).await?;
    if let Some(only) = only {
        found.retain(|(id, ..)| *id == only);
        return if found.is_empty() { Err(Error::field("volume", "is not one of this VM")) } else { Ok(found) };
    }
    if found.is_empty() {
        return Err(Error::Conflict(vec![("volume".into(), "is none: the VM has no volumes".into())]));
    }
    Ok(found)
}

/// All, or none of them.
fn refuse(volumes: &[Held], field: &str, detail: &str) -> Result<()> {
    let wrong: Vec<_> = volumes
        .iter()
        .filter(|(.., holds)| !holds)
        .map(|(_, uuid, _)| (field.to_owned(), format!("{detail} (volume {uuid})")))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(Error::Conflict(wrong)) }
}

async fn set_back(work: &mut Work<'_>, volume: i64, snapshot: &str) -> Result<()> {
    let tx = work.tx;
    let row = Volume::KIND.lock(tx, &natural_key::condition(Volume::KIND, &volume.to_string())?).await?;
    work.trail.will_update(tx, Volume::KIND, &row).await?;
    let sql = Sql::new("UPDATE volumes SET restores = restores + 1, updated_at = now(), restored_from = ");
    let sql = sql.one(snapshot, "text").text(" WHERE id = ").one(volume.to_string(), "int8");
    Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?;
    let pending = Sql::new(
        "INSERT INTO pending_restores SELECT d.id, n.desired_generation + 1 FROM volumes d JOIN vms v ON v.id = d.vm_id \
         JOIN hypervisors h ON h.id = v.hypervisor_id JOIN nodes n ON n.id = h.node_id WHERE d.id = ",
    );
    let pending = pending.one(volume.to_string(), "int8");
    let pending = pending.text(" ON CONFLICT (volume_id) DO UPDATE SET generation = excluded.generation");
    Statement::<BigInt>::from(pending).execute(&mut tx.conn()).await?;
    work.shown.add_later(Volume::KIND, volume);
    Ok(())
}
