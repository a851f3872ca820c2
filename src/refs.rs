//! References on the way out: `{id, key, href}`, or the whole object where the client asked for it. One statement finds the
//! names of all columns, one the objects of each that are shown whole; never one per object, and those of one level share a
//! round trip.

mod names;

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
use crate::value_type::Type;
use crate::{db::Tx, kind::Kind, natural_key};
use names::{Asked, Named};

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
    let whole = |column: &Column| embed.of_column(column);
    // What is in a list is known only when it was read, so lists count with what is only named.
    let to_name: Vec<&Column> =
        kind.columns().iter().filter(|column| !column.is_stored() || whole(column).is_none()).collect();
    let held = try_join_all(kind.columns().iter().filter(|column| column.is_stored()).filter_map(|column| {
        let ids = names::distinct(rows.iter().filter_map(|row| row[column.name].as_i64()));
        Some(whole_by_id(tx, column, ids, whole(column)?))
    }));
    let reverse = try_join_all(embed.0.iter().filter_map(|branch| match branch.relation {
        Relation::Reverse(kind, column) => Some(show_reverse(tx, branch, kind, column, &rows)),
        Relation::Column(_) => None,
    }));
    let (mut names, held, mut reverse) = tokio::try_join!(names_by_column(tx, &to_name, &rows), held, reverse)?;
    let listed = try_join_all(to_name.iter().filter_map(|column| {
        let below = whole(column)?;
        let ids = names::distinct(names.get(column.name).into_iter().flatten().map(|one| one.id));
        Some(whole_by_id(tx, column, ids, below))
    }));
    let mut whole: HashMap<&str, HashMap<i64, Content>> = held.into_iter().chain(listed.await?).collect();
    let mut columns: Vec<Shown> = kind
        .columns()
        .iter()
        .map(|column| show_column(column, names.remove(column.name).unwrap_or_default(), whole.remove(column.name)))
        .collect();
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
    let lists: Vec<&Column> = kind.columns().iter().filter(|column| !column.is_stored()).collect();
    let mut found = names_by_column(tx, &lists, rows).await?;
    for column in lists {
        let mut ids: HashMap<i64, Vec<Value>> = HashMap::new();
        for named in found.remove(column.name).unwrap_or_default() {
            ids.entry(named.own).or_default().push(named.id.into());
        }
        for row in &mut *rows {
            row.fill(column, ids.remove(&row.id()).unwrap_or_default().into());
        }
    }
    Ok(())
}

/// The objects behind a list of one object: ids and natural keys.
pub async fn listed(tx: &Tx, column: &'static Column, own: i64) -> Result<Vec<(i64, String)>> {
    let found = names::find(tx, vec![Asked::list(column, std::iter::once(own))]).await?;
    Ok(found.into_iter().map(|named| (named.id, named.key)).collect())
}

/// What these rows lead to, by the names of these columns.
async fn names_by_column(
    tx: &Tx,
    columns: &[&'static Column],
    rows: &[Row],
) -> Result<HashMap<&'static str, Vec<Named>>> {
    let (columns, asked): (Vec<_>, Vec<_>) =
        columns.iter().filter_map(|column| Some((column.name, Asked::of(column, rows)?))).unzip();
    let mut names: HashMap<&str, Vec<Named>> = HashMap::new();
    for named in names::find(tx, asked).await? {
        if let Some(column) = columns.get(named.place) {
            names.entry(column).or_default().push(named);
        }
    }
    Ok(names)
}

fn show_column(column: &Column, names: Vec<Named>, whole: Option<HashMap<i64, Content>>) -> Shown {
    let Some(target) = column.any_target() else { return Shown::Value };
    match (column.ty, whole) {
        (Type::Ref(_), Some(objects)) => Shown::One(objects),
        (Type::Ref(_), None) => {
            Shown::One(names.into_iter().map(|named| (named.id, reference(target, named.id, named.key))).collect())
        }
        (_, whole) => {
            let mut lists: HashMap<i64, Vec<Content>> = HashMap::new();
            for Named { own, id, key, .. } in names {
                let shown = match &whole {
                    Some(objects) => objects.get(&id).cloned(),
                    None => Some(reference(target, id, key)),
                };
                lists.entry(own).or_default().extend(shown);
            }
            Shown::Several(lists)
        }
    }
}

async fn show_reverse(
    tx: &Tx,
    branch: &Branch,
    kind: &'static dyn Kind,
    column: &Column,
    rows: &[Row],
) -> Result<(String, Shown)> {
    let ids = names::distinct(rows.iter().map(Row::id));
    let mut lists: HashMap<i64, Vec<Content>> = HashMap::new();
    for (id, object) in whole(tx, kind, column, ids, &branch.below).await? {
        lists.entry(id).or_default().push(object);
    }
    Ok((branch.name.clone(), Shown::Several(lists)))
}

fn reference(kind: &dyn Kind, id: i64, key: String) -> Content {
    let (field, href) = (natural_key::field(kind), href(kind, id));
    Content::Reference(Arc::new(Reference { id, field, key, href }))
}

/// The objects behind a column that have these ids, whole, with its name.
async fn whole_by_id(
    tx: &Tx,
    column: &'static Column,
    ids: Vec<String>,
    below: &Embed,
) -> Result<(&'static str, HashMap<i64, Content>)> {
    let objects = match column.any_target() {
        Some(kind) if !ids.is_empty() => whole(tx, kind, &Column::ID, ids, below).await?.into_iter().collect(),
        _ => HashMap::new(),
    };
    Ok((column.name, objects))
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
