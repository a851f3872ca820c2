//! Starting and stopping the server, and finding one that already runs.
//!
//! Postgres keeps `postmaster.pid`: process, port, socket directory and status. A server that was killed leaves it
//! behind, and its process id may by now be anybody's; so the file is believed only as far as a socket or a process
//! confirms it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::Error;
use super::cluster::{Cluster, last_lines};

/// How long a start or a stop may take. Recovery after a crash reads up to a gigabyte of log.
const PATIENCE: Duration = Duration::from_mins(3);
const PAUSE: Duration = Duration::from_millis(10);

/// The number in the name of the socket.
const PORT: u16 = 5432;

/// Connections for what is not the pool: migrations, other processes, a person with psql.
const SPARE_CONNECTIONS: usize = 30;

/// The longest path that fits into the address of a unix socket, with some room.
const SOCKET_PATH_MAX: usize = 100;

/// A server that runs.
#[derive(Debug)]
pub(super) struct Server {
    pub socket_dir: PathBuf,
    pub port: u16,
    pid: Pid,
    /// There when this process is its parent, and has to take note of its end.
    child: Option<Child>,
}

/// What `postmaster.pid` says.
#[derive(Debug, PartialEq, Eq)]
struct PidFile {
    pid: Pid,
    port: u16,
    socket_dir: PathBuf,
    status: String,
}

impl PidFile {
    fn path(cluster: &Cluster) -> PathBuf {
        cluster.dir().join("postmaster.pid")
    }

    /// Nothing when it is absent, or not written to its end yet.
    fn read(cluster: &Cluster) -> Result<Option<Self>, Error> {
        let path = Self::path(cluster);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::at(&path)(error)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let [pid, _, _, port, socket_dir, _, _, status, ..] = lines[..] else { return None };
        Some(Self {
            pid: Pid::from_raw(pid.parse().ok().filter(|pid| *pid > 0)?)?,
            port: port.parse().ok()?,
            socket_dir: PathBuf::from(socket_dir),
            status: status.to_owned(),
        })
    }

    fn answers(&self) -> bool {
        UnixStream::connect(self.socket_dir.join(format!(".s.PGSQL.{}", self.port))).is_ok()
    }
}

/// The server that runs on these files, if one does; waits for one that is just starting or stopping.
pub(super) fn running(cluster: &Cluster) -> Result<Option<Server>, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let file = PidFile::read(cluster)?;
        match file {
            Some(file) if file.status == "ready" && file.answers() => {
                return Ok(Some(Server { socket_dir: file.socket_dir, port: file.port, pid: file.pid, child: None }));
            }
            _ if !in_use(cluster.dir()) => {
                return forget_stale(cluster).map(|()| None);
            }
            _ => wait(deadline, "start or stop", cluster)?,
        }
    }
}

/// Whether a process of Postgres works on these files: they all have them as their working directory.
fn in_use(dir: &Path) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.into_iter().any(|process| {
        fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == dir)
            && fs::read_to_string(process.path().join("comm")).is_ok_and(|name| name.trim() == "postgres")
    })
}

/// Postgres itself copes with what a dead server leaves. It only takes fright when the dead one's process id is still
/// in use: by a process that has nothing to do with it (after a reboot, or in a new container), or by the dead one
/// itself (in a container whose first process takes no note of the dead).
fn forget_stale(cluster: &Cluster) -> Result<(), Error> {
    for path in [PidFile::path(cluster), cluster.dir().join(format!(".s.PGSQL.{PORT}.lock"))] {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let pid = text.lines().next().and_then(|pid| pid.trim().parse().ok()).and_then(Pid::from_raw);
        if pid.is_some_and(|pid| test_kill_process(pid).is_ok()) {
            fs::remove_file(&path).map_err(Error::at(&path))?;
        }
    }
    Ok(())
}

/// Starts the server, and waits until it takes connections.
pub(super) fn start(cluster: &Cluster, pool_size: usize) -> Result<Server, Error> {
    let log = cluster.log();
    let open = || OpenOptions::new().create(true).append(true).open(&log);
    let (out, err) = (open().map_err(Error::at(&log))?, open().map_err(Error::at(&log))?);
    let said_before = out.metadata().map_err(Error::at(&log))?.len();
    let mut command = cluster.program("postgres");
    command.arg("-D").arg(cluster.dir()).stdout(out).stderr(err);
    for setting in [
        "listen_addresses=".to_owned(),
        "unix_socket_permissions=0700".to_owned(),
        format!("unix_socket_directories=\"{}\"", socket_dir(cluster)?.display().to_string().replace('"', "\"\"")),
        format!("port={PORT}"),
        format!("max_connections={}", (pool_size + SPARE_CONNECTIONS).max(100)),
    ] {
        command.arg("-c").arg(setting);
    }
    let mut child =
        command.spawn().map_err(|error| Error::Failed { program: "postgres", output: error.to_string() })?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if child.try_wait().map_err(Error::at(cluster.dir()))?.is_some() {
            return Err(Error::Failed { program: "postgres", output: tail(&log, said_before)? });
        }
        match PidFile::read(cluster)? {
            Some(file) if file.status == "ready" && file.answers() => {
                let PidFile { pid, port, socket_dir, .. } = file;
                return Ok(Server { socket_dir, port, pid, child: Some(child) });
            }
            _ => wait(deadline, "start", cluster)?,
        }
    }
}

/// Tells it to stop (ending its connections) and waits until it has.
pub(super) fn stop(cluster: &Cluster, mut server: Server) -> Result<(), Error> {
    // The process may be gone, with its file left behind: then there is nothing to stop.
    if in_use(cluster.dir()) || server.child.is_some() {
        match kill_process(server.pid, Signal::INT) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(errno) => return Err(Error::at(cluster.dir())(errno.into())),
        }
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reaped = match &mut server.child {
            Some(child) => child.try_wait().map_err(Error::at(cluster.dir()))?.is_some(),
            None => true,
        };
        if reaped && !in_use(cluster.dir()) {
            break;
        }
        wait(deadline, "stop", cluster)?;
    }
    if server.socket_dir == cluster.dir() {
        return Ok(());
    }
    match fs::remove_dir(&server.socket_dir) {
        // Killed rather than stopped, it leaves its socket there.
        Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => Err(Error::at(&server.socket_dir)(error)),
        _ => Ok(()),
    }
}

/// Where the socket goes: among the files, or, when their path is too long for a socket, in a new directory.
fn socket_dir(cluster: &Cluster) -> Result<PathBuf, Error> {
    if cluster.dir().as_os_str().len() <= SOCKET_PATH_MAX - "/.s.PGSQL.5432".len() {
        return Ok(cluster.dir().to_owned());
    }
    // A new name and exclusive creation: nobody else can have made it.
    let dir = std::env::temp_dir().join(format!("virtapi-{}", uuid::Uuid::new_v4().simple()));
    cluster.user.create_dir(&dir)?;
    Ok(dir)
}

fn wait(deadline: Instant, what: &'static str, cluster: &Cluster) -> Result<(), Error> {
    if Instant::now() > deadline {
        return Err(Error::Stuck { what, dir: cluster.dir().to_owned(), log: cluster.log() });
    }
    sleep(PAUSE);
    Ok(())
}

/// What was written to the log after this many bytes.
fn tail(log: &Path, from: u64) -> Result<String, Error> {
    let mut text = Vec::new();
    let mut file = File::open(log).map_err(Error::at(log))?;
    file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut text)).map_err(Error::at(log))?;
    Ok(last_lines(&String::from_utf8_lossy(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "4711\n/srv/pg\n1700000000\n5432\n/srv/pg\n\n  5432001         3\nready   \n";

    #[test]
    fn a_pid_file_is_read_whole_or_not_at_all() {
        let file = PidFile::parse(TEXT).expect("is whole");
        assert_eq!((file.pid.as_raw_nonzero().get(), file.port, &*file.status), (4711, 5432, "ready"));
        assert_eq!(file.socket_dir, Path::new("/srv/pg"));
        for wrong in
            ["", "4711\n/srv/pg\n", &TEXT.replace("4711", "0"), &TEXT.replace("4711", "-1"), &TEXT.replace("4711", "x")]
        {
            assert_eq!(PidFile::parse(wrong), None, "{wrong:?}");
        }
    }
}
