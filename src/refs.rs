//! References on the way out: `{id, key, href}`, or the whole object where the client asked for it. Statements are per
//! column, never per object, and those of one level share a round trip.

use diesel::sql_types::{BigInt, Text};
use futures_util::future::try_join_all;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

use crate::column::Column;
use crate::embed::{Branch, Embed, Relation};
use crate::error::{Error, Result};
use crate::object::{Content, Object, Reference};
use crate::query::Query;
use crate::row::Row;
use crate::sql::{Sql, Statement};
use crate::value_type::Type;
use crate::{db::Tx, kind::Kind, natural_key};

/// How many objects one embedded relation may bring.
const MAX_EMBEDDED: i64 = 10_000;

/// Where an object is.
pub fn href(kind: &dyn Kind, id: i64) -> String {
    format!("/v1/{}/{id}", kind.name())
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

/// What some rows show in a column.
enum Shown {
    /// What the column holds.
    Value,
    /// By the id that it holds: several rows may hold the same.
    One(HashMap<i64, Content>),
    /// By the id of the row.
    Several(HashMap<i64, Vec<Content>>),
}

impl Shown {
    fn of(&mut self, row_id: i64, value: Value) -> Content {
        match self {
            Self::Value => value.into(),
            Self::One(objects) => value.as_i64().and_then(|id| objects.get(&id)).cloned().unwrap_or(Value::Null.into()),
            Self::Several(lists) => Content::List(lists.remove(&row_id).unwrap_or_default()),
        }
    }
}

/// Rows as clients see them: references for ids, their lists, and whole what was asked for.
pub async fn expand(tx: &Tx, kind: &'static dyn Kind, rows: Vec<Row>, embed: &Embed) -> Result<Vec<Object>> {
    if rows.is_empty() {
        return Ok(vec![]);
    }
    let columns = try_join_all(kind.columns().iter().map(|column| show_column(tx, column, &rows, embed)));
    let reverse = try_join_all(embed.0.iter().filter_map(|branch| match branch.relation {
        Relation::Reverse(kind, column) => Some(show_reverse(tx, branch, kind, column, &rows)),
        Relation::Column(_) => None,
    }));
    let (mut columns, mut reverse) = tokio::try_join!(columns, reverse)?;
    let object = |row: Row| {
        let id = row.id();
        // Room for all of it, and for the `href` of an object that is shown within another one.
        let mut object = Object::with_capacity(columns.len() + reverse.len() + 1);
        for ((column, shown), value) in kind.columns().iter().zip(&mut columns).zip(row.into_values()) {
            object.push(column.name, shown.of(id, value));
        }
        for (name, shown) in &mut reverse {
            object.push(name.clone(), shown.of(id, Value::Null));
        }
        object
    };
    Ok(rows.into_iter().map(object).collect())
}

/// Rows with their references and nothing whole, as plain values: what pages and commands look into.
pub async fn with_references(tx: &Tx, kind: &'static dyn Kind, rows: Vec<Row>) -> Result<Vec<Value>> {
    let objects = expand(tx, kind, rows, &Embed::default()).await?;
    objects.into_iter().map(|object| Content::from(object).to_value()).collect()
}

/// Fills the lists of some rows with ids: what a change compares and merges.
pub async fn fill_lists(tx: &Tx, kind: &'static dyn Kind, rows: &mut [Row]) -> Result<()> {
    let lists = kind.columns().iter().filter(|column| !column.is_stored());
    let pairs = try_join_all(lists.clone().map(|column| pairs(tx, column, rows.iter().map(Row::id)))).await?;
    for (column, pairs) in lists.zip(pairs) {
        let mut ids: HashMap<i64, Vec<Value>> = HashMap::new();
        for (own, other, _) in pairs {
            ids.entry(own).or_default().push(other.into());
        }
        for row in &mut *rows {
            row.fill(column, ids.remove(&row.id()).unwrap_or_default().into());
        }
    }
    Ok(())
}

async fn show_column(tx: &Tx, column: &'static Column, rows: &[Row], embed: &Embed) -> Result<Shown> {
    let Some(target) = column.any_target() else { return Ok(Shown::Value) };
    let whole = embed.of_column(column);
    if let Type::Ref(_) = column.ty {
        let ids = distinct(rows.iter().filter_map(|row| row[column.name].as_i64()));
        return Ok(Shown::One(match whole {
            Some(below) => whole_by_id(tx, target, ids, below).await?,
            None => references(tx, target, ids).await?,
        }));
    }
    let pairs = pairs(tx, column, rows.iter().map(Row::id)).await?;
    let objects = match whole {
        Some(below) => Some(whole_by_id(tx, target, distinct(pairs.iter().map(|(_, id, _)| *id)), below).await?),
        None => None,
    };
    let mut lists: HashMap<i64, Vec<Content>> = HashMap::new();
    for (own, id, key) in pairs {
        let shown = match &objects {
            Some(objects) => objects.get(&id).cloned(),
            None => Some(reference(target, id, key)),
        };
        lists.entry(own).or_default().extend(shown);
    }
    Ok(Shown::Several(lists))
}

async fn show_reverse(
    tx: &Tx,
    branch: &Branch,
    kind: &'static dyn Kind,
    column: &Column,
    rows: &[Row],
) -> Result<(String, Shown)> {
    let ids = distinct(rows.iter().map(Row::id));
    let mut lists: HashMap<i64, Vec<Content>> = HashMap::new();
    for (id, object) in whole(tx, kind, column, ids, &branch.below).await? {
        lists.entry(id).or_default().push(object);
    }
    Ok((branch.name.clone(), Shown::Several(lists)))
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

fn reference(kind: &dyn Kind, id: i64, key: String) -> Content {
    let (field, href) = (natural_key::field(kind), href(kind, id));
    Content::Reference(Arc::new(Reference { id, field, key, href }))
}

/// The objects with these ids as references.
async fn references(tx: &Tx, kind: &dyn Kind, ids: Vec<String>) -> Result<HashMap<i64, Content>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let key = natural_key::text_sql(kind, "named");
    let sql = Sql::new(format!("SELECT named.id, {key} FROM {} AS named WHERE named.id = ", kind.table()));
    let statement: Statement<(BigInt, Text)> = sql.any(ids, "int8").into();
    let found: Vec<(i64, String)> = diesel_async::RunQueryDsl::load(statement, &mut tx.conn()).await?;
    Ok(found.into_iter().map(|(id, key)| (id, reference(kind, id, key))).collect())
}

/// The objects with these ids, whole.
async fn whole_by_id(
    tx: &Tx,
    kind: &'static dyn Kind,
    ids: Vec<String>,
    below: &Embed,
) -> Result<HashMap<i64, Content>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(whole(tx, kind, &Column::ID, ids, below).await?.into_iter().collect())
}

/// The objects whose column holds one of these ids, whole, each with that id.
async fn whole(
    tx: &Tx,
    kind: &'static dyn Kind,
    column: &Column,
    ids: Vec<String>,
    below: &Embed,
) -> Result<Vec<(i64, Content)>> {
    let rows = kind.list(tx, &Query::related(column, ids, MAX_EMBEDDED)).await?;
    if i64::try_from(rows.len()).unwrap_or(i64::MAX) > MAX_EMBEDDED {
        let detail = format!("would bring more than {MAX_EMBEDDED} {}: read their own list", kind.name());
        return Err(Error::Parameter("embed".into(), detail));
    }
    let ids: Vec<_> = rows.iter().map(|row| (row[column.name].as_i64().unwrap_or_default(), row.id())).collect();
    let objects = Box::pin(expand(tx, kind, rows, below)).await?;
    let with_href = |((by, id), mut object): ((i64, i64), Object)| {
        object.push("href", Value::from(href(kind, id)));
        (by, object.into())
    };
    Ok(ids.into_iter().zip(objects).map(with_href).collect())
}
