//! The lists of an object that are not columns of its table: N:M relations, and objects that belong to it. A list is
//! always given whole; what it no longer holds is taken away.

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::change::{self, Action, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::etag::Preconditions;
use crate::sql::{Sql, Statement};
use crate::value_type::{Link, Owned, Type};
use crate::work::Work;
use crate::{column::Column, column::text, kind::Kind, natural_key, refs, resolve};

/// A list and what it should hold.
pub struct Wanted {
    column: &'static Column,
    items: Vec<Value>,
}

/// Takes the lists out of a body: the rest are columns of the table. A list that is not given is empty.
pub fn take(kind: &dyn Kind, body: &mut Value) -> Result<Vec<Wanted>> {
    let mut lists = Vec::new();
    for column in kind.columns().iter().filter(|column| !column.is_stored()) {
        let given = body.as_object_mut().and_then(|fields| fields.shift_remove(column.name)).unwrap_or_default();
        lists.push(Wanted { column, items: resolve::list(given, column.name)? });
    }
    Ok(lists)
}

/// Turns what an object's lists already hold, and shall still hold as it is, into ids: there is nothing to write.
pub async fn settle(tx: &Tx, kind: &dyn Kind, id: i64, body: &mut Value) -> Result<()> {
    for column in kind.columns().iter().filter(|column| matches!(column.ty, Type::Owned(_))) {
        let Some(items) = body.get_mut(column.name).and_then(Value::as_array_mut) else { continue };
        if items.iter().any(Value::is_string) {
            let held = refs::listed(tx, column, id).await?;
            for item in items.iter_mut() {
                if let Some((id, _)) = held.iter().find(|(_, key)| item == key.as_str()) {
                    *item = (*id).into();
                }
            }
        }
        if items.iter().all(Value::is_number) {
            items.sort_by_key(Value::as_i64);
            items.dedup();
        }
    }
    Ok(())
}

/// Fills the lists of a new object.
pub async fn fill(work: &mut Work<'_>, id: i64, lists: Vec<Wanted>) -> Result<()> {
    for Wanted { column, items } in lists {
        let written = match column.ty {
            Type::Many(link) => add_links(work.tx, link, id, &items).await,
            Type::Owned(owned) => {
                let new = items.into_iter().map(|item| (None, item)).collect();
                write_owned(work, owned, id, new).await
            }
            _ => Ok(()),
        };
        written.map_err(|error| error.below(column.name))?;
    }
    Ok(())
}

/// Makes the lists of an object what they should be.
pub async fn replace(work: &mut Work<'_>, id: i64, lists: Vec<Wanted>) -> Result<()> {
    for Wanted { column, items } in lists {
        let written = match column.ty {
            Type::Many(link) => replace_links(work.tx, link, id, &items).await,
            Type::Owned(owned) => replace_owned(work, owned, id, items).await,
            _ => Ok(()),
        };
        written.map_err(|error| error.below(column.name))?;
    }
    Ok(())
}

/// Removes what is gone before it adds what is new, and touches nothing that stays: it may be referred to.
async fn replace_links(tx: &Tx, link: &Link, id: i64, items: &[Value]) -> Result<()> {
    let Link { table, own, other, .. } = link;
    let gone = Sql::new(format!("DELETE FROM {table} WHERE {own} = ")).one(id.to_string(), "int8");
    let gone = gone.text(format!(" AND NOT {other} = ")).any(items.iter().map(text).collect(), "int8");
    Statement::<BigInt>::from(gone).execute(&mut tx.conn()).await?;
    add_links(tx, link, id, items).await
}

async fn add_links(tx: &Tx, link: &Link, id: i64, items: &[Value]) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let Link { table, own, other, .. } = link;
    let new = Sql::new(format!("INSERT INTO {table} ({own}, {other}) SELECT ")).one(id.to_string(), "int8");
    let new = new.text(", unnest(").many(items.iter().map(text).collect(), "int8").text(") ON CONFLICT DO NOTHING");
    Statement::<BigInt>::from(new).execute(&mut tx.conn()).await?;
    Ok(())
}

async fn replace_owned(work: &mut Work<'_>, owned: &Owned, id: i64, items: Vec<Value>) -> Result<()> {
    let (mut kept, mut named) = (Vec::new(), Vec::new());
    for (i, item) in items.into_iter().enumerate() {
        let belongs = mine(work.tx, owned, id, &resolve::name_of(owned.kind, &item)).await?;
        if belongs.is_some_and(|found| kept.contains(&found.to_string())) {
            return Err(Error::field(&i.to_string(), "is given twice"));
        }
        kept.extend(belongs.map(|found| found.to_string()));
        named.push((belongs, item));
    }
    remove_others(work, owned, id, kept).await?;
    write_owned(work, owned, id, named).await
}

/// Writes objects, each with its id if it belongs to this owner already.
async fn write_owned(work: &mut Work<'_>, owned: &Owned, id: i64, items: Vec<(Option<i64>, Value)>) -> Result<()> {
    let (kind, key) = (owned.kind, natural_key::field(owned.kind));
    for (i, (belongs, item)) in items.into_iter().enumerate() {
        let place = i.to_string();
        let (action, mut body) = match (belongs, item) {
            (Some(_), Value::Number(_)) => continue,
            (Some(_), item) => (Action::Update, item),
            (None, item) if item.is_number() || item.get("id").is_some() => {
                return Err(Error::field(&place, format!("names none of its {}", kind.name())));
            }
            (None, item) => (Action::Create, item),
        };
        match &mut body {
            Value::Object(fields) => {
                // As a reference comes out: these two name it, and change nothing.
                fields.shift_remove("id");
                fields.shift_remove("href");
            }
            Value::String(_) => body = json!({key: body.take()}),
            _ => return Err(Error::field(&place, "must be text or an object")),
        }
        body[owned.owner] = id.into();
        let change = Change {
            kind,
            action,
            key: belongs.map(|found| found.to_string()),
            body,
            preconditions: Preconditions::default(),
        };
        Box::pin(change::apply_nested(work, change)).await.map_err(|error| error.below(&place))?;
    }
    Ok(())
}

/// The id of an object that is named and already belongs to this owner.
async fn mine(tx: &Tx, owned: &Owned, id: i64, name: &str) -> Result<Option<i64>> {
    let Ok(condition) = natural_key::condition(owned.kind, name) else { return Ok(None) };
    let sql = Sql::new(format!("SELECT id FROM {} WHERE {}_id = ", owned.kind.table(), owned.owner));
    let found: Statement<BigInt> = sql.one(id.to_string(), "int8").text(" AND ").then(condition).into();
    let ids: Vec<i64> = found.load(&mut tx.conn()).await?;
    Ok(ids.into_iter().next())
}

async fn remove_others(work: &mut Work<'_>, owned: &Owned, id: i64, kept: Vec<String>) -> Result<()> {
    let sql = Sql::new(format!("SELECT id FROM {} WHERE {}_id = ", owned.kind.table(), owned.owner));
    let sql = sql.one(id.to_string(), "int8").text(" AND NOT id = ").any(kept, "int8").text(" ORDER BY id");
    let gone: Vec<i64> = Statement::<BigInt>::from(sql).load(&mut work.tx.conn()).await?;
    for gone in gone {
        let key = Some(gone.to_string());
        let preconditions = Preconditions::default();
        let change = Change { kind: owned.kind, action: Action::Delete, key, body: Value::Null, preconditions };
        Box::pin(change::apply_nested(work, change)).await?;
    }
    Ok(())
}
