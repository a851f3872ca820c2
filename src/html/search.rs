//! What is found in all collections at once.

use askama::Template;
use futures_util::future::try_join_all;

use crate::count;
use crate::db::Tx;
use crate::error::Result;
use crate::html::layout::{Layout, collection};
use crate::html::list::told;
use crate::html::names::Names;
use crate::html::table::{Table, default_columns};
use crate::html::{address, labels};
use crate::kind::Kind;
use crate::query::Query;
use crate::refs;
use crate::resources::KINDS;

/// How many objects of a kind are shown.
const SHOWN: usize = 5;

/// The page.
#[derive(Template)]
#[template(path = "search.html")]
pub struct Search {
    layout: Layout,
    wanted: String,
    found: Vec<Found>,
}

/// What is found in a collection.
struct Found {
    id: &'static str,
    heading: String,
    total: String,
    all: String,
    more: bool,
    table: Table,
}

impl Search {
    /// Looks into every collection; for nothing it finds nothing.
    ///
    /// # Errors
    /// [`crate::error::Error::Away`], or a text that cannot be searched for.
    pub async fn read(tx: &Tx, wanted: &str) -> Result<Self> {
        let searched = KINDS.iter().filter(|kind| !wanted.is_empty() && tx.may_read(**kind).is_ok());
        let found = try_join_all(searched.map(|kind| find(tx, *kind, wanted))).await?;
        let title = if wanted.is_empty() { "Search".to_owned() } else { format!("Search for {wanted}") };
        let layout = Layout { search: wanted.to_owned(), ..Layout::new(title, None, Some(&tx.actor)) };
        Ok(Self { layout, wanted: wanted.to_owned(), found: found.into_iter().flatten().collect() })
    }
}

async fn find(tx: &Tx, kind: &'static dyn Kind, wanted: &str) -> Result<Option<Found>> {
    let asked = [("q".to_owned(), wanted.to_owned())];
    let limited = [asked[0].clone(), ("limit".to_owned(), SHOWN.to_string())];
    let mut rows = kind.list(tx, &Query::parse(kind, &limited)?).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let total = count::total(tx, kind, &Query::parse(kind, &asked)?).await?;
    let more = rows.len() > SHOWN;
    rows.truncate(SHOWN);
    let items = refs::with_references(tx, kind, rows).await?;
    let names = Names::read(tx, kind, &items).await?;
    Ok(Some(Found {
        id: kind.name(),
        heading: labels::capitalized(&labels::plural(kind)),
        total: told(&total),
        all: address(&collection(kind), &asked),
        more,
        table: Table::new(kind, &default_columns(kind), &items, &names),
    }))
}
