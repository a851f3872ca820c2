//! The routes that only people use: forms, the search, the files that pages load. What a form sends goes to the
//! resource's own address; only the form that narrows a list comes here, to lose what was left empty.

use rocket::http::{ContentType, Status};
use rocket::request::Request;
use rocket::response::{Responder, Response, Result as Answer};
use rocket::{Route, State, get, routes};
use std::io::Cursor;

use crate::auth::Actor;
use crate::change::Action;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::html::assets::Asset;
use crate::html::form::Outcome;
use crate::html::history::History;
use crate::html::layout::collection;
use crate::html::{self, delete::Delete, filter, form, form::Form, search::Search};
use crate::http::ask::{Ask, Key, Named};
use crate::http::reply::Reply;
use crate::http::wish::{self, Granted};
use crate::kind::Kind;
use crate::query::Query;

/// A form for a new object; parameters fill its fields.
#[get("/forms/<kind>/create")]
async fn create(kind: Result<Named>, ask: Result<Ask>, db: &State<Db>) -> Result<Reply> {
    let (kind, ask) = (kind?.writable()?, ask?);
    let view = db.read(ask.actor, async |tx| Form::create(tx, kind, &ask.pairs, None).await).await?;
    Reply::page(200, &view)
}

/// A form for an object.
#[get("/forms/<kind>/edit/<key..>")]
async fn edit(kind: Result<Named>, key: Result<Key>, ask: Result<Ask>, db: &State<Db>) -> Result<Reply> {
    let (kind, Key(key), ask) = (kind?.writable()?, key?, ask?);
    Query::none(&ask.pairs)?;
    let view = db.read(ask.actor, async |tx| Form::edit(tx, kind, &key, None).await).await?;
    Reply::page(200, &view)
}

/// The question before an object is deleted, with what would become of documents.
#[get("/forms/<kind>/delete/<key..>")]
async fn delete(kind: Result<Named>, key: Result<Key>, ask: Result<Ask>, db: &State<Db>) -> Result<Reply> {
    let (kind, Key(key), ask) = (kind?.writable()?, key?, ask?);
    Query::none(&ask.pairs)?;
    let consequences = wish::without(kind, &key, ask.actor.clone(), db).await?;
    let view =
        db.read(ask.actor, async |tx| Delete::read(tx, kind, &key, Outcome::Tried(consequences.as_deref())).await);
    let view = view.await?;
    Reply::page(200, &view)
}

/// What was done to an object.
#[get("/history/<kind>/<id>")]
async fn object_history(kind: Result<Named>, id: &str, ask: Result<Ask>, db: &State<Db>) -> Result<Reply> {
    let (Named(kind), ask) = (kind?, ask?);
    let id = id.parse().map_err(|_| Error::NotFound)?;
    let view = db.read(ask.actor, async |tx| History::of_object(tx, kind, id, &ask.pairs).await).await?;
    Reply::page(200, &view)
}

/// What a request has done.
#[get("/history/<request>")]
async fn request_history(request: &str, ask: Result<Ask>, db: &State<Db>) -> Result<Reply> {
    let ask = ask?;
    let view = db.read(ask.actor, async |tx| History::of_request(tx, request, &ask.pairs).await).await?;
    Reply::page(200, &view)
}

/// From a filled form to the list that it means.
#[get("/forms/<kind>/filter")]
fn narrow(kind: Result<Named>, ask: Result<Ask>) -> Result<Reply> {
    let (Named(kind), ask) = (kind?, ask?);
    Ok(Reply::see_other(html::address(&collection(kind), &filter::meaning(kind, &ask.pairs))))
}

/// All collections at once.
#[get("/search")]
async fn search(ask: Result<Ask>, db: &State<Db>) -> Result<Reply> {
    let ask = ask?;
    if let Some((name, _)) = ask.pairs.iter().find(|(name, _)| name != "q") {
        return Err(Error::Parameter(name.clone(), "is not known here".into()));
    }
    let wanted = ask.pairs.first().map_or("", |(_, value)| value.trim());
    let view = db.read(ask.actor.clone(), async |tx| Search::read(tx, wanted).await).await?;
    Reply::page(200, &view)
}

/// A file that pages load. With its version in the address it never changes.
struct File {
    asset: &'static Asset,
    is_versioned: bool,
}

#[get("/static/<name>?<v>")]
fn asset(name: &str, v: Option<&str>) -> Result<File> {
    let asset = Asset::named(name).ok_or(Error::NotFound)?;
    Ok(File { asset, is_versioned: v == Some(asset.version.as_str()) })
}

impl<'r> Responder<'r, 'static> for File {
    fn respond_to(self, request: &'r Request<'_>) -> Answer<'static> {
        let tag = format!("\"{}\"", *self.asset.version);
        let known = request.headers().get_one("If-None-Match").is_some_and(|given| crate::etag::names(given, &tag));
        let mut response = Response::build();
        response.raw_header("ETag", tag);
        let caching = if self.is_versioned { "public, max-age=31536000, immutable" } else { "no-cache" };
        response.raw_header("Cache-Control", caching);
        if known {
            return response.status(Status::NotModified).ok();
        }
        let (top, sub) = self.asset.media_type;
        let text = self.asset.contents;
        response
            .header(ContentType::new(top, sub).with_params(("charset", "utf-8")))
            .sized_body(text.len(), Cursor::new(text))
            .ok()
    }
}

/// A form as a person sent it.
pub struct Sent {
    /// What it is about.
    pub kind: &'static dyn Kind,
    /// What was to be done.
    pub action: Action,
    /// With which object, if there is one.
    pub key: Option<Key>,
    /// Its fields.
    pub pairs: Vec<(String, String)>,
}

impl Sent {
    /// It was refused: the same form, with what was typed and what is wrong with it.
    ///
    /// # Errors
    /// The refusal itself, where a form says nothing about it.
    pub async fn refused(self, db: &Db, actor: Actor, error: Error) -> Result<Reply> {
        if !matches!(error, Error::Conflict(_) | Error::Invalid(_) | Error::Stale) {
            return Err(error);
        }
        let (status, why) = (error.status(), Outcome::Refused(&error));
        match self.again(db, actor, status, why).await {
            // What is not there cannot be shown in a form.
            Err(Error::NotFound) => Err(error),
            page => page,
        }
    }

    /// It was only tried: the same form, with what would become of documents.
    ///
    /// # Errors
    /// [`Error::Away`], or what is not there.
    pub async fn tried(self, db: &Db, actor: Actor, granted: &Granted) -> Result<Reply> {
        let consequences = granted.consequences.as_deref();
        self.again(db, actor, 200, Outcome::Tried(consequences)).await
    }

    async fn again(self, db: &Db, actor: Actor, status: u16, outcome: Outcome<'_>) -> Result<Reply> {
        let Self { kind, action, key, pairs } = self;
        let sent = || form::Sent { pairs: &pairs, outcome };
        let page = db.read(actor, async |tx| match (action, &key) {
            (Action::Delete, Some(Key(key))) => Reply::page(status, &Delete::read(tx, kind, key, outcome).await?),
            (_, Some(Key(key))) => Reply::page(status, &Form::edit(tx, kind, key, Some(sent())).await?),
            (_, None) => Reply::page(status, &Form::create(tx, kind, &[], Some(sent())).await?),
        });
        page.await
    }
}

/// The routes under `/`.
pub fn routes() -> Vec<Route> {
    routes![create, edit, delete, object_history, request_history, narrow, search, asset]
}
