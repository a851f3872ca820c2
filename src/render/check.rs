//! Which version of a node is committed? Asked for every document that is served, answered for many at once: a question
//! waits for the check that starts after it, so the answer is true for some moment after it was asked. It knows no old
//! answers: without the database, there is none.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::auth::Actor;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::render::PATIENCE;
use crate::render::document::Version;
use crate::sql::{Sql, Statement};

/// How many questions one check answers.
const BATCH: usize = 1024;

/// A question.
struct Question {
    fqdn: String,
    /// The version of the document at hand, if there is one: its clusters are looked at, too.
    held: Option<Version>,
    answer: oneshot::Sender<Answer>,
}

/// The committed version; nothing if there is no such node.
type Answer = Result<Option<Version>, Arc<Error>>;

/// Where to ask.
pub struct Checks(mpsc::Sender<Question>);

impl Checks {
    /// Starts the task that answers. Needs a runtime; the task ends when nobody can ask any more.
    pub fn start(db: Db) -> Self {
        let (checks, asked) = mpsc::channel(BATCH);
        tokio::spawn(answer(db, asked));
        Self(checks)
    }

    /// The committed version of a node, as far as it concerns a document that is held; nothing if there is no such node.
    ///
    /// # Errors
    /// [`Error::Away`]: without a check, no document.
    pub async fn committed(&self, fqdn: &str, held: Option<Version>) -> Result<Option<Version>> {
        let (answer, version) = oneshot::channel();
        let question = Question { fqdn: fqdn.to_owned(), held, answer };
        let asked = async {
            self.0.send(question).await.ok()?;
            version.await.ok()
        };
        match timeout(2 * PATIENCE, asked).await {
            Ok(Some(answer)) => answer.map_err(|error| Error::Away(error.into())),
            Ok(None) => Err(Error::Away("generations are no longer checked".into())),
            Err(late) => Err(Error::Away(late.into())),
        }
    }
}

async fn answer(db: Db, mut asked: mpsc::Receiver<Question>) {
    let mut waiting = Vec::with_capacity(BATCH);
    while asked.recv_many(&mut waiting, BATCH).await > 0 {
        waiting.retain(|question| !question.answer.is_closed());
        // Whatever goes wrong with these questions, the next ones are answered.
        let answers = AssertUnwindSafe(versions(&db, &waiting)).catch_unwind().await;
        let answers = answers.unwrap_or_else(|_| Err(Error::Internal("the check of generations panicked".into())));
        let answers = answers.map_err(Arc::new);
        for question in waiting.drain(..) {
            let one = match &answers {
                Ok((nodes, clusters)) => Ok(committed(&question, nodes, clusters)),
                Err(error) => Err(error.clone()),
            };
            if question.answer.send(one).is_err() {
                tracing::trace!("whoever asked has gone");
            }
        }
    }
}

/// Generations by id of a cluster.
type Clusters = HashMap<i64, i64>;
/// Id and generation by name of a node.
type Nodes = HashMap<String, (i64, i64)>;

fn committed(question: &Question, nodes: &Nodes, clusters: &Clusters) -> Option<Version> {
    let (node, generation) = *nodes.get(&question.fqdn)?;
    let held = question.held.iter().flat_map(|version| &version.clusters);
    let clusters = held.map(|(id, _)| (*id, clusters.get(id).copied().unwrap_or_default())).collect();
    Some(Version { node, generation, clusters })
}

async fn versions(db: &Db, waiting: &[Question]) -> Result<(Nodes, Clusters)> {
    let tx = db.connect(Actor::system("render")).await?;
    match timeout(PATIENCE, read(&tx, waiting)).await {
        Ok(versions) => versions,
        Err(late) => {
            // A new connection may reach the database that this one has lost.
            tx.abandon();
            Err(Error::Away(late.into()))
        }
    }
}

/// Nodes are read before clusters. Generations only grow, so a document that is equal in both was current when the nodes
/// were read.
async fn read(tx: &Tx, waiting: &[Question]) -> Result<(Nodes, Clusters)> {
    let mut names: Vec<String> = waiting.iter().map(|question| question.fqdn.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let nodes = Sql::new("SELECT fqdn, id, generation FROM nodes WHERE fqdn = ").any(names, "text");
    let nodes: Vec<(String, i64, i64)> = Statement::<(Text, BigInt, BigInt)>::from(nodes).load(&mut tx.conn()).await?;
    let held = waiting.iter().filter_map(|question| question.held.as_ref());
    let mut ids: Vec<i64> = held.flat_map(|version| version.clusters.iter().map(|(id, _)| *id)).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut clusters = Vec::new();
    if !ids.is_empty() {
        let ids = ids.iter().map(ToString::to_string).collect();
        let sql = Sql::new("SELECT id, generation FROM ceph_clusters WHERE id = ").any(ids, "int8");
        clusters = Statement::<(BigInt, BigInt)>::from(sql).load(&mut tx.conn()).await?;
    }
    Ok((nodes.into_iter().map(|(name, id, g)| (name, (id, g))).collect(), clusters.into_iter().collect()))
}
