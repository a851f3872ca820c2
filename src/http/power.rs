//! Start, stop and reboot of a VM.

use rocket::request::FromParam;
use rocket::{Route, State, post, routes};

use crate::db::{Attempts, Db, Tx};
use crate::error::{Error, Result};
use crate::http::ask::Ask;
use crate::http::body::FormBody;
use crate::http::format::{Format, stem};
use crate::http::reply::Reply;
use crate::http::resources::show_one;
use crate::power::{self, Power, WORDS};
use crate::query::Query;
use crate::resource::Resource;
use crate::resources::Vm;
use crate::{natural_key, refs};

impl FromParam<'_> for Power {
    type Error = Error;
    fn from_param(word: &str) -> Result<Self> {
        WORDS.iter().find(|(known, _)| *known == stem(word)).map(|(_, power)| *power).ok_or(Error::NotFound)
    }
}

/// What is wanted of a VM; the answer is the VM.
#[post("/vms/<key>/<power>", data = "<body>")]
async fn want(
    key: &str,
    power: Result<Power>,
    ask: Result<Ask>,
    body: Result<FormBody>,
    db: &State<Db>,
) -> Result<Reply> {
    let mut ask = ask?;
    if let Some(body) = body?.0 {
        body.complete(&mut ask)?;
    }
    Query::none(&ask.pairs)?;
    let power = power?;
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
    routes![want]
}
