//! The page that asks before an object is deleted: what goes with it, and what keeps it.

use askama::Template;

use crate::db::Tx;
use crate::dependents::{Dependents, Fate};
use crate::error::Result;
use crate::html::cell::{grouped, more};
use crate::html::foreseen::Foreseen;
use crate::html::form::{self, Outcome, Refusal};
use crate::html::labels;
use crate::html::layout::{Layout, Link, collection};
use crate::html::names::Names;
use crate::kind::{self, Kind};
use crate::refs;

/// How many objects of a kind are named.
const NAMED: usize = 20;

/// The page.
#[derive(Template)]
#[template(path = "delete.html")]
pub struct Delete {
    layout: Layout,
    singular: String,
    title: String,
    collection: Link,
    object: String,
    if_match: String,
    refusal: Option<Refusal>,
    foreseen: Option<Foreseen>,
    goes_with_it: Vec<Group>,
    keeps_it: Vec<Group>,
}

/// Objects of one kind.
struct Group {
    /// `3 VMs`
    heading: String,
    objects: Vec<Link>,
    more: String,
}

impl Delete {
    /// Reads what hangs on the object.
    ///
    /// # Errors
    /// [`Error::Away`](crate::error::Error::Away), or not found.
    pub async fn read(tx: &Tx, kind: &'static dyn Kind, key: &str, outcome: Outcome<'_>) -> Result<Self> {
        let (item, tag) = form::read(tx, kind, key).await?;
        let Fate { goes, keeps, .. } = Fate::of(tx, kind, kind::id(&item)).await?;
        let shown = goes.iter().chain(&keeps);
        let shown = shown.map(|d| (d.kind, d.objects.iter().take(NAMED).map(|(id, _)| *id).collect()));
        let names = Names::of_objects(tx, shown.collect()).await?;
        let title = labels::title(kind, &item);
        Ok(Self {
            layout: Layout::new(format!("Delete {title}"), Some(kind), Some(&tx.actor)),
            singular: labels::singular(kind),
            collection: Link::new(labels::capitalized(&labels::plural(kind)), collection(kind)),
            object: refs::href(kind, kind::id(&item)),
            if_match: tag,
            refusal: outcome.error().map(|error| Refusal::of(kind, error)),
            foreseen: outcome.foreseen(),
            goes_with_it: groups(&goes, &names),
            keeps_it: groups(&keeps, &names),
            title,
        })
    }
}

fn groups(found: &[Dependents], names: &Names) -> Vec<Group> {
    let group = |dependents: &Dependents| {
        let (kind, count) = (dependents.kind, dependents.objects.len());
        let name = if count == 1 { labels::singular(kind) } else { labels::plural(kind) };
        let link = |(id, key): &(i64, String)| Link::new(names.of(kind, *id).unwrap_or(key), refs::href(kind, *id));
        Group {
            heading: format!("{} {name}", grouped(i64::try_from(count).unwrap_or(i64::MAX))),
            objects: dependents.objects.iter().take(NAMED).map(link).collect(),
            more: more(count, NAMED),
        }
    };
    found.iter().map(group).collect()
}
