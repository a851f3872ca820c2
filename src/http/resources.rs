//! The routes of the inventory: six for all kinds, each one question or one transaction.

use rocket::http::Header;
use rocket::{Route, State, delete, get, patch, post, put, routes};
use serde_json::{Value, json};

use crate::change::Action;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::html::{self, detail::Detail, list::List, overview::Overview};
use crate::http::ask::{Ask, Key, Named};
use crate::http::body::{Body, FormBody};
use crate::http::fallback::PlainObject;
use crate::http::format::Format;
use crate::http::reply::Reply;
use crate::http::{pages, wish};
use crate::object::{Content, Object};
use crate::query::Query;
use crate::row::Row;
use crate::{count, etag, kind::Kind, natural_key, refs, resource, resources};

/// Links to everything.
#[get("/")]
async fn root(ask: Result<Ask>, db: &State<Db>) -> Result<Reply> {
    let ask = ask?;
    Query::none(&ask.pairs)?;
    if ask.format == Format::Html {
        let view = db.read(ask.actor, async |tx| Overview::read(tx).await).await?;
        return Reply::page(200, &view);
    }
    let mut links: serde_json::Map<String, Value> =
        resources::readable().map(|kind| (kind.name().to_owned(), json!(format!("/v1/{}", kind.name())))).collect();
    for (name, path) in [
        ("events", "/v1/events"),
        ("openapi", "/api-docs"),
        ("docs", "/docs"),
        ("health", "/health"),
        ("ready", "/ready"),
        ("metrics", "/metrics"),
    ] {
        links.insert(name.into(), path.into());
    }
    Ok(Reply::new(200, ask.format, json!({"links": links})))
}

#[get("/<kind>", rank = 10)]
async fn list(kind: Result<Named>, ask: Result<Ask>, db: &State<Db>) -> Result<Reply> {
    let (Named(kind), ask) = (kind?, ask?);
    let asked = Query::parse(kind, &ask.pairs)?;
    let work = async |tx: &Tx| {
        if ask.format == Format::Html {
            let page = page(tx, kind, &asked, &ask);
            let ((rows, next), total) = tokio::try_join!(page, count::total(tx, kind, &asked))?;
            let Ask { path, pairs, .. } = &ask;
            let page = html::list::Asked { kind, path, pairs, fields: &asked.fields, rows, total: &total, next };
            return Reply::page(200, &List::read(tx, page).await?);
        }
        let shown = async {
            let (rows, next) = page(tx, kind, &asked, &ask).await?;
            Ok((show(tx, kind, rows, &asked).await?, next))
        };
        // Postgres counts while the page is worked on.
        let ((items, next), total) = tokio::try_join!(shown, count::total(tx, kind, &asked))?;
        let links = json!({"self": html::address(&ask.path, &ask.pairs), "next": next});
        let mut body = list_of(items);
        body.push("total", Value::from(total.count));
        body.push("links", links);
        if total.is_estimate {
            body.push("total_is_estimate", Value::from(true));
        }
        let headers = next.iter().map(|next| Header::new("Link", format!("<{next}>; rel=\"next\""))).collect();
        Ok(Reply { kind: Some(kind), headers, ..Reply::new(200, ask.format, body) })
    };
    db.read(ask.actor.clone(), work).await
}

/// The rows of a page, and where the next one is.
async fn page(tx: &Tx, kind: &'static dyn Kind, asked: &Query, ask: &Ask) -> Result<(Vec<Row>, Option<String>)> {
    let (rows, cursor) = asked.cut(kind.list(tx, asked).await?);
    let next = cursor.map(|cursor| {
        let mut pairs: Vec<_> = ask.pairs.iter().filter(|(name, _)| name != "cursor").cloned().collect();
        pairs.push(("cursor".into(), cursor));
        html::address(&ask.path, &pairs)
    });
    Ok((rows, next))
}

/// `{"items": […]}`
pub(super) fn list_of(items: Vec<Content>) -> Object {
    let mut body = Object::default();
    body.push("items", Content::List(items));
    body
}

/// References as references, and only the fields that were asked for.
pub(super) async fn show(tx: &Tx, kind: &'static dyn Kind, rows: Vec<Row>, asked: &Query) -> Result<Vec<Content>> {
    let mut objects = refs::expand(tx, kind, rows, &asked.embed).await?;
    if !asked.fields.is_empty() {
        for object in &mut objects {
            object.retain(|name| asked.shows(name));
        }
    }
    Ok(objects.into_iter().map(Content::from).collect())
}

/// The same of one, with its entity tag.
pub(super) async fn show_one(tx: &Tx, kind: &'static dyn Kind, row: Row, asked: &Query) -> Result<(String, Content)> {
    let shown = show(tx, kind, vec![row.clone()], asked);
    let (tag, mut shown) = tokio::try_join!(tag(tx, kind, row), shown)?;
    Ok((tag, shown.pop().ok_or(Error::NotFound)?))
}

async fn tag(tx: &Tx, kind: &'static dyn Kind, row: Row) -> Result<String> {
    let mut rows = [row];
    refs::fill_lists(tx, kind, &mut rows).await?;
    Ok(etag::object(kind, &rows[0]))
}

#[get("/<kind>/<key..>", rank = 20)]
async fn find(
    kind: Result<Named>,
    key: Result<Key>,
    _plain: PlainObject,
    ask: Result<Ask>,
    db: &State<Db>,
) -> Result<Reply> {
    let (Named(kind), Key(key), ask) = (kind?, key?, ask?);
    let asked = Query::parse_shape(kind, &ask.pairs)?;
    let condition = natural_key::condition(kind, &key)?;
    let work = async |tx: &Tx| {
        let row = kind.find(tx, &condition).await?;
        if ask.format == Format::Html {
            let tag = Some(tag(tx, kind, row.clone()).await?);
            return Ok(Reply { tag, ..Reply::page(200, &Detail::read(tx, kind, row).await?)? });
        }
        let (tag, body) = show_one(tx, kind, row, &asked).await?;
        Ok(Reply { kind: Some(kind), tag: Some(tag), ..Reply::new(200, ask.format, body) })
    };
    db.read(ask.actor.clone(), work).await
}

#[post("/<kind>", data = "<body>", rank = 10)]
async fn create(
    kind: Result<Named>,
    _plain: PlainObject,
    ask: Result<Ask>,
    body: Result<Body>,
    db: &State<Db>,
) -> Result<Reply> {
    let kind = written(kind?)?;
    write(kind, Action::Create, None, ask?, Some(body?), db).await
}

#[patch("/<kind>/<key..>", data = "<body>", rank = 20)]
async fn update(
    kind: Result<Named>,
    key: Result<Key>,
    _plain: PlainObject,
    ask: Result<Ask>,
    body: Result<Body>,
    db: &State<Db>,
) -> Result<Reply> {
    let (kind, key) = (written(kind?)?, key?);
    write(kind, Action::Update, Some(key), ask?, Some(body?), db).await
}

#[put("/<kind>/<key..>", data = "<body>", rank = 20)]
async fn replace(
    kind: Result<Named>,
    key: Result<Key>,
    _plain: PlainObject,
    ask: Result<Ask>,
    body: Result<Body>,
    db: &State<Db>,
) -> Result<Reply> {
    let (kind, key) = (written(kind?)?, key?);
    write(kind, Action::Replace, Some(key), ask?, Some(body?), db).await
}

#[delete("/<kind>/<key..>", data = "<body>", rank = 20)]
async fn remove(
    kind: Result<Named>,
    key: Result<Key>,
    _plain: PlainObject,
    ask: Result<Ask>,
    body: Result<FormBody>,
    db: &State<Db>,
) -> Result<Reply> {
    let (kind, key) = (written(kind?)?, key?);
    write(kind, Action::Delete, Some(key), ask?, body?.0, db).await
}

/// A kind that is written, whatever was sent: what is only recorded is not.
fn written(kind: Named) -> Result<Named> {
    if kind.0.is_read_only() { Err(resource::recorded()) } else { Ok(kind) }
}

/// One request, one transaction, one answer. A person's form that is refused comes back with what is wrong, and one that
/// is only tried with what would become of it.
async fn write(
    Named(kind): Named,
    action: Action,
    key: Option<Key>,
    mut ask: Ask,
    body: Option<Body>,
    db: &Db,
) -> Result<Reply> {
    if let Some(body) = &body {
        body.complete(&mut ask)?;
    }
    let form = body.as_ref().filter(|_| ask.format == Format::Html).and_then(Body::pairs).map(<[_]>::to_vec);
    let sent = form.map(|pairs| pages::Sent { kind, action, key: key.clone(), pairs });
    let (actor, format, dry_run) = (ask.actor.clone(), ask.format, ask.dry_run);
    match (wish::grant(kind, action, key, ask, body, db).await, sent) {
        (Err(error), Some(sent)) => sent.refused(db, actor, error).await,
        (Ok(granted), Some(sent)) if dry_run => sent.tried(db, actor, &granted).await,
        (granted, _) => granted.map(|granted| granted.reply(kind, format, dry_run)),
    }
}

/// The routes under `/`: what `/v1/` says, for those who come without a path.
pub fn start() -> Vec<Route> {
    routes![root]
}

/// The routes under `/v1`.
pub fn routes() -> Vec<Route> {
    routes![root, list, find, create, update, replace, remove]
}
