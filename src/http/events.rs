//! The change feed as server-sent events (WHATWG HTML, section 9.2): that the document of a node may have changed. A
//! stream lasts until the client goes, the server stops, the database is away, or whoever listens may not any more.

use futures_util::stream::{Stream, unfold};
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::stream::{Event, EventStream};
use rocket::{Route, Shutdown, State, get, routes};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::error::{Error, Result};
use crate::events::{Batch, Feed, Heard, Position};
use crate::http::audience::Audience;
use crate::http::caller::Caller;
use crate::query;

/// How often it is asked again who listens. Each time is a question to the database, for each stream.
const KNOWN_FOR: Duration = Duration::from_secs(10);

/// Who hears of nothing hears at least this often that the feed is alive, if others hear of something.
const SILENCE: Duration = Duration::from_secs(15);

/// What is asked for: `?node=a,b&node=c`, and since when.
struct Wish {
    nodes: BTreeSet<String>,
    last: Option<String>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Wish {
    type Error = Error;
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        match Self::read(request) {
            Ok(wish) => Outcome::Success(wish),
            Err(error) => Outcome::Error((Status::new(error.status()), error)),
        }
    }
}

impl Wish {
    fn read(request: &Request<'_>) -> Result<Self> {
        let mut nodes = BTreeSet::new();
        for (name, value) in query::pairs(request.uri().query().map_or("", |query| query.as_str()))? {
            if name != "node" {
                return Err(Error::Parameter(name, "there is only node".into()));
            }
            if value.split(',').any(str::is_empty) {
                return Err(Error::Parameter(name, "must be the names of nodes, with commas between them".into()));
            }
            nodes.extend(value.split(',').map(str::to_owned));
        }
        // An empty one is that of a client which has heard nothing yet.
        let last = request.headers().get_one("Last-Event-ID").filter(|last| !last.is_empty());
        Ok(Self { nodes, last: last.map(str::to_owned) })
    }
}

#[get("/events")]
async fn events<'r>(
    caller: Caller<'r>,
    wish: Result<Wish>,
    feed: &'r State<Arc<Feed>>,
    shutdown: Shutdown,
) -> Result<EventStream<impl Stream<Item = Event> + 'r>> {
    let (caller, wish) = (caller.known()?, wish?);
    let audience = caller.audience(wish.nodes, feed).await?;
    let Heard { missed, batches, place } = feed.listen(audience.name(), wish.last.as_deref()).await?;
    let listener = Listener::new(audience, Arc::new(missed), batches, shutdown).await?;
    // The place is held for as long as the stream lasts.
    let stream =
        unfold((listener, place), |(mut listener, place)| async { Some((listener.next().await?, (listener, place))) });
    // It has a heartbeat of its own, which says where it is.
    Ok(EventStream::from(stream).heartbeat(None))
}

/// One who listens.
struct Listener {
    audience: Audience,
    batches: Receiver<Arc<Batch>>,
    shutdown: Shutdown,
    renewal: Interval,
    /// What is being told: the rest of a batch.
    batch: Arc<Batch>,
    places: std::vec::IntoIter<usize>,
    /// To be said next, before anything else.
    next: Option<Event>,
    said: Instant,
}

impl Listener {
    async fn new(
        audience: Audience,
        missed: Arc<Batch>,
        batches: Receiver<Arc<Batch>>,
        shutdown: Shutdown,
    ) -> Result<Self> {
        let mut renewal = interval_at(Instant::now() + KNOWN_FOR, KNOWN_FOR);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listener = Self {
            audience,
            batches,
            shutdown,
            renewal,
            batch: missed.clone(),
            places: vec![].into_iter(),
            next: None,
            said: Instant::now(),
        };
        listener.begin(missed).await?;
        // Whatever there is to tell, the client hears at once that it is connected, and where.
        if listener.is_silent() {
            listener.next = Some(here(&listener.batch.to));
        }
        Ok(listener)
    }

    /// Whether there is nothing to say.
    fn is_silent(&self) -> bool {
        self.next.is_none() && self.places.len() == 0
    }

    /// Goes on with a batch.
    async fn begin(&mut self, batch: Arc<Batch>) -> Result<()> {
        if batch.is_whole {
            self.places = self.audience.hears(&batch).await?.into_iter();
        } else {
            self.next = Some(reset().id(batch.to.to_string()));
        }
        self.batch = batch;
        Ok(())
    }

    /// What to say next; nothing at the end.
    async fn next(&mut self) -> Option<Event> {
        let event = loop {
            if let Some(event) = self.next.take() {
                break event;
            }
            if let Some(event) = self.places.next().and_then(|place| self.document(place)) {
                break event;
            }
            tokio::select! {
                biased;
                () = &mut self.shutdown => return None,
                _ = self.renewal.tick() => match self.audience.renew().await {
                    Ok(false) => {}
                    Ok(true) => break reset(),
                    Err(error) => return self.end(&error),
                },
                batch = self.batches.recv() => match batch {
                    // Sent while this one joined, and known to it already.
                    Ok(batch) if batch.is_news() && self.batch.to.covers(&batch.to) => {}
                    Ok(batch) => {
                        if let Err(error) = self.begin(batch).await {
                            return self.end(&error);
                        }
                        if self.is_silent() && (self.batch.is_beat() || self.said.elapsed() >= SILENCE) {
                            break here(&self.batch.to);
                        }
                    }
                    // Too slow: what it has not read in time is not kept for it.
                    Err(RecvError::Lagged(_)) => break reset(),
                    Err(RecvError::Closed) => return None,
                },
            }
        };
        self.said = Instant::now();
        Some(event)
    }

    /// That the document at this place may have changed. Only the last one of a batch says that all before is heard: who
    /// is cut off in the middle hears the batch again.
    fn document(&self, place: usize) -> Option<Event> {
        let changed = self.batch.get(place)?;
        let at = if self.places.len() == 0 { &self.batch.to } else { &self.batch.from };
        let data = json!({"node": changed.node, "generation": changed.generation});
        Some(Event::data(data.to_string()).event("document").id(at.to_string()))
    }

    fn end(&self, error: &Error) -> Option<Event> {
        tracing::info!(who = self.audience.name(), "a stream of events ends: {error}");
        None
    }
}

/// Something may have changed that cannot be told.
fn reset() -> Event {
    Event::data("{}").event("reset")
}

/// Nothing happens, and this far it is known.
fn here(at: &Position) -> Event {
    Event::comment("").id(at.to_string())
}

/// The route under `/v1`.
pub fn routes() -> Vec<Route> {
    routes![events]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Actor, Identities, SessionLimits};
    use crate::db::Db;
    use crate::http::proof::Proof;
    use tokio::sync::broadcast;

    /// One who hears of all nodes, and of whom the database need not be asked.
    async fn listener(missed: Batch, batches: Receiver<Arc<Batch>>) -> Listener {
        let db = Db::new("host=/nowhere", 1).expect("a pool");
        let feed = Feed::new(db.clone(), db.clone());
        let limits = SessionLimits { lifetime: KNOWN_FOR, idle: KNOWN_FOR };
        let identities = Arc::new(Identities::new(db, limits));
        let proof = Proof::Secret([0; 32], None);
        let found = Audience::find(Actor::system("test"), proof, identities, BTreeSet::new(), &feed).await;
        let audience = found.expect("may hear all");
        let server = rocket::build().ignite().await.expect("ignites");
        Listener::new(audience, Arc::new(missed), batches, server.shutdown()).await.expect("listens")
    }

    fn at(number: i64) -> Position {
        Position::read(&format!("1-{number}:{number}:")).expect("a position")
    }

    fn batch(number: i64, nodes: &[&str]) -> Batch {
        let changed = nodes.iter().map(|name| ((*name).to_owned(), 1)).collect();
        Batch::new(at(number), at(number + 1), true, changed)
    }

    /// What is said, without what is of no interest here.
    async fn said(listener: &mut Listener) -> Option<String> {
        let event = format!("{:?}", listener.next().await?);
        let word = |word: &str| event.contains(word).then(|| word.to_owned());
        let names = ["reset", "hv01", "hv02", "1-1:1:", "1-2:2:", "1-3:3:", "1-4:4:", "1-5:5:"];
        Some(names.into_iter().filter_map(word).collect::<Vec<_>>().join(" "))
    }

    #[rocket::async_test]
    async fn who_is_slow_is_told_so_and_hears_what_is_left() {
        let (sender, receiver) = broadcast::channel(2);
        let mut listener = listener(Batch::nothing(at(1)), receiver).await;
        for number in 1..=4 {
            sender.send(Arc::new(batch(number, &["hv01"]))).expect("somebody listens");
        }
        drop(sender);
        let mut all = vec![];
        while let Some(said) = said(&mut listener).await {
            all.push(said);
        }
        // Where it is at first; that two are lost; the last two.
        assert_eq!(all, ["1-1:1:", "reset", "hv01 1-4:4:", "hv01 1-5:5:"]);
    }

    #[rocket::async_test]
    async fn only_the_last_of_a_batch_says_that_all_is_heard() {
        let (sender, receiver) = broadcast::channel(2);
        let mut listener = listener(batch(1, &["hv02", "hv01"]), receiver).await;
        let cut = Batch::new(at(2), at(3), false, vec![("hv01".into(), 1)]);
        sender.send(Arc::new(cut)).expect("somebody listens");
        sender.send(Arc::new(batch(3, &[]))).expect("somebody listens");
        drop(sender);
        let mut all = vec![];
        while let Some(said) = said(&mut listener).await {
            all.push(said);
        }
        assert_eq!(all, ["hv01 1-1:1:", "hv02 1-2:2:", "reset 1-3:3:", "1-4:4:"]);
    }
}
