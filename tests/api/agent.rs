//! `virtapi agent` as a program beside a server: when it runs its command, and when not.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use crate::harness::{TOKEN, database};
use crate::start::process::{program, run, until};

const NODE: &str = "hv01.example.com";

/// Says when it begins and when it ends, and takes as long as there is a file `hold`.
const COMMAND: &str =
    "echo begins >> runs; while [ -e hold ]; do sleep 0.02; done; echo ends >> runs; exit $(cat code)";

/// A server for a database that others serve, too.
struct Server {
    child: Child,
    at: String,
}

impl Server {
    fn start(dsn: &str, port: &str) -> Self {
        let mut command = program(&["serve", "--port", port, "--database-url", dsn]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("is piped")).read_line(&mut first).expect("says something");
        let at = first.strip_prefix("virtapi listens on http://").and_then(|rest| rest.split('/').next());
        Self { child, at: at.expect(&first).to_owned() }
    }

    fn port(&self) -> &str {
        self.at.rsplit(':').next().expect("a port")
    }

    fn send(&self, method: &str, url: &str, body: &str) {
        let client = std::process::Command::new("curl")
            .args(["-sSf", "-X", method, "-H", &format!("Authorization: Bearer {TOKEN}"), "-H"])
            .args(["Content-Type: application/json", "-d", body, &format!("http://{}{url}", self.at)])
            .output()
            .expect("runs");
        assert!(client.status.success(), "{method} {url}: {}", String::from_utf8_lossy(&client.stderr));
    }

    fn change(&self, fqdn: &str, location: &str) {
        self.send("PATCH", &format!("/v1/nodes/{fqdn}"), &format!(r#"{{"location": "{location}"}}"#));
    }

    fn terminate(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("may signal");
        self.child.wait().expect("ends").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().expect("is ours").is_none() {
            self.child.kill().expect("may kill");
            self.child.wait().expect("ends");
        }
    }
}

/// A directory for an agent, whose runs end well.
pub fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("code"), "0").expect("writes");
    dir
}

/// An agent, and what its command has left.
pub struct Agent {
    child: Child,
    dir: tempfile::TempDir,
    log: Arc<Mutex<String>>,
}

impl Agent {
    /// One that is known by a token, and runs by its timer seldom, or as often as is said.
    fn start(at: &str, interval: &str) -> Self {
        let dir = directory();
        fs::write(dir.path().join("token"), format!("{TOKEN}\n")).expect("writes");
        Self::start_in(dir, at, interval)
    }

    fn start_in(dir: tempfile::TempDir, at: &str, interval: &str) -> Self {
        Self::launch(dir, &["--url", &format!("http://{at}"), "--interval", interval, "--token-file", "token"])
    }

    /// One with these settings.
    pub fn launch(dir: tempfile::TempDir, words: &[&str]) -> Self {
        let mut command = program(&["agent", "--node", NODE, "--splay", "0.1"]);
        command.args(words).args(["--", "sh", "-c", COMMAND]).current_dir(dir.path()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let (log, err) = (Arc::<Mutex<String>>::default(), child.stderr.take().expect("is piped"));
        let said = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(err).lines() {
                *said.lock().expect("a lock") += &(line.expect("text") + "\n");
            }
        });
        Self { child, dir, log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("a lock").clone()
    }

    /// How often this was logged.
    pub fn said(&self, what: &str) -> usize {
        self.log().matches(what).count()
    }

    /// Waits until this was logged so often.
    pub fn says(&self, what: &str, times: usize) {
        until(&format!("it says {times} times: {what}"), || self.said(what) >= times);
    }

    /// What the command has said; never has one begun before the other ended.
    fn runs(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("runs")).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (place, line) in lines.iter().enumerate() {
            assert_eq!(line, if place % 2 == 0 { "begins" } else { "ends" }, "{lines:?}");
        }
        lines
    }

    /// Waits until so many runs have ended, and says so.
    pub fn has_run(&self, times: usize) {
        until(&format!("it has run {times} times"), || self.said("the command has") >= times);
        assert_eq!(self.runs().len(), 2 * times, "{}", self.log());
    }

    fn hold(&self) {
        fs::write(self.path("hold"), "").expect("writes");
    }

    fn let_go(&self) {
        fs::remove_file(self.path("hold")).expect("removes");
    }

    fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("may signal");
    }

    /// How it ended.
    fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        until("it has ended", || {
            status = self.child.try_wait().expect("is ours");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.child.try_wait().expect("is ours").is_none() {
            self.child.kill().expect("may kill");
            self.child.wait().expect("ends");
        }
    }
}

/// A server with two nodes.
async fn server() -> (String, Server) {
    let dsn = database().await;
    let server = Server::start(&dsn, "0");
    for fqdn in [NODE, "hv02.example.com"] {
        server.send("POST", "/v1/nodes", &format!(r#"{{"fqdn": "{fqdn}", "state": "running"}}"#));
    }
    (dsn, server)
}

const SELDOM: &str = "86400";

#[rocket::async_test(flavor = "multi_thread")]
async fn it_runs_at_its_start_and_when_its_node_has_changed() {
    let (_, server) = server().await;
    let mut agent = Agent::start(&server.at, SELDOM);
    agent.has_run(1);
    server.change("hv02.example.com", "rack 1");
    server.change(NODE, "rack 1");
    agent.has_run(2);
    fs::write(agent.path("code"), "2").expect("writes");
    server.change(NODE, "rack 2");
    agent.has_run(3);
    assert_eq!(agent.said("the command has failed"), 0, "{}", agent.log());
    fs::write(agent.path("code"), "4").expect("writes");
    server.change(NODE, "rack 3");
    agent.has_run(4);
    assert_eq!(agent.said("the command has failed"), 1, "{}", agent.log());
    assert!(agent.log().lines().any(|line| line.contains("has failed") && line.contains("code=4")), "{}", agent.log());
    assert_eq!(agent.said("a run is wanted"), 3, "the other node was none of its business");
    agent.terminate();
    assert_eq!(agent.ended(), Some(0));
}

#[rocket::async_test(flavor = "multi_thread")]
async fn what_is_heard_during_a_run_means_exactly_one_more() {
    let (_, server) = server().await;
    let agent = Agent::start(&server.at, SELDOM);
    agent.has_run(1);
    agent.hold();
    server.change(NODE, "rack 0");
    until("a run has begun", || agent.runs().len() == 3);
    for number in 1..=3 {
        server.change(NODE, &format!("rack {number}"));
        agent.says("a run is wanted", number + 1);
    }
    agent.let_go();
    agent.has_run(3);
    // Were there a fourth, it would have begun before this one is heard.
    server.change(NODE, "rack 4");
    agent.has_run(4);
    assert_eq!((agent.said("why=\"event\""), agent.said("why=\"start\"")), (3, 1), "{}", agent.log());
}

#[rocket::async_test(flavor = "multi_thread")]
async fn what_it_has_missed_it_hears_when_the_server_is_back() {
    let (dsn, mut first) = server().await;
    let agent = Agent::start(&first.at, SELDOM);
    agent.has_run(1);
    agent.says("events are heard", 1);
    let port = first.port().to_owned();
    assert_eq!(first.terminate(), Some(0), "a stream holds no stop up");
    agent.says("events are not heard", 1);
    let second = Server::start(&dsn, "0");
    second.change(NODE, "rack 1");
    let third = Server::start(&dsn, &port);
    agent.has_run(2);
    assert!(agent.log().contains("resumes=true"), "{}", agent.log());
    // Nothing has changed while it was away: nothing is to be done.
    drop(third);
    let again = agent.said("events are not heard") + 1;
    agent.says("events are not heard", again);
    let fourth = Server::start(&dsn, &port);
    agent.says("resumes=true", 2);
    fourth.change(NODE, "rack 2");
    agent.has_run(3);
}

#[rocket::async_test(flavor = "multi_thread")]
async fn without_a_server_the_timer_starts_its_runs() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("is bound").to_string();
    let agent = Agent::start(&closed, "1");
    agent.says("why=\"timer\"", 2);
    // It is said before the command has begun.
    until("the command has begun thrice", || agent.runs().len() >= 5);
    assert_eq!((agent.said("why=\"start\""), agent.said("why=\"event\"")), (1, 0), "{}", agent.log());
    agent.says("events are not heard", 1);
}

#[rocket::async_test(flavor = "multi_thread")]
async fn a_server_that_refuses_it_is_named_and_the_timer_goes_on() {
    let (_, server) = server().await;
    let dir = directory();
    fs::write(dir.path().join("token"), "virtapi_00000000_no-such-secret").expect("writes");
    let agent = Agent::start_in(dir, &server.at, "1");
    agent.says("why=\"timer\"", 1);
    assert!(agent.log().contains("the server answers 401 Unauthorized"), "{}", agent.log());
}

#[rocket::async_test(flavor = "multi_thread")]
async fn a_stop_lets_the_run_finish_and_a_second_one_is_passed_on() {
    let (_, server) = server().await;
    let dir = directory();
    fs::write(dir.path().join("token"), TOKEN).expect("writes");
    fs::write(dir.path().join("hold"), "").expect("writes");
    let mut agent = Agent::start_in(dir, &server.at, SELDOM);
    until("a run has begun", || agent.runs().len() == 1);
    agent.terminate();
    agent.says("stopping when the command has ended", 1);
    server.change(NODE, "rack 1");
    agent.let_go();
    assert_eq!(agent.ended(), Some(0));
    assert_eq!(agent.runs(), ["begins", "ends"], "what was heard meanwhile is for the next start");

    let dir = directory();
    fs::write(dir.path().join("token"), TOKEN).expect("writes");
    fs::write(dir.path().join("hold"), "").expect("writes");
    let mut agent = Agent::start_in(dir, &server.at, SELDOM);
    until("a run has begun", || agent.runs().len() == 1);
    agent.terminate();
    agent.says("stopping when the command has ended", 1);
    agent.terminate();
    assert_eq!(agent.ended(), Some(0));
    agent.says("the command was ended by a signal", 1);
    assert_eq!(agent.runs(), ["begins"]);
}

#[test]
fn what_it_cannot_do_it_says_at_once() {
    let at = ["agent", "--url", "http://127.0.0.1:1", "--node", NODE];
    let (code, _, err) = run(&[&at[..], &["--exec", "/nowhere/puppet agent -t"]].concat());
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("/nowhere/puppet cannot be run: No such file"), "{err}");
    for (more, named) in
        [(&["--exec", "a 'b"][..], "exec"), (&[], "exec is missing"), (&["--exec", "a", "--interval", "0"], "interval")]
    {
        let (code, out, err) = run(&[&at[..], more].concat());
        assert_eq!((code, &*out), (Some(2), ""), "{err}");
        assert!(err.contains(named), "{err}");
    }
}
