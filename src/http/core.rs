//! The same VMs in the words of the Infrahub API, so that its users feel at home: names instead of references, many fields in one
//! body, every operation by environment and name or by label. It translates, and decides nothing: each request becomes an order or a
//! change like any other.
//! <https://infrahub-doc.nexgencloud.com/docs/virtual-machines/>

use rocket::http::Header;
use rocket::{Route, State, delete, get, patch, post, routes};
use serde_json::{Map, Value, json};

use crate::actions::{Power, WORDS, Wanted};
use crate::change::{self, Action, Change};
use crate::column::{Column, text};
use crate::db::{Attempts, Db, Tx};
use crate::error::{Error, Result};
use crate::http::ask::{Ask, Key};
use crate::http::body::{Body, FormBody};
use crate::http::idempotency::{Answer, Claim};
use crate::http::reply::Reply;
use crate::query::{MAX_LIMIT, Query};
use crate::resource::Resource;
use crate::resources::{Environment, FloatingIp, Vm, Volume};
use crate::row::Row;
use crate::{natural_key, orders, policy, refs};

/// Where they are.
const HERE: &str = "/v1/core/virtual-machines";

/// Their names of what an order says, and ours.
const FIELDS: [(&str, &str); 15] = [
    ("name", "name"),
    ("environment_name", "environment"),
    ("image_name", "image"),
    ("flavor_name", "flavor"),
    ("key_name", "keys/0"),
    ("key_names", "keys"),
    ("volume_name", "volume"),
    ("create_bootable_volume", "lifetime"),
    ("profile", "profile"),
    ("count", "count"),
    ("labels", "labels"),
    ("user_data", "user_data"),
    ("callback_url", "callback_url"),
    ("assign_floating_ip", "assign_floating_ip"),
    ("security_rules", "security_rules"),
];

/// What can be changed of one.
const CHANGED: [&str; 5] = ["name", "labels", "user_data", "callback_url", "security_rules"];

/// One VM, or those of an environment that have a label.
enum Target {
    One(String),
    Many { environment: String, label: String },
}

#[get("/core/virtual-machines")]
async fn list(ask: Result<Ask>, db: &State<Db>) -> Result<Reply> {
    let ask = ask?;
    instances(&ask, None, db).await
}

#[get("/core/virtual-machines/<key..>")]
async fn find(key: Result<Key>, ask: Result<Ask>, db: &State<Db>) -> Result<Reply> {
    let (Key(key), ask) = (key?, ask?);
    if is_environment(&key) {
        return instances(&ask, Some(&key), db).await;
    }
    Query::none(&ask.pairs)?;
    let work = async |tx: &Tx| {
        let row = one(tx, &key).await?;
        show(tx, vec![row]).await
    };
    let mut shown = db.read(ask.actor.clone(), work).await?;
    Ok(Reply::new(200, ask.format, json!({"status": true, "instance": shown.pop()})))
}

/// An order: one VM, or `count` of them.
#[post("/core/virtual-machines", data = "<body>")]
async fn create(ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    Query::none(&ask.pairs)?;
    body.complete(&mut ask)?;
    policy::write(&ask.actor, Vm::KIND)?;
    let claim = Claim::of(&ask, Action::Create, Vm::KIND, &format!("core {}", body.digest))?;
    let sent = body.tree(Vm::KIND)?;
    let mut attempts = Attempts::default();
    let answer = loop {
        let work = async |tx: &Tx| match &claim {
            Some(claim) => claim.answer(tx, async |tx| order(tx, sent.clone()).await).await,
            None => order(tx, sent.clone()).await,
        };
        match db.write(ask.actor.clone(), ask.dry_run, work).await {
            Err(error) => attempts.after(error)?,
            Ok(answer) => break answer,
        }
    };
    let headers = vec![Header::new("Location", answer.location)];
    Ok(Reply { headers, ..Reply::new(answer.status, ask.format, answer.body) })
}

#[patch("/core/virtual-machines/<key..>", data = "<body>")]
async fn update(key: Result<Key>, ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (Key(key), mut ask, body) = (key?, ask?, body?);
    body.complete(&mut ask)?;
    policy::write(&ask.actor, Vm::KIND)?;
    let Value::Object(fields) = body.tree(Vm::KIND)? else { return Err(Error::field("", "must be an object")) };
    if let Some(name) = fields.keys().find(|name| !CHANGED.contains(&name.as_str())) {
        return Err(Error::field(name, "cannot be changed here"));
    }
    each(target(key, &ask)?, &ask, db, &Wish::Change(fields.into())).await
}

/// What belongs to it goes with it; what is to be kept is taken from it first.
#[delete("/core/virtual-machines/<key..>", data = "<body>")]
async fn remove(key: Result<Key>, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    let (Key(key), mut ask) = (key?, ask?);
    if let Some(body) = body?.0 {
        body.complete(&mut ask)?;
    }
    policy::write(&ask.actor, Vm::KIND)?;
    each(target(key, &ask)?, &ask, db, &Wish::Delete).await
}

/// `…/start`, `…/stop`, `…/reboot`; a hard reboot is a reboot: guests that do not shut down are switched off.
#[post("/core/virtual-machines/<key..>", data = "<body>")]
async fn act(key: Result<Key>, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    let (Key(key), mut ask) = (key?, ask?);
    if let Some(body) = body?.0 {
        body.complete(&mut ask)?;
    }
    policy::write(&ask.actor, Vm::KIND)?;
    // Before the address is looked at: who must not write is told nothing else.
    if !ask.actor.is_confirmed() {
        return Err(Error::Unconfirmed);
    }
    let (key, word) = key.rsplit_once('/').ok_or(Error::NotFound)?;
    let word = if word == "hard-reboot" { "reboot" } else { word };
    let (_, power) = WORDS.iter().find(|(known, _)| *known == word).ok_or(Error::NotFound)?;
    each(target(key.to_owned(), &ask)?, &ask, db, &Wish::Power(*power)).await
}

/// Whether a key names an environment, and no VM: a name that is neither an id nor a UUID.
fn is_environment(key: &str) -> bool {
    !key.contains('/') && !natural_key::is_id(key) && uuid::Uuid::parse_str(key).is_err()
}

/// What a request is about.
fn target(key: String, ask: &Ask) -> Result<Target> {
    let many = is_environment(&key);
    match ask.pairs.as_slice() {
        [] if !many => Ok(Target::One(key)),
        [(name, label)] if many && name == "label" => Ok(Target::Many { environment: key, label: label.clone() }),
        [] => Err(Error::Parameter("label".into(), "is required for the VMs of an environment".into())),
        pairs => Query::none(pairs).map(|()| Target::One(key)),
    }
}

/// What is wanted of VMs that are there.
enum Wish {
    Change(Value),
    Delete,
    Power(Power),
}

impl Wish {
    async fn grant(&self, tx: &Tx, id: i64) -> Result<()> {
        match self {
            Self::Change(body) => {
                let change = Change::of(Vm::KIND, Action::Update, &id.to_string(), body.clone());
                change::apply_one(tx, change).await?;
            }
            Self::Delete => {
                let vm = Column::named(Volume::KIND.columns(), "vm").ok_or(Error::NotFound)?;
                let volumes = Volume::KIND.list(tx, &Query::related(vm, vec![id.to_string()], MAX_LIMIT)).await?;
                // A volume in a pool is where it is; a local one would be of no hypervisor any more.
                let kept = volumes.iter().filter(|row| row["lifetime"] == "own" && row["ceph_pool"].is_number());
                let kept = kept
                    .map(|row| Change::of(Volume::KIND, Action::Update, &row.id().to_string(), json!({"vm": null})));
                let gone = Change::of(Vm::KIND, Action::Delete, &id.to_string(), Value::Null);
                change::apply(tx, kept.chain([gone]).collect()).await.map_err(Error::without_place)?;
            }
            Self::Power(power) => {
                Wanted::Power(*power).grant(tx, &id.to_string()).await?;
            }
        }
        Ok(())
    }

    /// The VM as it is then; nothing of one that is gone.
    async fn grant_one(&self, tx: &Tx, key: &str) -> Result<Option<Value>> {
        let id = one(tx, key).await?.id();
        self.grant(tx, id).await?;
        if matches!(self, Self::Delete) {
            return Ok(None);
        }
        Ok(show(tx, vec![by_id(tx, id).await?]).await?.pop())
    }

    /// The same in a transaction, tried again when it meets others.
    async fn write(&self, ask: &Ask, db: &Db, key: &str) -> Result<Option<Value>> {
        let mut attempts = Attempts::default();
        loop {
            match db.write(ask.actor.clone(), ask.dry_run, async |tx: &Tx| self.grant_one(tx, key).await).await {
                Err(error) => attempts.after(error)?,
                done => return done,
            }
        }
    }
}

/// Does something to one, and answers as it answers; or to each of many, in a transaction of its own, and tells how each went.
async fn each(target: Target, ask: &Ask, db: &Db, wish: &Wish) -> Result<Reply> {
    let (environment, label) = match target {
        Target::One(key) => {
            return Ok(match wish.write(ask, db, &key).await? {
                Some(instance) => Reply::new(200, ask.format, json!({"status": true, "instance": instance})),
                None => Reply::new(204, ask.format, Value::Null),
            });
        }
        Target::Many { environment, label } => (environment, label),
    };
    let found = async |tx: &Tx| show(tx, labelled(tx, Some(&environment), Some(&label), &[]).await?.0).await;
    let mut results = Vec::new();
    for vm in db.read(ask.actor.clone(), found).await? {
        let mut result =
            json!({"id": vm["id"], "name": vm["name"], "status": if matches!(wish, Wish::Delete) { 204 } else { 200 }});
        if let Err(error) = wish.write(ask, db, &vm["id"].to_string()).await {
            result["status"] = error.status().into();
            result["detail"] = error.named().into();
        }
        results.push(result);
    }
    Ok(Reply::new(200, ask.format, json!({"results": results})))
}

/// The VM of an id, a UUID, or an environment and a name.
async fn one(tx: &Tx, key: &str) -> Result<Row> {
    let Some((environment, name)) = key.rsplit_once('/') else { return by_id_or_uuid(tx, key).await };
    let pairs =
        [("environment".to_owned(), environment_id(tx, environment).await?.to_string()), ("name".into(), name.into())];
    let rows = Vm::KIND.list(tx, &Query::parse(Vm::KIND, &pairs)?).await?;
    rows.into_iter().next().ok_or(Error::NotFound)
}

async fn by_id(tx: &Tx, id: i64) -> Result<Row> {
    by_id_or_uuid(tx, &id.to_string()).await
}

async fn by_id_or_uuid(tx: &Tx, key: &str) -> Result<Row> {
    Vm::KIND.find(tx, &natural_key::condition(Vm::KIND, key)?).await
}

/// An environment by its name, or by that of its organization as well.
async fn environment_id(tx: &Tx, name: &str) -> Result<i64> {
    let kind = Environment::KIND;
    if name.contains('/') || natural_key::is_id(name) {
        return Ok(kind.find(tx, &natural_key::condition(kind, name)?).await?.id());
    }
    let rows = kind.list(tx, &Query::parse(kind, &[("name".into(), name.into())])?).await?;
    match rows.as_slice() {
        [] => Err(Error::NotFound),
        [row] => Ok(row.id()),
        _ => Err(Error::field("environment_name", "is that of several: say organization/environment")),
    }
}

/// Those that a request asks for, and where more of them are.
async fn labelled(
    tx: &Tx,
    environment: Option<&str>,
    label: Option<&str>,
    more: &[(String, String)],
) -> Result<(Vec<Row>, Option<String>)> {
    let mut pairs = more.to_vec();
    if let Some(environment) = environment {
        pairs.push(("environment".into(), environment_id(tx, environment).await?.to_string()));
    }
    pairs.extend(label.map(|label| ("labels".to_owned(), label.to_owned())));
    if !pairs.iter().any(|(name, _)| name == "limit") {
        pairs.push(("limit".into(), MAX_LIMIT.to_string()));
    }
    let query = Query::parse(Vm::KIND, &pairs)?;
    Ok(query.cut(Vm::KIND.list(tx, &query).await?))
}

async fn instances(ask: &Ask, environment: Option<&str>, db: &Db) -> Result<Reply> {
    let (mut label, mut more) = (None, Vec::new());
    for (name, value) in &ask.pairs {
        match name.as_str() {
            "label" => label = Some(value.as_str()),
            "limit" | "cursor" => more.push((name.clone(), value.clone())),
            _ => return Err(Error::Parameter(name.clone(), "is not known here".into())),
        }
    }
    let work = async |tx: &Tx| {
        let (rows, cursor) = labelled(tx, environment, label, &more).await?;
        Ok((show(tx, rows).await?, cursor))
    };
    let (instances, cursor) = db.read(ask.actor.clone(), work).await?;
    Ok(Reply::new(200, ask.format, json!({"status": true, "instances": instances, "cursor": cursor})))
}

/// VMs in these words.
async fn show(tx: &Tx, rows: Vec<Row>) -> Result<Vec<Value>> {
    let ids: Vec<String> = rows.iter().map(|row| row.id().to_string()).collect();
    let vm = Column::named(FloatingIp::KIND.columns(), "vm").ok_or(Error::NotFound)?;
    let floating = FloatingIp::KIND.list(tx, &Query::related(vm, ids, MAX_LIMIT)).await?;
    let items = refs::with_references(tx, Vm::KIND, rows).await?;
    Ok(items
        .into_iter()
        .map(|vm| {
            let public = floating.iter().find(|ip| ip["vm"] == vm["id"]).map(|ip| ip["ip"].clone());
            let environment = text(&vm["environment"]);
            let environment = environment.rsplit('/').next().unwrap_or_default();
            json!({
                "id": vm["id"], "uuid": vm["uuid"], "name": vm["name"], "environment_name": environment,
                "state": vm["lifecycle"], "failure": vm["failure"], "public_ip": public, "flavor_name": text(&vm["flavor"]),
                "labels": vm["labels"], "created_at": vm["created_at"],
                "links": {"self": format!("{HERE}/{}", vm["id"]), "vm": refs::href(Vm::KIND, vm["id"].as_i64().unwrap_or_default())},
            })
        })
        .collect())
}

/// Makes what was ordered.
async fn order(tx: &Tx, sent: Value) -> Result<Answer> {
    let body = translated(tx, sent).await?;
    let bodies = orders::expand(Vm::KIND, body).map_err(in_these_words)?;
    let several = bodies.len() > 1;
    let changes = bodies.into_iter().map(|body| Change::create(Vm::KIND, body)).collect();
    let done = change::apply(tx, changes).await.map_err(|error| in_these_words(error.without_place()))?.done;
    let mut rows = Vec::new();
    for vm in &done {
        rows.push(by_id(tx, vm.id).await?);
    }
    let instances = show(tx, rows).await?;
    let location = match done.as_slice() {
        [one] if !several => format!("{HERE}/{}", one.id),
        _ => HERE.to_owned(),
    };
    Ok(Answer { status: 201, body: json!({"status": true, "instances": instances}), tag: None, location })
}

/// What was sent, as an order.
async fn translated(tx: &Tx, sent: Value) -> Result<Value> {
    let Value::Object(sent) = sent else { return Err(Error::field("", "must be an object")) };
    let mut body = Map::new();
    let mut keys = Vec::new();
    for (name, value) in sent {
        let value_of_name = |value: Value| {
            if let Value::Object(mut object) = value { object.remove("name").unwrap_or_default() } else { value }
        };
        match name.as_str() {
            _ if value.is_null() => {}
            "environment_name" => {
                let id = environment_id(tx, &text(&value)).await;
                let missing = |error| {
                    if matches!(error, Error::NotFound) {
                        Error::field("environment_name", "names none of environments")
                    } else {
                        error
                    }
                };
                body.insert("environment".into(), id.map_err(missing)?.into());
            }
            "key_name" => keys.push(value),
            "key_names" => {
                keys.extend(value.as_array().cloned().ok_or_else(|| Error::field("key_names", "must be a list"))?);
            }
            "create_bootable_volume" => {
                let kept =
                    value.as_bool().ok_or_else(|| Error::field("create_bootable_volume", "must be true or false"))?;
                body.insert("lifetime".into(), if kept { "own" } else { "vm" }.into());
            }
            "profile" => {
                body.insert("profile".into(), value_of_name(value));
            }
            "security_rules" => {
                body.insert("security_rules".into(), rules(value)?);
                body.insert("firewall".into(), "on".into());
            }
            _ => match FIELDS.iter().find(|(theirs, _)| *theirs == name) {
                Some((_, ours)) => {
                    body.insert((*ours).to_owned(), value);
                }
                None => return Err(Error::field(&name, "is not known")),
            },
        }
    }
    if !keys.is_empty() {
        body.insert("keys".into(), keys.into());
    }
    for (required, ours) in [("environment_name", "environment"), ("flavor_name", "flavor")] {
        if !body.contains_key(ours) && !body.contains_key("profile") {
            return Err(Error::field(required, "is required"));
        }
    }
    Ok(body.into())
}

/// Their rules say no protocol for any.
fn rules(value: Value) -> Result<Value> {
    let Value::Array(mut rules) = value else { return Err(Error::field("security_rules", "must be a list")) };
    for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
        let protocol = rule.entry("protocol").or_insert(Value::Null);
        if protocol.is_null() {
            *protocol = "any".into();
        }
    }
    Ok(rules.into())
}

/// What is wrong, at the fields that were sent.
fn in_these_words(error: Error) -> Error {
    let theirs = |(path, detail): (String, String)| {
        let (field, rest) = path.split_once('/').map_or((path.as_str(), ""), |(field, rest)| (field, rest));
        let name = FIELDS.iter().find(|(_, ours)| *ours == field).map_or(field, |(theirs, _)| theirs);
        (if rest.is_empty() { name.to_owned() } else { format!("{name}/{rest}") }, detail)
    };
    match error {
        Error::Invalid(fields) => Error::Invalid(fields.into_iter().map(theirs).collect()),
        Error::Conflict(fields) => Error::Conflict(fields.into_iter().map(theirs).collect()),
        error => error,
    }
}

/// The routes under `/v1`.
pub fn routes() -> Vec<Route> {
    routes![list, find, create, update, remove, act]
}
