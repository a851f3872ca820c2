//! The side of the shell that has the database: it rehearses each statement on top of what the session has changed, keeps
//! the changes, and makes them in one transaction at the commit. It acts for somebody, who is looked up anew each time.
//! It knows no language.

use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use super::interrupt::Interrupt;
use super::inventory;
use super::request::{Answer, Ask, Call, Ids, Reply, Trouble, Wish};
use super::sandbox::{self, Recorded, Replayed, Sandbox, verb};
use super::summary::{self, Summary};
use crate::auth::{self, Actor, Origin};
use crate::consequences::foresee;
use crate::db::{Attempts, Db, Tx};
use crate::error::{Error, Result};
use crate::sightings::{Sighting, Sightings, What};

/// In whose name.
pub enum Who {
    /// Of somebody who needs not be looked up.
    Actor(Actor),
    /// Of the user with this name.
    User(String),
}

/// A session.
pub struct Session {
    db: Db,
    who: Who,
    message: Option<String>,
    /// By which what one commit does is known in the record.
    request: String,
    pending: Vec<Recorded>,
    sightings: Sightings,
    interrupt: Arc<Interrupt>,
}

type Calls = UnboundedReceiver<Call>;

impl Session {
    /// One that has changed nothing.
    pub fn new(db: Db, who: Who, message: Option<String>, interrupt: Arc<Interrupt>) -> Self {
        let sightings = Sightings::new(db.clone());
        Self { db, who, message, request: request(), pending: vec![], sightings, interrupt }
    }

    /// Who acts, as it is now.
    ///
    /// # Errors
    /// When there is no such user, or [`Error::Away`].
    pub async fn actor(&self, why: Option<String>) -> Result<Actor> {
        let actor = match &self.who {
            Who::Actor(actor) => actor.clone(),
            Who::User(name) => {
                let known =
                    if name.contains('\0') { None } else { auth::user(&self.db.connect("auth").await?, name).await? };
                known.ok_or_else(|| Error::Malformed(format!("there is no user {name:?} who is not disabled")))?
            }
        };
        let message = why.or_else(|| self.message.clone());
        Ok(actor.within(Origin { address: None, request: self.request.clone(), message }))
    }

    /// Answers until nobody asks any more.
    pub async fn serve(mut self, mut calls: Calls) {
        while let Some(Call { ask, answer }) = calls.recv().await {
            let done = match ask {
                Ask::Do(wish) => {
                    self.statement(wish, answer, &mut calls).await;
                    continue;
                }
                Ask::End { .. } => Ok(Answer::Pending(self.pending.len())),
                Ask::Summary => self.summary().await.map(Answer::Summary),
                Ask::Commit(why) => self.commit(why).await,
                Ask::RollBack => {
                    self.begin_anew();
                    Ok(Answer::Pending(0))
                }
            };
            tell(answer, done);
        }
    }

    /// Rehearses a statement, from its first wish to its end.
    async fn statement(&mut self, first: Wish, answer: Reply, calls: &mut Calls) {
        let mut waiting = Some(answer);
        let interrupt = self.interrupt.clone();
        let ended = tokio::select! {
            biased;
            // What is under way is given up with its connection.
            () = interrupt.pressed() => Err(Trouble::Interrupted),
            ended = self.rehearse(first, &mut waiting, calls) => ended,
        };
        let done = ended.map(|changes| {
            self.pending.extend(changes);
            Answer::Pending(self.pending.len())
        });
        if let Some(answer) = waiting {
            tell(answer, done);
        }
        if let Err(error) = self.sightings.record_all().await {
            tracing::warn!("what was refused is not recorded: {error}");
        }
    }

    /// Does what the statement wishes, and gives the changes that are to stay. Who waits for an answer in the end is told
    /// when all is known.
    async fn rehearse(
        &self,
        first: Wish,
        waiting: &mut Option<Reply>,
        calls: &mut Calls,
    ) -> Result<Vec<Recorded>, Trouble> {
        let actor = self.actor(None).await?;
        let mut failed = None;
        let work = async |tx: &Tx| {
            let mut sandbox = sandbox::replay(tx, &self.pending, &mut failed).await?.sandbox;
            let mut wish = first;
            loop {
                let done = self.grant(tx, &mut sandbox, wish).await;
                if let Some(answer) = waiting.take() {
                    tell(answer, done.map_err(Trouble::from));
                }
                match calls.recv().await {
                    Some(Call { ask: Ask::Do(next), answer }) => (wish, *waiting) = (next, Some(answer)),
                    Some(Call { ask: Ask::End { keep }, answer }) => {
                        *waiting = Some(answer);
                        return Ok(if keep { sandbox.new } else { vec![] });
                    }
                    // Nothing else is asked within a statement, and nobody any more when the shell has ended.
                    Some(_) | None => return Ok(vec![]),
                }
            }
        };
        let done = self.db.rehearse(actor, work).await;
        done.map_err(|error| sandbox::overtaken(&self.pending, failed, error))
    }

    async fn grant(&self, tx: &Tx, sandbox: &mut Sandbox, wish: Wish) -> Result<Answer> {
        let (verb, collection) = match &wish {
            Wish::List { kind, .. } => ("list", kind.name()),
            Wish::Count { kind, .. } => ("count", kind.name()),
            Wish::Find { kind, .. } | Wish::Names { kind, .. } => ("find", kind.name()),
            Wish::Write { kind, action, .. } => (verb(*action), kind.name()),
        };
        let done = tx.attempt(async |tx| inventory::grant(tx, sandbox, wish).await).await;
        if let Err(error @ Error::Forbidden) = &done {
            let route = Cow::Owned(format!("{collection} in the shell"));
            let what = What::Refused { method: verb.into(), route, status: error.status() };
            let sighting = Sighting::of(&tx.actor, None, what);
            self.sightings.note(&Sighting { request: Some(Cow::Borrowed(&self.request)), ..sighting });
        }
        done
    }

    async fn summary(&self) -> Result<Summary, Trouble> {
        let actor = self.actor(None).await?;
        let mut failed = None;
        let work = async |tx: &Tx| {
            let replay = async |tx: &Tx| {
                let Replayed { shown, .. } = sandbox::replay(tx, &self.pending, &mut failed).await?;
                Ok((summary::recorded(tx, &self.pending).await?, shown))
            };
            foresee(tx, replay).await
        };
        let done = self.db.rehearse(actor, work).await;
        let ((objects, more), consequences) = done.map_err(|error| sandbox::overtaken(&self.pending, failed, error))?;
        Ok(Summary { asked: self.pending.len(), objects, more, documents: summary::documents(consequences) })
    }

    /// Makes the changes, all or none.
    async fn commit(&mut self, why: Option<String>) -> Result<Answer, Trouble> {
        let mut attempts = Attempts::default();
        let ids = loop {
            let actor = self.actor(why.clone()).await?;
            let mut failed = None;
            let work = async |tx: &Tx| sandbox::replay(tx, &self.pending, &mut failed).await.map(|done| done.ids);
            match self.db.write(actor, false, work).await {
                Ok(ids) => break ids,
                Err(error) => {
                    attempts.after(error).map_err(|error| sandbox::overtaken(&self.pending, failed, error))?;
                }
            }
        };
        let named = self.pending.iter().zip(ids).filter_map(|(recorded, id)| {
            let key = recorded.made.clone()?;
            Some(((recorded.change.kind.name(), key), id))
        });
        let (named, changes): (Ids, usize) = (named.collect(), self.pending.len());
        self.begin_anew();
        Ok(Answer::Committed(changes, named))
    }

    fn begin_anew(&mut self) {
        self.pending.clear();
        self.request = request();
    }
}

/// A new name for what one commit will do.
fn request() -> String {
    format!("shell-{}", Uuid::new_v4())
}

/// Who does not wait any more need not be told.
fn tell(answer: Reply, done: Result<Answer, Trouble>) {
    if answer.send(done).is_err() {
        tracing::debug!("nobody waits for this answer");
    }
}
