//! What agents report of their runs, whichever agents they are: one shape, which the readers of Puppet's reports and of
//! Salt's returns make, and one way to keep it. It knows neither formats nor requests.

mod keep;
pub mod mask;
mod note;
mod status;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub use keep::{drop_partitions, keep, keep_facts, prepare_partitions};
pub use status::{STATUSES, count_statuses};

/// How many messages, and how many events, of a run are kept, and how much of each in characters: a run can fail ten
/// thousand times for one reason.
pub const MESSAGES: usize = 100;
/// The same of events.
pub const EVENTS: usize = 1000;
const LONGEST: usize = 2000;

/// A run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The name of the node.
    pub node: String,
    /// `puppet` or `salt`.
    pub tool: &'static str,
    /// By what the tool knows the run.
    pub run: String,
    /// When it began, by the node's clock.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub duration_seconds: Option<f64>,
    /// `changed`, `unchanged` or `failed`.
    pub status: &'static str,
    /// `apply`, or `noop` for a rehearsal.
    pub mode: &'static str,
    /// The agent's environment.
    pub environment: Option<String>,
    /// Of the tool.
    pub version: Option<String>,
    /// How many resources there were.
    pub total: i32,
    /// How many were changed.
    pub changed: i32,
    /// How many failed.
    pub failed: i32,
    /// How many were not as they should be.
    pub out_of_sync: i32,
    /// What went wrong, and warnings, the worst first.
    pub messages: Vec<Message>,
    /// What was changed, or could not be.
    pub events: Vec<Event>,
    /// The version of the document that was applied, if all of it was.
    pub applied: Option<Applied>,
    /// What the agent has seen on the node.
    pub observed: Option<Value>,
}

/// A line of a run's log.
#[derive(Debug, Serialize)]
pub struct Message {
    level: String,
    source: Option<String>,
    message: String,
}

impl Message {
    /// One that holds no secret that can be known for one.
    #[must_use]
    pub fn new(level: &str, source: Option<&str>, text: &str) -> Self {
        let text = legible(text);
        let text = if source.is_some_and(mask::names_secret) { mask::quotes(&text) } else { text };
        Self { level: level.to_owned(), source: source.map(short), message: short(&mask::text(&text)) }
    }

    /// Whether it says that something failed.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.level.as_str(), "emerg" | "alert" | "crit" | "err")
    }
}

/// What a run did to one resource.
#[derive(Debug, Serialize)]
pub struct Event {
    resource: String,
    property: Option<String>,
    status: &'static str,
    message: Option<String>,
}

impl Event {
    /// With the status `success`, `failure`, or `noop` for what would have been changed. Of what is called a secret,
    /// nothing is told but that it was changed.
    #[must_use]
    pub fn new(resource: &str, property: Option<&str>, status: &'static str, message: Option<&str>) -> Self {
        let is_secret = mask::names_secret(resource) || property.is_some_and(mask::names_secret);
        let message = message.map(|text| if is_secret { mask::MASKED.into() } else { mask::text(&legible(text)) });
        Self {
            resource: short(resource),
            property: property.map(short),
            status,
            message: message.map(|text| short(&text)),
        }
    }
}

/// The version of a document: its `meta`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Applied {
    /// Of the node.
    pub node_id: i64,
    /// Of the document.
    pub generation: i64,
    /// The generation of each cluster that it shows.
    pub clusters: BTreeMap<String, i64>,
}

impl Report {
    /// Takes what our own resources and states say, if this is it: which document was applied, what was seen. Whether
    /// it was.
    pub fn take_note(&mut self, text: &str) -> bool {
        let Some(note) = note::read(text) else { return false };
        match note {
            note::Note::Applied(applied) => self.applied = Some(applied),
            note::Note::Observed(observed) => self.observed = Some(observed),
        }
        true
    }
}

/// As much of a text as is looked at: more than is kept, so that no secret is cut where it is no longer known for one.
fn legible(text: &str) -> String {
    text.chars().take(2 * LONGEST).collect()
}

/// What cannot be stored is left out, and so is the rest of what is too long.
fn short(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(LONGEST).collect()
}

/// The same of a word that must be there.
#[must_use]
pub fn word(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(255).collect()
}
