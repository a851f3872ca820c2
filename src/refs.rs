//! References on the way out: `{id, key, href}`, or the whole object where the client asked for it. Statements are per
//! column, never per object, and those of one level share a round trip.

use diesel::sql_types::{BigInt, Text};
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

use crate::column::Column;
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
    let columns = try_join_all(columns.map(|column| fill_column(tx, column, items, embed)));
    let reverse = try_join_all(embed.0.iter().map(|branch| fill_reverse(tx, branch, items)));
    let (mut columns, mut reverse) = tokio::try_join!(columns, reverse)?;
    for filled in columns.iter_mut().chain(reverse.iter_mut().flatten()) {
        filled.fill(items);
    }
    // A list is no field of a row, so it has come in behind all others.
    if kind.columns().iter().any(|column| !column.is_stored()) {
        order_fields(kind, items);
    }
    Ok(())
}

impl Filled {
    /// Sets the field of each item. An entry that only one item shows is moved, for a copy costs more than all the rest.
    fn fill(&mut self, items: &mut [Value]) {
        let shown = items.iter().filter(|item| !item[self.by].is_null()).count();
        let shown_once = self.by == Column::ID.name || self.entries.len() >= shown;
        for item in items {
            let id = item[self.by].as_i64().unwrap_or_default();
            let entry = if shown_once { self.entries.remove(&id) } else { self.entries.get(&id).cloned() };
            // The field that names the entry may be the one that is filled, so nothing is read after it is set.
            if let Some(object) = item.as_object_mut() {
                object.insert(self.field.clone(), entry.unwrap_or_else(|| self.otherwise.clone()));
            }
        }
    }
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
