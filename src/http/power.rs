//! Start, stop and reboot of a VM.

use rocket::{Route, State, post, routes};

use crate::db::{Attempts, Db, Tx};
use crate::error::Result;
use crate::http::ask::Ask;
use crate::http::body::FormBody;
use crate::http::format::{Format, stem};
use crate::http::reply::Reply;
use crate::http::resources::show_one;
use crate::power::{self, Power};
use crate::query::Query;
use crate::resource::Resource;
use crate::resources::Vm;
use crate::{natural_key, refs};

/// It runs.
#[post("/vms/<key>/start", data = "<body>")]
async fn start(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    want(stem(key), Power::Start, ask?, body?, db).await
}

/// It does not.
#[post("/vms/<key>/stop", data = "<body>")]
async fn stop(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    want(stem(key), Power::Stop, ask?, body?, db).await
}

/// It is shut down and started once.
#[post("/vms/<key>/reboot", data = "<body>")]
async fn reboot(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    want(stem(key), Power::Reboot, ask?, body?, db).await
}

/// What is wanted of a VM; the answer is the VM.
async fn want(key: &str, power: Power, mut ask: Ask, body: FormBody, db: &Db) -> Result<Reply> {
    if let Some(body) = body.0 {
        body.complete(&mut ask)?;
    }
    Query::none(&ask.pairs)?;
    let mut attempts = Attempts::default();
    let (id, shown) = loop {
        let work = async |tx: &Tx| {
            let id = power::want(tx, key, power).await?;
            let mut rows = [Vm::KIND.find(tx, &natural_key::condition(Vm::KIND, &id.to_string())?).await?];
            refs::fill_lists(tx, Vm::KIND, &mut rows).await?;
            let [row] = rows;
            Ok((id, show_one(tx, Vm::KIND, row, &Query::parse_shape(Vm::KIND, &[])?).await?))
        };
        match db.write(ask.actor.clone(), ask.dry_run, work).await {
            Err(error) => attempts.after(error)?,
            Ok(done) => break done,
        }
    };
    Ok(match ask.format {
        Format::Html => Reply::see_other(refs::href(Vm::KIND, id)),
        format => Reply { kind: Some(Vm::KIND), ..Reply::new(200, format, shown.to_value()?) },
    })
}

/// The routes under `/v1`.
pub fn routes() -> Vec<Route> {
    routes![start, stop, reboot]
}
