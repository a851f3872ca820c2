//! The document of a node in the shapes that Salt reads: pillar and tops; and what Salt returns. It translates; what a node must be is decided
//! in `render`.

mod returns;
mod state_return;

use rocket::http::ContentType;
use rocket::{Route, State, get, routes};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use crate::error::Result;
use crate::http::ask::CertName;
use crate::http::caller::Caller;
use crate::render::Documents;
use crate::render::classes::classes;
use crate::render::served::Document;

/// The places of the two views.
const PILLAR: usize = 2;
const TOPS: usize = 3;

#[get("/salt/pillar/<minion_id..>")]
async fn pillar(
    caller: Result<Caller<'_>>,
    minion_id: Result<CertName>,
    documents: &State<Arc<Documents>>,
) -> Result<Document> {
    let kept = caller?.document(minion_id, documents, "salt/pillar").await?;
    Ok(Document(ContentType::JSON, kept.view(PILLAR, |tree| json!({"virtapi": tree}))?))
}

#[get("/salt/tops/<minion_id..>")]
async fn tops(
    caller: Result<Caller<'_>>,
    minion_id: Result<CertName>,
    documents: &State<Arc<Documents>>,
) -> Result<Document> {
    let kept = caller?.document(minion_id, documents, "salt/tops").await?;
    Ok(Document(ContentType::JSON, kept.view(TOPS, tops_view)?))
}

fn tops_view(tree: &Value) -> Value {
    let classes: Map<String, Value> = classes(tree, ".").map(|class| (class, json!({}))).collect();
    json!({"environment": "base", "classes": classes})
}

/// The routes under `/`.
pub fn routes() -> Vec<Route> {
    [routes![pillar, tops], returns::routes()].concat()
}
