//! What becomes of files that change while the program runs.

use super::authority::{Authority, Leaf};
use super::client::{Client, head};
use super::{Files, MUTUAL, start};
use crate::agent::{Agent, directory};
use crate::certificates::NODE;
use crate::start::process::{DataDir, Server, until};

const VLAN: &str = r#"{"name": "customers", "tag": 100}"#;

/// A server that takes client certificates, and its files.
struct Running {
    authority: Authority,
    leaf: Leaf,
    files: Files,
    server: Server,
    token: String,
    _data: DataDir,
}

impl Running {
    fn start() -> Self {
        let authority = Authority::new("Puppet");
        let leaf = authority.issue("virtapi.example.com", 10);
        let files = Files::of(&leaf);
        files.write("ca.pem", &authority.bundle());
        files.write("crl.pem", &authority.revoke(&[]));
        let data = DataDir::new();
        let server = start(&data, &files.flags(&MUTUAL));
        let token = format!("Authorization: Bearer {}", server.token);
        let running = Self { authority, leaf, files, server, token, _data: data };
        assert_eq!(running.write("/v1/nodes", &format!(r#"{{"fqdn": "{NODE}", "state": "running"}}"#)), 201);
        running
    }

    fn client(&self, leaf: Option<&Leaf>) -> Client {
        Client::new(&self.authority.bundle(), leaf)
    }

    fn write(&self, url: &str, body: &str) -> u16 {
        let mut connection = self.client(None).connect(&self.server).expect("connects");
        connection.send(&format!("{}{body}", self.post(url, body.len(), &[]))).expect("sends");
        connection.answer().expect("answers").status
    }

    fn post(&self, url: &str, length: usize, more: &[&str]) -> String {
        let length = format!("Content-Length: {length}");
        let headers = [&[&*self.token, "Content-Type: application/json", &length], more].concat();
        head(&format!("POST {url}"), &headers) + "\r\n"
    }

    /// The certificate that is shown to a new connection; none, while nobody listens.
    fn shown(&self) -> Option<Vec<u8>> {
        let mut connection = self.client(None).connect(&self.server).ok()?;
        connection.ask("GET /health", &[]).ok()?;
        Some(connection.certificate())
    }

    /// A number of the metrics.
    fn metric(&self, name: &str) -> String {
        let answer = self.client(None).ask(&self.server, "GET /metrics", &[]).expect("answers");
        let line = answer.body.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
        line.unwrap_or_else(|| panic!("no {name} in {}", answer.body)).to_owned()
    }

    fn until_refused(&self) {
        until("the files are refused", || self.metric("virtapi_tls_files_refused") == "1");
    }
}

#[test]
fn another_certificate_is_shown_without_a_restart_and_requests_under_way_are_answered() {
    let running = Running::start();
    let (pid, before) = (running.server.pid(), running.shown().expect("shows one"));
    let mut idle = running.client(None).connect(&running.server).expect("connects");
    assert_eq!(idle.ask("GET /health", &[]).expect("answers").status, 200);
    // A request of which the server has read the head and waits for the body: it says so.
    let (begun, rest) = VLAN.split_at(20);
    let mut slow = running.client(None).connect(&running.server).expect("connects");
    let expect = running.post("/v1/vlans", VLAN.len(), &["Expect: 100-continue"]);
    slow.send(&expect).expect("sends");
    assert_eq!(slow.read("HTTP/1.1 100 Continue\r\n\r\n".len()).expect("answers"), "HTTP/1.1 100 Continue\r\n\r\n");
    slow.send(begun).expect("sends");

    let next = running.authority.issue("virtapi.example.com", 11);
    running.files.write("server.pem", &next.certificate);
    running.files.write("server.key", &next.key);
    until("the new certificate is shown", || running.shown().is_some_and(|shown| shown != before));
    assert_eq!(running.metric("virtapi_tls_reloads_total{outcome=\"taken\"}"), "1");
    // What was idle is closed, what was under way is answered, and by the same process.
    idle.ask("GET /health", &[]).expect_err("is closed");
    slow.send(rest).expect("is still connected");
    assert_eq!(slow.answer().expect("answers").status, 201);
    assert_eq!(running.server.pid(), pid);
    let document = format!("GET /puppet/enc/{NODE}");
    let node = running.client(Some(&running.authority.issue(NODE, 20)));
    assert_eq!(node.ask(&running.server, &document, &[]).expect("answers").status, 200);
    // And again, for whoever asks for it, without waiting for files to settle.
    let (shown, next) = (running.shown(), running.authority.issue("virtapi.example.com", 12));
    running.files.write("server.key", &next.key);
    running.files.write("server.pem", &next.certificate);
    running.server.hang_up();
    until("the third certificate is shown", || running.shown().is_some() && running.shown() != shown);
    let words = running.server.last_words();
    assert!(words.starts_with("the first administrator's token") && words.lines().count() == 1, "{words}");
}

#[test]
fn what_is_revoked_is_refused_on_connections_that_are_open() {
    let running = Running::start();
    let leaves = [running.authority.issue(NODE, 20), running.authority.issue(NODE, 21)];
    let document = format!("GET /puppet/enc/{NODE}");
    let [mut first, mut second] =
        leaves.each_ref().map(|leaf| running.client(Some(leaf)).connect(&running.server).expect("connects"));
    for connection in [&mut first, &mut second] {
        assert_eq!(connection.ask(&document, &[]).expect("answers").status, 200);
    }
    running.files.write("crl.pem", &running.authority.revoke(&[&leaves[0]]));
    until("it is refused", || first.ask(&document, &[]).expect("stays open").status == 401);
    assert!(first.ask(&document, &[]).expect("stays open").body.contains("is revoked"));
    assert_eq!(second.ask(&document, &[]).expect("stays open").status, 200);
    // Lists that somebody else has signed, that are incomplete or out of date, take nothing back.
    for lists in [
        Authority::new("Puppet").revoke(&[]),
        running.authority.without_list_of_root(),
        running.authority.revoke_until(&[], 2025),
        String::new(),
    ] {
        running.files.write("crl.pem", &lists);
        running.server.hang_up();
        running.until_refused();
        assert_eq!(first.ask(&document, &[]).expect("stays open").status, 401);
        assert_eq!(second.ask(&document, &[]).expect("stays open").status, 200);
        running.files.write("crl.pem", &running.authority.revoke(&[&leaves[0]]));
        running.server.hang_up();
        until("the files are those in service", || running.metric("virtapi_tls_files_refused") == "0");
    }
    running.files.write("crl.pem", &running.authority.revoke(&[&leaves[1]]));
    running.server.hang_up();
    until("the other one is refused", || second.ask(&document, &[]).expect("stays open").status == 401);
    assert_eq!(first.ask(&document, &[]).expect("stays open").status, 200);
    running.server.stop();
}

#[test]
fn files_that_do_not_fit_leave_those_before_in_service() {
    let running = Running::start();
    let before = running.shown();
    let next = running.authority.issue("virtapi.example.com", 11);
    for (name, text) in [("server.key", next.key.as_str()), ("server.pem", ""), ("ca.pem", "?")] {
        let good = std::fs::read_to_string(running.files.path(name)).expect("reads");
        running.files.write(name, text);
        running.until_refused();
        assert_eq!(running.shown(), before, "{name}");
        running.files.write(name, &good);
        running.server.hang_up();
        until("the files are those in service", || running.metric("virtapi_tls_files_refused") == "0");
    }
    std::fs::remove_file(running.files.path("server.key")).expect("removes");
    running.until_refused();
    assert_eq!(running.shown(), before);
    assert_eq!(running.metric("virtapi_tls_reloads_total{outcome=\"taken\"}"), "0");
    assert_eq!(running.metric("virtapi_tls_reloads_total{outcome=\"refused\"}"), "4");
    running.files.write("server.key", &running.leaf.key);
    until("the files are those in service", || running.metric("virtapi_tls_files_refused") == "0");
    running.server.stop();
}

#[test]
fn other_authorities_take_the_place_of_those_before() {
    let running = Running::start();
    let document = format!("GET /puppet/enc/{NODE}");
    let next = Authority::new("Next");
    let (old, new) = (running.authority.issue(NODE, 20), next.issue(NODE, 20));
    let (old, new) = (running.client(Some(&old)), running.client(Some(&new)));
    assert_eq!(old.ask(&running.server, &document, &[]).expect("answers").status, 200);
    new.ask(&running.server, &document, &[]).expect_err("is not trusted");
    running.files.write("crl.pem", &next.revoke(&[]));
    running.files.write("ca.pem", &next.bundle());
    running.server.hang_up();
    until("the new one is taken", || new.ask(&running.server, &document, &[]).is_ok_and(|answer| answer.status == 200));
    old.ask(&running.server, &document, &[]).expect_err("is not trusted any more");
    running.server.stop();
}

#[test]
fn who_waits_for_events_goes_on_with_other_files_and_no_longer_than_its_certificate() {
    let running = Running::start();
    let leaf = running.authority.issue(NODE, 20);
    running.files.write("node.pem", &leaf.certificate);
    running.files.write("node.key", &leaf.key);
    let url = format!("https://{}", running.server.at);
    let files = running.files.flags(&[("--ca", "ca.pem"), ("--cert", "node.pem"), ("--key", "node.key")]);
    let words: Vec<&str> = ["--url", &url].into_iter().chain(files.iter().map(String::as_str)).collect();
    let agent = Agent::launch(directory(), &words);
    agent.has_run(1);
    agent.says("events are heard", 1);
    let next = running.authority.issue("virtapi.example.com", 11);
    running.files.write("server.key", &next.key);
    running.files.write("server.pem", &next.certificate);
    running.server.hang_up();
    agent.says("the server has ended the stream", 1);
    agent.says("resumes=true", 1);
    let bond = format!(r#"{{"node": "{NODE}", "name": "bond0", "mode": "802.3ad"}}"#);
    assert_eq!(running.write("/v1/bonds", &bond), 201);
    agent.has_run(2);
    // On the connection that is open, too.
    running.files.write("crl.pem", &running.authority.revoke(&[&leaf]));
    running.server.hang_up();
    agent.says("the server has ended the stream", 2);
    agent.says("the server answers 401 Unauthorized", 1);
    running.server.stop();
}
