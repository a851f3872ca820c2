//! The document of a node in the shapes that Puppet reads: ENC and Hiera; and what Puppet reports. It translates; what
//! a node must be is decided in `render`.

mod enc;
mod facts;
mod foreman;
mod hiera;
pub mod report;
mod yaml;

use rocket::http::ContentType;
use rocket::{Route, State, get, post, routes};
use serde_json::json;
use std::sync::Arc;

use crate::db::Db;
use crate::error::{Error, Result};
use crate::http::ask::CertName;
use crate::http::caller::Caller;
use crate::http::reply::Reply;
use crate::http::report_body::ReportBody;
use crate::render::Documents;
use crate::render::served::Document;

/// The places of the two views.
const ENC: usize = 0;
const HIERA: usize = 1;
/// What is recorded of who reads Hiera's view, or a key of it.
const HIERA_READ: &str = "puppet/hiera";

fn yaml() -> ContentType {
    ContentType::new("application", "yaml")
}

#[get("/puppet/enc/<certname..>")]
async fn classify(
    caller: Caller<'_>,
    certname: Result<CertName>,
    documents: &State<Arc<Documents>>,
) -> Result<Document> {
    let kept = caller.known()?.document(certname, documents, "puppet/enc").await?;
    Ok(Document(yaml(), kept.view(ENC, enc::view)?))
}

/// What the stock Foreman client asks for.
#[get("/node/<certname..>?<format>")]
async fn classify_for_foreman(
    caller: Caller<'_>,
    certname: Result<CertName>,
    format: Option<&str>,
    documents: &State<Arc<Documents>>,
) -> Result<Document> {
    match format {
        None | Some("yml" | "yaml") => {}
        Some(_) => return Err(Error::Parameter("format".into(), "can only be yml".into())),
    }
    classify(caller, certname, documents).await
}

#[get("/puppet/hiera/<certname>", rank = 1)]
async fn hiera_keys(
    caller: Caller<'_>,
    certname: Result<CertName>,
    documents: &State<Arc<Documents>>,
) -> Result<Document> {
    let caller = caller.known()?;
    // Where the certname is empty, a key stands in its place.
    if certname.as_ref().is_ok_and(|CertName(name)| name.contains("::")) {
        return Err(CertName::missing());
    }
    let kept = caller.document(certname, documents, HIERA_READ).await?;
    Ok(Document(ContentType::JSON, kept.view(HIERA, hiera::view)?))
}

/// One key, for `__KEY__` mode of `hiera_http`.
#[get("/puppet/hiera/<certname>/<key>", rank = 1)]
async fn hiera_key(
    caller: Caller<'_>,
    certname: Result<CertName>,
    key: &str,
    documents: &State<Arc<Documents>>,
) -> Result<Document> {
    let kept = caller.known()?.document(certname, documents, HIERA_READ).await?;
    let value = hiera::view(&kept.tree()?).get(key).cloned().ok_or(Error::NotFound)?;
    Ok(Document(ContentType::JSON, Arc::new(kept.served(&value)?)))
}

#[get("/puppet/hiera", rank = 2)]
fn hiera_of_nobody(caller: Caller<'_>) -> Error {
    caller.known().map_or_else(|error| error, |_| CertName::missing())
}

/// A report (`reports = http`), straight from `puppet apply` or from puppetserver for its agents. One that comes again
/// is answered like the first, and is one.
#[post("/puppet/reports", data = "<body>")]
async fn receive(caller: Caller<'_>, body: Result<ReportBody>, db: &State<Db>) -> Result<Reply> {
    let (caller, ReportBody(bytes)) = (caller.known()?, body?);
    let run = report::read(&bytes).map_err(|why| Error::Malformed(format!("this is no report of Puppet: {why}")))?;
    caller.report(&[run], db).await
}

/// What the Foreman client's report processor sends.
#[post("/api/config_reports", data = "<body>")]
async fn receive_foreman(caller: Caller<'_>, body: Result<ReportBody>, db: &State<Db>) -> Result<Reply> {
    let (caller, tree) = (caller.known()?, body?.json()?);
    let run = foreman::read(&tree);
    let run = run.map_err(|why| Error::Malformed(format!("this is no report of Foreman's client: {why}")))?;
    Ok(created(caller.report(&[run], db).await?))
}

/// Facts, as Puppet keeps them.
#[post("/puppet/facts", data = "<body>")]
async fn receive_facts(caller: Caller<'_>, body: Result<ReportBody>, db: &State<Db>) -> Result<Reply> {
    let (caller, tree) = (caller.known()?, body?.json()?);
    let (node, facts) = facts::read(&tree).map_err(|why| Error::Malformed(format!("these are no facts: {why}")))?;
    caller.facts(&node, &facts, db).await
}

/// Facts, as the Foreman client uploads them before it asks for a classification.
#[post("/api/hosts/facts", data = "<body>")]
async fn receive_foreman_facts(caller: Caller<'_>, body: Result<ReportBody>, db: &State<Db>) -> Result<Reply> {
    Ok(created(receive_facts(caller, body, db).await?))
}

/// Foreman's client expects a 201, as Foreman answers.
fn created(kept: Reply) -> Reply {
    Reply { status: 201, body: json!({"message": "It is kept."}).into(), ..kept }
}

/// The routes under `/`.
pub fn routes() -> Vec<Route> {
    routes![
        classify,
        classify_for_foreman,
        hiera_keys,
        hiera_key,
        hiera_of_nobody,
        receive,
        receive_foreman,
        receive_facts,
        receive_foreman_facts
    ]
}
