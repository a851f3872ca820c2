//! What a server asks of its database, from the log of Postgres, and how often it waits for an answer.

use rocket::tokio::io::{AsyncReadExt, AsyncWriteExt};
use rocket::tokio::net::{UnixListener, UnixStream};
use rocket::tokio::{select, spawn, time::sleep};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

use crate::harness::{rows, sql};

/// The log, from some moment on.
pub struct Log {
    dsn: String,
    file: PathBuf,
    start: u64,
}

impl Log {
    /// From now on, every new connection to this database logs its statements and the plans of those that take rows.
    pub async fn start(dsn: &str) -> Self {
        let name = dsn.rsplit('=').next().expect("a name");
        for setting in
            ["log_statement = 'all'", "session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0"]
        {
            sql(dsn, &format!("ALTER DATABASE {name} SET {setting}")).await;
        }
        let directory = dsn.split(' ').find_map(|part| part.strip_prefix("host=")).expect("a host");
        let file = PathBuf::from(directory).join("log");
        let start = file.metadata().expect("a log").len();
        Self { dsn: dsn.to_owned(), file, start }
    }

    /// What the connections to the database that are open have logged since the last call, one entry each.
    pub async fn entries(&mut self) -> Vec<String> {
        let open = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let open: BTreeSet<String> = rows(&self.dsn, open).await.into_iter().flatten().collect();
        let mut text = String::new();
        let mut file = File::open(&self.file).expect("a log");
        file.seek(SeekFrom::Start(self.start)).expect("seeks");
        self.start += u64::try_from(file.read_to_string(&mut text).expect("UTF-8")).expect("small");
        let mut entries: Vec<String> = vec![];
        let mut ours = false;
        for line in text.lines() {
            // `2026-11-21 01:02:03.456 UTC [123] LOG:  …`; more lines of the same entry begin with a tab.
            let head = line.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
            match (line.strip_prefix('\t'), head) {
                (Some(more), _) if ours => {
                    let entry = entries.last_mut().expect("a first line");
                    entry.push('\n');
                    entry.push_str(more);
                }
                (None, Some((pid, rest))) => {
                    ours = open.contains(pid) && rest.starts_with(" LOG:  ");
                    if ours {
                        entries.push(rest.trim_start_matches(" LOG:  ").to_owned());
                    }
                }
                _ => {}
            }
        }
        entries
    }

    /// The statements among them.
    pub async fn statements(&mut self) -> Vec<String> {
        let text = |entry: String| {
            let (kind, text) = entry.split_once(": ")?;
            (kind == "statement" || kind.starts_with("execute ")).then(|| text.to_owned())
        };
        self.entries().await.into_iter().filter_map(text).collect()
    }
}

/// Stands between a server and its database, and counts round trips: how often the server has said something and
/// then waited.
pub struct Relay {
    pub dsn: String,
    trips: Arc<AtomicUsize>,
    _directory: TempDir,
}

/// Where Postgres listens in a directory.
const SOCKET: &str = ".s.PGSQL.5432";
/// Who has said nothing for so long is waiting. What is answered is held back until then, for an answer to the first
/// of several statements would else overtake the last.
const QUIET: Duration = Duration::from_millis(20);

impl Relay {
    pub fn start(dsn: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let host = dsn.split(' ').find_map(|part| part.strip_prefix("host=")).expect("a host");
        let there = PathBuf::from(host).join(SOCKET);
        let listener = UnixListener::bind(directory.path().join(SOCKET)).expect("listens");
        let trips = Arc::new(AtomicUsize::new(0));
        let counted = trips.clone();
        spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&there).await.expect("connects");
                spawn(pass(client, server, counted.clone()));
            }
        });
        let dsn = dsn.replace(host, &directory.path().to_string_lossy());
        Self { dsn, trips, _directory: directory }
    }

    /// How many there were since the last call.
    pub fn round_trips(&self) -> usize {
        self.trips.swap(0, Ordering::Relaxed)
    }
}

async fn pass(mut client: UnixStream, mut server: UnixStream, trips: Arc<AtomicUsize>) -> std::io::Result<()> {
    let (mut asked, mut answered, mut held) = (vec![0; 1 << 16], vec![0; 1 << 16], vec![]);
    let mut waits = false;
    loop {
        select! {
            length = client.read(&mut asked) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                trips.fetch_add(usize::from(!waits), Ordering::Relaxed);
                waits = true;
                server.write_all(&asked[..length]).await?;
            }
            length = server.read(&mut answered) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                held.extend_from_slice(&answered[..length]);
            }
            () = sleep(QUIET), if !held.is_empty() => {
                waits = false;
                client.write_all(&held).await?;
                held.clear();
            }
        }
    }
}
