//! What somebody sees and sets of itself: who it is, and its own password.

use rocket::{Route, State, get, put, routes};
use serde_json::{Value, json};

use crate::auth::{Identities, Password, token_digest};
use crate::credentials;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::html::account::Account;
use crate::http::ask::Ask;
use crate::http::body::Body;
use crate::http::format::Format;
use crate::http::passwords::chosen;
use crate::http::reply::Reply;
use crate::http::session::OwnSession;
use crate::query::Query;
use std::sync::Arc;

/// Who one is.
#[get("/account")]
fn show(ask: Result<Ask>) -> Result<Reply> {
    let ask = ask?;
    Query::none(&ask.pairs)?;
    match ask.format {
        Format::Html => Reply::page(200, &Account::new(&ask.actor, None)),
        format => Ok(Reply::new(200, format, json!({"name": ask.actor.name()}))),
    }
}

/// Another password for oneself. Whoever finds a browser that somebody has left open must know the one before.
#[put("/account/password", data = "<body>")]
async fn set_password(
    ask: Result<Ask>,
    body: Result<Body>,
    own: OwnSession,
    identities: &State<Arc<Identities>>,
    db: &State<Db>,
) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    Query::none(&ask.pairs)?;
    body.complete(&mut ask)?;
    let done = change(&ask, body, &own, identities, db).await;
    match (done, ask.format) {
        (Ok(()), Format::Html) => Reply::page(200, &Account::new(&ask.actor, Some(Ok(())))),
        (Err(error @ Error::Invalid(_)), Format::Html) => {
            Reply::page(error.status(), &Account::new(&ask.actor, Some(Err(&error))))
        }
        (done, format) => done.map(|()| Reply::new(204, format, Value::Null)),
    }
}

async fn change(ask: &Ask, body: Body, own: &OwnSession, identities: &Identities, db: &Db) -> Result<()> {
    let name = ask.actor.user().ok_or(Error::Forbidden)?;
    let [current, password, again] = body.texts(["current_password", "password", "again"])?;
    let password = chosen(password, again)?;
    prove(ask, name, current, own, identities).await?;
    let kept = password.keep(name).await?;
    let work = async |tx: &Tx| credentials::set_password(tx, name, Some(&kept), own.secret.as_ref()).await;
    db.write(ask.actor.clone(), ask.dry_run, work).await
}

/// That it is really the person. Who sends a token with the request has shown it by that.
async fn prove(
    ask: &Ask,
    name: &str,
    current: Option<String>,
    own: &OwnSession,
    identities: &Identities,
) -> Result<()> {
    if ask.actor.form_token().is_none() {
        return Ok(());
    }
    let current = current.unwrap_or_default();
    let is_right = match token_digest(&current) {
        Some(digest) => identities.identify(digest, own.from).await?.is_some_and(|of| of.user() == Some(name)),
        None => identities.verify(name, Password::given(current)).await?.is_some(),
    };
    if is_right { Ok(()) } else { Err(Error::field("current_password", "is not your password")) }
}

/// The routes under `/`.
pub fn routes() -> Vec<Route> {
    routes![show, set_password]
}
