//! The demo fleet: a few hypervisors and storage nodes to look at, written down as the requests that describe them.
//!
//! It goes the way of every write, and only into an empty database: all of it or nothing.

use serde::Deserialize;
use serde_json::Value;

use crate::auth::Actor;
use crate::change::{self, Change};
use crate::db::{Db, Failure, Tx};
use crate::error::{Error, Result};
use crate::query::Query;
use crate::resources;

const FLEET: &str = include_str!("../demo/fleet.json");

/// What came of loading it.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// So many objects were made.
    Loaded(usize),
    /// There is something in the database: it is left alone.
    NotEmpty,
}

/// Some requests: objects of one collection.
#[derive(Deserialize)]
struct Request {
    /// `/v1/<collection>`
    post: String,
    body: Vec<Value>,
}

/// Loads the demo fleet, if there is nothing yet in any collection that it uses.
///
/// # Errors
/// When the database is away.
pub async fn load(database_url: &str) -> Result<Outcome, Failure> {
    let changes = changes(FLEET)?;
    let db = Db::new(database_url, 1)?;
    let loaded = db.write(Actor::system("demo"), false, async |tx| {
        if !is_empty(tx, &changes).await? {
            return Ok(Outcome::NotEmpty);
        }
        Ok(Outcome::Loaded(change::apply(tx, changes).await?.done.len()))
    });
    loaded.await.map_err(|error| match error {
        Error::Invalid(fields) | Error::Conflict(fields) => format!("the demo fleet does not fit: {fields:?}").into(),
        error => error.into(),
    })
}

/// The fleet as changes, in order: what is referred to comes before what refers to it.
fn changes(fleet: &str) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    for request in serde_json::from_str::<Vec<Request>>(fleet)? {
        let kind = request.post.strip_prefix("/v1/").and_then(resources::kind);
        let kind = kind.ok_or_else(|| format!("the demo fleet posts to {}, which is no collection", request.post))?;
        changes.extend(request.body.into_iter().map(|body| Change::create(kind, body)));
    }
    Ok(changes)
}

/// Whether the collections that these changes write to hold nothing.
async fn is_empty(tx: &Tx, changes: &[Change]) -> Result<bool> {
    let mut seen = Vec::new();
    for kind in changes.iter().map(|change| change.kind) {
        if !seen.contains(&kind.name()) {
            seen.push(kind.name());
            if !kind.list(tx, &Query::parse(kind, &[("limit".into(), "1".into())])?).await?.is_empty() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_can_be_read() {
        assert!(changes(FLEET).is_ok_and(|changes| changes.len() > 50));
        assert!(changes(r#"[{"post": "/v1/things", "body": []}]"#).is_err());
    }
}
