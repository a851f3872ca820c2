//! A name for each request, shown in its answer, in the log and in the record of what it changed.

use rocket::Request;
use uuid::Uuid;

/// The name of a request.
pub struct RequestId(String);

impl RequestId {
    /// The request's name: the client's `X-Request-Id` if it is a plain word, else one of our own.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r str {
        let id = request.local_cache(|| {
            let plain = |id: &&str| {
                (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            };
            let given = request.headers().get_one("X-Request-Id").filter(plain).map(str::to_owned);
            // Unique among all servers and starts: what a request changed is looked up by it.
            Self(given.unwrap_or_else(|| Uuid::new_v4().to_string()))
        });
        &id.0
    }
}
