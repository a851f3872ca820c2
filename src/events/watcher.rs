//! The task that asks what is new, for all who listen: it begins with the first of them, and ends with the last, or when
//! the database is away.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::events::{Batch, Feed, Position, store};

/// How often it asks.
const EVERY: Duration = Duration::from_millis(250);

/// How long the database may take. Who listens is told sooner, by the end of the stream, than it would guess.
const PATIENCE: Duration = Duration::from_secs(5);

/// At least this often everybody hears something: that the feed is alive, and where it is.
const BEAT: Duration = Duration::from_secs(15);

/// Asks until nobody listens any more, or there is no answer. Then whoever listens hears the end.
pub async fn work(feed: Arc<Feed>, batches: broadcast::Sender<Arc<Batch>>, at: watch::Sender<Option<Position>>) {
    let _end = End { feed: feed.clone(), batches: batches.clone() };
    if let Err(error) = ask(&feed, &batches, &at).await {
        tracing::warn!(%error, listening = batches.receiver_count(), "the feed of events ends, and is begun anew by who listens");
    }
}

/// However the task ends, nobody joins it any more, and those who have joined are not left to wait: this drops the
/// senders.
struct End {
    feed: Arc<Feed>,
    batches: broadcast::Sender<Arc<Batch>>,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut watched = self.feed.watched();
        // The next one may be at work already.
        if watched.as_ref().is_some_and(|watched| watched.batches.same_channel(&self.batches)) {
            *watched = None;
        }
    }
}

async fn ask(
    feed: &Feed,
    batches: &broadcast::Sender<Arc<Batch>>,
    tell: &watch::Sender<Option<Position>>,
) -> Result<()> {
    let mut at = within(&feed.own, async |tx| store::now(tx).await).await?;
    tell.send_replace(Some(at.clone()));
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Instant::now();
    loop {
        ticks.tick().await;
        if is_alone(feed, batches) {
            return Ok(());
        }
        let batch = within(&feed.own, async |tx| store::since(tx, &at).await).await?;
        at = batch.to.clone();
        if !batch.is_beat() || told.elapsed() >= BEAT {
            told = Instant::now();
            if batches.send(Arc::new(batch)).is_err() {
                tracing::debug!("nobody listens to the feed of events any more");
            }
        }
        tell.send_replace(Some(at.clone()));
    }
}

/// Whether nobody listens; then nobody can join any more, either.
fn is_alone(feed: &Feed, batches: &broadcast::Sender<Arc<Batch>>) -> bool {
    let mut watched = feed.watched();
    let alone = batches.receiver_count() == 0;
    if alone {
        *watched = None;
    }
    alone
}

/// One question, on a connection of its own.
async fn within<T>(db: &Db, question: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
    let tx = timeout(PATIENCE, db.connect("events")).await.map_err(|late| Error::Away(late.into()))??;
    match timeout(PATIENCE, question(&tx)).await {
        Ok(answer) => answer,
        Err(late) => {
            // A new connection may reach the database that this one has lost.
            tx.abandon();
            Err(Error::Away(late.into()))
        }
    }
}
