//! Where an order would go, and why nowhere else: the same order as for `POST /v1/vms`, and nothing is made.

use rocket::{Route, State, post, routes};
use serde_json::{Value, json};

use crate::db::{Db, Tx};
use crate::error::Result;
use crate::http::ask::Ask;
use crate::http::body::Body;
use crate::http::reply::Reply;
use crate::orders;
use crate::policy;
use crate::query::Query;
use crate::resource::Resource;
use crate::resources::{Hypervisor, Vm};

/// Every hypervisor, the best first, with the reasons why it is refused, or the weight by which it is preferred.
#[post("/placement/explain", data = "<body>")]
async fn explain(ask: Result<Ask>, body: Result<Body>, db: &State<Db>) -> Result<Reply> {
    let (mut ask, body) = (ask?, body?);
    Query::none(&ask.pairs)?;
    body.complete(&mut ask)?;
    policy::read(&ask.actor, Hypervisor::KIND)?;
    policy::write(&ask.actor, Vm::KIND)?;
    let order = body.tree(Vm::KIND)?;
    let work = async |tx: &Tx| orders::explain(tx, order).await;
    let candidates = db.rehearse(ask.actor.clone(), work).await?;
    let chosen =
        candidates.iter().find(|candidate| candidate.refused.is_empty()).map(|candidate| &candidate.hypervisor);
    let body: Value = json!({"chosen": chosen, "candidates": candidates});
    Ok(Reply::new(200, ask.format, body))
}

/// The routes under `/v1`.
pub fn routes() -> Vec<Route> {
    routes![explain]
}
