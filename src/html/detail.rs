//! The page of one object: its fields, what is related to it, where its node's documents are.

use askama::Template;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::column::{Column, OnDelete, text};
use crate::count;
use crate::db::Tx;
use crate::embed;
use crate::error::{Error, Result};
use crate::html::cell::Cell;
use crate::html::last_run::LastRun;
use crate::html::layout::{Layout, Link, collection};
use crate::html::list::told;
use crate::html::names::Names;
use crate::html::table::{NARROW, Table, related_columns};
use crate::html::{address, formats, labels};
use crate::kind::{self, Kind};
use crate::natural_key;
use crate::policy;
use crate::query::Query;
use crate::refs;
use crate::resource::{Action, Resource};
use crate::resources::{AuditEvent, KINDS, Node, Run};
use crate::row::Row;
use crate::value_type::Type;

/// How many related objects of a kind are shown.
const SHOWN: &str = "10";

/// The page.
#[derive(Template)]
#[template(path = "detail.html")]
pub struct Detail {
    layout: Layout,
    heading: String,
    singular: String,
    collection: Link,
    /// What people set.
    fields: Vec<Field>,
    /// What the server keeps about it.
    record: Vec<Field>,
    related: Vec<Related>,
    /// What went wrong on a node.
    last_run: Option<LastRun>,
    documents: Vec<Link>,
    actions: Vec<Button>,
    forms: Vec<Link>,
    /// Where it is changed and deleted, if people do that.
    edit: Option<String>,
    delete: Option<String>,
    history: Option<String>,
    formats: Vec<Link>,
}

/// What is done at once.
struct Button {
    text: &'static str,
    href: String,
    /// What it sends along.
    sends: Option<(&'static str, String)>,
}

/// A field.
struct Field {
    about: &'static str,
    cell: Cell,
}

/// Objects of one kind that refer to this one by one column.
struct Related {
    id: String,
    heading: String,
    /// One of them, within a sentence.
    singular: String,
    total: String,
    any: bool,
    /// All of them.
    all: String,
    /// Whether there are more than are shown.
    more: bool,
    create: Option<String>,
    table: Table,
}

impl Detail {
    /// Reads what the page shows besides the object.
    ///
    /// # Errors
    /// [`crate::error::Error::Away`].
    pub async fn read(tx: &Tx, kind: &'static dyn Kind, row: Row) -> Result<Self> {
        let id = row.id();
        let items = refs::with_references(tx, kind, vec![row]).await?;
        let [item] = &items[..] else { return Err(Error::NotFound) };
        let key = natural_key::of(kind, item);
        let related = relations(kind).into_iter().filter(|(user, ..)| tx.may_read(*user).is_ok()).map(
            |(user, column, several)| {
                let key = &key;
                async move { related(tx, id, key, user, column, several).await }
            },
        );
        let last_run = async { if kind.name() == Node::NAME { LastRun::failed(tx, &key).await } else { Ok(None) } };
        let (names, related, last_run) =
            tokio::try_join!(Names::read(tx, kind, &items), try_join_all(related), last_run)?;
        let of_record = |column: &&Column| {
            !column.writable
                && (column.is_derived()
                    || matches!(column.name, "id" | "generation" | "desired_generation" | "created_at" | "updated_at"))
        };
        let field =
            |column: &Column| Field { about: column.about, cell: Cell::whole(column, &item[column.name], &names) };
        let heading = labels::title(kind, item);
        let recorded = !kind.is_read_only() && tx.may_read(AuditEvent::KIND).is_ok();
        let (here, changes) = (refs::href(kind, id), policy::writes(&tx.actor, kind));
        Ok(Self {
            layout: Layout::new(heading.clone(), Some(kind), Some(&tx.actor)),
            singular: labels::singular(kind),
            collection: Link::new(labels::capitalized(&labels::plural(kind)), collection(kind)),
            fields: kind.columns().iter().filter(|column| !of_record(column)).map(field).collect(),
            record: kind.columns().iter().filter(of_record).map(field).collect(),
            related,
            last_run,
            documents: documents(kind, item),
            actions: if changes { actions(kind, item) } else { vec![] },
            forms: if changes { more_forms(kind, id) } else { vec![] },
            edit: changes.then(|| format!("/forms/{}/edit/{id}", kind.name())),
            delete: changes.then(|| format!("/forms/{}/delete/{id}", kind.name())),
            history: recorded.then(|| format!("/history/{}/{id}", kind.name())),
            formats: formats(&here, &[]),
            heading,
        })
    }
}

/// The kinds that refer to this one, by a reference or in a list; and whether the same kind does so by several columns.
fn relations(kind: &'static dyn Kind) -> Vec<(&'static dyn Kind, &'static Column, bool)> {
    let mut relations: Vec<_> = embed::reverse(kind).into_iter().map(|(_, user, column)| (user, column)).collect();
    for user in KINDS {
        let lists = user
            .columns()
            .iter()
            .filter(|column| matches!(column.ty, Type::Many(link) if link.kind.name() == kind.name()));
        relations.extend(lists.map(|column| (*user, column)));
    }
    let times = |user: &dyn Kind| relations.iter().filter(|(other, _)| other.name() == user.name()).count();
    relations.iter().map(|(user, column)| (*user, *column, times(*user) > 1)).collect()
}

async fn related(
    tx: &Tx,
    id: i64,
    key: &str,
    kind: &'static dyn Kind,
    column: &'static Column,
    several: bool,
) -> Result<Related> {
    let asked = Query::parse(kind, &[(column.name.into(), id.to_string()), ("limit".into(), SHOWN.into())])?;
    let (mut rows, total) = tokio::try_join!(kind.list(tx, &asked), count::total(tx, kind, &asked))?;
    let more = rows.len() > usize::try_from(asked.limit).unwrap_or_default();
    rows.truncate(usize::try_from(asked.limit).unwrap_or_default());
    let items = refs::with_references(tx, kind, rows).await?;
    let names = Names::read(tx, kind, &items).await?;
    // A part of a page has no room for columns that say nothing.
    let mut columns = related_columns(kind, column.name);
    columns.retain(|column| items.iter().any(|item| !item[column.name].is_null() && item[column.name] != json!([])));
    columns.truncate(NARROW);
    let plural = labels::capitalized(&labels::plural(kind));
    let by = [(column.name.to_owned(), key.to_owned())];
    Ok(Related {
        id: format!("{}-{}", kind.name(), column.name),
        heading: if several { format!("{plural} by {}", labels::column(column).to_lowercase()) } else { plural },
        singular: labels::singular(kind),
        total: told(&total),
        any: !items.is_empty(),
        all: address(&collection(kind), &by),
        more,
        create: policy::writes(&tx.actor, kind).then(|| address(&format!("/forms/{}/create", kind.name()), &by)),
        table: Table::new(kind, &columns, &items, &names),
    })
}

/// What can be done with it besides the verbs.
fn actions(kind: &dyn Kind, item: &Value) -> Vec<Button> {
    let button = |action: &Action| Button {
        text: action.text,
        href: format!("{}/{}/{}", collection(kind), kind::id(item), action.path),
        sends: action.sends.map(|(field, column)| (field, text(&item[column]))),
    };
    kind.actions().iter().map(button).collect()
}

/// What has a form of its own.
fn more_forms(kind: &dyn Kind, id: i64) -> Vec<Link> {
    let link = |(name, text): &(&str, &'static str)| Link::new(*text, format!("/forms/{}/{name}/{id}", kind.name()));
    kind.forms().iter().map(link).collect()
}

/// What leads on from it: to what the agents of a node read and report, of a node or of an object that belongs to one; to
/// what a run changed.
fn documents(kind: &dyn Kind, item: &Value) -> Vec<Link> {
    let list = |name: &'static str, path: &str, pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Link::new(name, address(path, &pairs))
    };
    if kind.name() == Run::NAME {
        let (id, node) = (text(&item["id"]), text(&item["node"]));
        let changed = list("What it changed", "/v1/run-events", &[("run", &id)]);
        let runs = list("Runs on this node", "/v1/runs", &[("node", &node), ("sort", "-id")]);
        return vec![changed, Link::new("The node", format!("/v1/nodes/{node}")), runs];
    }
    let certname = match kind.name() {
        Node::NAME => text(&item["fqdn"]),
        _ => match kind.columns().iter().find(|column| column.target().is_some_and(|t| t.name() == Node::NAME)) {
            Some(column) if column.on_delete == OnDelete::GoAlong => text(&item[column.name]),
            _ => String::new(),
        },
    };
    if certname.is_empty() {
        return vec![];
    }
    let link = |(name, path): &(&str, &str)| Link::new(*name, format!("/{path}/{certname}"));
    let documents = [
        ("Puppet ENC", "puppet/enc"),
        ("Puppet Hiera", "puppet/hiera"),
        ("Salt pillar", "salt/pillar"),
        ("Salt tops", "salt/tops"),
    ];
    documents
        .iter()
        .map(link)
        .chain([
            list("Runs", "/v1/runs", &[("node", &certname), ("sort", "-id")]),
            list("Facts", "/v1/facts", &[("node", &certname)]),
        ])
        .collect()
}
