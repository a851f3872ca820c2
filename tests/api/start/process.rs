//! The real program in a process of its own, with a data directory of its own.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_virtapi");
/// What a loaded machine may need for anything that is waited for here.
const PATIENCE: Duration = Duration::from_mins(1);
/// Everybody has this user, and nothing belongs to it.
pub const NOBODY: u32 = 65534;

/// A data directory; its Postgres ends with it.
pub struct DataDir {
    dir: tempfile::TempDir,
    pub path: PathBuf,
}

impl DataDir {
    pub fn new() -> Self {
        Self::named("data")
    }

    pub fn named(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // As root, the tests run Postgres as another user, who must get there.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("sets");
        let path = dir.path().join(name);
        Self { dir, path }
    }

    /// Gives the directory around it to an ordinary user.
    pub fn for_nobody(self) -> Self {
        chown(self.dir.path(), Some(NOBODY), Some(NOBODY)).expect("gives away");
        self
    }

    pub fn pid_file(&self) -> PathBuf {
        self.path.join("pg/postmaster.pid")
    }

    /// The process of Postgres, when its file is there.
    pub fn postgres(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.pid_file()).ok()?;
        Pid::from_raw(text.lines().next()?.parse().ok()?)
    }

    /// Ends Postgres without giving it time for anything.
    pub fn kill_postgres(&self) {
        let pid = self.postgres().expect("Postgres runs");
        kill_process(pid, Signal::KILL).expect("may kill");
        until("Postgres is dead", || !works(pid));
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if let Some(pid) = self.postgres()
            && kill_process(pid, Signal::INT).is_ok()
        {
            until("Postgres has ended", || !works(pid));
        }
    }
}

/// Whether this process is more than a dead one that nobody has taken note of.
fn works(pid: Pid) -> bool {
    std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).is_ok()
}

/// The program with these arguments, and nothing set that the caller did not set.
pub fn program(args: &[&str]) -> Command {
    command(Path::new(PROGRAM), args)
}

fn command(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_remove("DATABASE_URL").stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VIRTAPI_")) {
        command.env_remove(name);
    }
    command
}

/// The program's last words, and whether it was content.
pub fn run(args: &[&str]) -> (Option<i32>, String, String) {
    said(program(args).output().expect("runs"))
}

pub fn said(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A server that listens.
pub struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    /// `http` or `https`
    pub scheme: String,
    /// `127.0.0.1:12345`
    pub at: String,
    /// What it says after its address.
    pub announced: String,
    /// The administrator's.
    pub token: String,
}

impl Server {
    pub fn start(data: &DataDir, more: &[&str]) -> Self {
        Self::spawn(program(&[]), data, more)
    }

    /// One whose log goes to this file.
    pub fn start_with_log(data: &DataDir, more: &[&str], log: std::fs::File) -> Self {
        let mut command = program(&[]);
        command.stderr(log);
        Self::spawn(command, data, more)
    }

    /// As an ordinary user, even when root runs the tests.
    pub fn start_as_nobody(data: &DataDir) -> Self {
        // Where the program was built, others may have no access.
        let copy = data.dir.path().join("virtapi");
        std::fs::copy(PROGRAM, &copy).expect("copies");
        let mut command = command(&copy, &[]);
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
        Self::spawn(command, data, &[])
    }

    fn spawn(mut command: Command, data: &DataDir, more: &[&str]) -> Self {
        command.args(["serve", "--port", "0", "--data-dir"]).arg(&data.path).args(more).stdout(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let mut out = BufReader::new(child.stdout.take().expect("is piped"));
        let mut first = String::new();
        out.read_line(&mut first).expect("says something");
        let url = first.strip_prefix("virtapi listens on ").and_then(|rest| rest.split_once("://"));
        let (scheme, rest) = url.unwrap_or_else(|| panic!("no address: {first:?}"));
        let (scheme, at) = (scheme.to_owned(), rest.split('/').next().unwrap_or_default().to_owned());
        let mut announced = String::new();
        while !announced.contains("salt/pillar") && more.contains(&"--demo") {
            assert_ne!(out.read_line(&mut announced).expect("says more"), 0, "{announced}");
        }
        let file = std::fs::read_to_string(data.path.join("admin-token"));
        let token = file.map_or_else(|_| crate::harness::TOKEN.to_owned(), |token| token.trim().to_owned());
        Self { child, out, scheme, at, announced, token }
    }

    pub fn kill(mut self) {
        self.child.kill().expect("may kill");
        self.child.wait().expect("ends");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to look at its files.
    pub fn hang_up(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).expect("may signal");
    }

    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("may signal");
    }

    /// How it ended.
    pub fn ended(mut self) -> Option<i32> {
        let mut code = None;
        until("the server has ended", || {
            code = self.child.try_wait().expect("is ours");
            code.is_some()
        });
        code.and_then(|status| status.code())
    }

    pub fn stop(self) {
        self.terminate();
        assert_eq!(self.ended(), Some(0));
    }

    /// What it has said since it began to listen, once it has stopped.
    pub fn last_words(mut self) -> String {
        self.terminate();
        let mut said = String::new();
        self.out.read_to_string(&mut said).expect("text");
        assert_eq!(self.ended(), Some(0));
        said
    }

    pub fn connect(&self) -> TcpStream {
        self.try_connect().expect("listens")
    }

    pub fn try_connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.at)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// The whole answer to a request without TLS, if there is one.
    pub fn plain(&self, request: &str) -> Option<String> {
        let mut stream = self.connect();
        stream.write_all(self.head(request, 0).as_bytes()).expect("sends");
        let mut answer = Vec::new();
        // A server that wants TLS says so in its own way, or hangs up.
        stream.read_to_end(&mut answer).ok()?;
        String::from_utf8(answer).ok().filter(|answer| answer.starts_with("HTTP/"))
    }

    /// The head of a request, after whose answer the server closes the connection.
    fn head(&self, request: &str, length: usize) -> String {
        head(request, &format!("Authorization: Bearer {}\r\n", self.token), length)
    }

    /// The status and the body of an answer.
    pub fn ask(&self, request: &str, body: &str) -> (u16, String) {
        let mut stream = self.connect();
        let head = self.head(request, body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).expect("sends");
        answer(&mut stream)
    }
}

/// The head of a request with these lines more, each with its end.
fn head(request: &str, lines: &str, length: usize) -> String {
    format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         {lines}Content-Length: {length}\r\n\r\n"
    )
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Silence {
    /// Nobody took the connection, so nothing was asked.
    Closed,
    /// The server has gone meanwhile: nobody knows what it has done.
    Cut,
}

/// The status and the body of an answer by a server that may die at any time.
pub fn try_ask(at: &str, request: &str, lines: &str, body: &str) -> Result<(u16, String), Silence> {
    let mut stream = TcpStream::connect(at).map_err(|_| Silence::Closed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|_| Silence::Closed)?;
    let head = head(request, lines, body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).map_err(|_| Silence::Cut)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|_| Silence::Cut)?;
    parted(&text).ok_or(Silence::Cut)
}

/// The status and the body, if the answer is whole.
fn parted(text: &str) -> Option<(u16, String)> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    length.is_none_or(|length: usize| length == body.len()).then(|| (status, body.to_owned()))
}

impl Drop for Server {
    /// A test that failed leaves no server.
    fn drop(&mut self) {
        if self.child.try_wait().expect("is ours").is_none() {
            self.child.kill().expect("may kill");
            self.child.wait().expect("ends");
        }
    }
}

/// A request of which the server has read the head and waits for the body: it says so (RFC 9110, section 10.1.1).
/// Without this, a server that stops may not have seen the request at all.
pub fn begin(server: &Server, request: &str, length: usize) -> TcpStream {
    const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let head = server.head(request, length).replace("Host:", "Expect: 100-continue\r\nHost:");
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).expect("sends");
    let mut said = [0; GO_ON.len()];
    stream.read_exact(&mut said).expect("answers");
    assert_eq!(said, GO_ON);
    stream
}

/// What is read until the server closes the connection.
pub fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answers");
    parted(&text).unwrap_or_else(|| panic!("{text:?}"))
}

/// Waits for something that must come.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(20));
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
