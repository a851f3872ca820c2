//! The description of the API, and a page that shows it. All that the page needs is in the program.

use rocket::http::ContentType;
use rocket::{Route, get, routes};
use std::sync::{Arc, LazyLock};

use crate::error::{Error, Result};
use crate::render::served::{Document, Served};
use crate::{etag, openapi};

/// What the page needs.
pub const FILES: &[&str] = &["swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"];

const PAGE: &str = include_str!("docs/index.html");
const START: &str = include_str!("docs/start.js");

type Ready = (ContentType, Arc<Served>);

static DESCRIPTION: LazyLock<Ready> =
    LazyLock::new(|| ready(ContentType::JSON, openapi::document().to_string().into_bytes()));
static INDEX: LazyLock<Ready> = LazyLock::new(|| ready(ContentType::HTML, PAGE.as_bytes().to_vec()));
static ASSETS: LazyLock<Vec<(&str, Ready)>> =
    LazyLock::new(|| FILES.iter().filter_map(|&name| Some((name, asset(name)?))).collect());

fn ready(content_type: ContentType, bytes: Vec<u8>) -> Ready {
    let tag = format!("\"{}\"", etag::digest(&bytes));
    (content_type, Arc::new(Served { tag, bytes }))
}

fn asset(name: &str) -> Option<Ready> {
    let content_type = ContentType::from_extension(name.rsplit('.').next()?)?;
    let bytes = match name {
        "start.js" => START.as_bytes().to_vec(),
        _ => utoipa_swagger_ui::serve(name, Arc::default()).ok()??.bytes.into_owned(),
    };
    Some(ready(content_type, bytes))
}

fn send((content_type, served): &Ready) -> Document {
    Document(content_type.clone(), Arc::clone(served))
}

#[get("/api-docs")]
fn description() -> Document {
    send(&DESCRIPTION)
}

#[get("/docs")]
fn page() -> Document {
    send(&INDEX)
}

#[get("/docs/<file>")]
fn file(file: &str) -> Result<Document> {
    ASSETS.iter().find(|(name, _)| *name == file).map(|(_, ready)| send(ready)).ok_or(Error::NotFound)
}

/// The routes under `/`.
pub fn routes() -> Vec<Route> {
    routes![description, page, file]
}
