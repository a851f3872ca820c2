//! The shell: somebody asks and changes the inventory in a small language, at a terminal or by a script, as an actor with
//! its rights, and leaves the same record as by any other way in. Written once over the registry.
//!
//! It refuses to know: requests, HTTP, any particular kind, and what becomes of a change: that is `change::apply`'s. Two
//! threads share it. The language and the terminal, which wait for people, are on one; the database is on the other, and
//! no transaction is open while a person thinks.

mod complete;
mod context;
mod help;
mod interrupt;
mod inventory;
mod language;
mod request;
mod sandbox;
mod session;
mod summary;
mod table;
mod terminal;
mod trouble;
mod value;
mod vocabulary;

use rhai::Dynamic;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;

use self::interrupt::Interrupt;
use self::language::{Ended, Language};
use self::request::{Answer, Ask, Asker, Ids, Item};
use self::session::Session;
use self::summary::Summary;
use self::table::{Look, plain, say};
use self::terminal::{Terminal, changes_in_words};
use self::trouble::told;
use crate::db::Db;

pub use self::session::Who;

/// Why the shell ends badly, in words for people.
type Problem = Box<dyn std::error::Error + Send + Sync>;

/// What to run, and how.
pub struct Options {
    /// In whose name.
    pub who: Who,
    /// Why, for the record of what is changed.
    pub message: Option<String>,
    /// Whether changes are committed without a question.
    pub commit: bool,
    /// Whether values are shown as JSON.
    pub json: bool,
    /// How long a statement or a script may take.
    pub time_limit: Duration,
    /// What to run.
    pub source: Source,
    /// How many columns the terminal has that shows values, if it is one.
    pub width: Option<u16>,
}

/// Where statements come from.
pub enum Source {
    /// A person at a terminal, whose lines are kept in this file.
    Terminal(Option<PathBuf>),
    /// A script.
    Script {
        /// Its text.
        text: String,
        /// Whether what it is worth is shown.
        shows_value: bool,
    },
}

/// Runs a shell to its end.
///
/// # Errors
/// Why it cannot run, or what is wrong with the script.
pub async fn run(db: Db, options: Options) -> Result<(), Problem> {
    let interrupt = Arc::new(Interrupt::default());
    let (calls, called) = unbounded_channel();
    let asker = Asker::new(calls, interrupt.clone());
    let Options { who, message, commit, json, time_limit, source, width } = options;
    let name = if let Who::User(name) = &who { Some(name.clone()) } else { None };
    let session = Session::new(db, who, message, interrupt.clone());
    // Before anything is said: nobody types for nobody.
    session.actor(None).await.map_err(|error| error.named())?;
    let look = Look { json, width };
    let (done, ended) = oneshot::channel();
    let talk = move || {
        let is_script = matches!(source, Source::Script { .. });
        let mut language = Language::new(asker.clone(), look, time_limit, is_script);
        let outcome = match source {
            Source::Terminal(history) => {
                Terminal { history, look, who: name, direct: commit }.run(&mut language, &asker)
            }
            Source::Script { text, shows_value } => script(&mut language, &asker, look, &text, (commit, shows_value)),
        };
        if done.send(outcome).is_err() {
            tracing::debug!("nobody waits for the shell any more");
        }
    };
    std::thread::Builder::new().name("shell".into()).spawn(talk)?;
    tokio::select! {
        () = session.serve(called) => {}
        // For ever, but for what cannot be listened to.
        Err(error) = interrupt.listen() => return Err(error.into()),
    }
    ended.await?
}

/// Runs a script: what it changes is committed when it has ended, or told.
fn script(
    language: &mut Language,
    asker: &Asker,
    look: Look,
    text: &str,
    (commit, shows_value): (bool, bool),
) -> Result<(), Problem> {
    let Ended { mut value, pending, .. } = language.run(text)?;
    let told = |trouble| Problem::from(told(&trouble));
    if pending > 0 && commit {
        if let Answer::Committed(changes, ids) = asker.ask(Ask::Commit(None)).map_err(told)? {
            eprintln!("{} committed", changes_in_words(changes));
            fill_ids(&mut value, &ids);
        }
    } else if pending > 0 {
        if let Answer::Summary(summary) = asker.ask(Ask::Summary).map_err(told)? {
            eprint!("{}", summary_text(&summary));
        }
        eprintln!("nothing is committed: that is what --commit does");
    }
    if shows_value {
        say(&look.show(&value));
    }
    Ok(())
}

/// Gives objects that were read before a commit the ids that it gave them.
fn fill_ids(value: &mut Dynamic, ids: &Ids) {
    if let Some(mut item) = value.write_lock::<Item>() {
        if let Some(id) = ids.get(&(item.kind.name(), item.key.clone())) {
            item.id = Some(*id);
            let mut fields = serde_json::Value::clone(&item.value);
            fields["id"] = (*id).into();
            item.value = Arc::new(fields);
        }
        return;
    }
    if let Ok(mut items) = value.as_array_mut() {
        items.iter_mut().for_each(|item| fill_ids(item, ids));
    }
}

/// What a commit would do, for people.
fn summary_text(summary: &Summary) -> String {
    let mut text = String::new();
    for changed in &summary.objects {
        let sign = match changed.action.as_str() {
            "create" => '+',
            "delete" => '-',
            _ => '~',
        };
        let name = changed.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        text += &format!("{sign} {} {}{name}\n", changed.collection, changed.key);
        for (field, before, after) in &changed.differences {
            text += &format!("    {field}: {before} → {after}\n");
        }
    }
    if summary.more {
        text += "… and more\n";
    }
    text += &format!("{} to commit", changes_in_words(summary.asked));
    match &summary.documents {
        Some(nodes) if nodes.is_empty() => text += "; no node gets another document",
        Some(nodes) => text += &format!("; another document for {}", nodes.join(", ")),
        None => {}
    }
    plain(&(text + "\n"))
}
