//! Counts the requests under way, so that a stopping server ends as soon as the last one is answered.
//!
//! Rocket alone would wait out its whole grace period whenever a client keeps an idle connection open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::tokio::time::sleep;
use rocket::{Data, Request};

/// How long nothing must be under way. In this time the end of an answer leaves our buffers, and a request that had
/// arrived but was not yet read begins.
const QUIET: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(20);

/// The requests under way. Attach it as a fairing.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<AtomicUsize>);

/// One request. Kept in the request itself, which lives until the whole of its answer has been handed over.
struct One(Arc<AtomicUsize>);

impl UnderWay {
    fn begin(&self) -> One {
        self.0.fetch_add(1, Ordering::Relaxed);
        One(Arc::clone(&self.0))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits until there are none, and have been none for a moment.
    pub async fn none(&self) {
        let mut quiet = Duration::ZERO;
        while quiet < QUIET {
            sleep(PAUSE).await;
            quiet = if self.count() == 0 { quiet + PAUSE } else { Duration::ZERO };
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[rocket::async_trait]
impl Fairing for UnderWay {
    fn info(&self) -> Info {
        Info { name: "Requests under way", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        request.local_cache(|| self.begin());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocket::tokio::time::{Instant, timeout};

    #[rocket::async_test]
    async fn waits_for_the_last_one_and_a_moment_more() {
        let under_way = UnderWay::default();
        let (one, other) = (under_way.begin(), under_way.begin());
        drop(other);
        assert_eq!(under_way.count(), 1);
        assert!(timeout(2 * QUIET, under_way.none()).await.is_err());
        drop(one);
        let start = Instant::now();
        under_way.none().await;
        assert!(start.elapsed() >= QUIET);
    }
}
