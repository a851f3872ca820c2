//! What can be asked of VMs and hypervisors besides changing their fields: the routes of `crate::actions`.

use rocket::{Route, State, post, routes};
use serde_json::{Map, Value, json};

use crate::actions::{self, Attached, Detached, Power, Rebuild, Restored, Taken, Wanted};
use crate::db::{Attempts, Db, Tx};
use crate::error::{Error, Result};
use crate::http::ask::Ask;
use crate::http::body::{Body, FormBody};
use crate::http::format::{Format, stem};
use crate::http::reply::Reply;
use crate::http::resources::show_one;
use crate::query::Query;
use crate::resource::Resource;
use crate::resources::{Hypervisor, Vm};
use crate::{natural_key, policy, refs};

/// It runs.
#[post("/vms/<key>/start", data = "<body>")]
async fn start(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    want(stem(key), Power::Start, ask?, body?, db).await
}

/// It does not.
#[post("/vms/<key>/stop", data = "<body>")]
async fn stop(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    want(stem(key), Power::Stop, ask?, body?, db).await
}

/// It is shut down and started once.
#[post("/vms/<key>/reboot", data = "<body>")]
async fn reboot(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    want(stem(key), Power::Reboot, ask?, body?, db).await
}

async fn want(key: &str, power: Power, mut ask: Ask, body: FormBody, db: &Db) -> Result<Reply> {
    complete(&mut ask, body)?;
    act(key, &Wanted::Power(power), &ask, db).await
}

/// It gets the size of a `flavor`.
#[post("/vms/<key>/resize", data = "<body>")]
async fn resize(key: &str, ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    let [flavor] = said(&mut ask, body, ["flavor"])?;
    let flavor = flavor.ok_or_else(|| Error::field("flavor", "is required"))?;
    act(stem(key), &Wanted::Resize(flavor), &ask, db).await
}

/// It gets the `volume` that it boots from anew, from an `image`.
#[post("/vms/<key>/rebuild", data = "<body>")]
async fn rebuild(key: &str, ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    let [image, volume] = said(&mut ask, body, ["image", "volume"])?;
    act(stem(key), &Wanted::Rebuild(Rebuild { image, volume }), &ask, db).await
}

/// A snapshot of this `name` is taken of its volumes, or of this `volume`; it goes after `keep_until`.
#[post("/vms/<key>/snapshot", data = "<body>")]
async fn snapshot(key: &str, ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    let [name, keep_until, volume] = said(&mut ask, body, ["name", "keep_until", "volume"])?;
    let name = name.ok_or_else(|| Error::field("name", "is required"))?;
    act(stem(key), &Wanted::Snapshot(Taken { name, keep_until, volume }), &ask, db).await
}

/// Its volumes, or this `volume`, become again what they were in a `snapshot`.
#[post("/vms/<key>/restore", data = "<body>")]
async fn restore(key: &str, ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    let [snapshot, volume] = said(&mut ask, body, ["snapshot", "volume"])?;
    let snapshot = snapshot.ok_or_else(|| Error::field("snapshot", "is required"))?;
    act(stem(key), &Wanted::Restore(Restored { snapshot, volume }), &ask, db).await
}

/// It gets a `volume`, a `floating_ip`, or an interface in a `network` (with `subnet`, `address`).
#[post("/vms/<key>/attach", data = "<body>")]
async fn attach(key: &str, ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    let [volume, floating_ip, network, subnet, address] =
        said(&mut ask, body, ["volume", "floating_ip", "network", "subnet", "address"])?;
    let place = [("network", network), ("subnet", subnet), ("address", address)];
    let place: Map<String, Value> =
        place.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let place = Some(place).filter(|place| !place.is_empty());
    let what = [volume.map(Attached::Volume), floating_ip.map(Attached::FloatingIp), place.map(Attached::Interface)];
    act(stem(key), &Wanted::Attach(only(what, "one of volume, floating_ip and network")?), &ask, db).await
}

/// It gives back a `volume`, a `floating_ip` or an `interface`.
#[post("/vms/<key>/detach", data = "<body>")]
async fn detach(key: &str, ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    let [volume, floating_ip, interface] = said(&mut ask, body, ["volume", "floating_ip", "interface"])?;
    let what =
        [volume.map(Detached::Volume), floating_ip.map(Detached::FloatingIp), interface.map(Detached::Interface)];
    act(stem(key), &Wanted::Detach(only(what, "one of volume, floating_ip and interface")?), &ask, db).await
}

/// The one that was said.
fn only<T>(said: [Option<T>; 3], which: &str) -> Result<T> {
    let mut said = said.into_iter().flatten();
    match (said.next(), said.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Error::field("", format!("must say {which}, and no more"))),
    }
}

/// It goes to another `hypervisor`, or to the best one.
#[post("/vms/<key>/migrate", data = "<body>")]
async fn migrate(key: &str, ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    let [to] = said(&mut ask, body, ["hypervisor"])?;
    act(stem(key), &Wanted::Migrate(to), &ask, db).await
}

/// Nothing is placed there any more.
#[post("/hypervisors/<key>/maintenance", data = "<body>")]
async fn maintenance(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    set_state(stem(key), "maintenance", ask?, body?, db).await
}

/// It takes VMs again.
#[post("/hypervisors/<key>/resume", data = "<body>")]
async fn resume(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    set_state(stem(key), "running", ask?, body?, db).await
}

async fn set_state(key: &str, state: &'static str, mut ask: Ask, body: FormBody, db: &Db) -> Result<Reply> {
    complete(&mut ask, body)?;
    act(key, &Wanted::State(state), &ask, db).await
}

/// Maintenance, and its VMs go elsewhere: what became of each.
#[post("/hypervisors/<key>/evacuate", data = "<body>")]
async fn evacuate(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    complete(&mut ask, body)?;
    policy::write(&ask.actor, Hypervisor::KIND)?;
    let key = stem(key);
    let mut attempts = Attempts::default();
    let results = loop {
        match db.write(ask.actor.clone(), ask.dry_run, async |tx: &Tx| actions::evacuate(tx, key).await).await {
            Err(error) => attempts.after(error)?,
            Ok(done) => break done,
        }
    };
    Ok(Reply::new(200, ask.format, json!({"results": results})))
}

/// What a form says besides, where nothing else is said.
fn complete(ask: &mut Ask, body: FormBody) -> Result<()> {
    if let Some(body) = body.0 {
        body.complete(ask)?;
    }
    Query::none(&ask.pairs)
}

/// The fields that a body may have, and no others.
fn said<const N: usize>(ask: &mut Ask, body: Body, fields: [&str; N]) -> Result<[Option<Value>; N]> {
    body.complete(ask)?;
    Query::none(&ask.pairs)?;
    policy::write(&ask.actor, Vm::KIND)?;
    let Value::Object(mut given) = body.tree(Vm::KIND)? else { return Err(Error::field("", "must be an object")) };
    let said = fields.map(|field| given.shift_remove(field).filter(|value| !value.is_null()));
    match given.keys().next() {
        Some(name) => Err(Error::field(name, "is not known")),
        None => Ok(said),
    }
}

/// Wants it, again when it meets others; the answer is the object as it is then.
async fn act(key: &str, wanted: &Wanted, ask: &Ask, db: &Db) -> Result<Reply> {
    let kind = wanted.kind();
    let mut attempts = Attempts::default();
    let (id, shown) = loop {
        let work = async |tx: &Tx| {
            let id = wanted.grant(tx, key).await?;
            let row = kind.find(tx, &natural_key::condition(kind, &id.to_string())?).await?;
            let (_, shown) = show_one(tx, kind, row, &Query::parse_shape(kind, &[])?).await?;
            Ok((id, shown))
        };
        match db.write(ask.actor.clone(), ask.dry_run, work).await {
            Err(error) => attempts.after(error)?,
            Ok(done) => break done,
        }
    };
    Ok(match ask.format {
        Format::Html => Reply::see_other(refs::href(kind, id)),
        format => Reply { kind: Some(kind), ..Reply::new(200, format, shown.to_value()?) },
    })
}

/// The routes under `/v1`.
pub fn routes() -> Vec<Route> {
    routes![
        start,
        stop,
        reboot,
        resize,
        rebuild,
        snapshot,
        restore,
        attach,
        detach,
        migrate,
        maintenance,
        resume,
        evacuate
    ]
}
