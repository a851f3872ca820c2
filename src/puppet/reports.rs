//! Where Puppet sends its reports (`reports = http`): straight from `puppet apply`, or for its agents from puppetserver.

use rocket::{Route, State, post, routes};

use crate::auth::Actor;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::http::ask::CertName;
use crate::http::caller::Caller;
use crate::http::format::Format;
use crate::http::reply::Reply;
use crate::http::report_body::ReportBody;
use crate::natural_key;
use crate::puppet::report::Report;
use crate::resource::Resource;
use crate::resources::{self, NewRun, Node};

/// A report. One that comes again is answered like the first, and is one.
#[post("/puppet/reports", data = "<body>")]
async fn receive(caller: Result<Caller<'_>>, body: Result<ReportBody>, db: &State<Db>) -> Result<Reply> {
    let (caller, body) = (caller?, body?);
    let report =
        Report::read(&body.0).map_err(|why| Error::Malformed(format!("this is no report of Puppet: {why}")))?;
    caller.may_report(CertName(report.host.clone())).await?;
    let work = async |tx: &Tx| {
        // What is not in the inventory has no runs.
        Node::KIND.find(tx, &natural_key::condition(Node::KIND, &report.host)?).await?;
        resources::report(tx, &run(&report)).await
    };
    // Whoever reports reads no inventory; that it may report is known by now.
    db.write(Actor::system("puppet report"), false, work).await?;
    Ok(Reply::new(204, Format::Json, serde_json::Value::Null))
}

fn run(report: &Report) -> NewRun {
    NewRun {
        node: report.host.clone(),
        tool: "puppet",
        run: report.run.to_string(),
        started_at: report.started_at,
        duration_seconds: report.duration_seconds,
        status: report.status,
        mode: report.mode,
        environment: report.environment.clone(),
        version: report.version.clone(),
        total: report.total,
        changed: report.changed,
        failed: report.failed,
        out_of_sync: report.out_of_sync,
        messages: report.messages.clone(),
    }
}

/// The routes under `/`.
pub fn routes() -> Vec<Route> {
    routes![receive]
}
