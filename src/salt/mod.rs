//! The document of a node in the shapes that Salt reads: pillar and tops; and what Salt returns. It translates; what a
//! node must be is decided in `render`.

mod state_return;

use chrono::Utc;
use rocket::http::ContentType;
use rocket::{Route, State, get, post, routes};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use crate::db::Db;
use crate::error::{Error, Result};
use crate::http::ask::CertName;
use crate::http::caller::Caller;
use crate::http::reply::Reply;
use crate::http::report_body::ReportBody;
use crate::render::Documents;
use crate::render::classes::classes;
use crate::render::served::Document;

/// The places of the two views.
const PILLAR: usize = 2;
const TOPS: usize = 3;

#[get("/salt/pillar/<minion_id..>")]
async fn pillar(
    caller: Caller<'_>,
    minion_id: Result<CertName>,
    documents: &State<Arc<Documents>>,
) -> Result<Document> {
    let kept = caller.known()?.document(minion_id, documents, "salt/pillar").await?;
    Ok(Document(ContentType::JSON, kept.view(PILLAR, |tree| json!({"virtapi": tree}))?))
}

#[get("/salt/tops/<minion_id..>")]
async fn tops(caller: Caller<'_>, minion_id: Result<CertName>, documents: &State<Arc<Documents>>) -> Result<Document> {
    let kept = caller.known()?.document(minion_id, documents, "salt/tops").await?;
    Ok(Document(ContentType::JSON, kept.view(TOPS, tops_view)?))
}

fn tops_view(tree: &Value) -> Value {
    let classes: Map<String, Value> = classes(tree, ".").map(|class| (class, json!({}))).collect();
    json!({"environment": "base", "classes": classes})
}

/// What came of runs, from a master for its minions or from a minion itself: all of it is kept, or nothing.
#[post("/salt/returns", data = "<body>")]
async fn receive(caller: Caller<'_>, body: Result<ReportBody>, db: &State<Db>) -> Result<Reply> {
    let (caller, tree) = (caller.known()?, body?.json()?);
    let runs = state_return::read(&tree, Utc::now());
    let runs = runs.map_err(|why| Error::Malformed(format!("this is no return of Salt: {why}")))?;
    caller.report(&runs, db).await
}

/// The routes under `/`.
pub fn routes() -> Vec<Route> {
    routes![pillar, tops, receive]
}
