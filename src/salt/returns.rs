//! Where Salt sends what came of runs: a master for its minions, or a minion itself.

use chrono::Utc;
use rocket::{Route, State, post, routes};
use serde_json::Value;

use crate::auth::Actor;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::http::ask::CertName;
use crate::http::caller::Caller;
use crate::http::format::Format;
use crate::http::reply::Reply;
use crate::http::report_body::ReportBody;
use crate::http::tree;
use crate::natural_key;
use crate::resource::Resource;
use crate::resources::{self, NewRun, Node};
use crate::salt::state_return::StateReturn;

/// Returns of one minion or of several: all of them are kept, or none.
#[post("/salt/returns", data = "<body>")]
async fn receive(caller: Result<Caller<'_>>, body: Result<ReportBody>, db: &State<Db>) -> Result<Reply> {
    let (caller, body) = (caller?, body?);
    let tree = tree::from_json(&body.0).map_err(Error::Malformed)?;
    let returns =
        StateReturn::read(&tree).map_err(|why| Error::Malformed(format!("this is no return of Salt: {why}")))?;
    for read in &returns {
        caller.may_report(CertName(read.id.clone())).await?;
    }
    let work = async |tx: &Tx| {
        for read in &returns {
            // What is not in the inventory has no runs.
            Node::KIND.find(tx, &natural_key::condition(Node::KIND, &read.id)?).await?;
            resources::report(tx, &run(read)).await?;
        }
        Ok(())
    };
    // Whoever reports reads no inventory; that it may report is known by now.
    db.write(Actor::system("salt return"), false, work).await?;
    Ok(Reply::new(204, Format::Json, Value::Null))
}

fn run(read: &StateReturn) -> NewRun {
    NewRun {
        node: read.id.clone(),
        tool: "salt",
        run: read.jid.clone(),
        // A returner does not say when.
        started_at: read.at.unwrap_or_else(Utc::now),
        duration_seconds: read.duration_seconds,
        status: read.status,
        mode: read.mode,
        environment: None,
        version: None,
        total: read.total,
        changed: read.changed,
        failed: read.failed,
        out_of_sync: read.out_of_sync,
        messages: read.messages.clone(),
    }
}

/// The routes under `/`.
pub fn routes() -> Vec<Route> {
    routes![receive]
}
