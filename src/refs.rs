//! References between kinds. On the way in: an id, a natural key, or an object given whole. On the way out:
//! `{id, key, href}`, or the whole object where the client asked for it. Statements are per column, never per object.

use diesel::sql_types::{BigInt, Text};
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

use crate::change::{self, Change};
use crate::column::{Column, text};
use crate::embed::{Embed, Relation};
use crate::error::{Error, Result};
use crate::query::Query;
use crate::sql::{Sql, Statement};
use crate::value_type::Type;
use crate::{db::Tx, kind, kind::Kind, natural_key};

/// How many objects one embedded relation may bring.
const MAX_EMBEDDED: i64 = 10_000;

/// Where an object is.
pub fn href(kind: &dyn Kind, id: i64) -> String {
    format!("/v1/{}/{id}", kind.name())
}

fn reference(kind: &dyn Kind, id: i64, key: &str) -> Value {
    json!({"id": id, natural_key::field(kind): key, "href": href(kind, id)})
}

/// The ids in a value that may hold references: what is compared and merged.
pub fn ids_of(column: &Column, value: &Value) -> Value {
    match (column.ty, value) {
        (Type::Ref(_), Value::Object(object)) => object.get("id").cloned().unwrap_or_default(),
        (Type::Many(_) | Type::Owned(_), Value::Array(items)) => {
            items.iter().map(|item| item.get("id").unwrap_or(item).clone()).collect()
        }
        _ => value.clone(),
    }
}

/// Turns the references of a body into ids, its lists of owned objects aside. An object that is given whole is created.
pub async fn resolve(tx: &Tx, kind: &dyn Kind, body: &mut Value) -> Result<()> {
    for column in kind.columns().iter().filter(|column| column.writable) {
        let Some(given) = body.get_mut(column.name).filter(|given| !given.is_null()) else { continue };
        match column.ty {
            Type::Ref(target) => *given = resolve_one(tx, target, given.take(), column.name).await?.into(),
            Type::Many(link) => {
                let mut ids = Vec::new();
                for (i, item) in list(given.take(), column.name)?.into_iter().enumerate() {
                    ids.push(resolve_one(tx, link.kind, item, &format!("{}/{i}", column.name)).await?);
                }
                ids.sort_unstable();
                ids.dedup();
                *given = ids.into();
            }
            _ => {}
        }
    }
    Ok(())
}

/// The items of a list that a client sent.
pub fn list(given: Value, name: &str) -> Result<Vec<Value>> {
    match given {
        Value::Array(items) => Ok(items),
        Value::Null => Ok(vec![]),
        _ => Err(Error::field(name, "must be a list")),
    }
}

/// The name by which a client refers to an object: an id, a natural key, or one of them inside an object.
pub fn name_of(target: &dyn Kind, given: &Value) -> String {
    let field = natural_key::field(target);
    text(given.get("id").or_else(|| given.get(field)).unwrap_or(given))
}

async fn resolve_one(tx: &Tx, target: &'static dyn Kind, given: Value, name: &str) -> Result<i64> {
    let plain = match &given {
        Value::Object(object) => object.keys().all(|field| is_of_reference(target, field)),
        Value::String(_) => true,
        Value::Number(number) if number.is_i64() => true,
        _ => return Err(Error::field(name, "must be an id, a natural key or an object")),
    };
    let found = find_id(tx, target, &given).await?;
    match found {
        Some(id) if plain => Ok(id),
        // Boxed, for a change that contains a change is a future that contains itself.
        Some(id) => match Box::pin(change::is_as_given(tx, target, id, given)).await {
            Ok(true) => Ok(id),
            Ok(false) => Err(Error::Conflict(vec![(name.to_owned(), "exists, and is not as given here".into())])),
            Err(error) => Err(error.below(name)),
        },
        None if plain || given.get("id").is_some() => {
            Err(Error::field(name, format!("names none of {}", target.name())))
        }
        None => {
            let created = Box::pin(change::apply_nested(tx, Change::create(target, given))).await;
            created.map(|done| kind::id(&done.row)).map_err(|error| error.below(name))
        }
    }
}

/// Whether a reference has this field: others are of the object itself.
fn is_of_reference(kind: &dyn Kind, field: &str) -> bool {
    field == "id" || field == "href" || field == natural_key::field(kind)
}

/// The id of what a value means.
async fn find_id(tx: &Tx, kind: &dyn Kind, given: &Value) -> Result<Option<i64>> {
    let Ok(condition) = natural_key::condition_of(kind, given) else { return Ok(None) };
    let found: Statement<BigInt> = Sql::new(format!("SELECT id FROM {} WHERE ", kind.table())).then(condition).into();
    Ok(diesel_async::RunQueryDsl::load(found, &mut tx.conn()).await?.first().copied())
}

/// Whether a reference means the object with this natural key.
pub async fn same(tx: &Tx, kind: &dyn Kind, given: &Value, key: &str) -> Result<bool> {
    if name_of(kind, given) == key {
        return Ok(true);
    }
    let found = find_id(tx, kind, given).await?;
    Ok(found.is_some() && found == find_id(tx, kind, &key.into()).await?)
}

/// What one column or relation of some objects shows.
struct Filled {
    field: String,
    /// The field of the object that says which entry is its own.
    by: &'static str,
    entries: HashMap<i64, Value>,
    /// For an object without an entry.
    otherwise: Value,
}

/// Turns the ids in some objects into references, fills their lists, and shows whole what was asked for.
pub async fn expand(tx: &Tx, kind: &'static dyn Kind, items: &mut [Value], embed: &Embed) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let columns = kind.columns().iter().filter(|column| column.any_target().is_some());
    let columns = try_join_all(columns.map(|column| fill_column(tx, column, items, embed))).await?;
    let reverse = try_join_all(embed.0.iter().map(|branch| fill_reverse(tx, branch, items))).await?;
    for item in &mut *items {
        for filled in columns.iter().chain(reverse.iter().flatten()) {
            let id = item[filled.by].as_i64();
            let entry = id.and_then(|id| filled.entries.get(&id)).unwrap_or(&filled.otherwise).clone();
            // The field that names the entry may be the one that is filled, so nothing is read after it is set.
            if let Some(object) = item.as_object_mut() {
                object.insert(filled.field.clone(), entry);
            }
        }
    }
    order_fields(kind, items);
    Ok(())
}

/// The fields in the order of the columns, related objects last.
fn order_fields(kind: &dyn Kind, items: &mut [Value]) {
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        let mut fields = std::mem::take(item);
        let mut ordered = Map::with_capacity(fields.len());
        for column in kind.columns() {
            if let Some(value) = fields.shift_remove(column.name) {
                ordered.insert(column.name.to_owned(), value);
            }
        }
        ordered.extend(fields);
        *item = ordered;
    }
}

/// Fills the lists of some rows with ids only: what a change compares and merges.
pub async fn fill_lists(tx: &Tx, kind: &'static dyn Kind, rows: &mut [Value]) -> Result<()> {
    let (nothing, lists) = (Embed::default(), kind.columns().iter().filter(|column| !column.is_stored()));
    for filled in try_join_all(lists.map(|column| fill_column(tx, column, rows, &nothing))).await? {
        for row in &mut *rows {
            let entry = filled.entries.get(&kind::id(row)).unwrap_or(&filled.otherwise);
            let ids = entry.as_array().into_iter().flatten().map(|reference| reference["id"].clone());
            row[filled.field.as_str()] = ids.collect();
        }
    }
    Ok(())
}

async fn fill_column(tx: &Tx, column: &'static Column, items: &[Value], embed: &Embed) -> Result<Filled> {
    let (field, whole) = (column.name.to_owned(), embed.of_column(column));
    let Some(target) = column.any_target() else {
        return Ok(Filled { field, by: "id", entries: HashMap::new(), otherwise: Value::Null });
    };
    if let Type::Ref(_) = column.ty {
        let ids = distinct(items.iter().filter_map(|item| item[column.name].as_i64()));
        let entries = match whole {
            Some(below) => whole_by_id(tx, target, ids, below).await?,
            None => references(tx, target, ids).await?,
        };
        return Ok(Filled { field, by: column.name, entries, otherwise: Value::Null });
    }
    let pairs = pairs(tx, column, items.iter().map(kind::id)).await?;
    let shown = match whole {
        Some(below) => whole_by_id(tx, target, distinct(pairs.iter().map(|(_, id, _)| *id)), below).await?,
        None => pairs.iter().map(|(_, id, key)| (*id, reference(target, *id, key))).collect(),
    };
    let mut entries: HashMap<i64, Value> = HashMap::new();
    for (own, other, _) in pairs {
        if let (Some(object), Value::Array(list)) = (shown.get(&other), entries.entry(own).or_insert_with(|| json!([])))
        {
            list.push(object.clone());
        }
    }
    Ok(Filled { field, by: "id", entries, otherwise: json!([]) })
}

/// The objects behind a list column: `(own id, other id, other's natural key)`.
pub async fn pairs(tx: &Tx, column: &Column, own: impl Iterator<Item = i64>) -> Result<Vec<(i64, i64, String)>> {
    let ids = distinct(own);
    let sql = match column.ty {
        Type::Many(link) => {
            let (key, table) = (natural_key::text_sql(link.kind, "other"), link.kind.table());
            let (own, other) = (link.own, link.other);
            Sql::new(format!(
                "SELECT link.{own}, other.id, {key} FROM {} AS link JOIN {table} AS other ON other.id = link.{other} \
                 WHERE link.{own} = ",
                link.table
            ))
        }
        Type::Owned(owned) => {
            let (key, table) = (natural_key::text_sql(owned.kind, "other"), owned.kind.table());
            Sql::new(format!(
                "SELECT other.{0}_id, other.id, {key} FROM {table} AS other WHERE other.{0}_id = ",
                owned.owner
            ))
        }
        _ => return Ok(vec![]),
    };
    let statement: Statement<(BigInt, BigInt, Text)> = sql.any(ids, "int8").text(" ORDER BY 1, 2").into();
    Ok(diesel_async::RunQueryDsl::load(statement, &mut tx.conn()).await?)
}

fn distinct(ids: impl Iterator<Item = i64>) -> Vec<String> {
    let ids: std::collections::BTreeSet<i64> = ids.collect();
    ids.into_iter().map(|id| id.to_string()).collect()
}

/// The objects with these ids as references.
async fn references(tx: &Tx, kind: &dyn Kind, ids: Vec<String>) -> Result<HashMap<i64, Value>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let key = natural_key::text_sql(kind, "named");
    let sql = Sql::new(format!("SELECT named.id, {key} FROM {} AS named WHERE named.id = ", kind.table()));
    let statement: Statement<(BigInt, Text)> = sql.any(ids, "int8").into();
    let found: Vec<(i64, String)> = diesel_async::RunQueryDsl::load(statement, &mut tx.conn()).await?;
    Ok(found.into_iter().map(|(id, key)| (id, reference(kind, id, &key))).collect())
}

/// The objects with these ids, whole.
async fn whole_by_id(tx: &Tx, kind: &'static dyn Kind, ids: Vec<String>, below: &Embed) -> Result<HashMap<i64, Value>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = whole(tx, kind, &Column::ID, ids, below).await?;
    Ok(found.into_iter().map(|(_, item)| (kind::id(&item), item)).collect())
}

/// The objects whose column holds one of these ids, whole, each with that id.
async fn whole(
    tx: &Tx,
    kind: &'static dyn Kind,
    column: &Column,
    ids: Vec<String>,
    below: &Embed,
) -> Result<Vec<(i64, Value)>> {
    let mut items = kind.list(tx, &Query::related(column, ids, MAX_EMBEDDED)).await?;
    if i64::try_from(items.len()).unwrap_or(i64::MAX) > MAX_EMBEDDED {
        let detail = format!("would bring more than {MAX_EMBEDDED} {}: read their own list", kind.name());
        return Err(Error::Parameter("embed".into(), detail));
    }
    let by: Vec<i64> = items.iter().map(|item| item[column.name].as_i64().unwrap_or_default()).collect();
    Box::pin(expand(tx, kind, &mut items, below)).await?;
    for item in &mut items {
        item["href"] = href(kind, kind::id(item)).into();
    }
    Ok(by.into_iter().zip(items).collect())
}

async fn fill_reverse(tx: &Tx, branch: &crate::embed::Branch, items: &[Value]) -> Result<Option<Filled>> {
    let Relation::Reverse(kind, column) = branch.relation else { return Ok(None) };
    let ids = distinct(items.iter().map(kind::id));
    let mut entries: HashMap<i64, Value> = HashMap::new();
    for (id, item) in whole(tx, kind, column, ids, &branch.below).await? {
        if let Value::Array(list) = entries.entry(id).or_insert_with(|| json!([])) {
            list.push(item);
        }
    }
    Ok(Some(Filled { field: branch.name.clone(), by: "id", entries, otherwise: json!([]) }))
}
