//! What a session has changed and not committed: a list of changes, and no transaction. An open one would keep others
//! waiting while a person thinks. The list is done again, and undone, for each statement, and for good at the commit;
//! what is made in it has the same UUIDs each time, and what was there must be as it was when it was changed first.

use std::collections::HashSet;
use uuid::Uuid;

use super::request::Trouble;
use crate::change::{self, Action, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::refs;
use crate::shown::Shown;

/// An object that was there: its collection and its id.
pub type Existing = (&'static str, i64);

/// A change, to be done again.
pub struct Recorded {
    /// It. What it is about is named by what stays: what is not committed by its natural key.
    pub change: Change,
    /// The UUIDs that were made by it.
    pub uuids: Vec<Uuid>,
    /// The natural key of what it has made, if it has.
    pub made: Option<String>,
    /// What it is the first to change.
    pub guards: Option<Existing>,
}

impl Recorded {
    /// In words for people.
    pub fn describe(&self) -> String {
        let Change { kind, action, key, .. } = &self.change;
        let named = self.made.as_ref().or(key.as_ref());
        format!("{} of {} {}", verb(*action), kind.name(), named.map_or("", String::as_str))
    }
}

/// What a change is called.
pub fn verb(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
    }
}

/// What one rehearsal knows of what is not committed.
#[derive(Default)]
pub struct Sandbox {
    /// Where what was made would be, if its id lasted.
    made: HashSet<String>,
    /// What was there, and is changed.
    guarded: HashSet<Existing>,
    /// What the statement that runs has changed.
    pub new: Vec<Recorded>,
}

impl Sandbox {
    /// What was made in it.
    pub fn add(&mut self, made: &[(&'static dyn Kind, i64)]) {
        self.made.extend(made.iter().map(|(kind, id)| refs::href(*kind, *id)));
    }

    /// Whether it was made in it.
    pub fn has_made(&self, kind: &dyn Kind, id: i64) -> bool {
        self.is_made(&refs::href(kind, id))
    }

    /// Whether what is there was made in it.
    pub fn is_made(&self, href: &str) -> bool {
        self.made.contains(href)
    }

    /// Whether it was changed in it before.
    pub fn guards(&self, existing: Existing) -> bool {
        self.guarded.contains(&existing)
    }

    /// Keeps a change of the statement that runs.
    pub fn record(&mut self, recorded: Recorded) {
        self.guarded.extend(recorded.guards);
        self.new.push(recorded);
    }
}

/// What was done again.
pub struct Replayed {
    /// What is known of it.
    pub sandbox: Sandbox,
    /// Whose documents show it.
    pub shown: Shown,
    /// The ids of what the changes are about.
    pub ids: Vec<i64>,
}

/// Does the changes again. Where one fails, it is told which.
///
/// # Errors
/// What is wrong with one, or [`Error::Away`].
pub async fn replay(tx: &Tx, pending: &[Recorded], failed: &mut Option<usize>) -> Result<Replayed> {
    *failed = None;
    change::lock(tx, pending.iter().map(|recorded| &recorded.change)).await?;
    let (mut sandbox, mut shown, mut ids) = (Sandbox::default(), Shown::default(), vec![]);
    for (place, recorded) in pending.iter().enumerate() {
        *failed = Some(place);
        tx.begin_uuids(recorded.uuids.clone());
        let applied = change::apply_one(tx, recorded.change.clone()).await?;
        sandbox.add(&applied.made);
        sandbox.guarded.extend(recorded.guards);
        shown.nodes.extend(applied.shown.nodes);
        shown.clusters.extend(applied.shown.clusters);
        ids.push(applied.done.id);
    }
    *failed = None;
    Ok(Replayed { sandbox, shown, ids })
}

/// What is to be said where the changes could not be done again.
pub fn overtaken(pending: &[Recorded], failed: Option<usize>, error: Error) -> Trouble {
    // What is only so at this moment may be tried again.
    let lasts = error.status() < 500;
    match failed.filter(|_| lasts).and_then(|place| Some((place, pending.get(place)?))) {
        Some((place, recorded)) => Trouble::Overtaken { place: place + 1, what: recorded.describe(), error },
        None => error.into(),
    }
}
