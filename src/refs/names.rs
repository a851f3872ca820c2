//! What some rows lead to, by id and natural key: of all their columns in one statement, for each statement costs more than
//! the few rows that it reads. It knows columns, and not how a reference is shown.

use diesel::sql_types::{BigInt, Integer, Text};
use diesel_async::RunQueryDsl;

use crate::column::Column;
use crate::db::Tx;
use crate::error::Result;
use crate::natural_key;
use crate::row::Row;
use crate::sql::{Sql, Statement};
use crate::value_type::Type;

/// A column, and the ids by which what it leads to is found: those that it holds or, for a list, those of the rows.
pub struct Asked(&'static Column, Vec<String>);

impl Asked {
    /// What these rows lead to by this column; nothing, if that is no reference.
    pub fn of(column: &'static Column, rows: &[Row]) -> Option<Self> {
        match column.ty {
            Type::Ref(_) => Some(Self(column, distinct(rows.iter().filter_map(|row| row[column.name].as_i64())))),
            Type::Many(_) | Type::Owned(_) => Some(Self::list(column, rows.iter().map(Row::id))),
            _ => None,
        }
    }

    /// What the rows with these ids lead to by a list.
    pub fn list(column: &'static Column, own: impl Iterator<Item = i64>) -> Self {
        Self(column, distinct(own))
    }

    /// `place, own id, other id, other's natural key`; a reference is the same for every row that holds it.
    fn sql(self, place: usize) -> Option<Sql> {
        let Self(column, ids) = self;
        let (own, id, from, by) = match column.ty {
            Type::Ref(kind) => {
                ("0::int8".to_owned(), "named.id", format!("{} AS named", kind.table()), "named.id".to_owned())
            }
            Type::Many(link) => {
                let own = format!("link.{}", link.own);
                let from = format!(
                    "{} AS link JOIN {} AS named ON named.id = link.{}",
                    link.table,
                    link.kind.table(),
                    link.other
                );
                (own.clone(), "named.id", from, own)
            }
            Type::Owned(owned) => {
                let own = format!("named.{}_id", owned.owner);
                (own.clone(), "named.id", format!("{} AS named", owned.kind.table()), own)
            }
            _ => return None,
        };
        let key = natural_key::text_sql(column.any_target()?, "named");
        Some(Sql::new(format!("SELECT {place}, {own}, {id}, {key} FROM {from} WHERE {by} = ")).any(ids, "int8"))
    }
}

/// What is led to.
pub struct Named {
    /// By which of the columns that were asked for.
    pub place: usize,
    /// From which row, for a list.
    pub own: i64,
    /// Its id.
    pub id: i64,
    /// Its natural key.
    pub key: String,
}

/// All that is led to, in the order of places, rows and ids.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn find(tx: &Tx, asked: Vec<Asked>) -> Result<Vec<Named>> {
    // Where nothing is held nothing is looked into: a customer may not even look there.
    let parts = asked.into_iter().enumerate().filter(|(_, Asked(_, ids))| !ids.is_empty());
    let parts = parts.filter_map(|(place, asked)| asked.sql(place));
    let Some(all) = parts.reduce(|all, part| all.text(" UNION ALL ").then(part)) else { return Ok(vec![]) };
    let statement: Statement<(Integer, BigInt, BigInt, Text)> = all.text(" ORDER BY 1, 2, 3").into();
    let found: Vec<(i32, i64, i64, String)> = statement.load(&mut tx.conn()).await?;
    let named = |(place, own, id, key)| Named { place: usize::try_from(place).unwrap_or_default(), own, id, key };
    Ok(found.into_iter().map(named).collect())
}

/// Each once, in order.
pub fn distinct(ids: impl Iterator<Item = i64>) -> Vec<String> {
    let ids: std::collections::BTreeSet<i64> = ids.collect();
    ids.into_iter().map(|id| id.to_string()).collect()
}
