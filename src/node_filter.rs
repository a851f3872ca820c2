//! A filter of nodes, kept as text: what stands behind the `?` of `/v1/nodes` and narrows it. It knows how one is read
//! and what it matches, and not whose it is.

use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;
use std::collections::HashSet;

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::query::{self, Query};
use crate::resource::Resource;
use crate::resources::Node;
use crate::sql::{Sql, Statement};

/// What a text matches, as a condition.
fn read(text: &str) -> Result<Sql> {
    let pairs = query::pairs(text)?;
    if pairs.is_empty() {
        return Err(Error::Malformed("it narrows nothing".into()));
    }
    Query::filters(Node::KIND, &pairs)
}

/// Whether a text is a filter of nodes.
///
/// # Errors
/// Why it is none.
pub fn check(text: &str) -> Result<()> {
    read(text).map(drop)
}

/// Whether this node exists and is matched.
///
/// # Errors
/// Why the text is no filter, or [`Error::Away`].
pub async fn matches(tx: &Tx, text: &str, fqdn: &str) -> Result<bool> {
    let condition = read(text)?;
    let sql = Sql::new(format!("SELECT EXISTS (SELECT FROM {} WHERE fqdn = ", Node::SOURCE)).one(fqdn, "text");
    let sql = sql.text(" AND (").then(condition).text("))");
    Ok(Statement::<Bool>::from(sql).get_result(&mut tx.conn()).await?)
}

/// Which of these names are of nodes that are matched.
///
/// # Errors
/// Why the text is no filter, or [`Error::Away`].
pub async fn among(tx: &Tx, text: &str, names: Vec<String>) -> Result<HashSet<String>> {
    let condition = read(text)?;
    let sql = Sql::new("SELECT fqdn FROM nodes WHERE fqdn = ").any(names, "text");
    let sql = sql.text(" AND (").then(condition).text(")");
    let found: Vec<String> = Statement::<Text>::from(sql).load(&mut tx.conn()).await?;
    Ok(found.into_iter().collect())
}
