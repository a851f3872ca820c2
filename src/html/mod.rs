//! The pages: the same resources at the same addresses, for people. Templates get views, not connections.

use rocket::Request;

use crate::db::Failure;
use crate::http::reply::Reply;

/// The page for an answer.
///
/// # Errors
/// When the template fails.
pub fn page(reply: &Reply, _request: &Request<'_>) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(&reply.body)?)
}
