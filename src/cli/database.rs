//! The database of a command: the one that the settings name, or the private one for as long as the command runs.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use tokio::time::timeout;

use super::{Result, print, with_causes};
use crate::auth::Secret;
use crate::config::{DatabaseUrl, Settings};
use crate::postgres::{OLDEST, Private};

/// The file beside a private Postgres that holds the first administrator's token.
const ADMIN_TOKEN: &str = "admin-token";

/// How long a database may take to answer at the start.
const PATIENCE: Duration = Duration::from_secs(15);

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

    /// Brings its schema up to date; says why when that cannot be done.
    pub async fn migrate(&self) -> Result<()> {
        if let Self::Given(url) = self {
            let usable = timeout(PATIENCE, probe(url)).await.unwrap_or_else(|_| Err("it does not answer".into()));
            usable.map_err(|error| format!("cannot use the database {url}: {}", with_causes(&*error)))?;
        }
        crate::db::migrate(self.url()).await
    }

    /// Hands the first administrator's secret over: beside a private Postgres it is kept in a file, else it is shown
    /// this once.
    pub fn keep(&self, secret: &Secret) -> Result<()> {
        let Self::Private(private) = self else {
            return print(&format!("the first administrator's token, shown this once: {}\n", secret.expose()));
        };
        let path = private.data_dir().join(ADMIN_TOKEN);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok(file.write_all(format!("{}\n", secret.expose()).as_bytes())?)
    }

    /// What stands for the administrator's token in a command.
    pub fn token_in_shell(&self) -> String {
        match self {
            Self::Given(_) => "$TOKEN".into(),
            Self::Private(private) => {
                format!("$(cat {})", quoted(&private.data_dir().join(ADMIN_TOKEN).display().to_string()))
            }
        }
    }

    /// In words for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Given(url) => url.to_string(),
            Self::Private(private) => format!("private Postgres and {ADMIN_TOKEN} in {}", private.data_dir().display()),
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

/// A path as a word of a shell (POSIX, section 2.2.2).
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// Whether a database is there and new enough. The pool would only say that it cannot connect.
async fn probe(url: &DatabaseUrl) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(url.expose(), tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let row = client.query_one("SELECT current_setting('server_version_num')::int / 10000", &[]).await?;
    let version = u32::try_from(row.try_get::<_, i32>(0)?)?;
    drop(client);
    connection.await??;
    if version < OLDEST {
        Err(format!("it is Postgres {version}, and must be {OLDEST} or newer").into())
    } else {
        Ok(())
    }
}

/// Does something with the migrated database that the settings give, on a runtime.
pub(super) fn with_database<T>(settings: &Settings, work: impl AsyncFnOnce(&str) -> Result<T>) -> Result<T> {
    let runtime = runtime(settings)?;
    let database = Database::open(settings)?;
    let outcome = runtime.block_on(async {
        database.migrate().await?;
        work(database.url()).await
    });
    drop(runtime);
    database.close(outcome)
}

/// Threads for the server, or for a command's work.
pub(super) fn runtime(settings: &Settings) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(settings.workers).enable_all().build()
}
