//! The database of a command: the one that the settings name, or the private one for as long as the command runs.

use super::Result;
use crate::config::{DatabaseUrl, Settings};
use crate::postgres::Private;

/// Opened, it must be closed.
pub(super) enum Database {
    /// Somebody else's.
    Given(DatabaseUrl),
    /// Ours.
    Private(Private),
}

impl Database {
    pub fn open(settings: &Settings) -> Result<Self> {
        match &settings.database_url {
            Some(url) => Ok(Self::Given(url.clone())),
            None => Ok(Self::Private(Private::start(settings)?)),
        }
    }

    pub fn url(&self) -> &str {
        match self {
            Self::Given(url) => url.expose(),
            Self::Private(private) => private.url().expose(),
        }
    }

    /// In words for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Given(url) => url.to_string(),
            Self::Private(private) => format!("private Postgres in {}", private.data_dir().display()),
        }
    }

    /// Ends a command with this outcome, which counts more than a database that does not stop.
    pub fn close<T>(self, outcome: Result<T>) -> Result<T> {
        let closed = match self {
            Self::Given(_) => Ok(()),
            Self::Private(private) => private.stop(),
        };
        match (outcome, closed) {
            (Ok(_), Err(error)) => Err(error.into()),
            (outcome, Err(error)) => {
                tracing::error!("{error}");
                outcome
            }
            (outcome, Ok(())) => outcome,
        }
    }
}

/// Does something with the database that the settings give, on a runtime.
pub(super) fn with_database<T>(settings: &Settings, work: impl AsyncFnOnce(&str) -> Result<T>) -> Result<T> {
    let runtime = runtime(settings)?;
    let database = Database::open(settings)?;
    let outcome = runtime.block_on(work(database.url()));
    drop(runtime);
    database.close(outcome)
}

/// Threads for the server, or for a command's work.
pub(super) fn runtime(settings: &Settings) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(settings.workers).enable_all().build()
}
