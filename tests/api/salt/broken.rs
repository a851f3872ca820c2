//! A server of wrong answers: what it does depends on the minion that asks.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// A minion that gets a document, but no tops.
pub const WITHOUT_TOPS: &str = "without-tops";

/// The minion that asks, and what it must say. The first ones stand for the rest where each is asked for many times.
pub const ANSWERS: [(&str, &str); 16] = [
    ("status-404", "HTTP status 404"),
    ("status-500", "HTTP status 500"),
    ("empty", "unusable answer"),
    ("html", "unusable answer"),
    ("cut-off", "no copy is kept"),
    ("status-204", "HTTP status 204"),
    ("status-301", "HTTP status 301"),
    ("status-302", "HTTP status 302"),
    ("status-400", "HTTP status 400"),
    ("status-401", "HTTP status 401"),
    ("status-403", "HTTP status 403"),
    ("status-503", "HTTP status 503"),
    ("no-object", "unusable answer"),
    ("no-document", "virtapi.meta is missing"),
    ("another-node", "the document of another node"),
    ("no-http", "not an HTTP answer"),
];
/// How many these are.
pub const FIRST: usize = 5;

/// Answers until the process ends, at the URL that it returns.
pub fn serve() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that hangs up is no concern of this one.
            drop(stream.and_then(|stream| answer(&stream)));
        }
    });
    url
}

fn document(fqdn: &str) -> String {
    format!(
        r#"{{"virtapi": {{"meta": {{"schema": 1, "node_id": 1, "generation": 1, "clusters": {{}}}},
            "node": {{"fqdn": "{fqdn}"}}, "roles": []}}}}"#
    )
}

fn answer(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default();
    let id = path.rsplit('/').next().unwrap_or_default();
    let (status, body) = match id {
        "empty" => ("200", String::new()),
        "html" => ("200", "<html><body>It works!</body></html>".into()),
        "no-object" => ("200", "null".into()),
        "no-document" => ("200", r#"{"virtapi": {}}"#.into()),
        "another-node" => ("200", document("somebody-else")),
        "cut-off" => return write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{{\"virtapi\":"),
        "no-http" => return write!(stream, "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        _ if id == WITHOUT_TOPS && path.contains("/tops/") => ("200", "{}".into()),
        _ if id == WITHOUT_TOPS => ("200", document(id)),
        // With a status that is no success comes what would do with another.
        _ => (id.trim_start_matches("status-"), document(id)),
    };
    let body = if status == "204" { String::new() } else { body };
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nLocation: /salt/pillar/{WITHOUT_TOPS}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
