//! What a statement asks of the inventory, granted within a transaction: written once over all kinds. It knows the
//! database's side, and no language.

use serde_json::{Value, json};
use std::sync::Arc;

use super::request::{Answer, Item, Wish};
use super::sandbox::{Recorded, Sandbox};
use crate::change::{self, Action, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::etag::{self, Preconditions};
use crate::kind::Kind;
use crate::object::Content;
use crate::query::Query;
use crate::row::Row;
use crate::{count, directory, natural_key, policy, refs, resource};

/// How many objects `all` gives.
const MOST: usize = 100_000;
/// How many names are offered.
const NAMES: usize = 50;

/// Does what is asked.
///
/// # Errors
/// What is wrong with it, or [`Error::Away`].
pub async fn grant(tx: &Tx, sandbox: &mut Sandbox, wish: Wish) -> Result<Answer> {
    match wish {
        Wish::List { kind, pairs, all } => list(tx, sandbox, kind, pairs, all).await,
        Wish::Count { kind, pairs } => {
            tx.may_read(kind)?;
            let mut asked = Query::parse(kind, &pairs)?;
            asked.exact = true;
            Ok(Answer::Number(count::total(tx, kind, &asked).await?.count))
        }
        Wish::Find { kind, key, pairs } => {
            let shape = Query::parse_shape(kind, &pairs)?;
            let row = locate(tx, kind, &key).await?;
            one(tx, sandbox, kind, row, &shape).await.map(Answer::Item)
        }
        Wish::Names { kind, beginning } => {
            tx.may_read(kind)?;
            let is_text = !beginning.contains('\0');
            let names = directory::starting_with(tx, kind, if is_text { &beginning } else { "" }, NAMES).await?;
            Ok(Answer::Names(names))
        }
        Wish::Write { kind, action, key, body } => write(tx, sandbox, kind, action, key, body).await,
    }
}

async fn list(
    tx: &Tx,
    sandbox: &Sandbox,
    kind: &'static dyn Kind,
    mut pairs: Vec<(String, String)>,
    all: bool,
) -> Result<Answer> {
    let mut items = Vec::new();
    loop {
        let asked = Query::parse(kind, &pairs)?;
        let (rows, cursor) = asked.cut(kind.list(tx, &asked).await?);
        items.extend(show(tx, sandbox, kind, rows, &asked).await?);
        let more = cursor.is_some();
        let Some(cursor) = cursor.filter(|_| all) else { return Ok(Answer::Items { items, more }) };
        if items.len() >= MOST {
            return Err(Error::Malformed(format!("these are more than {MOST} {}: ask for less", kind.name())));
        }
        pairs.retain(|(name, _)| name != "cursor");
        pairs.push(("cursor".into(), cursor));
    }
}

/// The object with this id or natural key; where that is a UUID, also with the name that people gave, if it is the only
/// one.
async fn locate(tx: &Tx, kind: &'static dyn Kind, key: &str) -> Result<Row> {
    if key.contains('\0') {
        return Err(Error::NotFound);
    }
    let found = match natural_key::condition(kind, key) {
        Ok(condition) => kind.find(tx, &condition).await,
        Err(error) => Err(error),
    };
    let Err(Error::NotFound) = found else { return found };
    tx.may_read(kind)?;
    match directory::called(tx, kind, key).await?.as_slice() {
        [] => Err(Error::NotFound),
        [id] => kind.find(tx, &natural_key::condition(kind, &id.to_string())?).await,
        _ => {
            let by = natural_key::field(kind);
            Err(Error::Malformed(format!("more than one of {} is called {key:?}: say which by its {by}", kind.name())))
        }
    }
}

/// Makes a change, and keeps how it is made again.
async fn write(
    tx: &Tx,
    sandbox: &mut Sandbox,
    kind: &'static dyn Kind,
    action: Action,
    key: Option<String>,
    body: Value,
) -> Result<Answer> {
    if kind.is_read_only() {
        return Err(resource::recorded());
    }
    policy::write(&tx.actor, kind)?;
    let mut change = Change { kind, action, key, body, preconditions: Preconditions::default() };
    let mut guards = None;
    if let Some(key) = &change.key {
        match locate(tx, kind, key).await {
            Ok(row) => {
                let existing = (kind.name(), row.id());
                if sandbox.has_made(kind, row.id()) {
                    change.key = Some(one(tx, sandbox, kind, row, &Query::parse_shape(kind, &[])?).await?.key);
                } else {
                    change.key = Some(row.id().to_string());
                    if !sandbox.guards(existing) {
                        let mut rows = [row];
                        refs::fill_lists(tx, kind, &mut rows).await?;
                        change.preconditions.if_match = rows.first().map(|row| etag::object(kind, row));
                        guards = Some(existing);
                    }
                }
            }
            Err(Error::NotFound) if action == Action::Replace => {
                change.preconditions.if_none_match = Some("*".into());
            }
            Err(error) => return Err(error),
        }
    }
    tx.begin_uuids(vec![]);
    let applied = change::apply_one(tx, change.clone()).await?;
    let uuids = tx.uuids();
    sandbox.add(&applied.made);
    let mut made = None;
    let answer = if action == Action::Delete {
        Answer::Done
    } else {
        let row = kind.find(tx, &natural_key::condition(kind, &applied.done.id.to_string())?).await?;
        let item = one(tx, sandbox, kind, row, &Query::parse_shape(kind, &[])?).await?;
        made = applied.done.created.then(|| item.key.clone());
        Answer::Item(item)
    };
    sandbox.record(Recorded { change, uuids, made, guards });
    Ok(answer)
}

async fn one(tx: &Tx, sandbox: &Sandbox, kind: &'static dyn Kind, row: Row, shape: &Query) -> Result<Item> {
    show(tx, sandbox, kind, vec![row], shape).await?.pop().ok_or(Error::NotFound)
}

/// Rows as clients see them, and only the fields that were asked for.
async fn show(tx: &Tx, sandbox: &Sandbox, kind: &'static dyn Kind, rows: Vec<Row>, asked: &Query) -> Result<Vec<Item>> {
    let objects = refs::expand(tx, kind, rows, &asked.embed).await?;
    let item = |object| {
        let mut value = Content::from(object).to_value()?;
        let (id, key) = (value["id"].as_i64().unwrap_or_default(), natural_key::of(kind, &value));
        let is_made = sandbox.has_made(kind, id);
        if is_made {
            value["id"] = Value::Null;
        }
        hide_ids(sandbox, &mut value);
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| asked.shows(name));
        }
        Ok(Item { kind, id: (!is_made).then_some(id), key, value: Arc::new(value) })
    };
    objects.into_iter().map(item).collect()
}

/// Takes the ids away of what is not committed: they are others the next time.
fn hide_ids(sandbox: &Sandbox, value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| hide_ids(sandbox, item)),
        Value::Object(fields) => {
            let href = fields.get("href").and_then(Value::as_str).filter(|href| sandbox.is_made(href));
            if let Some((collection, _)) = href.and_then(|href| href.rsplit_once('/')) {
                let collection = json!(collection);
                fields.insert("href".into(), collection);
                fields.insert("id".into(), Value::Null);
            }
            fields.values_mut().for_each(|field| hide_ids(sandbox, field));
        }
        _ => {}
    }
}
