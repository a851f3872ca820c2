//! Orders: a VM that is to be created by what is wanted (a flavor, an image, a network) and not by what it is made of. Here the rest
//! is decided and made with it, in the transaction of its change: a place, addresses, a boot volume, devices. It knows what VMs hang
//! together with, and neither requests nor forms.
//!
//! Whoever orders is asked for its rights first, by the same ways as with every change; what follows from the order is the server's
//! own doing, for a customer sees no hypervisors.

mod addresses;
mod containers;
mod placement;
mod request;

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value, json};

use crate::change::{self, Action, Change, Done};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::resolve;
use crate::resource::Resource;
use crate::resources::{FloatingIp, Gpu, Hypervisor, Interface, StorageType, VirtMethod, Vm, Volume};
use crate::row::Row;
use crate::sql::{Sql, Statement};
use crate::work::Work;

use addresses::Wanted;

pub use placement::{Candidate, Moves, Needs, Storage, choose, keep};
pub use request::{FIELDS, Order, expand};

/// How the boot volume of an order is cached.
const CACHE: &str = "none";

/// Whether a change orders something.
#[must_use]
pub fn is_order(change: &Change) -> bool {
    change.action == Action::Create && request::is_order(change.kind, &change.body)
}

/// Makes what was ordered. `body` is the VM's, its references ids.
///
/// # Errors
/// [`Error::Conflict`] when no hypervisor has room for it, or no address is left; whatever is wrong with the rest.
pub(crate) async fn fulfil(work: &mut Work<'_>, order: Order, mut body: Value) -> Result<Done> {
    let tx = work.tx;
    if body["uuid"].is_null() {
        body["uuid"] = tx.new_uuid().to_string().into();
    }
    if body["name"].is_null() {
        body["name"] = request::memorable_name(body["uuid"].as_str().unwrap_or_default()).into();
    }
    // The hypervisor is nobody else's meanwhile, so what is free there stays free.
    tx.as_server(async || {
        let needs = order.needs(&body);
        let place = choose(tx, &needs).await?;
        body["hypervisor"] = place.into();
        // The server sees more than who asks, so what was found for him is not known to be there for it.
        for (kind, id) in
            [(Hypervisor::KIND, place), (VirtMethod::KIND, needs.virt_method), (StorageType::KIND, order.storage_type)]
        {
            work.is_there(kind, id);
        }
        let vm = Box::pin(change::apply_nested(work, Change::create(Vm::KIND, body))).await?;
        let of_volume = if order.volume.is_some() { "volume" } else { "image" };
        make_volume(work, &order, vm.id).await.map_err(|error| at(error, of_volume))?;
        make_interfaces(work, &order, vm.id).await?;
        give_gpus(work, &needs, place, vm.id).await?;
        if order.assign_floating_ip {
            let floating = json!({"environment": order.environment, "vm": vm.id});
            let made = Box::pin(change::apply_nested(work, Change::create(FloatingIp::KIND, floating))).await;
            made.map_err(|error| at(conflict(error), "assign_floating_ip"))?;
        }
        Ok(vm)
    })
    .await
}

/// Every hypervisor for what would be ordered, the best first, with what is in its way.
///
/// # Errors
/// What is wrong with the order; [`Error::Forbidden`] for who does not see hypervisors.
pub async fn explain(tx: &Tx, mut body: Value) -> Result<Vec<Candidate>> {
    tx.may_read(Hypervisor::KIND)?;
    let mut work = Work::new(tx);
    let given = Order::take(Vm::KIND, &mut body).ok_or_else(|| Error::field("flavor", "is required for an order"))?;
    let order = Order::read(&mut work, given, &mut body).await?;
    resolve::references(&mut work, Vm::KIND, &mut body).await?;
    placement::candidates(tx, &order.needs(&body)).await
}

/// What is wrong with a part that nobody has written himself is told at what asked for it.
fn at(error: Error, field: &str) -> Error {
    let told = |fields: Vec<(String, String)>| {
        fields
            .into_iter()
            .map(|(name, detail)| (field.to_owned(), format!("{name} {detail}").trim().to_owned()))
            .collect()
    };
    match error {
        Error::Invalid(fields) => Error::Invalid(told(fields)),
        Error::Conflict(fields) => Error::Conflict(told(fields)),
        error => error,
    }
}

/// There is none left: nothing is wrong with what was asked for.
fn conflict(error: Error) -> Error {
    if let Error::Invalid(fields) = error { Error::Conflict(fields) } else { error }
}

/// The volume that it boots from: a new one, which goes with it unless it was said otherwise, or one that was kept.
async fn make_volume(work: &mut Work<'_>, order: &Order, vm: i64) -> Result<()> {
    if let Some(kept) = order.volume {
        let attach = Change::of(Volume::KIND, Action::Update, &kept.to_string(), json!({"vm": vm}));
        Box::pin(change::apply_nested(work, attach)).await?;
        return Ok(());
    }
    let volume = json!({
        "vm": vm, "size_bytes": order.disk_bytes, "storage_type": order.storage_type, "cache_option": CACHE,
        "ceph_pool": order.ceph_pool, "image": order.image, "environment": order.environment, "lifetime": order.lifetime,
        "read_iops_limit": order.iops, "write_iops_limit": order.iops,
        "read_bps_limit": order.disk_bps, "write_bps_limit": order.disk_bps,
    });
    Box::pin(change::apply_nested(work, Change::create(Volume::KIND, volume))).await?;
    Ok(())
}

/// One for each network, with an address of each family that the network has.
async fn make_interfaces(work: &mut Work<'_>, order: &Order, vm: i64) -> Result<()> {
    for (i, wanted) in order.networks.iter().enumerate() {
        let addresses =
            async { addresses::free(work.tx, wanted).await.map_err(|error| error.below(&format!("networks/{i}"))) };
        let (addresses, mac) = tokio::try_join!(addresses, addresses::free_mac(work.tx))?;
        make_interface(work, wanted, vm, &format!("eth{i}"), (mac, addresses)).await?;
    }
    Ok(())
}

async fn make_interface(
    work: &mut Work<'_>,
    wanted: &Wanted,
    vm: i64,
    name: &str,
    (mac, addresses): (String, Vec<String>),
) -> Result<()> {
    let vlans: Vec<i64> = wanted.vlan.into_iter().collect();
    let interface = json!({"vm": vm, "mac": mac, "name": name, "vlans": vlans, "addresses": addresses});
    Box::pin(change::apply_nested(work, Change::create(Interface::KIND, interface))).await?;
    Ok(())
}

/// One interface more for a VM that is there, as `network`, `subnet` and `address` of an order say.
///
/// # Errors
/// What of that is wrong; [`Error::Conflict`] where its hypervisor does not reach the network, or no address is left.
pub(crate) async fn connect(work: &mut Work<'_>, vm: &Row, given: Map<String, Value>) -> Result<()> {
    let tx = work.tx;
    let wanted = request::network(work, vm["environment"].as_i64(), given).await?;
    tx.as_server(async || {
        if let Some(hypervisor) = vm["hypervisor"].as_i64() {
            let nothing_more = Needs::nothing_more(vm["virt_method"].as_i64().unwrap_or_default());
            keep(tx, &Needs { networks: vec![wanted.network], ..nothing_more }, hypervisor, "network").await?;
        }
        let of_network = |error| match error {
            Error::Conflict(fields) if fields.iter().any(|(field, _)| field.is_empty()) => {
                at(Error::Conflict(fields), "network")
            }
            error => error,
        };
        let addresses = addresses::free(tx, &wanted).await.map_err(of_network)?;
        let mac = addresses::free_mac(tx).await.map_err(of_network)?;
        let name = next_name(tx, vm).await?;
        make_interface(work, &wanted, vm.id(), &name, (mac, addresses)).await
    })
    .await
}

/// The first of `eth0`, `eth1`, … that the VM has not.
async fn next_name(tx: &Tx, vm: &Row) -> Result<String> {
    let sql = Sql::new("SELECT name::text FROM interfaces WHERE name IS NOT NULL AND vm_id = ");
    let sql = sql.one(vm.id().to_string(), "int8");
    let taken: Vec<String> = Statement::<Text>::from(sql).load(&mut tx.conn()).await?;
    let mut number = 0;
    while taken.contains(&format!("eth{number}")) {
        number += 1;
    }
    Ok(format!("eth{number}"))
}

/// Of those of its hypervisor that nobody has.
pub(crate) async fn give_gpus(work: &mut Work<'_>, needs: &Needs, hypervisor: i64, vm: i64) -> Result<()> {
    for (model, count) in &needs.gpus {
        let sql = Sql::new("SELECT id FROM gpus WHERE vm_id IS NULL AND hypervisor_id = ")
            .one(hypervisor.to_string(), "int8")
            .text(" AND model = ")
            .one(model, "text")
            .text(format!(" ORDER BY address LIMIT {count} FOR UPDATE"));
        let free: Vec<i64> = Statement::<BigInt>::from(sql).load(&mut work.tx.conn()).await?;
        for gpu in free {
            let give = Change::of(Gpu::KIND, Action::Update, &gpu.to_string(), json!({"vm": vm}));
            Box::pin(change::apply_nested(work, give)).await?;
        }
    }
    Ok(())
}
