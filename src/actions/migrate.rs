//! Cold migration: a VM goes to another hypervisor that has all it needs. Only what is in a pool goes along, so a VM with a local
//! volume stays. On the hypervisor where it was it leaves a tombstone, by which its agent shuts it down; the other agent does not start
//! it while its volumes are open there (docs/convergence.md).

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::actions::{lock, mark};
use crate::change::{self, Action, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::lifecycle::Lifecycle;
use crate::orders::{self, Moves, Needs, Storage};
use crate::resource::Resource;
use crate::resources::{Gpu, Hypervisor, Vm};
use crate::row::Row;
use crate::shown::lock_structure;
use crate::sql::{Sql, Statement};
use crate::work::Work;

/// Moves a VM to the hypervisor that is asked for, or to the best one; the VM's id.
///
/// # Errors
/// Not found, [`Error::Forbidden`] for who does not say where VMs run, [`Error::Conflict`] with what keeps it where it is.
pub async fn migrate(tx: &Tx, key: &str, to: Option<&Value>) -> Result<i64> {
    tx.may_write(Hypervisor::KIND)?;
    lock_structure(tx, true).await?;
    let vm = lock(tx, key).await?;
    let mut work = Work::new(tx);
    let only = work.named(Hypervisor::KIND, "hypervisor", to).await?;
    let needs = needs(tx, &vm, only).await?;
    let place = orders::choose(tx, &needs).await?;
    for gpu in ids(tx, "SELECT id FROM gpus WHERE vm_id = ", &vm).await? {
        let free = Change::of(Gpu::KIND, Action::Update, &gpu.to_string(), json!({"vm": null}));
        change::apply_nested(&mut work, free).await?;
    }
    let place_it = Change::of(Vm::KIND, Action::Update, &vm.id().to_string(), json!({"hypervisor": place}));
    change::apply_nested(&mut work, place_it).await?;
    orders::give_gpus(&mut work, &needs, place, vm.id()).await?;
    mark(tx, &vm, Lifecycle::Migrating).await?;
    work.finish().await?;
    Ok(vm.id())
}

/// What it has where it is.
async fn needs(tx: &Tx, vm: &Row, only: Option<i64>) -> Result<Needs> {
    let conflict = |detail: &str| Error::conflict("hypervisor", detail);
    let from = vm["hypervisor"].as_i64().ok_or_else(|| conflict("is none: the VM has not been placed yet"))?;
    let number = |name: &str| vm[name].as_i64();
    let claims = claims(tx, vm).await?;
    if claims.iter().any(|(cluster, ..)| *cluster == 0) {
        return Err(conflict("keeps a volume of the VM: only volumes of type rbd go along"));
    }
    let sql = Sql::new("SELECT model, count(*) FROM gpus WHERE vm_id = ").one(vm.id().to_string(), "int8");
    let gpus = Statement::<(Text, BigInt)>::from(sql.text(" GROUP BY model ORDER BY model"));
    let labels =
        Sql::new("SELECT unnest(f.labels::text[]) FROM flavors f JOIN vms v ON v.flavor_id = f.id WHERE v.id = ");
    let labels = Statement::<Text>::from(labels.one(vm.id().to_string(), "int8"));
    let networks = "SELECT DISTINCT n.id FROM networks n JOIN interface_vlans l ON l.vlan_id = n.vlan_id \
        JOIN interfaces i ON i.id = l.interface_id WHERE i.vm_id = ";
    Ok(Needs {
        virt_method: number("virt_method").unwrap_or_default(),
        cores: number("cores").unwrap_or_default(),
        ram_bytes: number("ram_bytes").unwrap_or_default(),
        storage: claims.iter().map(|(cluster, ..)| Storage::Ceph(*cluster)).collect(),
        iops: claims.iter().map(|(_, iops, _)| iops).sum(),
        disk_bps: claims.iter().map(|(.., disk_bps)| disk_bps).sum(),
        gpus: gpus.load(&mut tx.conn()).await?,
        labels: labels.load(&mut tx.conn()).await?,
        networks: ids(tx, networks, vm).await?,
        group: number("group"),
        only,
        moves: Some(Moves { vm: vm.id(), from }),
        environment: number("environment"),
    })
}

/// Of each volume the Ceph cluster, 0 for a local one, and what it takes of the disks.
async fn claims(tx: &Tx, vm: &Row) -> Result<Vec<(i64, i64, i64)>> {
    let sql = Sql::new(
        "SELECT COALESCE(p.cluster_id, 0), c.iops::int8, c.disk_bps::int8 FROM volume_claims c \
         JOIN volumes d ON d.id = c.volume_id LEFT JOIN ceph_pools p ON p.id = d.ceph_pool_id WHERE c.vm_id = ",
    );
    let sql = sql.one(vm.id().to_string(), "int8").text(" ORDER BY c.volume_id");
    Ok(Statement::<(BigInt, BigInt, BigInt)>::from(sql).load(&mut tx.conn()).await?)
}

/// The ids that a statement finds for a VM.
async fn ids(tx: &Tx, statement: &str, vm: &Row) -> Result<Vec<i64>> {
    let sql = Sql::new(statement).one(vm.id().to_string(), "int8");
    Ok(Statement::<BigInt>::from(sql).load(&mut tx.conn()).await?)
}
