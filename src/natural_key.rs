//! Natural keys: how an object is named by what people know. A key has one column or two (`node/name`); a column that
//! is a reference stands for the natural key of what it refers to (`organization/environment/name`). This file knows columns, and no particular kind.

use serde_json::Value;

use crate::column::{Column, text};
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::sql::Sql;
use crate::value_type::Type;

/// What the field is called that holds the natural key in a reference: `fqdn`, `name`, `key` for two columns.
pub fn field(kind: &dyn Kind) -> &'static str {
    match kind.key() {
        [name] => match column(kind, name).and_then(Column::target) {
            Some(target) => field(target),
            None => name,
        },
        _ => "key",
    }
}

/// The natural key of an object whose references are shown as such.
#[must_use]
pub fn of(kind: &dyn Kind, item: &Value) -> String {
    kind.key().iter().fold(String::new(), |key, name| {
        let part = text(&item[*name]);
        if key.is_empty() || part.starts_with('/') { key + part.as_str() } else { format!("{key}/{part}") }
    })
}

/// The SQL expression for the natural key, as text, of the row with this alias.
pub fn text_sql(kind: &dyn Kind, alias: &str) -> String {
    let parts = kind.key().iter().filter_map(|name| column(kind, name)).map(|column| match column.target() {
        Some(target) => {
            let inner = format!("{alias}_{}", column.name);
            let key = text_sql(target, &inner);
            format!(
                "(SELECT {key} FROM {} AS {inner} WHERE {inner}.id = {alias}.{})",
                target.table(),
                column.sql_name()
            )
        }
        None => format!("{alias}.{}::text", column.sql_name()),
    });
    parts.collect::<Vec<_>>().join(separator(kind))
}

/// A device already begins with the slash that divides the two parts.
fn separator(kind: &dyn Kind) -> &'static str {
    if second_is_path(kind) { " || " } else { " || '/' || " }
}

fn second_is_path(kind: &dyn Kind) -> bool {
    kind.key()
        .get(1)
        .and_then(|name| column(kind, name))
        .is_some_and(|c| matches!(c.ty, Type::Word(w) if w.prefix.starts_with('/')))
}

fn column(kind: &dyn Kind, name: &str) -> Option<&'static Column> {
    Column::named(kind.columns(), name)
}

/// Whether this text is an id. A natural key never is.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The condition that finds the row with this id or natural key in the kind's own table.
///
/// # Errors
/// Not found, when the text can name nothing.
pub fn condition(kind: &dyn Kind, text: &str) -> Result<Sql> {
    if is_id(text) {
        let id: i64 = text.parse().map_err(|_| Error::NotFound)?;
        return Ok(Sql::new("id = ").one(id.to_string(), "int8"));
    }
    let values = split(kind, text).ok_or(Error::NotFound)?;
    let mut sql = Sql::new("(");
    for (i, (name, value)) in kind.key().iter().zip(values).enumerate() {
        let column = column(kind, name).ok_or(Error::NotFound)?;
        sql = sql.text(if i == 0 { "" } else { " AND " }).then(part(column, &value)?);
    }
    Ok(sql.text(")"))
}

/// The condition that finds what a value means: an id, a natural key, or an object with its id, its natural key as in a
/// reference, or the columns of the key. What it says twice must agree.
///
/// # Errors
/// Not found, when it can name nothing.
pub fn condition_of(kind: &dyn Kind, given: &Value) -> Result<Sql> {
    let Value::Object(object) = given else { return condition(kind, &text(given)) };
    let mut conditions = Vec::new();
    for name in ["id", field(kind)].into_iter().filter(|name| object.contains_key(*name)) {
        conditions.push(condition(kind, &text(&object[name]))?);
    }
    if conditions.is_empty() {
        for name in kind.key() {
            let column = column(kind, name).ok_or(Error::NotFound)?;
            let value = object.get(*name).filter(|value| !value.is_null()).ok_or(Error::NotFound)?;
            conditions.push(match column.target() {
                Some(target) => refers_to(column, target, condition_of(target, value)?),
                None => part(column, &text(value))?,
            });
        }
    }
    conditions.into_iter().reduce(|a, b| a.text(" AND ").then(b)).ok_or(Error::NotFound)
}

fn refers_to(column: &Column, target: &dyn Kind, condition: Sql) -> Sql {
    Sql::new(format!("{} IN (SELECT id FROM {} WHERE ", column.sql_name(), target.table())).then(condition).text(")")
}

fn part(column: &Column, value: &str) -> Result<Sql> {
    if let Some(target) = column.target() {
        return Ok(refers_to(column, target, condition(target, value)?));
    }
    let value = column.ty.canonical(value).ok_or(Error::NotFound)?;
    Ok(equals(column, &value))
}

/// Whether two texts are the same value; addresses are the same whatever their prefix length.
pub fn same(column: &Column, a: &str, b: &str) -> bool {
    let value = |text: &str| {
        let canonical = column.ty.canonical(text)?;
        let host = if matches!(column.ty, Type::Inet) { canonical.split('/').next()? } else { &canonical };
        Some(host.to_owned())
    };
    a == b || value(a).is_some_and(|a| Some(a) == value(b))
}

/// `"fqdn" = $1`; addresses are equal whatever their prefix length.
pub fn equals(column: &Column, value: &str) -> Sql {
    let (name, sql_type) = (column.sql_name(), column.ty.sql_type());
    match column.ty {
        Type::Inet => Sql::new(format!("host({name}) = host(")).one(value, sql_type).text(")"),
        _ => Sql::new(format!("{name} = ")).one(value, sql_type),
    }
}

/// The fields that this natural key stands for, to be set in a new object.
pub fn fields(kind: &dyn Kind, text: &str) -> Option<Vec<(&'static str, String)>> {
    Some(kind.key().iter().copied().zip(split(kind, text)?).collect())
}

/// Of how many parts a key is, divided by slashes.
fn parts(kind: &dyn Kind) -> usize {
    let of = |name: &&str| column(kind, name).and_then(Column::target).map_or(1, parts);
    kind.key().iter().map(of).sum()
}

/// The values of the key's columns.
fn split(kind: &dyn Kind, text: &str) -> Option<Vec<String>> {
    if kind.key().len() < 2 {
        return Some(vec![text.to_owned()]);
    }
    let first = column(kind, kind.key().first()?).and_then(Column::target).map_or(1, parts);
    let (slash, _) = text.match_indices('/').nth(first - 1)?;
    let (first, second) = (text.get(..slash)?, text.get(slash + 1..)?);
    let second = if second_is_path(kind) { format!("/{second}") } else { second.to_owned() };
    Some(vec![first.to_owned(), second])
}
