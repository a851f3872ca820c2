//! What a running server does from time to time whether or not anybody asks: forgets what is old, prepares the weeks of
//! runs, counts who is in sync. It knows when, and leaves to each part how.

use chrono::{TimeDelta, Utc};
use std::time::Duration;

use crate::auth::{self, Actor};
use crate::config::Settings;
use crate::db::Db;
use crate::telling::Gone;
use crate::{approval, deleted, events, http, leaving, reports, telling};

/// How often it is counted how many are in sync.
const COUNT_EVERY: Duration = Duration::from_mins(1);

/// How often old idempotency keys, sessions, runs and events are forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// How often tombstones of what is gone, and old approvals, are taken away.
const CLEAR_EVERY: Duration = Duration::from_mins(1);

/// Starts all of it, for as long as the runtime lasts.
pub fn start(db: &Db, settings: &Settings) {
    tokio::spawn(keep_forgetting(db.clone(), settings.clone()));
    tokio::spawn(keep_counting(db.clone()));
    tokio::spawn(keep_clearing(db.clone()));
}

async fn keep_forgetting(db: Db, settings: Settings) {
    let mut tick = tokio::time::interval(FORGET_EVERY);
    loop {
        tick.tick().await;
        forget_old(&db, &settings).await;
    }
}

/// Forgets what is old by now, and prepares for what comes. What fails is in the log, and is tried again the next time.
pub async fn forget_old(db: &Db, settings: &Settings) {
    let before = |days: u32| Utc::now() - TimeDelta::days(days.into());
    let events_kept = TimeDelta::seconds(settings.event_retention.into());
    let forgotten = db.write(Actor::system("forgetting"), false, async |tx| {
        let keys = http::idempotency::forget_old(tx).await?;
        let sessions = auth::forget_old(tx, settings.session_limits()).await?;
        let events = events::forget_old(tx, Utc::now() - events_kept).await?;
        Ok((keys, sessions, events, telling::forget_old(tx, before(settings.webhook_retention)).await?))
    });
    match forgotten.await {
        Ok((0, 0, 0, 0)) => {}
        Ok((keys, sessions, events, told)) => tracing::info!(keys, sessions, events, told, "forgot what is old"),
        Err(error) => tracing::warn!(%error, "what is old stays for now"),
    }
    let turned = db.write(Actor::system("reports"), false, async |tx| {
        reports::prepare_partitions(tx).await?;
        reports::drop_partitions(tx, before(settings.run_retention), before(settings.run_event_retention)).await
    });
    match turned.await {
        Ok(0) => {}
        Ok(weeks) => tracing::info!(weeks, "forgot old runs"),
        Err(error) => tracing::warn!(%error, "old runs stay for now, and there may be no place for new ones"),
    }
}

async fn keep_counting(db: Db) {
    let mut tick = tokio::time::interval(COUNT_EVERY);
    loop {
        tick.tick().await;
        if let Err(error) = db.read(Actor::system("metrics"), async |tx| reports::count_statuses(tx).await).await {
            tracing::debug!(%error, "nobody knows how many are in sync for now");
        }
    }
}

async fn keep_clearing(db: Db) {
    let mut tick = tokio::time::interval(CLEAR_EVERY);
    loop {
        tick.tick().await;
        clear_removals(&db).await;
    }
}

/// Takes away the tombstones of what agents have found gone, and of what has come back, and ends old approvals; tells of VMs that are
/// gone by that, and forgets those that have been for a while. What fails is tried again the next time.
pub async fn clear_removals(db: &Db) {
    let cleared = db.write(Actor::system("tombstones"), false, async |tx| {
        let approvals = approval::end_old(tx).await?;
        let tombstones = leaving::clear(tx).await?;
        telling::tell_of_gone(tx, Gone::Any).await?;
        Ok((tombstones, deleted::forget(tx).await?, approvals))
    });
    match cleared.await {
        Ok((0, 0, 0)) => {}
        Ok((tombstones, vms, approvals)) => {
            tracing::info!(tombstones, vms, approvals, "took away tombstones of what is gone, and old approvals");
        }
        Err(error) => tracing::warn!(%error, "tombstones of what is gone stay for now, and so do old approvals"),
    }
}
