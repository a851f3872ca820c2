//! What is seen and changes nothing: who was refused, and who has read the documents of nodes. It is recorded beside
//! the changes, but not with them: what waits is written about once a second, so that no request waits for it, and
//! where there is much of the same it is counted. Logins are recorded at once. It knows neither requests nor routes.

mod sampler;
mod sighting;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use metrics::Gauge;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;

pub use self::sighting::{Object, Sighting, What};

use self::sampler::{Event, Limits, Sampler};
use crate::auth::Actor;
use crate::column::text;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::query::Query;
use crate::resource::Resource;
use crate::resources::{NewAuditEvent, Node, User, record};
use crate::types::Ip;

/// To be refused costs nothing, and each kind is a row that stays: so fewer are told apart, and the others sooner.
const REFUSALS: Limits = Limits { kinds: 2_000, window: TimeDelta::minutes(10) };
/// Two views of each of ten thousand nodes, and as many again for those who read them elsewhere. A node that reads its
/// own twice an hour makes one event a day of each.
const READS: Limits = Limits { kinds: 50_000, window: TimeDelta::days(1) };

/// How often what waits is written.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// How many names are looked up by one statement: no more than a list may have.
const AT_ONCE: usize = 1000;

/// Who it was, where that is not known.
const NOBODY: &str = "nobody";
/// Who it was, of all that were not told apart.
const SEVERAL: &str = "several";

const LOGIN: &str = "login";
const REFUSE: &str = "refuse";
const READ: &str = "read";

/// What was seen by one server.
pub struct Sightings {
    db: Db,
    refusals: Sampler,
    reads: Sampler,
    /// Only one writes at a time, for else the same would be written twice.
    turn: Mutex<()>,
    waiting: Gauge,
}

impl Sightings {
    /// None yet.
    #[must_use]
    pub fn new(db: Db) -> Self {
        let waiting = metrics::gauge!("virtapi_audit_events_waiting");
        Self { db, refusals: Sampler::new(REFUSALS), reads: Sampler::new(READS), turn: Mutex::default(), waiting }
    }

    /// Takes note of something.
    pub fn note(&self, sighting: &Sighting<'_>) {
        let sampler = match sighting.what {
            What::Refused { .. } => &self.refusals,
            What::Read { .. } => &self.reads,
        };
        sampler.note(sighting, Utc::now());
    }

    /// Writes what is due, time and again, for ever.
    pub async fn keep_recording(self: Arc<Self>) {
        let mut tick = tokio::time::interval(WRITE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = false;
        loop {
            tick.tick().await;
            let recorded = self.record(Utc::now()).await;
            match &recorded {
                Err(error) if !failed => tracing::warn!("what was seen cannot be recorded for now, and waits: {error}"),
                Ok(()) if failed => tracing::info!("what was seen is recorded again"),
                _ => {}
            }
            failed = recorded.is_err();
        }
    }

    /// Writes what is due at this time. What cannot be written stays, and is tried again the next time. Should the
    /// connection break while the database commits, it is written twice rather than not at all.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub async fn record(&self, now: DateTime<Utc>) -> Result<()> {
        self.write(|sampler| sampler.due(now)).await
    }

    /// Writes all of it, also what would be told later: for a server that ends.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub async fn record_all(&self) -> Result<()> {
        let now = Utc::now();
        self.write(|sampler| sampler.all(now)).await
    }

    async fn write(&self, due: impl Fn(&Sampler) -> Vec<Event>) -> Result<()> {
        let _turn = self.turn.lock().await;
        let (refusals, reads) = (due(&self.refusals), due(&self.reads));
        let done = if refusals.is_empty() && reads.is_empty() {
            Ok(())
        } else {
            let work = async |tx: &Tx| {
                let nodes = named_nodes(tx, &refusals).await?;
                let refusals = refusals.iter().map(|event| new_event(REFUSE, event, &nodes));
                let reads = reads.iter().map(|event| new_event(READ, event, &nodes));
                record(tx, &refusals.chain(reads).collect::<Vec<_>>()).await
            };
            self.db.write(Actor::system("audit"), false, work).await
        };
        if done.is_ok() {
            self.refusals.written(refusals.len());
            self.reads.written(reads.len());
        }
        let waiting = self.refusals.waiting() + self.reads.waiting();
        self.waiting.set(f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)));
        done
    }
}

/// The nodes that were only named, with their ids.
async fn named_nodes(tx: &Tx, events: &[Event]) -> Result<HashMap<String, i64>> {
    let objects = events.iter().filter_map(|event| event.sighting.as_ref()?.object.as_ref());
    let unsure = objects.filter(|object| object.id.is_none());
    let names: Vec<String> = unsure.map(|object| object.key.clone().into_owned()).collect();
    let mut found = HashMap::new();
    for names in names.chunks(AT_ONCE) {
        let asked = [("fqdn__in", names.join(",")), ("limit", AT_ONCE.to_string())];
        let asked = Query::parse(Node::KIND, &asked.map(|(name, value)| (name.to_owned(), value)))?;
        let rows = Node::KIND.list(tx, &asked).await?;
        found.extend(rows.iter().filter_map(|row| Some((text(&row["fqdn"]), row["id"].as_i64()?))));
    }
    Ok(found)
}

fn new_event(action: &'static str, event: &Event, nodes: &HashMap<String, i64>) -> NewAuditEvent {
    let sighting = event.sighting.as_ref();
    let what = match sighting.map(|sighting| &sighting.what) {
        Some(What::Refused { method, route, status }) => format!("{method} {route} {status}"),
        Some(What::Read { view }) => (*view).to_owned(),
        None => "of more kinds than are told apart".into(),
    };
    let since = event.since.map(|since| format!("; since {}", since.to_rfc3339_opts(SecondsFormat::Secs, true)));
    let object = sighting.and_then(|sighting| sighting.object.as_ref());
    // What was only named is left out, if there is none of this name.
    let object = object.and_then(|object| Some((object, object.id.or_else(|| nodes.get(&*object.key).copied())?)));
    let name = |name: &Option<Cow<'_, str>>| name.as_deref().unwrap_or(NOBODY).to_owned();
    NewAuditEvent {
        happened_at: Some(event.at),
        actor: sighting.map_or_else(|| SEVERAL.to_owned(), |sighting| name(&sighting.actor)),
        token_id: sighting.and_then(|sighting| sighting.token),
        address: sighting.and_then(|sighting| sighting.address).map(Ip::from),
        request: sighting.and_then(|sighting| sighting.request.as_deref()).map(str::to_owned),
        action,
        collection: object.map(|(object, _)| object.collection),
        object_id: object.map(|(_, id)| id),
        object_key: object.map(|(object, _)| object.key.clone().into_owned()),
        times: event.times,
        detail: Some(format!("{what}{}", since.unwrap_or_default())),
        message: None,
        before: None,
        after: None,
    }
}

/// How somebody has shown who it is.
#[derive(Clone, Copy, Debug)]
pub enum Login {
    /// With a password.
    Password,
    /// At another site, which vouches for them (`OpenID` Connect).
    OpenIdConnect,
    /// With a token.
    Token,
}

/// Records that somebody has logged in, in the transaction that makes the session: there is none without its record.
///
/// # Errors
/// [`Error::Away`].
pub async fn login(tx: &Tx, actor: &Actor, how: Login) -> Result<()> {
    let origin = actor.origin();
    let how = match how {
        Login::Password => "password",
        Login::OpenIdConnect => "OpenID Connect",
        Login::Token => "token",
    };
    let event = NewAuditEvent {
        happened_at: None,
        actor: actor.name().to_owned(),
        token_id: actor.token(),
        address: origin.and_then(|origin| origin.address).map(Ip::from),
        request: origin.map(|origin| origin.request.clone()),
        action: LOGIN,
        collection: None,
        object_id: None,
        object_key: None,
        times: 1,
        detail: Some(how.into()),
        message: None,
        before: None,
        after: None,
    };
    tx.as_server(async || record(tx, &[event]).await).await
}

/// The user as whom somebody has tried to log in. What names no user is not kept: it may be a password that was typed
/// into the wrong field.
///
/// # Errors
/// [`Error::Away`].
pub async fn tried_user(tx: &Tx, name: &str) -> Result<Option<Object<'static>>> {
    let asked = match Query::parse(User::KIND, &[("name".to_owned(), name.to_owned())]) {
        Ok(asked) => asked,
        // What can be no name.
        Err(Error::Parameter(..)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = User::KIND.list(tx, &asked).await?;
    Ok(found.first().map(|user| Object {
        collection: User::NAME,
        id: user["id"].as_i64(),
        key: Cow::Owned(text(&user["name"])),
    }))
}
