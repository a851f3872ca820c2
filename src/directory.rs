//! The directory of a collection: which objects there are, by id, natural key, and the name that people gave where the
//! natural key is a UUID, which tells them nothing. It knows columns, and no particular kind.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use std::collections::BTreeSet;

use crate::column::Column;
use crate::db::Tx;
use crate::error::Result;
use crate::kind::Kind;
use crate::natural_key;
use crate::sql::{Sql, Statement};
use crate::value_type::Type;

/// An object.
pub struct Entry {
    /// Its id.
    pub id: i64,
    /// Its natural key.
    pub key: String,
    /// The name that people gave; the natural key, if that is it.
    pub name: String,
}

/// The column with the name that people gave, if the natural key is not it. What not each object has is no name to show it by.
pub fn name_column(kind: &dyn Kind) -> Option<&'static Column> {
    let columns = kind.columns();
    let is_uuid = |name: &&str| Column::named(columns, name).is_some_and(|column| matches!(column.ty, Type::Uuid));
    match kind.key() {
        [key] if is_uuid(key) => Column::named(columns, "name").filter(|column| column.required),
        _ => None,
    }
}

/// The oldest objects, ordered by name.
pub async fn first(tx: &Tx, kind: &dyn Kind, limit: usize) -> Result<Vec<Entry>> {
    let key = natural_key::text_sql(kind, "named");
    let name = name_column(kind).map_or_else(|| key.clone(), |column| format!("named.{}::text", column.sql_name()));
    let sql = Sql::new(format!(
        "SELECT id, key, name FROM (SELECT named.id, {key} AS key, {name} AS name FROM {} AS named \
         ORDER BY named.id LIMIT {limit}) AS named ORDER BY name, id",
        kind.table(),
    ));
    let statement: Statement<(BigInt, Text, Text)> = sql.into();
    let found: Vec<(i64, String, String)> = statement.load(&mut tx.conn()).await?;
    Ok(found.into_iter().map(|(id, key, name)| Entry { id, key, name }).collect())
}

/// How objects are called whose natural key or name begins with this: so many at most, in order.
pub async fn starting_with(tx: &Tx, kind: &dyn Kind, beginning: &str, limit: usize) -> Result<Vec<String>> {
    let key = natural_key::text_sql(kind, "named");
    let name = name_column(kind).map_or_else(|| key.clone(), |column| format!("named.{}::text", column.sql_name()));
    let sql = Sql::new(format!(
        "SELECT DISTINCT called FROM (SELECT unnest(ARRAY[{key}, {name}]) AS called FROM {} AS named) AS named \
         WHERE starts_with(called, ",
        kind.table(),
    ));
    let statement: Statement<Text> = sql.one(beginning, "text").text(format!(") ORDER BY called LIMIT {limit}")).into();
    Ok(statement.load(&mut tx.conn()).await?)
}

/// The objects to which people gave this name: two at most, for then it says nothing.
pub async fn called(tx: &Tx, kind: &dyn Kind, name: &str) -> Result<Vec<i64>> {
    let Some(column) = name_column(kind) else { return Ok(vec![]) };
    let sql = Sql::new(format!("SELECT id FROM {} WHERE ", kind.table()));
    let sql = sql.then(natural_key::equals(column, name)).text(" ORDER BY id LIMIT 2");
    Ok(Statement::<BigInt>::from(sql).load(&mut tx.conn()).await?)
}

/// The names that people gave to the objects with these ids; none for a kind without such names.
pub async fn names(tx: &Tx, kind: &dyn Kind, ids: BTreeSet<i64>) -> Result<Vec<(i64, String)>> {
    let Some(column) = name_column(kind).filter(|_| !ids.is_empty()) else { return Ok(vec![]) };
    let sql = Sql::new(format!("SELECT id, {}::text FROM {} WHERE id = ", column.sql_name(), kind.table()));
    let statement: Statement<(BigInt, Text)> = sql.any(ids.iter().map(ToString::to_string).collect(), "int8").into();
    Ok(statement.load(&mut tx.conn()).await?)
}
