//! What a VM gets while it is there, and gives back: volumes, floating IPs, interfaces. What another VM has is not taken from it, for
//! that would pull a disk from under whoever works there; and nothing is given back that nobody would find again.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value, json};

use crate::actions::{boot_volume, lock, lock_of, shall_run};
use crate::change::{self, Action, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::orders::{self, Needs, Storage, keep};
use crate::resource::Resource;
use crate::resources::{FloatingIp, Interface, Vm, Volume};
use crate::row::Row;
use crate::shown::lock_structure;
use crate::sql::{Sql, Statement};
use crate::work::Work;

/// What is attached: by which name it is known.
#[derive(Clone, Debug)]
pub enum Attached {
    /// A volume of no VM.
    Volume(Value),
    /// A floating IP of no VM.
    FloatingIp(Value),
    /// A new interface: its `network`, `subnet` and `address`, as an order says them.
    Interface(Map<String, Value>),
}

/// What is detached.
#[derive(Clone, Debug)]
pub enum Detached {
    /// A volume: it stays what it is, of no VM.
    Volume(Value),
    /// A floating IP, likewise.
    FloatingIp(Value),
    /// An interface: it goes, with its addresses.
    Interface(Value),
}

/// Gives a VM something more; the VM's id. What it has already is no error.
///
/// # Errors
/// Not found, [`Error::Forbidden`], what is wrong with what is named, [`Error::Conflict`] with who has it or with why the VM's hypervisor
/// cannot have it.
pub async fn attach(tx: &Tx, key: &str, what: &Attached) -> Result<i64> {
    tx.may_write(Vm::KIND)?;
    lock_structure(tx, !matches!(what, Attached::Interface(_))).await?;
    let vm = lock(tx, key).await?;
    let mut work = Work::new(tx);
    match what {
        Attached::Volume(name) => {
            let volume = named(&mut work, Volume::KIND, "volume", name).await?;
            if !has(&vm, &volume, "volume")? {
                refuse_unfit(tx, &vm, &volume).await?;
                give(&mut work, Volume::KIND, &volume, vm.id().into()).await?;
            }
        }
        Attached::FloatingIp(name) => {
            let ip = named(&mut work, FloatingIp::KIND, "floating_ip", name).await?;
            if !has(&vm, &ip, "floating_ip")? {
                refuse_without_interface(tx, &vm).await?;
                give(&mut work, FloatingIp::KIND, &ip, vm.id().into()).await?;
            }
        }
        Attached::Interface(given) => orders::connect(&mut work, &vm, given.clone()).await?,
    }
    work.finish().await?;
    Ok(vm.id())
}

/// Takes something from a VM; the VM's id.
///
/// # Errors
/// Not found, [`Error::Forbidden`], [`Error::Invalid`] for what it does not have, [`Error::Conflict`] with what needs it.
pub async fn detach(tx: &Tx, key: &str, what: &Detached) -> Result<i64> {
    tx.may_write(Vm::KIND)?;
    lock_structure(tx, !matches!(what, Detached::Interface(_))).await?;
    let vm = lock(tx, key).await?;
    let mut work = Work::new(tx);
    match what {
        Detached::Volume(name) => {
            let volume = own(&mut work, Volume::KIND, "volume", name, &vm).await?;
            refuse_needed(tx, &vm, &volume).await?;
            give(&mut work, Volume::KIND, &volume, Value::Null).await?;
        }
        Detached::FloatingIp(name) => {
            let ip = own(&mut work, FloatingIp::KIND, "floating_ip", name, &vm).await?;
            give(&mut work, FloatingIp::KIND, &ip, Value::Null).await?;
        }
        Detached::Interface(name) => {
            let id = id_of(&mut work, Interface::KIND, "interface", name).await?;
            // Who may write a VM may take an interface from it, though interfaces are the operators' to write.
            tx.as_server(async || {
                let interface = lock_of(tx, Interface::KIND, &id.to_string()).await?;
                of_this(&vm, &interface, "interface")?;
                refuse_last_of_floating(tx, &vm).await?;
                let gone = Change::of(Interface::KIND, Action::Delete, &id.to_string(), Value::Null);
                change::apply_nested(&mut work, gone).await
            })
            .await?;
        }
    }
    work.finish().await?;
    Ok(vm.id())
}

async fn id_of(work: &mut Work<'_>, kind: &'static dyn Kind, field: &str, name: &Value) -> Result<i64> {
    work.named(kind, field, Some(name)).await?.ok_or_else(|| Error::field(field, "is required"))
}

/// What is named, nobody else's until the transaction ends.
async fn named(work: &mut Work<'_>, kind: &'static dyn Kind, field: &str, name: &Value) -> Result<Row> {
    let id = id_of(work, kind, field, name).await?;
    lock_of(work.tx, kind, &id.to_string()).await
}

async fn own(work: &mut Work<'_>, kind: &'static dyn Kind, field: &str, name: &Value, vm: &Row) -> Result<Row> {
    let found = named(work, kind, field, name).await?;
    of_this(vm, &found, field)?;
    Ok(found)
}

fn of_this(vm: &Row, object: &Row, field: &str) -> Result<()> {
    if object["vm"] == vm.id() { Ok(()) } else { Err(Error::field(field, "is not one of this VM")) }
}

/// Whether the VM has it already.
fn has(vm: &Row, object: &Row, field: &str) -> Result<bool> {
    match object["vm"].as_i64() {
        None => Ok(false),
        Some(id) if id == vm.id() => Ok(true),
        Some(_) => Err(Error::conflict(field, "is another VM's: detach it there first")),
    }
}

async fn give(work: &mut Work<'_>, kind: &'static dyn Kind, object: &Row, vm: Value) -> Result<()> {
    let change = Change::of(kind, Action::Update, &object.id().to_string(), json!({"vm": vm}));
    change::apply_nested(work, change).await.map(|_| ())
}

/// Its hypervisor must have room for it, reach its cluster, and have what is left of its limits.
async fn refuse_unfit(tx: &Tx, vm: &Row, volume: &Row) -> Result<()> {
    let Some(hypervisor) = vm["hypervisor"].as_i64() else { return Ok(()) };
    tx.as_server(async || {
        let sql = Sql::new(
            "SELECT t.name::text, COALESCE(p.cluster_id, 0), d.size_bytes, c.iops::int8, c.disk_bps::int8 FROM volumes d \
             JOIN volume_claims c ON c.volume_id = d.id JOIN storage_types t ON t.id = d.storage_type_id \
             LEFT JOIN ceph_pools p ON p.id = d.ceph_pool_id WHERE d.id = ",
        );
        let sql = sql.one(volume.id().to_string(), "int8");
        let (kept, cluster, bytes, iops, disk_bps): (String, i64, i64, i64, i64) =
            Statement::<(Text, BigInt, BigInt, BigInt, BigInt)>::from(sql).get_result(&mut tx.conn()).await?;
        let nothing_more = Needs::nothing_more(vm["virt_method"].as_i64().unwrap_or_default());
        let needs = Needs { storage: vec![Storage::of(&kept, cluster, bytes)], iops, disk_bps, ..nothing_more };
        keep(tx, &needs, hypervisor, "volume").await
    })
    .await
}

/// A local volume would be on a hypervisor of which nobody knows any more, and what a VM boots from is not pulled out while it runs.
async fn refuse_needed(tx: &Tx, vm: &Row, volume: &Row) -> Result<()> {
    if volume["ceph_pool"].is_null() && !vm["hypervisor"].is_null() {
        return Err(Error::conflict("volume", "is on the VM's hypervisor: only volumes of type rbd can be elsewhere"));
    }
    if shall_run(tx, vm).await? && boot_volume(tx, vm).await? == Some(volume.id()) {
        return Err(Error::conflict("volume", "is what the VM boots from: stop it first"));
    }
    Ok(())
}

async fn refuse_without_interface(tx: &Tx, vm: &Row) -> Result<()> {
    if interfaces(tx, vm).await? > 0 {
        return Ok(());
    }
    Err(Error::conflict("floating_ip", "has nowhere to go: the VM has no interface"))
}

/// Floating IPs are routed to an interface.
async fn refuse_last_of_floating(tx: &Tx, vm: &Row) -> Result<()> {
    let sql = Sql::new("SELECT count(*) FROM floating_ips WHERE vm_id = ").one(vm.id().to_string(), "int8");
    let floating: i64 = Statement::<BigInt>::from(sql).get_result(&mut tx.conn()).await?;
    if floating == 0 || interfaces(tx, vm).await? > 1 {
        return Ok(());
    }
    Err(Error::conflict("interface", "is the VM's only one, and has its floating IPs: detach them first"))
}

async fn interfaces(tx: &Tx, vm: &Row) -> Result<i64> {
    let sql = Sql::new("SELECT count(*) FROM interfaces WHERE vm_id = ").one(vm.id().to_string(), "int8");
    Ok(Statement::<BigInt>::from(sql).get_result(&mut tx.conn()).await?)
}
