//! Rebuilding: a VM gets the volume that it boots from anew, made from an image, and is restarted with it. What was on the old one is
//! lost: it goes as every volume that is deleted, by a tombstone. Other volumes, addresses and devices stay. Which one it is must be
//! said where that cannot be told: nothing is lost by a guess.

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::actions::{boot_volume, count_restart, lock, mark};
use crate::change::{self, Action, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::lifecycle::Lifecycle;
use crate::natural_key;
use crate::orders::{Needs, Storage, keep};
use crate::resource::Resource;
use crate::resources::{Image, Vm, Volume};
use crate::row::Row;
use crate::shown::lock_structure;
use crate::sql::{Sql, Statement};
use crate::work::Work;

/// What the new volume has of the old one.
const KEPT: [&str; 9] = [
    "vm",
    "storage_type",
    "cache_option",
    "read_iops_limit",
    "write_iops_limit",
    "read_bps_limit",
    "write_bps_limit",
    "environment",
    "lifetime",
];

/// Which volume, from what.
#[derive(Clone, Debug)]
pub struct Rebuild {
    /// The image; the one that the volume was made from, unless given.
    pub image: Option<Value>,
    /// The volume; the one that the VM boots from, unless given.
    pub volume: Option<Value>,
}

/// Makes a volume of a VM anew; the VM's id.
///
/// # Errors
/// Not found, [`Error::Forbidden`], or what is wrong with the image or the volume.
pub async fn rebuild(tx: &Tx, key: &str, what: &Rebuild) -> Result<i64> {
    tx.may_write(Vm::KIND)?;
    lock_structure(tx, true).await?;
    let vm = lock(tx, key).await?;
    let mut work = Work::new(tx);
    let image = work.named(Image::KIND, "image", what.image.as_ref()).await?;
    let volume = work.named(Volume::KIND, "volume", what.volume.as_ref()).await?;
    tx.as_server(async || {
        let old = old(tx, &vm, volume).await?;
        let image = image.or_else(|| old["image"].as_i64());
        let image = image.ok_or_else(|| Error::field("image", "is required: the volume was made from none"))?;
        let size = image_bytes(tx, image).await?.max(old["size_bytes"].as_i64().unwrap_or_default());
        if let Some(hypervisor) = vm["hypervisor"].as_i64() {
            // The old one is kept for a while: there must be room for both.
            let nothing_more = Needs::nothing_more(vm["virt_method"].as_i64().unwrap_or_default());
            let needs = Needs { storage: vec![Storage::File(size)], ..nothing_more };
            keep(tx, &needs, hypervisor, "volume").await?;
        }
        let gone = Change::of(Volume::KIND, Action::Delete, &old.id().to_string(), Value::Null);
        change::apply_nested(&mut work, gone).await?;
        let mut new = json!({"image": image, "size_bytes": size});
        for field in KEPT {
            new[field] = old[field].clone();
        }
        change::apply_nested(&mut work, Change::create(Volume::KIND, new)).await?;
        // Of one that is off as well: by this, the agents give the new volume the place of the old one.
        count_restart(&mut work, &vm).await?;
        mark(tx, &vm, Lifecycle::Rebuilding).await?;
        work.finish().await?;
        Ok(vm.id())
    })
    .await
}

/// The one that is to go: of this VM, and of a type that is made from images.
async fn old(tx: &Tx, vm: &Row, volume: Option<i64>) -> Result<Row> {
    let id = match volume {
        Some(volume) => volume,
        None => {
            boot_volume(tx, vm).await?.ok_or_else(|| Error::field("volume", "is required: it is not clear which"))?
        }
    };
    let volume = Volume::KIND.lock(tx, &natural_key::condition(Volume::KIND, &id.to_string())?).await?;
    if volume["vm"] != vm.id() {
        return Err(Error::field("volume", "is not one of this VM"));
    }
    let sql = Sql::new("SELECT id FROM storage_types WHERE name::text IN ('qcow2', 'raw') AND id = ");
    let sql = sql.one(volume["storage_type"].to_string(), "int8");
    let made_from_images: Vec<i64> = Statement::<BigInt>::from(sql).load(&mut tx.conn()).await?;
    if made_from_images.is_empty() {
        return Err(Error::field("volume", "is not of type qcow2 or raw: no other is made from an image"));
    }
    Ok(volume)
}

async fn image_bytes(tx: &Tx, image: i64) -> Result<i64> {
    let sql = Sql::new("SELECT COALESCE(size_bytes, 0) FROM images WHERE id = ").one(image.to_string(), "int8");
    Ok(Statement::<BigInt>::from(sql).get_result(&mut tx.conn()).await?)
}
