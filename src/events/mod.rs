//! The change feed: whose document may have changed, told to all who listen. One task asks the database, and only while
//! somebody listens; what it hears goes to everybody. It knows nodes by name, and neither requests nor documents.
//!
//! The database is asked some times a second, and does not notify: what commits late must be asked for anyway, `NOTIFY`
//! makes those who commit wait for each other, and a connection that was lost would be silent.
//!
//! What is told comes at least once. Whoever cannot be told all is told so, and never left to wait in silence: a stream
//! ends as soon as the database is away.

mod places;
mod position;
mod store;
mod watcher;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, watch};

use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use places::{Place, Places};
pub use position::Position;
pub use store::forget_old;

/// How many batches wait for one who is slow, before it is told that it has missed some.
const WAITING: usize = 64;

/// A node whose document may have changed.
#[derive(Debug)]
pub struct Changed {
    /// Its name.
    pub node: String,
    /// Its generation now.
    pub generation: i64,
}

/// What is new since a position.
#[derive(Debug)]
pub struct Batch {
    /// Since then.
    pub from: Position,
    /// Until then.
    pub to: Position,
    /// Whether this is all. If not, anything may have changed.
    pub is_whole: bool,
    /// In the order of their names.
    changed: Vec<Changed>,
}

impl Batch {
    /// These nodes.
    pub fn new(from: Position, to: Position, is_whole: bool, changed: Vec<(String, i64)>) -> Self {
        let mut changed: Vec<_> = changed.into_iter().map(|(node, generation)| Changed { node, generation }).collect();
        changed.sort_unstable_by(|a, b| a.node.cmp(&b.node));
        Self { from, to, is_whole, changed }
    }

    /// Nothing, at this moment.
    pub fn nothing(at: Position) -> Self {
        Self::new(at.clone(), at, true, vec![])
    }

    /// Whether it only says that the feed is alive.
    pub fn is_beat(&self) -> bool {
        self.is_whole && self.changed.is_empty()
    }

    /// Whether it says of nodes that they may have changed.
    pub fn is_news(&self) -> bool {
        self.is_whole && !self.changed.is_empty()
    }

    /// All nodes, by place.
    pub fn all(&self) -> Vec<usize> {
        (0..self.changed.len()).collect()
    }

    /// The place of the node with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.changed.binary_search_by(|changed| -> Ordering { changed.node.as_str().cmp(name) }).ok()
    }

    /// The node at a place.
    pub fn get(&self, place: usize) -> Option<&Changed> {
        self.changed.get(place)
    }
}

/// A watcher that is at work.
struct Watched {
    batches: broadcast::Sender<Arc<Batch>>,
    /// Where it is; nothing until it has begun.
    at: watch::Receiver<Option<Position>>,
}

/// The feed of one server.
pub struct Feed {
    db: Db,
    /// Of the watcher alone, so that it need not wait for the requests of others.
    own: Db,
    watched: Mutex<Option<Watched>>,
    places: Arc<Places>,
}

/// What somebody hears.
pub struct Heard {
    /// What was missed since the last time; of who comes for the first time, nothing.
    pub missed: Batch,
    /// What comes.
    pub batches: broadcast::Receiver<Arc<Batch>>,
    /// Held for as long as somebody listens.
    pub place: Place,
}

impl Feed {
    /// One that nobody listens to yet. Resuming is asked of the first pool; the second one is for the watcher.
    #[must_use]
    pub fn new(db: Db, own: Db) -> Self {
        Self { db, own, watched: Mutex::default(), places: Arc::default() }
    }

    /// Listens, from where somebody was before, or from now on. Needs a runtime.
    ///
    /// # Errors
    /// [`Error::TooMany`] for who listens too often already, [`Error::Away`].
    pub async fn listen(self: &Arc<Self>, who: &str, last: Option<&str>) -> Result<Heard> {
        let place = self.places.take(who)?;
        // First, so that nothing is between what was missed and what comes.
        let (batches, mut at) = self.join();
        // What the database says from now on: one that has gone away meanwhile begins no stream.
        at.mark_unchanged();
        at.changed().await.map_err(|ended| Error::Away(ended.into()))?;
        let now = at.borrow().clone().ok_or_else(|| Error::Internal("the feed has begun nowhere".into()))?;
        let missed = match last.map(Position::read) {
            None => Batch::nothing(now),
            Some(None) => Batch { is_whole: false, ..Batch::nothing(now) },
            Some(Some(then)) => {
                let tx = self.db.connect("events").await?;
                store::since(&tx, &then).await?
            }
        };
        Ok(Heard { missed, batches, place })
    }

    /// Whether there are nodes of all these names.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn knows(&self, names: &BTreeSet<String>) -> Result<bool> {
        let tx: Tx = self.db.connect("events").await?;
        store::are_known(&tx, names).await
    }

    /// Joins those who listen; the first one sets the watcher to work.
    fn join(self: &Arc<Self>) -> (broadcast::Receiver<Arc<Batch>>, watch::Receiver<Option<Position>>) {
        let mut watched = self.watched();
        if let Some(watched) = &*watched {
            return (watched.batches.subscribe(), watched.at.clone());
        }
        let (batches, receiver) = broadcast::channel(WAITING);
        let (tell, at) = watch::channel(None);
        *watched = Some(Watched { batches: batches.clone(), at: at.clone() });
        tokio::spawn(watcher::work(self.clone(), batches, tell));
        (receiver, at)
    }

    fn watched(&self) -> MutexGuard<'_, Option<Watched>> {
        // Nothing that is done while it is locked can panic halfway.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
