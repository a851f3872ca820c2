//! Another size: a VM gets the cores and the memory of another flavor, and the volume that it boots from the limits of that. Its hypervisor must
//! have what it takes more. A VM that shall run is restarted, for it takes on its size when it starts. Volumes stay as large as they are:
//! they are made larger by themselves.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::actions::{boot_volume, count_restart, lock, mark, shall_run};
use crate::change::{self, Action, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::lifecycle::Lifecycle;
use crate::natural_key;
use crate::orders::{Needs, keep};
use crate::resource::Resource;
use crate::resources::{Flavor, Vm, Volume};
use crate::row::Row;
use crate::shown::lock_structure;
use crate::sql::{Sql, Statement};
use crate::work::Work;

/// The volume that a VM boots from: its id, and what it takes of the disks.
type Boot = (i64, i64, i64);

/// Gives a VM the size of a flavor; the VM's id.
///
/// # Errors
/// Not found, [`Error::Forbidden`], what is wrong with the flavor, [`Error::Conflict`] with what its hypervisor has too little of.
pub async fn resize(tx: &Tx, key: &str, flavor: &Value) -> Result<i64> {
    tx.may_write(Vm::KIND)?;
    lock_structure(tx, true).await?;
    let vm = lock(tx, key).await?;
    let mut work = Work::new(tx);
    let id = work.named(Flavor::KIND, "flavor", Some(flavor)).await?.ok_or_else(|| at_flavor("is required"))?;
    let flavor = Flavor::KIND.find(tx, &natural_key::condition(Flavor::KIND, &id.to_string())?).await?;
    tx.as_server(async || {
        is_of_its_kind(tx, &vm, &flavor).await?;
        let boot = boot(tx, &vm).await?;
        if let Some(hypervisor) = vm["hypervisor"].as_i64() {
            keep(tx, &takes_more(&vm, &flavor, boot), hypervisor, "flavor").await?;
        }
        let size = json!({"flavor": id, "cores": flavor["cores"], "ram_bytes": flavor["ram_bytes"]});
        let change = Change::of(Vm::KIND, Action::Update, &vm.id().to_string(), size);
        change::apply_nested(&mut work, change).await?;
        if let Some((volume, ..)) = boot {
            let limits = json!({
                "read_iops_limit": flavor["iops"], "write_iops_limit": flavor["iops"],
                "read_bps_limit": flavor["disk_bps"], "write_bps_limit": flavor["disk_bps"],
            });
            let change = Change::of(Volume::KIND, Action::Update, &volume.to_string(), limits);
            change::apply_nested(&mut work, change).await?;
        }
        if shall_run(tx, &vm).await? {
            count_restart(&mut work, &vm).await?;
        }
        mark(tx, &vm, Lifecycle::Resizing).await?;
        work.finish().await?;
        Ok(vm.id())
    })
    .await
}

fn at_flavor(detail: &str) -> Error {
    Error::field("flavor", detail)
}

/// What a restart cannot give it must be as it is.
async fn is_of_its_kind(tx: &Tx, vm: &Row, flavor: &Row) -> Result<()> {
    if vm["virt_method"] != flavor["virt_method"] {
        return Err(at_flavor("is for another virt method than the VM's"));
    }
    let sql = Sql::new("SELECT model FROM gpus WHERE vm_id = ").one(vm.id().to_string(), "int8");
    let has: Vec<String> = Statement::<Text>::from(sql).load(&mut tx.conn()).await?;
    let (model, count) = (flavor["gpu_model"].as_str().unwrap_or_default(), flavor["gpu_count"].as_u64());
    let count = usize::try_from(count.unwrap_or_default()).unwrap_or(usize::MAX);
    if has.len() != count || has.iter().any(|has| has != model) {
        return Err(at_flavor("has other GPUs than the VM: devices do not change with its size"));
    }
    Ok(())
}

async fn boot(tx: &Tx, vm: &Row) -> Result<Option<Boot>> {
    let Some(id) = boot_volume(tx, vm).await? else { return Ok(None) };
    let sql = Sql::new("SELECT volume_id, iops::int8, disk_bps::int8 FROM volume_claims WHERE volume_id = ");
    let sql = sql.one(id.to_string(), "int8");
    let found: Vec<Boot> = Statement::<(BigInt, BigInt, BigInt)>::from(sql).load(&mut tx.conn()).await?;
    Ok(found.into_iter().next())
}

/// What it needs besides what it has.
fn takes_more(vm: &Row, flavor: &Row, boot: Option<Boot>) -> Needs {
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    let more = |name: &str| number(&flavor[name]) - number(&vm[name]);
    let limit = |name: &str, has: i64| number(&flavor[name]) - has;
    let labels = flavor["labels"].as_array().into_iter().flatten();
    Needs {
        cores: more("cores"),
        ram_bytes: more("ram_bytes"),
        iops: boot.map_or(0, |(_, has, _)| limit("iops", has)),
        disk_bps: boot.map_or(0, |(.., has)| limit("disk_bps", has)),
        labels: labels.filter_map(Value::as_str).map(str::to_owned).collect(),
        ..Needs::nothing_more(number(&vm["virt_method"]))
    }
}
