//! The record of a change: for each object that it touched, what it was and what it became. It is kept beside the work
//! of one transaction and written at its end, so that there is no change without its record, and no record without its
//! change. It knows kinds and actors, and neither requests nor how a record is read.

use futures_util::future::try_join_all;
use serde_json::Value;
use std::collections::HashMap;

use crate::column::Column;
use crate::dependents::{Dependents, Fate};
use crate::error::Result;
use crate::query::{MAX_LIMIT, Query};
use crate::resources::{NewAuditEvent, record};
use crate::row::Row;
use crate::types::Ip;
use crate::{db::Tx, kind, kind::Kind, natural_key, refs};

/// What one transaction has done so far.
#[derive(Default)]
pub struct Trail {
    entries: Vec<Entry>,
    /// Where the entry of an object is, by collection and id.
    places: HashMap<(&'static str, i64), usize>,
}

/// What was done to one object.
struct Entry {
    kind: &'static dyn Kind,
    id: i64,
    action: &'static str,
    /// With its references as they were called then.
    before: Option<Value>,
    after: Option<Value>,
}

const CREATE: &str = "create";
const UPDATE: &str = "update";
const DELETE: &str = "delete";
const ISSUE: &str = "issue";
const APPROVE: &str = "approve";
const RESEND: &str = "resend";
const SET_PASSWORD: &str = "set_password";
const REMOVE_PASSWORD: &str = "remove_password";

impl Trail {
    /// A new object. What it is, is read at the end.
    pub fn created(&mut self, kind: &'static dyn Kind, id: i64) {
        self.add(Entry { kind, id, action: CREATE, before: None, after: None });
    }

    /// An object that is about to be changed, as it is in the table.
    ///
    /// # Errors
    /// [`Error::Away`](crate::error::Error::Away), as with all of these.
    pub async fn will_update(&mut self, tx: &Tx, kind: &'static dyn Kind, row: &Row) -> Result<()> {
        self.keep(tx, kind, vec![row.clone()], UPDATE).await
    }

    /// An object that is about to be deleted, and what is deleted or changed along with it.
    ///
    /// # Errors
    /// [`Error::Away`](crate::error::Error::Away).
    pub async fn will_delete(&mut self, tx: &Tx, kind: &'static dyn Kind, row: &Row, fate: &Fate) -> Result<()> {
        self.keep(tx, kind, vec![row.clone()], DELETE).await?;
        for (dependents, action) in
            fate.goes.iter().map(|goes| (goes, DELETE)).chain(fate.cleared.iter().map(|cleared| (cleared, UPDATE)))
        {
            let Dependents { kind, objects, .. } = dependents;
            let ids: Vec<i64> = objects.iter().map(|(id, _)| *id).collect();
            for rows in rows(tx, *kind, &ids).await? {
                self.keep(tx, *kind, rows, action).await?;
            }
        }
        Ok(())
    }

    /// A token that has got a secret.
    pub fn issued(&mut self, kind: &'static dyn Kind, id: i64) {
        self.add(Entry { kind, id, action: ISSUE, before: None, after: None });
    }

    /// A message that is sent once more.
    pub fn resent(&mut self, kind: &'static dyn Kind, id: i64) {
        self.add(Entry { kind, id, action: RESEND, before: None, after: None });
    }

    /// A node of whose document somebody has approved what it removes.
    pub fn approved(&mut self, kind: &'static dyn Kind, id: i64) {
        self.add(Entry { kind, id, action: APPROVE, before: None, after: None });
    }

    /// A user who has got a password, or has none any more.
    pub fn password(&mut self, kind: &'static dyn Kind, id: i64, is_set: bool) {
        let action = if is_set { SET_PASSWORD } else { REMOVE_PASSWORD };
        self.add(Entry { kind, id, action, before: None, after: None });
    }

    async fn keep(&mut self, tx: &Tx, kind: &'static dyn Kind, rows: Vec<Row>, action: &'static str) -> Result<()> {
        for item in items(tx, kind, rows).await? {
            self.add(Entry { kind, id: kind::id(&item), action, before: Some(item), after: None });
        }
        Ok(())
    }

    /// What is done to the same object twice is one change, from what it was before the first.
    fn add(&mut self, entry: Entry) {
        let object = (entry.kind.name(), entry.id);
        match self.places.get(&object).and_then(|place| self.entries.get_mut(*place)) {
            Some(first) if first.action == UPDATE && !entry.is_apart() => first.action = entry.action,
            Some(_) if !entry.is_apart() => {}
            _ => {
                self.places.insert(object, self.entries.len());
                self.entries.push(entry);
            }
        }
    }

    /// What is new so far: kinds and ids.
    #[must_use]
    pub fn made(&self) -> Vec<(&'static dyn Kind, i64)> {
        self.entries.iter().filter(|entry| entry.action == CREATE).map(|entry| (entry.kind, entry.id)).collect()
    }

    /// Writes it all down, and gives what was written. Called once, when the transaction has done its work.
    ///
    /// # Errors
    /// [`Error::Away`](crate::error::Error::Away).
    pub async fn write(mut self, tx: &Tx) -> Result<Vec<NewAuditEvent>> {
        self.read_results(tx).await?;
        // Somebody may look at it and save it as it is: that is no change.
        self.entries.retain(|entry| {
            entry.action != UPDATE || !differences(entry.before.as_ref(), entry.after.as_ref()).is_empty()
        });
        let events: Vec<_> = self.entries.into_iter().map(|entry| entry.event(tx)).collect();
        record(tx, &events).await?;
        Ok(events)
    }

    /// What became of what is still there.
    async fn read_results(&mut self, tx: &Tx) -> Result<()> {
        let mut kinds: Vec<&'static dyn Kind> = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.action != DELETE) {
            if !kinds.iter().any(|kind| kind.name() == entry.kind.name()) {
                kinds.push(entry.kind);
            }
        }
        // Side by side: what there is of one kind is read while another's is on its way.
        let found = try_join_all(kinds.iter().map(|kind| self.results(tx, *kind))).await?;
        for (kind, found) in kinds.into_iter().zip(found) {
            for entry in self.entries.iter_mut().filter(|entry| entry.is_left(kind)) {
                let place = found.binary_search_by_key(&entry.id, kind::id);
                entry.after = place.ok().and_then(|place| found.get(place).cloned());
            }
        }
        Ok(())
    }

    /// What became of those of one kind, in the order of their ids.
    async fn results(&self, tx: &Tx, kind: &'static dyn Kind) -> Result<Vec<Value>> {
        let mut ids: Vec<i64> = self.entries.iter().filter(|entry| entry.is_left(kind)).map(|entry| entry.id).collect();
        ids.sort_unstable();
        let mut found = Vec::with_capacity(ids.len());
        for rows in rows(tx, kind, &ids).await? {
            found.extend(items(tx, kind, rows).await?);
        }
        Ok(found)
    }
}

impl Entry {
    /// Whether it is of this kind, and there is still something to read.
    fn is_left(&self, kind: &dyn Kind) -> bool {
        self.kind.name() == kind.name() && self.action != DELETE
    }

    /// Whether it says nothing about the object itself.
    fn is_apart(&self) -> bool {
        matches!(self.action, ISSUE | APPROVE | RESEND | SET_PASSWORD | REMOVE_PASSWORD)
    }

    fn event(self, tx: &Tx) -> NewAuditEvent {
        let known = self.after.as_ref().or(self.before.as_ref());
        let object_key = known.map_or_else(|| self.id.to_string(), |item| natural_key::of(self.kind, item));
        let (before, after) = if self.is_apart() { (None, None) } else { (self.before, self.after) };
        NewAuditEvent { before, after, ..event(tx, self.action, self.kind.name(), self.id, object_key) }
    }
}

/// Records that a secret was issued which is of no object, but of all that this name stands for.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn issued_for(tx: &Tx, collection: &'static str, key: &str) -> Result<()> {
    record(tx, &[event(tx, ISSUE, collection, 0, key.to_owned())]).await
}

/// What the actor of a transaction does with an object.
fn event(tx: &Tx, action: &'static str, collection: &'static str, id: i64, object_key: String) -> NewAuditEvent {
    let (actor, origin) = (&tx.actor, tx.actor.origin());
    NewAuditEvent {
        happened_at: None,
        actor: actor.name().to_owned(),
        token_id: actor.token(),
        address: origin.and_then(|origin| origin.address).map(Ip::from),
        request: origin.map(|origin| origin.request.clone()),
        action,
        collection: Some(collection),
        object_id: Some(id),
        object_key: Some(object_key),
        times: 1,
        detail: None,
        message: origin.and_then(|origin| origin.message.clone()),
        before: None,
        after: None,
    }
}

/// The rows with these ids as they are now, in the order of their ids, in parts that one statement reads.
pub(crate) async fn rows(tx: &Tx, kind: &'static dyn Kind, ids: &[i64]) -> Result<Vec<Vec<Row>>> {
    let mut found = Vec::new();
    for ids in ids.chunks(usize::try_from(MAX_LIMIT).unwrap_or(1)) {
        let ids = ids.iter().map(ToString::to_string).collect();
        found.push(kind.list(tx, &Query::related(&Column::ID, ids, MAX_LIMIT)).await?);
    }
    Ok(found)
}

/// What is recorded of some rows: what is wanted, and not what agents have made of it.
pub(crate) async fn items(tx: &Tx, kind: &'static dyn Kind, rows: Vec<Row>) -> Result<Vec<Value>> {
    let mut items = refs::with_references(tx, kind, rows).await?;
    let is_derived = |name: &str| Column::named(kind.columns(), name).is_some_and(Column::is_derived);
    for fields in items.iter_mut().filter_map(Value::as_object_mut) {
        fields.retain(|name, _| !is_derived(name));
    }
    Ok(items)
}

/// The fields in which an object differs from what it was, with both values. When it was changed, and which generation
/// it has, is no difference of its own.
#[must_use]
pub fn differences<'v>(before: Option<&'v Value>, after: Option<&'v Value>) -> Vec<(&'v str, &'v Value, &'v Value)> {
    let fields = |value: Option<&'v Value>| value.and_then(Value::as_object).into_iter().flatten();
    let names: Vec<&str> = fields(before).map(|(name, _)| name.as_str()).collect();
    let added = fields(after).map(|(name, _)| name.as_str()).filter(|name| !names.contains(name));
    let all: Vec<&str> = names.iter().copied().chain(added).collect();
    let value = |of: Option<&'v Value>, name| of.and_then(|value| value.get(name)).unwrap_or(&Value::Null);
    all.into_iter()
        .filter(|name| !matches!(*name, "updated_at" | "generation" | "desired_generation"))
        .map(|name| (name, value(before, name), value(after, name)))
        .filter(|(_, before, after)| before != after)
        .collect()
}
