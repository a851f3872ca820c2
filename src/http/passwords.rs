//! An administrator gives somebody a password, or takes it away.

use rocket::{Route, State, delete, get, put, routes};
use serde_json::Value;

use crate::auth::Password;
use crate::credentials;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::html::account::NewPassword;
use crate::http::ask::Ask;
use crate::http::body::{Body, FormBody};
use crate::http::format::{Format, stem};
use crate::http::reply::Reply;
use crate::query::Query;

/// A password in place of the one before.
#[put("/users/<key>/password", data = "<body>")]
async fn set(key: &str, ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    Query::none(&ask.pairs)?;
    body.complete(&mut ask)?;
    let (id, name) = db.read(ask.actor.clone(), async |tx: &Tx| credentials::user(tx, stem(key)).await).await?;
    match (keep(&ask, &name, body, db).await, ask.format) {
        (Err(error @ Error::Invalid(_)), Format::Html) => {
            Reply::page(error.status(), &NewPassword::new(&ask.actor, &name, &address(id), Some(&error)))
        }
        (kept, _) => kept.map(|()| done(&ask, address(id))),
    }
}

async fn keep(ask: &Ask, name: &str, body: Body, db: &Db) -> Result<()> {
    let [password, again] = body.texts(["password", "again"])?;
    let kept = chosen(password, again)?.keep(name).await?;
    let work = async |tx: &Tx| credentials::set_password(tx, name, Some(&kept), None).await;
    db.write(ask.actor.clone(), ask.dry_run, work).await
}

/// No password any more: there are tokens, and other ways to log in.
#[delete("/users/<key>/password", data = "<body>")]
async fn remove(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    let mut ask = ask?;
    Query::none(&ask.pairs)?;
    if let Some(body) = body?.0 {
        body.complete(&mut ask)?;
    }
    let work = async |tx: &Tx| {
        let (id, name) = credentials::user(tx, stem(key)).await?;
        credentials::set_password(tx, &name, None, None).await.map(|()| id)
    };
    let id = db.write(ask.actor.clone(), ask.dry_run, work).await?;
    Ok(done(&ask, address(id)))
}

/// A new password, typed twice where somebody typed it.
///
/// # Errors
/// [`Error::Invalid`].
pub fn chosen(password: Option<String>, again: Option<String>) -> Result<Password> {
    let password = password.ok_or_else(|| Error::field("password", "is required"))?;
    if again.is_some_and(|again| again != password) {
        return Err(Error::field("again", "differs from the password"));
    }
    Ok(Password::given(password))
}

/// Where a user is.
fn address(id: i64) -> String {
    format!("/v1/users/{id}")
}

/// The form for it.
#[get("/forms/users/password/<key>")]
async fn form(key: &str, ask: Result<Ask>, db: &State<Db>) -> Result<Reply> {
    let ask = ask?;
    Query::none(&ask.pairs)?;
    let (id, name) = db.read(ask.actor.clone(), async |tx: &Tx| credentials::user(tx, stem(key)).await).await?;
    Reply::page(200, &NewPassword::new(&ask.actor, &name, &address(id), None))
}

fn done(ask: &Ask, to: String) -> Reply {
    match ask.format {
        Format::Html => Reply::see_other(to),
        format => Reply::new(204, format, Value::Null),
    }
}

/// The routes under `/`.
pub fn pages() -> Vec<Route> {
    routes![form]
}

/// The routes under `/v1`.
pub fn routes() -> Vec<Route> {
    routes![set, remove]
}
