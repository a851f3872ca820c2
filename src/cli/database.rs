//! The database of a command: the one that the settings name, or the private one for as long as the command runs.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::{Result, print, with_causes};
use crate::auth::{Actor, Secret};
use crate::change::{self, Change};
use crate::config::{DatabaseUrl, Flags, Settings};
use crate::db::{Db, Tx};
use crate::kind::Kind;
use crate::postgres::{OLDEST, Private};
use crate::query::{MAX_LIMIT, Query};
use crate::{column, error, refs};

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

    /// Sees to it that its schema is up to date; says why when that cannot be done.
    pub async fn migrate(&self) -> Result<()> {
        if let Self::Given(url) = self {
            let usable = timeout(PATIENCE, probe(url)).await.unwrap_or_else(|_| Err("it does not answer".into()));
            usable.map_err(|error| format!("cannot use the database {url}: {}", with_causes(&*error)))?;
        }
        crate::migrations::migrate(self.url()).await
    }

    /// Hands the first administrator's secret over, before anything can go wrong: beside a private Postgres it is kept
    /// in a file, else it is shown this once.
    pub fn keep(&self, secret: &Secret) -> Result<()> {
        let Self::Private(private) = self else { return show("$TOKEN in what there is to try", secret) };
        let path = private.data_dir().join(ADMIN_TOKEN);
        write_anew(&path, &format!("{}\n", secret.expose())).map_err(|error| {
            let file = path.display();
            format!("cannot write {file}: {error}; `virtapi token create rescue --user admin` makes another token")
                .into()
        })
    }

    /// Shows what is kept in a file as well, this once.
    pub fn show_kept(&self, secret: &Secret) -> Result<()> {
        match self {
            Self::Given(_) => Ok(()),
            Self::Private(private) => {
                show(&format!("kept in {}", private.data_dir().join(ADMIN_TOKEN).display()), secret)
            }
        }
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

fn show(what: &str, secret: &Secret) -> Result<()> {
    print(&format!("the first administrator's token ({what}), shown this once: {}\n", secret.expose()))
}

/// Writes a file for its owner alone.
fn write_anew(path: &Path, text: &str) -> std::io::Result<()> {
    // One that an older database left may be open to others.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
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

/// Who acts that has the database.
pub(super) fn actor() -> Actor {
    Actor::system("command line")
}

/// A change by whoever has the database: it needs no token.
pub(super) fn write<T>(flags: &Flags, work: impl AsyncFnOnce(&Tx) -> error::Result<T>) -> Result<T> {
    let settings = super::settings(flags)?.settings;
    with_database(&settings, async |url| {
        let done = Db::new(url, 1)?.write(actor(), false, work).await;
        done.map_err(|error| error.named().into())
    })
}

/// One change by whoever has the database.
pub(super) fn apply(flags: &Flags, change: Change) -> Result<()> {
    write(flags, async |tx| change::apply_one(tx, change).await.map(drop))
}

/// All objects of a kind, at most 1000, as a line each with these fields.
pub(super) fn list(flags: &Flags, kind: &'static dyn Kind, fields: &[&str]) -> Result<()> {
    let settings = super::settings(flags)?.settings;
    let items = with_database(&settings, async |url| {
        let all = Query::parse(kind, &[("limit".into(), MAX_LIMIT.to_string())])?;
        let read = async |tx: &Tx| {
            let rows = kind.list(tx, &all).await?;
            refs::with_references(tx, kind, rows).await
        };
        Ok(Db::new(url, 1)?.read(actor(), read).await?)
    })?;
    let cell = |value: &Value| if value.is_null() { "-".into() } else { column::text(value) };
    let line = |item: &Value| fields.iter().map(|name| cell(&item[*name])).collect::<Vec<_>>().join("\t") + "\n";
    print(&items.iter().map(line).collect::<String>())
}

/// Threads for the server, or for a command's work.
pub(super) fn runtime(settings: &Settings) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(settings.workers).enable_all().build()
}
