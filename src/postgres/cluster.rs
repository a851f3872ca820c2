//! The files of the private Postgres: made once, whole or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::programs::{self, Programs};
use super::{Error, User};
use crate::config::DatabaseUrl;

/// The name of the database, and of its owner.
const NAME: &str = "virtapi";

/// A directory that holds a database.
#[derive(Debug)]
pub(super) struct Cluster {
    data_dir: PathBuf,
    dir: PathBuf,
    pub user: User,
    programs: Programs,
}

impl Cluster {
    /// The cluster in this data directory, made at the first time.
    pub fn open(data_dir: &Path, user: User, programs_dir: Option<&Path>) -> Result<Self, Error> {
        let dir = data_dir.join("pg");
        let made_by = made_by(&dir)?;
        let programs = programs::find(programs_dir, made_by.map(|version| (version, &*dir)))?;
        let cluster = Self { data_dir: data_dir.to_owned(), dir, user, programs };
        if made_by.is_none() {
            cluster.create()?;
        }
        Ok(cluster)
    }

    /// The directory around it.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The files of Postgres.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What Postgres has to say.
    pub fn log(&self) -> PathBuf {
        self.data_dir.join("postgres.log")
    }

    /// One of the programs, to be run as the right user.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.dir.join(name));
        // Root's own directory may be closed to the user who runs this.
        self.user.apply(&mut command).current_dir("/");
        command
    }

    /// How to reach the database behind this socket.
    pub fn url(socket_dir: &Path, port: u16) -> DatabaseUrl {
        let quoted = socket_dir.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
        DatabaseUrl::from(format!("host='{quoted}' port={port} user={NAME} dbname={NAME}"))
    }

    /// Made beside its place and then moved there, so that an interrupted attempt leaves nothing that looks finished.
    fn create(&self) -> Result<(), Error> {
        let new = self.data_dir.join("pg.new");
        if new.exists() {
            fs::remove_dir_all(&new).map_err(Error::at(&new))?;
        }
        self.user.create_dir(&new)?;
        let mut initdb = self.program("initdb");
        initdb.arg("-D").arg(&new).args(["-U", NAME, "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust"]);
        finish("initdb", &mut initdb, "")?;
        // Single-user mode needs no client program, and no server to wait for.
        let mut single = self.program("postgres");
        single.arg("--single").arg("-D").arg(&new).args(["-c", "log_min_messages=error", "template1"]);
        finish("postgres", &mut single, &format!("CREATE DATABASE {NAME};\n"))?;
        fs::rename(&new, &self.dir).map_err(Error::at(&self.dir))
    }
}

/// The version that made these files; nothing, when there are none.
fn made_by(dir: &Path) -> Result<Option<u32>, Error> {
    if !dir.exists() {
        return Ok(None);
    }
    let version = dir.join("PG_VERSION");
    let text = fs::read_to_string(&version).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::NotACluster(dir.to_owned()),
        _ => Error::at(&version)(error),
    })?;
    text.trim().parse().map(Some).map_err(|_| Error::NotACluster(dir.to_owned()))
}

/// Runs a program with this input until it ends well.
fn finish(program: &'static str, command: &mut Command, input: &str) -> Result<(), Error> {
    let failed = |output: String| Error::Failed { program, output };
    let mut run = || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = run().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(last_lines(&String::from_utf8_lossy(&output.stderr))))
}

/// The end of what a program said, as one line.
pub(super) fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" / ")
}
