//! Many ask which versions are committed, and few questions reach the database: a question joins the round that starts
//! next, so its answer is true for some moment after it was asked. It knows no old answers, and not how a round is
//! answered.

use futures_util::FutureExt;
use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, SetOnce};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::render::document::Version;

/// What a round asks. A name that many ask for may stand there many times.
#[derive(Default)]
pub struct Asked {
    /// Names of nodes.
    pub nodes: Vec<String>,
    /// Ids of the clusters that held documents show.
    pub clusters: Vec<i64>,
}

/// What is committed.
#[derive(Default)]
pub struct Committed {
    /// Id and generation by name of a node.
    pub nodes: HashMap<String, (i64, i64)>,
    /// Generations by id of a cluster.
    pub clusters: HashMap<i64, i64>,
}

/// Questions that are answered together.
#[derive(Default)]
struct Round {
    asked: Asked,
    answer: Arc<SetOnce<Result<Committed, Arc<Error>>>>,
}

/// Where questions and their answers meet.
#[derive(Default)]
struct Meeting {
    next: Mutex<Round>,
    /// That there is a question in the next round.
    asked: Notify,
}

impl Meeting {
    fn next(&self) -> MutexGuard<'_, Round> {
        // Nothing that is done while it is locked can panic halfway.
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where to ask.
pub struct Checks {
    meeting: Arc<Meeting>,
    task: JoinHandle<()>,
}

impl Checks {
    /// Starts the task that has each round answered. Needs a runtime. Whoever answers must not take for ever.
    pub fn start<F>(answer: impl Fn(Asked) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Committed>> + Send + 'static,
    {
        let meeting = Arc::new(Meeting::default());
        let task = tokio::spawn(run(meeting.clone(), answer));
        Self { meeting, task }
    }

    /// The committed version of a node, as far as it concerns a document that is held; nothing if there is no such
    /// node.
    ///
    /// # Errors
    /// [`Error::Away`]: without a check, no document.
    pub async fn committed(&self, fqdn: &str, held: Option<&Version>) -> Result<Option<Version>> {
        let held = held.map_or(&[][..], |version| &version.clusters);
        let answer = {
            let mut round = self.meeting.next();
            round.asked.nodes.push(fqdn.to_owned());
            round.asked.clusters.extend(held.iter().map(|(id, _)| *id));
            round.answer.clone()
        };
        self.meeting.asked.notify_one();
        let committed = answer.wait().await.as_ref().map_err(|error| Error::Away(error.clone().into()))?;
        Ok(committed.nodes.get(fqdn).map(|&(node, generation)| {
            let clusters = held.iter().map(|(id, _)| (*id, committed.clusters.get(id).copied().unwrap_or_default()));
            Version { node, generation, clusters: clusters.collect() }
        }))
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run<F>(meeting: Arc<Meeting>, answer: impl Fn(Asked) -> F)
where
    F: Future<Output = Result<Committed>>,
{
    loop {
        meeting.asked.notified().await;
        let round = std::mem::take(&mut *meeting.next());
        if round.asked.nodes.is_empty() {
            // The last round has answered this one as well.
            continue;
        }
        // Whatever goes wrong with these questions, the next ones are answered.
        let answered = AssertUnwindSafe(answer(round.asked)).catch_unwind().await;
        let answered = answered.unwrap_or_else(|_| Err(Error::Internal("the check of generations panicked".into())));
        if round.answer.set(answered.map_err(Arc::new)).is_err() {
            tracing::error!("a round was answered twice");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    /// Rounds that are answered when the test lets them, with the number of the round as generation of every node but
    /// `unknown`.
    fn checks(rounds: Arc<Mutex<Vec<usize>>>, gate: Arc<Semaphore>) -> Checks {
        Checks::start(move |asked| {
            let (rounds, gate) = (rounds.clone(), gate.clone());
            async move {
                let number = {
                    let mut rounds = rounds.lock().expect("a lock");
                    rounds.push(asked.nodes.len());
                    i64::try_from(rounds.len()).expect("few")
                };
                gate.acquire().await.expect("open").forget();
                assert!(!asked.nodes.iter().any(|name| name == "broken"), "as the test wants it");
                let known = asked.nodes.into_iter().filter(|name| name != "unknown");
                let clusters = asked.clusters.into_iter().map(|id| (id, 10 * number)).collect();
                Ok(Committed { nodes: known.map(|name| (name, (1, number))).collect(), clusters })
            }
        })
    }

    async fn until(what: impl Fn() -> bool) {
        while !what() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn all_who_ask_during_a_round_share_the_next_one() {
        let (rounds, gate) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let checks = checks(Arc::clone(&rounds), gate.clone());
        let asked = AtomicUsize::new(0);
        let first = async { checks.committed("a", None).await.expect("an answer").expect("a version").generation };
        let others = async {
            until(|| !rounds.lock().expect("a lock").is_empty()).await;
            join_all((0..300).map(|_| async {
                asked.fetch_add(1, Ordering::Relaxed);
                checks.committed("a", None).await.expect("an answer").expect("a version").generation
            }))
            .await
        };
        let open = async {
            until(|| asked.load(Ordering::Relaxed) == 300).await;
            gate.add_permits(10);
        };
        let (first, others, ()) = tokio::join!(first, others, open);
        assert_eq!((first, others), (1, vec![2; 300]), "nobody is answered by a round that was under way");
        assert_eq!(*rounds.lock().expect("a lock"), [1, 300]);
    }

    #[tokio::test]
    async fn an_answer_is_about_what_was_asked() {
        let checks = checks(Arc::default(), Arc::new(Semaphore::new(10)));
        let held = Version { node: 7, generation: 7, clusters: vec![(3, 1), (5, 1)] };
        let committed = checks.committed("a", Some(&held)).await.expect("an answer");
        assert_eq!(committed, Some(Version { node: 1, generation: 1, clusters: vec![(3, 10), (5, 10)] }));
        assert_eq!(checks.committed("unknown", None).await.expect("an answer"), None);
        let broken = checks.committed("broken", None).await;
        assert!(matches!(broken, Err(Error::Away(_))), "{broken:?}");
        assert!(checks.committed("a", None).await.expect("an answer").is_some(), "the next round is answered");
    }
}
