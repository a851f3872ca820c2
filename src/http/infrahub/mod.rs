//! The same VMs in the words of the Infrahub API, so that its users feel at home: names instead of references, many fields in one
//! body, every operation by environment and name or by label. It decides nothing: each request becomes an order, a change or an action
//! like any other.
//! <https://infrahub-doc.nexgencloud.com/docs/virtual-machines/>

mod target;
mod words;

use rocket::http::Header;
use rocket::{Route, State, delete, get, patch, post, routes};
use serde_json::{Value, json};

use crate::actions::{Power, WORDS, Wanted};
use crate::change::{self, Action, Change};
use crate::column::Column;
use crate::db::{Attempts, Db, Tx};
use crate::error::{Error, Result};
use crate::http::ask::{Ask, Key};
use crate::http::body::{Body, FormBody};
use crate::http::idempotency::{Answer, Claim};
use crate::http::infrahub::target::{Target, by_id, is_environment, labelled, one, one_deleted, target};
use crate::http::infrahub::words::{in_these_words, show, show_deleted, translated};
use crate::http::reply::Reply;
use crate::query::{MAX_LIMIT, Query};
use crate::resource::Resource;
use crate::resources::{Vm, Volume};
use crate::{orders, policy};

/// Where they are.
const HERE: &str = "/v1/core/virtual-machines";

/// What can be changed of one.
const CHANGED: [&str; 6] = ["name", "flavor_name", "labels", "user_data", "callback_url", "security_rules"];

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
    let work = async |tx: &Tx| match one(tx, &key).await {
        Ok(row) => Ok(show(tx, vec![row]).await?.pop()),
        Err(Error::NotFound) => Ok(Some(show_deleted(&one_deleted(tx, &key).await?))),
        Err(error) => Err(error),
    };
    let shown = db.read(ask.actor.clone(), work).await?;
    Ok(Reply::new(200, ask.format, json!({"status": true, "instance": shown})))
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
                let mut body = body.clone();
                let flavor = body.as_object_mut().and_then(|fields| fields.shift_remove("flavor_name"));
                if let Some(flavor) = flavor {
                    let resize = Wanted::Resize(flavor).grant(tx, &id.to_string()).await;
                    resize.map_err(|error| in_these_words(error, false))?;
                }
                let change = Change::of(Vm::KIND, Action::Update, &id.to_string(), body);
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

/// Makes what was ordered.
async fn order(tx: &Tx, sent: Value) -> Result<Answer> {
    let has_one_key = sent.get("key_names").is_none();
    let in_these_words = |error| in_these_words(error, has_one_key);
    let body = translated(tx, sent).await?;
    let bodies = orders::expand(Vm::KIND, body).map_err(in_these_words)?;
    let several = bodies.len() > 1;
    let changes = bodies.into_iter().map(|body| Change::create(Vm::KIND, body)).collect();
    let done = change::apply(tx, changes).await.map_err(|error| in_these_words(error.without_place()))?.done;
    let ids = done.iter().map(|vm| vm.id.to_string()).collect();
    let rows = Vm::KIND.list(tx, &Query::related(&Column::ID, ids, MAX_LIMIT)).await?;
    let instances = show(tx, rows).await?;
    let location = match done.as_slice() {
        [one] if !several => format!("{HERE}/{}", one.id),
        _ => HERE.to_owned(),
    };
    Ok(Answer { status: 201, body: json!({"status": true, "instances": instances}), tag: None, location })
}

/// The routes under `/v1`.
pub fn routes() -> Vec<Route> {
    routes![list, find, create, update, remove, act]
}
