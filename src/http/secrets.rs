//! The secret of a token: issued on demand, shown in the one answer, and kept nowhere.

use rocket::http::Header;
use rocket::{Route, State, post, routes};
use serde_json::json;

use crate::credentials;
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::html::secret::SecretPage;
use crate::http::ask::Ask;
use crate::http::body::FormBody;
use crate::http::format::{Format, stem};
use crate::http::reply::Reply;
use crate::query::Query;

/// A new secret; the one before is refused from now on.
#[post("/tokens/<key>/secret", data = "<body>")]
async fn issue(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    let mut ask = ask?;
    if let Some(body) = body?.0 {
        body.complete(&mut ask)?;
    }
    Query::none(&ask.pairs)?;
    let secret = db
        .write(ask.actor.clone(), ask.dry_run, async |tx: &Tx| credentials::issue_secret(tx, stem(key)).await)
        .await?;
    let mut reply = match ask.format {
        Format::Html => Reply::page(201, &SecretPage::new(secret.expose(), &ask.actor))?,
        format => Reply::new(201, format, json!({"secret": secret.expose()})),
    };
    reply.headers.push(Header::new("Cache-Control", "no-store"));
    Ok(reply)
}

/// The routes under `/v1`.
pub fn routes() -> Vec<Route> {
    routes![issue]
}
