//! What the language asks of the inventory, and what it is told: all that the thread of the language and the task that
//! has the database know of each other. It knows neither of the two.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::interrupt::Interrupt;
use super::summary::Summary;
use crate::change::Action;
use crate::error::Error;
use crate::kind::Kind;

/// What can be asked.
pub enum Ask {
    /// Something of the statement that runs; the first begins it.
    Do(Wish),
    /// The statement has ended; what it has changed stays, or does not.
    End {
        /// Whether it stays.
        keep: bool,
    },
    /// What a commit would do.
    Summary,
    /// Do it, and say why.
    Commit(Option<String>),
    /// Forget what was changed.
    RollBack,
}

/// What a statement can ask.
pub enum Wish {
    /// Objects of a kind.
    List {
        /// The kind.
        kind: &'static dyn Kind,
        /// What would stand behind `?`.
        pairs: Vec<(String, String)>,
        /// Whether all pages are wanted, and not the first alone.
        all: bool,
    },
    /// How many there are.
    Count {
        /// The kind.
        kind: &'static dyn Kind,
        /// Filters.
        pairs: Vec<(String, String)>,
    },
    /// One object.
    Find {
        /// The kind.
        kind: &'static dyn Kind,
        /// Its id, its natural key, or the name that people gave.
        key: String,
        /// How it is to be shown.
        pairs: Vec<(String, String)>,
    },
    /// How objects are called whose name begins with this.
    Names {
        /// The kind.
        kind: &'static dyn Kind,
        /// What they begin with.
        beginning: String,
    },
    /// A change.
    Write {
        /// The kind.
        kind: &'static dyn Kind,
        /// What to do.
        action: Action,
        /// With which object, if it is there already.
        key: Option<String>,
        /// What it shall be.
        body: Value,
    },
}

/// What comes back.
pub enum Answer {
    /// It is done, and there is nothing to tell.
    Done,
    /// Objects.
    Items {
        /// They.
        items: Vec<Item>,
        /// Whether more follow.
        more: bool,
    },
    /// One object.
    Item(Item),
    /// How many.
    Number(i64),
    /// What objects are called.
    Names(Vec<String>),
    /// How many changes wait for a commit.
    Pending(usize),
    /// What a commit would do.
    Summary(Summary),
    /// What it did: how many changes, and the ids of what is new, by collection and natural key.
    Committed(usize, Ids),
}

/// The ids of what a commit has made, by collection and natural key.
pub type Ids = HashMap<(&'static str, String), i64>;

/// An object, as it was when it was read.
#[derive(Clone)]
pub struct Item {
    /// What it is.
    pub kind: &'static dyn Kind,
    /// Its id. What is not committed has none that would last.
    pub id: Option<i64>,
    /// Its natural key.
    pub key: String,
    /// Its fields, as they are asked for.
    pub value: Arc<Value>,
}

impl Item {
    /// By what it is known to stay the same.
    pub fn reference(&self) -> String {
        self.id.map_or_else(|| self.key.clone(), |id| id.to_string())
    }
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// What the API would say.
    #[error("{}", .0.named())]
    Refused(#[from] Error),
    /// What was changed earlier in the session can no longer be: others have changed the same.
    #[error("what you have changed cannot be done any more, at its change {place}, {what}: {}. `rollback` forgets your changes", .error.named())]
    Overtaken {
        /// Which of the changes.
        place: usize,
        /// What it was.
        what: String,
        /// Why.
        error: Error,
    },
    /// Somebody has pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Trouble {
    /// What the API would say of it (RFC 9457).
    pub fn problem(&self) -> Value {
        match self {
            Self::Refused(error) => error.problem(),
            Self::Overtaken { error, .. } => {
                let mut problem = error.problem();
                problem["detail"] = self.to_string().into();
                problem
            }
            Self::Interrupted => json!({"title": "Interrupted", "detail": self.to_string()}),
        }
    }
}

/// A question, and where the answer goes.
pub struct Call {
    /// The question.
    pub ask: Ask,
    /// Where the answer goes.
    pub answer: Reply,
}

/// Where an answer goes. Without one, whoever asks is interrupted.
pub type Reply = oneshot::Sender<Result<Answer, Trouble>>;

/// Asks, from the thread of the language.
#[derive(Clone)]
pub struct Asker {
    calls: UnboundedSender<Call>,
    /// Whether somebody wants the statement to end.
    pub interrupt: Arc<Interrupt>,
}

impl Asker {
    /// One who asks there.
    pub fn new(calls: UnboundedSender<Call>, interrupt: Arc<Interrupt>) -> Self {
        Self { calls, interrupt }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Why there is none.
    pub fn ask(&self, ask: Ask) -> Result<Answer, Trouble> {
        // The statement that was interrupted must not go on as another one.
        if matches!(ask, Ask::Do(_)) && self.interrupt.is_pressed() {
            return Err(Trouble::Interrupted);
        }
        let (answer, answered) = oneshot::channel();
        self.calls.send(Call { ask, answer }).map_err(|_| Trouble::Interrupted)?;
        answered.blocking_recv().unwrap_or(Err(Trouble::Interrupted))
    }
}
