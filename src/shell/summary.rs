//! What a commit would do, for a person who is asked whether it shall: each object with what changes of it, and the nodes
//! that get another document. It knows the record of changes, and not how it is shown.

use serde_json::Value;

use super::sandbox::{Recorded, verb};
use crate::audit;
use crate::column::text;
use crate::consequences::Consequence;
use crate::db::Tx;
use crate::error::Result;
use crate::policy;
use crate::query::{MAX_LIMIT, Query};
use crate::resource::Resource;
use crate::resources::AuditEvent;
use crate::row::Row;

/// What a commit would do.
pub struct Summary {
    /// How many changes were asked for.
    pub asked: usize,
    /// What becomes of each object.
    pub objects: Vec<Changed>,
    /// Whether there are more.
    pub more: bool,
    /// The nodes that get another document, for who may know.
    pub documents: Option<Vec<String>>,
}

/// What becomes of an object.
pub struct Changed {
    /// `create`
    pub action: String,
    /// Its collection.
    pub collection: String,
    /// Its natural key.
    pub key: String,
    /// The name that people gave, if that is something else.
    pub name: Option<String>,
    /// Fields, with what they were and what they become.
    pub differences: Vec<(String, String, String)>,
}

/// What was recorded in this request so far, and who may read that is told; others are told what they have asked for.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn recorded(tx: &Tx, pending: &[Recorded]) -> Result<(Vec<Changed>, bool)> {
    let request = tx.actor.origin().map(|origin| origin.request.clone());
    let Some(request) = request.filter(|_| policy::read(&tx.actor, AuditEvent::KIND).is_ok()) else {
        return Ok((pending.iter().map(own).collect(), false));
    };
    let asked = [("request", request), ("sort", "id".into()), ("limit", MAX_LIMIT.to_string())];
    let asked = Query::parse(AuditEvent::KIND, &asked.map(|(name, value)| (name.to_owned(), value)))?;
    let (rows, next) = asked.cut(AuditEvent::KIND.list(tx, &asked).await?);
    Ok((rows.iter().map(event).collect(), next.is_some()))
}

fn own(recorded: &Recorded) -> Changed {
    let change = &recorded.change;
    let key = recorded.made.as_ref().or(change.key.as_ref()).cloned().unwrap_or_default();
    let (action, collection) = (verb(change.action).into(), change.kind.name().into());
    Changed { action, collection, key, name: None, differences: vec![] }
}

fn event(row: &Row) -> Changed {
    let object = |side: &str| Some(&row[side]).filter(|value| value.is_object());
    let (before, after) = (object("before"), object("after"));
    let key = text(&row["object_key"]);
    let name = after.or(before).and_then(|object| object["name"].as_str()).filter(|name| *name != key);
    // What is new or gone is told by its name.
    let differences = match (before, after) {
        (Some(_), Some(_)) => audit::differences(before, after),
        _ => vec![],
    };
    let plain = |value: &Value| if value.is_null() { "-".to_owned() } else { text(value) };
    Changed {
        action: text(&row["action"]),
        collection: text(&row["collection"]),
        key,
        name: name.map(str::to_owned),
        differences: differences.into_iter().map(|(name, a, b)| (name.to_owned(), plain(a), plain(b))).collect(),
    }
}

/// The nodes whose document would be another.
pub fn documents(consequences: Option<Vec<Consequence>>) -> Option<Vec<String>> {
    let changes = |consequence: &Consequence| consequence.differences.as_ref().is_none_or(|found| !found.is_empty());
    Some(consequences?.into_iter().filter(changes).map(|consequence| consequence.node).collect())
}
