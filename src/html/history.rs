//! What was done to an object, or by a request: newest first, each with what it changed, as people read it.

use askama::Template;
use serde_json::Value;

use crate::audit::differences;
use crate::column::{Column, text};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::html::cell::{Cell, Part};
use crate::html::layout::{Layout, Link, collection};
use crate::html::names::Names;
use crate::html::{address, labels};
use crate::kind::Kind;
use crate::query::Query;
use crate::refs;
use crate::resource::Resource;
use crate::resources::{self, AuditEvent};
use crate::row::Row;

/// The page.
#[derive(Template)]
#[template(path = "history.html")]
pub struct History {
    layout: Layout,
    heading: String,
    trail: Vec<Link>,
    events: Vec<Event>,
    next: Option<String>,
    /// The same as a list that can be filtered.
    list: String,
}

/// What was done to one object, or to none.
struct Event {
    time: Cell,
    actor: String,
    /// `changed`
    action: &'static str,
    /// `VM`
    singular: String,
    /// Without a text, if it is about none.
    object: Link,
    detail: String,
    /// How often, if more than once.
    times: Option<i64>,
    message: String,
    address: String,
    /// What else the same request has done.
    request: Option<Link>,
    differences: Vec<Difference>,
}

/// A field that is not what it was.
struct Difference {
    label: String,
    before: Cell,
    after: Cell,
}

impl History {
    /// What was done to the object with this id, which may be gone.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing was ever done to it, [`Error::Away`].
    pub async fn of_object(tx: &Tx, kind: &'static dyn Kind, id: i64, pairs: &[(String, String)]) -> Result<Self> {
        let by = [("collection".to_owned(), kind.name().to_owned()), ("object_id".to_owned(), id.to_string())];
        let here = format!("/history/{}/{id}", kind.name());
        // What was read is no part of what was done to it; the list has it.
        let done = [&by[..], &[("action__ne".to_owned(), "read".to_owned())]].concat();
        let (events, next) = read(tx, &done, &here, pairs).await?;
        let latest = events.first().ok_or(Error::NotFound)?;
        let name = latest.object.text.clone();
        let of_kind = Link::new(labels::capitalized(&labels::plural(kind)), collection(kind));
        let itself = Link::new(name.clone(), refs::href(kind, id));
        let trail = if latest.object.href.is_empty() { vec![of_kind] } else { vec![of_kind, itself] };
        Ok(Self {
            layout: Layout::new(format!("History of {name}"), Some(kind), Some(&tx.actor)),
            heading: format!("History of {} {name}", labels::singular(kind)),
            trail,
            list: address(&collection(AuditEvent::KIND), &by),
            events,
            next,
        })
    }

    /// What a request has done.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it has done nothing, [`Error::Away`].
    pub async fn of_request(tx: &Tx, request: &str, pairs: &[(String, String)]) -> Result<Self> {
        let by = [("request".to_owned(), request.to_owned())];
        let (events, next) = read(tx, &by, &address(&format!("/history/{request}"), &[]), pairs).await?;
        if events.is_empty() {
            return Err(Error::NotFound);
        }
        Ok(Self {
            layout: Layout::new("What one request did", Some(AuditEvent::KIND), Some(&tx.actor)),
            heading: "What one request did".into(),
            trail: vec![Link::new("Audit events", collection(AuditEvent::KIND))],
            list: address(&collection(AuditEvent::KIND), &by),
            events,
            next,
        })
    }
}

/// A page of events, newest first, and where the next one is.
async fn read(
    tx: &Tx,
    by: &[(String, String)],
    here: &str,
    pairs: &[(String, String)],
) -> Result<(Vec<Event>, Option<String>)> {
    if let Some((name, _)) = pairs.iter().find(|(name, _)| name != "cursor") {
        return Err(Error::Parameter(name.clone(), "is not known here".into()));
    }
    let newest_first = [("sort".to_owned(), "-id".to_owned())];
    let asked = Query::parse(AuditEvent::KIND, &[by, &newest_first, pairs].concat())?;
    let (rows, cursor) = asked.cut(AuditEvent::KIND.list(tx, &asked).await?);
    let next = cursor.map(|cursor| address(here, &[("cursor".to_owned(), cursor)]));
    Ok((rows.iter().map(event).collect(), next))
}

fn event(row: &Row) -> Event {
    let field = |name: &str| text(&row[name]);
    let kind = resources::kind(&field("collection"));
    let (before, after) = (object(&row["before"]), object(&row["after"]));
    let gone = row["action"] == "delete";
    let id = row["object_id"].as_i64().filter(|_| !gone);
    let href = kind.zip(id).map(|(kind, id)| refs::href(kind, id));
    let key = field("object_key");
    // A name, where the natural key is a UUID.
    let name = kind.zip(after.or(before)).map(|(kind, item)| labels::title(kind, item)).filter(|name| !name.is_empty());
    let request = row["request"].as_str().map(|request| Link::new("request", format!("/history/{request}")));
    Event {
        time: cell(AuditEvent::COLUMNS, "happened_at", &row["happened_at"]),
        actor: field("actor"),
        action: match row["action"].as_str() {
            Some("create") => "created",
            Some("update") => "changed",
            Some("delete") => "deleted",
            Some("login") => "logged in",
            Some("refuse") => "was refused",
            Some("read") => "read the documents of",
            Some("approve") => "approved what is removed from",
            Some("resend") => "sent again",
            Some("set_password") => "set the password of",
            Some("remove_password") => "took away the password of",
            _ => "issued a secret for",
        },
        singular: kind.map_or_else(|| field("collection"), labels::singular),
        object: Link::new(name.unwrap_or(key), href.unwrap_or_default()),
        detail: field("detail"),
        times: row["times"].as_i64().filter(|times| *times > 1),
        message: field("message"),
        address: field("address"),
        request,
        differences: differences(before, after)
            .into_iter()
            .filter(|(_, before, after)| !is_nothing(before) || !is_nothing(after))
            .map(|(name, before, after)| {
                let columns = kind.map_or(&[][..], Kind::columns);
                let (before, after) = (cell(columns, name, before), cell(columns, name, after));
                Difference { label: after.label.clone(), before, after }
            })
            .collect(),
    }
}

fn object(value: &Value) -> Option<&Value> {
    value.is_object().then_some(value)
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// A value of the column with this name; of a column that is no longer there, as plain text.
fn cell(columns: &'static [Column], name: &str, value: &Value) -> Cell {
    match Column::named(columns, name) {
        Some(column) => Cell::whole(column, value, &Names::default()),
        None => Cell {
            label: name.to_owned(),
            class: "",
            parts: vec![Part { text: text(value), href: None, exact: String::new() }],
            more: 0,
        },
    }
}
