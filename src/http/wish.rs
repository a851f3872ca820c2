//! What a request wants to write, granted in one transaction, or rehearsed. It knows the common form of all kinds, and no
//! page.

use rocket::http::Header;
use serde_json::{Value, json};

use crate::auth::Actor;
use crate::change::{self, Action, Applied, Change};
use crate::column::Column;
use crate::consequences::{Consequence, foresee};
use crate::db::{Attempts, Db, Tx};
use crate::error::{Error, Result};
use crate::http::ask::{Ask, Key};
use crate::http::body::Body;
use crate::http::format::Format;
use crate::http::idempotency::{Answer, Claim};
use crate::http::reply::Reply;
use crate::http::resources::{list_of, show, show_one};
use crate::object::Content;
use crate::query::{MAX_LIMIT, Query};
use crate::shown::Shown;
use crate::{kind::Kind, natural_key, orders, policy, refs};

/// What a request wants to write.
struct Wish {
    kind: &'static dyn Kind,
    changes: Vec<Change>,
    /// Whether a list was sent, and a list is the answer.
    many: bool,
    shape: Query,
}

/// What became of it.
pub struct Granted {
    answer: Answer,
    /// Of a rehearsal, what would become of documents, if whoever asks may know.
    pub consequences: Option<Vec<Consequence>>,
}

/// Does what a request wants, or rehearses it.
///
/// # Errors
/// What is wrong with it, or [`Error::Away`].
pub async fn grant(
    kind: &'static dyn Kind,
    action: Action,
    key: Option<Key>,
    ask: Ask,
    body: Option<Body>,
    db: &Db,
) -> Result<Granted> {
    let digest = body.as_ref().map(|body| body.digest.clone()).unwrap_or_default();
    let claim = Claim::of(&ask, action, kind, &digest)?;
    let wish = Wish::read(kind, action, key.as_ref(), &ask, body)?;
    let mut attempts = Attempts::default();
    loop {
        let work = async |tx: &Tx| wish.grant(tx, claim.as_ref(), ask.dry_run).await;
        match db.write(ask.actor.clone(), ask.dry_run, work).await {
            Err(error) => attempts.after(error)?,
            done => return done,
        }
    }
}

/// What would become of documents if this object were deleted; nothing where it cannot be, or nobody is told.
///
/// # Errors
/// [`Error::Away`], or [`Error::NotFound`].
pub async fn without(kind: &'static dyn Kind, key: &str, actor: Actor, db: &Db) -> Result<Option<Vec<Consequence>>> {
    let mut attempts = Attempts::default();
    loop {
        let work = async |tx: &Tx| {
            let work = async |tx: &Tx| {
                let delete = Change::of(kind, Action::Delete, key, Value::Null);
                change::apply_one(tx, delete).await.map(|applied| ((), applied.shown))
            };
            foresee(tx, work).await
        };
        match db.rehearse(actor.clone(), work).await {
            Ok(((), consequences)) => return Ok(consequences),
            // The page says so itself.
            Err(Error::Conflict(_) | Error::Forbidden) => return Ok(None),
            Err(error) => attempts.after(error)?,
        }
    }
}

impl Granted {
    /// The answer for a program, or where a browser goes on.
    pub fn reply(self, kind: &'static dyn Kind, format: Format, dry_run: bool) -> Reply {
        let Self { mut answer, consequences } = self;
        if let Some(consequences) = consequences {
            answer.tell(&consequences);
        }
        let headers = match format {
            Format::Html if !dry_run => return Reply::see_other(answer.location),
            Format::Html => vec![],
            _ if answer.status == 201 => vec![Header::new("Location", answer.location)],
            _ => vec![],
        };
        Reply { kind: Some(kind), tag: answer.tag, headers, ..Reply::new(answer.status, format, answer.body) }
    }
}

impl Answer {
    /// Adds what would become of documents. Where nothing was to be said, that is now something.
    fn tell(&mut self, consequences: &[Consequence]) {
        if self.body.is_null() {
            (self.status, self.body) = (200, json!({}));
        }
        self.body["consequences"] = json!(consequences);
    }
}

impl Wish {
    fn read(kind: &'static dyn Kind, action: Action, key: Option<&Key>, ask: &Ask, body: Option<Body>) -> Result<Self> {
        let shape = Query::parse_shape(kind, &ask.pairs)?;
        let tree = body.map_or(Ok(Value::Null), |body| body.tree(kind))?;
        let (key, preconditions) = (key.map(|key| key.0.clone()), &ask.preconditions);
        let one = |body| Change { kind, action, key: key.clone(), body, preconditions: preconditions.clone() };
        let is_list = action == Action::Create && tree.is_array();
        let bodies = match tree {
            Value::Array(items) if is_list => items,
            tree if action == Action::Create => orders::expand(kind, tree)?,
            tree => vec![tree],
        };
        let many = is_list || bodies.len() > 1;
        let changes: Vec<Change> = bodies.into_iter().map(one).collect();
        if many && (changes.is_empty() || changes.len() > usize::try_from(MAX_LIMIT).unwrap_or_default()) {
            return Err(Error::Malformed(format!("a list to create has 1 to {MAX_LIMIT} items")));
        }
        Ok(Self { kind, changes, many, shape })
    }

    async fn grant(&self, tx: &Tx, claim: Option<&Claim>, dry_run: bool) -> Result<Granted> {
        let work = async |tx: &Tx| {
            // A request that is answered as before changes nothing.
            let mut shown = Shown::default();
            let mut answer = async |tx: &Tx| {
                let applied = self.apply(tx).await?;
                shown = applied.shown;
                Ok(applied.done)
            };
            let answer = match claim {
                Some(claim) => claim.answer(tx, answer).await?,
                None => answer(tx).await?,
            };
            Ok((answer, shown))
        };
        // Before it is made, for then it is in its own way.
        let candidates = if dry_run { self.candidates(tx).await? } else { None };
        let (mut answer, consequences) = if dry_run { foresee(tx, work).await? } else { (work(tx).await?.0, None) };
        if let Some(candidates) = candidates {
            answer.body["candidates"] = json!(candidates);
        }
        Ok(Granted { answer, consequences })
    }

    /// Every hypervisor for what is ordered, for who sees them.
    async fn candidates(&self, tx: &Tx) -> Result<Option<Vec<orders::Candidate>>> {
        match self.changes.as_slice() {
            [change] if orders::is_order(change) && policy::foresees(&tx.actor) => {
                Ok(Some(tx.undo(async |tx: &Tx| orders::explain(tx, change.body.clone()).await).await?))
            }
            _ => Ok(None),
        }
    }

    async fn apply(&self, tx: &Tx) -> Result<Applied<Answer>> {
        let (kind, shape, mut changes) = (self.kind, &self.shape, self.changes.clone());
        let here = format!("/v1/{}", kind.name());
        let one = if self.many { None } else { changes.pop() };
        let Some(change) = one else {
            let Applied { done, shown, made } = change::apply(tx, changes).await?;
            let ids = done.iter().map(|done| done.id.to_string()).collect();
            // As they are now: with their new generations. Ids grow, so that the order is that of the request.
            let rows = kind.list(tx, &Query::related(&Column::ID, ids, MAX_LIMIT)).await?;
            let body = Content::from(list_of(show(tx, kind, rows, shape).await?)).to_value()?;
            return Ok(Applied { done: Answer { status: 201, body, tag: None, location: here }, shown, made });
        };
        let gone = change.action == Action::Delete;
        let Applied { done, shown, made } = change::apply_one(tx, change).await?;
        if gone {
            let done = Answer { status: 204, body: Value::Null, tag: None, location: here };
            return Ok(Applied { done, shown, made });
        }
        let row = kind.find(tx, &natural_key::condition(kind, &done.id.to_string())?).await?;
        let (tag, object) = show_one(tx, kind, row, shape).await?;
        let (status, body) = (if done.created { 201 } else { 200 }, object.to_value()?);
        let done = Answer { status, body, tag: Some(tag), location: refs::href(kind, done.id) };
        Ok(Applied { done, shown, made })
    }
}
