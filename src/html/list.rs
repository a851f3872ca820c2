//! The page of a collection.

use askama::Template;

use crate::count::Total;
use crate::db::Tx;
use crate::error::Result;
use crate::html::cell::grouped;
use crate::html::filter::Filters;
use crate::html::layout::{Layout, Link, collection};
use crate::html::names::Names;
use crate::html::options::Options;
use crate::html::table::{Table, chosen_columns};
use crate::html::widget::Widget;
use crate::html::{address, formats, labels};
use crate::kind::Kind;
use crate::policy;
use crate::refs;
use crate::row::Row;

/// A part of a collection, as it was asked for.
pub struct Asked<'a> {
    /// What it is a collection of.
    pub kind: &'static dyn Kind,
    /// Where it is.
    pub path: &'a str,
    /// The query parameters.
    pub pairs: &'a [(String, String)],
    /// The columns that were asked for; empty for the usual ones.
    pub fields: &'a [&'static str],
    /// The objects, as in the table.
    pub rows: Vec<Row>,
    /// How many there are.
    pub total: &'a Total,
    /// Where the next page is.
    pub next: Option<String>,
}

/// The page.
#[derive(Template)]
#[template(path = "list.html")]
pub struct List {
    layout: Layout,
    heading: String,
    about: &'static str,
    /// Many of them, within a sentence.
    plural: String,
    /// One of them, within a sentence.
    singular: String,
    total: String,
    /// How many are on this page.
    shown: usize,
    table: Table,
    filters: Filters,
    /// Whether something has been left out by a filter.
    narrowed: bool,
    first: Option<String>,
    next: Option<String>,
    formats: Vec<Link>,
    /// Where one is made, if people make them.
    create: Option<String>,
}

impl List {
    /// Reads what the page shows besides the objects: their references, and what a filter can choose from.
    ///
    /// # Errors
    /// [`crate::error::Error::Away`].
    pub async fn read(tx: &Tx, asked: Asked<'_>) -> Result<Self> {
        let Asked { kind, path, pairs, fields, rows, total, next } = asked;
        let items = refs::with_references(tx, kind, rows).await?;
        let (names, options) = tokio::try_join!(Names::read(tx, kind, &items), Options::read(tx, kind))?;
        let filters = Filters::new(kind, path, pairs, &options);
        let mut table = Table::new(kind, &chosen_columns(kind, fields), &items, &names);
        sort_links(&mut table, path, pairs);
        let heading = labels::capitalized(&labels::plural(kind));
        let later = pairs.iter().any(|(name, _)| name == "cursor");
        Ok(Self {
            layout: Layout::new(heading.clone(), Some(kind), Some(&tx.actor)),
            heading,
            about: kind.about(),
            plural: labels::plural(kind),
            singular: labels::singular(kind),
            total: told(total),
            shown: items.len(),
            narrowed: !filters.active.is_empty(),
            first: later.then(|| address(path, &without(pairs, "cursor"))),
            next,
            formats: formats(&collection(kind), &without(pairs, "cursor")),
            create: policy::writes(&tx.actor, kind).then(|| format!("/forms/{}/create", kind.name())),
            table,
            filters,
        })
    }
}

/// How many there are, in words.
#[must_use]
pub fn told(total: &Total) -> String {
    format!("{}{}", if total.is_estimate { "about " } else { "" }, grouped(total.count))
}

fn without(pairs: &[(String, String)], name: &str) -> Vec<(String, String)> {
    pairs.iter().filter(|(n, _)| n != name).cloned().collect()
}

/// Each heading leads to the same list in its order, and in the reverse order if that is the order already.
fn sort_links(table: &mut Table, path: &str, pairs: &[(String, String)]) {
    let current = pairs.iter().rfind(|(name, _)| name == "sort").map_or("", |(_, sort)| sort.as_str());
    let first = current.split(',').next().unwrap_or_default();
    for head in table.heads.iter_mut().filter(|head| head.sortable) {
        let (order, wanted) = match first.strip_prefix('-') {
            Some(name) if name == head.name => ("descending", head.name.to_owned()),
            None if first == head.name => ("ascending", format!("-{}", head.name)),
            _ => ("", head.name.to_owned()),
        };
        let mut pairs = without(&without(pairs, "cursor"), "sort");
        pairs.push(("sort".into(), wanted));
        head.order = order;
        head.href = address(path, &pairs);
    }
}
