//! The private Postgres: made, started, shared and stopped, so that nobody has to set one up to try the server.
//!
//! It listens on a unix socket in a directory that only its own user can enter, so it needs no password. This module
//! knows processes and files; it knows nothing of tables, and never connects to a database.

mod cluster;
mod control;
mod programs;
mod user;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{DatabaseUrl, Settings};
use cluster::Cluster;
use control::Server;
pub use programs::OLDEST;
use user::User;

/// What can be wrong, each in one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no Postgres.
    #[error(
        "Postgres is not installed: install it with `{}`, or set DATABASE_URL to a database that exists",
        programs::INSTALL
    )]
    NotInstalled,
    /// The setting names a directory without the programs.
    #[error("there are no programs initdb and postgres in {} (setting postgres_bin): without that setting, what `{}` installs is found", .0.display(), programs::INSTALL)]
    NoPrograms(PathBuf),
    /// There is an old one.
    #[error("Postgres {0} is too old, virtapi needs {min} or newer: install it (`{install}`), or set DATABASE_URL", min = programs::OLDEST, install = programs::INSTALL)]
    TooOld(u32),
    /// The files were made by a version that is not there.
    #[error("{} was made by Postgres {made_by}, which is not installed: install it (`apt-get install postgresql-{made_by}`), or give another --data-dir", .dir.display())]
    OtherVersion {
        /// The files.
        dir: PathBuf,
        /// The version that made them.
        made_by: u32,
    },
    /// The files belong to somebody else.
    #[error("{} belongs to another user: run virtapi as that user or as root, or give another --data-dir", .0.display())]
    NotOurs(PathBuf),
    /// Root's Postgres runs as another user, who cannot get there.
    #[error("the user {user} cannot enter {}, and Postgres does not run as root: give a --data-dir that this user can reach, such as /var/lib/virtapi", .dir.display())]
    Unreachable {
        /// Who.
        user: String,
        /// Where.
        dir: PathBuf,
    },
    /// Something else is where the files should be.
    #[error("{} is not a directory of Postgres: move it away, or give another --data-dir", .0.display())]
    NotACluster(PathBuf),
    /// A program of Postgres did not do it.
    #[error("{program} failed: {output}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// The last that it said.
        output: String,
    },
    /// It neither came up nor ended, or did not end.
    #[error("Postgres in {} takes too long to {what}; its log is {}", .dir.display(), .log.display())]
    Stuck {
        /// Start or stop.
        what: &'static str,
        /// Its files.
        dir: PathBuf,
        /// Its log.
        log: PathBuf,
    },
    /// The system said no.
    #[error("{}: {source}", .path.display())]
    Io {
        /// To what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// A running private Postgres, and this process's share in it.
#[derive(Debug)]
pub struct Private {
    cluster: Cluster,
    server: Server,
    url: DatabaseUrl,
    /// Locked for as long as this process uses the server.
    share: File,
}

impl Private {
    /// Starts it, or joins the one that runs; makes its files at the first time.
    ///
    /// # Errors
    /// When Postgres is not installed, or the data directory cannot be used.
    pub fn start(settings: &Settings) -> Result<Self, Error> {
        let (data_dir, user) = user::place(&settings.data_dir, settings.data_dir == Settings::default().data_dir)?;
        // Starts and stops of several processes happen one after the other.
        let turn = lock(&data_dir)?;
        let cluster = Cluster::open(&data_dir, user, settings.postgres_bin.as_deref())?;
        let share = File::open(cluster.dir()).map_err(Error::at(cluster.dir()))?;
        share.lock_shared().map_err(Error::at(cluster.dir()))?;
        let server = match control::running(&cluster)? {
            Some(server) => server,
            None => control::start(&cluster, settings.pool_size)?,
        };
        let url = Cluster::url(&server.socket_dir, server.port);
        drop(turn);
        Ok(Self { cluster, server, url, share })
    }

    /// How to reach it.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Where its files are.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.cluster.data_dir()
    }

    /// Leaves it; the last one to leave stops it.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(self) -> Result<(), Error> {
        let _turn = lock(self.cluster.data_dir())?;
        let dir = self.cluster.dir();
        self.share.unlock().map_err(Error::at(dir))?;
        match self.share.try_lock() {
            Ok(()) => control::stop(&self.cluster, self.server),
            Err(std::fs::TryLockError::WouldBlock) => Ok(()),
            Err(std::fs::TryLockError::Error(source)) => Err(Error::at(dir)(source)),
        }
    }
}

/// The right to start or stop what is in this directory, until it is dropped.
fn lock(data_dir: &Path) -> Result<File, Error> {
    let turn = File::open(data_dir).map_err(Error::at(data_dir))?;
    turn.lock().map_err(Error::at(data_dir))?;
    Ok(turn)
}
