//! A name for each request, shown in its answer and in the log.

use rocket::Request;
use std::sync::atomic::{AtomicU64, Ordering};

/// The name of a request.
pub struct RequestId(String);

/// How many requests there have been.
static COUNT: AtomicU64 = AtomicU64::new(0);

impl RequestId {
    /// The request's name: the client's `X-Request-Id` if it is a plain word, else one of our own.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r str {
        let id = request.local_cache(|| {
            let plain = |id: &&str| {
                (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            };
            let given = request.headers().get_one("X-Request-Id").filter(plain).map(str::to_owned);
            Self(
                given
                    .unwrap_or_else(|| format!("{:x}-{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))),
            )
        });
        &id.0
    }
}
