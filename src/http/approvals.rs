//! Somebody approves what the document of a node removes.

use rocket::{Route, State, post, routes};
use serde_json::json;

use crate::approval;
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::http::ask::Ask;
use crate::http::body::Body;
use crate::http::format::{Format, stem};
use crate::http::reply::Reply;
use crate::query::Query;
use crate::resource::Resource;
use crate::resources::Node;
use crate::{policy, refs};

/// That generation and no other.
#[post("/nodes/<key>/approve", data = "<body>")]
async fn approve(key: &str, ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    Query::none(&ask.pairs)?;
    body.complete(&mut ask)?;
    // Before the body is looked at: whoever may not do it is told nothing else.
    policy::write(&ask.actor, Node::KIND)?;
    let generation = body.number("generation")?;
    let work = async |tx: &Tx| approval::approve(tx, stem(key), generation).await;
    let approved = db.write(ask.actor.clone(), ask.dry_run, work).await?;
    Ok(match ask.format {
        Format::Html => Reply::see_other(refs::href(Node::KIND, approved.node)),
        format => Reply::new(200, format, json!({"generation": approved.generation})),
    })
}

/// The routes under `/v1`.
pub fn routes() -> Vec<Route> {
    routes![approve]
}
