//! The client against a server on a real socket, which answers each connection with the next prepared bytes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::*;

const DOCUMENT: &str = r#"{"classes":{"virtapi":{}},"parameters":{"fqdn":"hv01.example.com","x":"\u007f","f":1.0e+22},"environment":"production"}"#;
const NODE: &str = "hv01.example.com";

/// A server that serves one connection after the other; `None` closes it without a word. Requests come out.
fn serve(answers: Vec<Option<String>>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (requests, received) = channel();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            // A test that does not look at the requests has dropped their channel.
            drop(requests.send(read_request(&mut stream)));
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    (url, received)
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1);
        request.push(byte[0]);
    }
    String::from_utf8(request).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "one of the answers of `serve`, some of which are none")]
fn http(status: &str, headers: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()))
}

fn ok(body: &str) -> Option<String> {
    http("200 OK", "Content-Type: application/yaml; charset=utf-8\r\nETag: \"v1\"\r\n", body)
}

fn args(url: &str, dir: &Path) -> EncArgs {
    let options = EncOptions {
        url: Some(url.into()),
        timeout: Some(2),
        cache_dir: Some(dir.join("copies")),
        ..EncOptions::default()
    };
    EncArgs { certname: NODE.into(), config: None, options }
}

/// A file that is not there.
const NO_FILE: &str = "/nonexistent/enc.toml";

/// What is printed or the reason, and the warnings.
fn ask(args: &EncArgs) -> (Result<String, String>, Vec<String>) {
    let mut warnings = Vec::new();
    let settings = Settings::resolve(args, Path::new(NO_FILE)).unwrap();
    let answer = classify(&settings, &args.certname, &mut |warning| warnings.push(warning));
    (answer, warnings)
}

fn closed_port() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

/// Answer once, so that a copy is kept, then as `answers` say, at the same address.
fn with_copy(answers: Vec<Option<String>>) -> (EncArgs, tempfile::TempDir, Receiver<String>) {
    let dir = tempfile::tempdir().unwrap();
    let (url, requests) = serve([vec![ok(DOCUMENT)], answers].concat());
    let args = args(&url, dir.path());
    assert_eq!(ask(&args), (Ok(DOCUMENT.into()), vec![]));
    assert!(requests.recv().unwrap().starts_with("GET /puppet/enc/hv01.example.com HTTP/1.1\r\n"));
    (args, dir, requests)
}

fn copy_file(dir: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(dir.join("copies")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

fn age_copy(dir: &Path, seconds: i64) {
    let file = copy_file(dir);
    let mut kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    kept["confirmed_at"] = (kept["confirmed_at"].as_i64().unwrap() - seconds).into();
    std::fs::write(file, kept.to_string()).unwrap();
}

#[test]
fn the_document_is_printed_as_it_came_and_kept_for_the_caller_alone() {
    let (_, dir, _) = with_copy(vec![]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir.path().join("copies")), mode(&copy_file(dir.path()))), (0o700, 0o600));
}

#[test]
fn the_environment_can_be_left_out_and_nothing_else_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (url, _) = serve(vec![ok(DOCUMENT)]);
    let mut args = args(&url, dir.path());
    args.options.no_environment = true;
    let without = DOCUMENT.replace(r#","environment":"production""#, "");
    assert_eq!(ask(&args).0.unwrap(), without);
}

#[test]
fn a_copy_bridges_a_server_that_is_away() {
    let truncated = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"classes\":";
    let answers = [
        ("closed without a word", None),
        ("cut off", Some(truncated.to_owned())),
        ("500", http("500 Internal Server Error", "", "")),
        ("503", http("503 Service Unavailable", "Retry-After: 1\r\n", "")),
        ("502", http("502 Bad Gateway", "Content-Type: text/html\r\n", "<h1>")),
    ];
    for (case, answer) in answers {
        let (args, _dir, _) = with_copy(vec![answer]);
        let (printed, warnings) = ask(&args);
        assert_eq!(printed, Ok(DOCUMENT.into()), "{case}");
        assert!(warnings[0].contains("serving the copy that was confirmed"), "{case}: {warnings:?}");
        // And once the listener is gone.
        assert_eq!(ask(&args).0, Ok(DOCUMENT.into()), "{case}");
    }
}

#[test]
fn a_copy_never_stands_in_for_what_the_server_says() {
    let yaml = "Content-Type: application/yaml\r\n";
    let answers = [
        ("401", http("401 Unauthorized", yaml, DOCUMENT)),
        ("403", http("403 Forbidden", yaml, DOCUMENT)),
        ("400", http("400 Bad Request", yaml, DOCUMENT)),
        ("429", http("429 Too Many Requests", yaml, DOCUMENT)),
        ("204", http("204 No Content", "", "")),
        ("206", http("206 Partial Content", yaml, DOCUMENT)),
        ("redirect", http("302 Found", "Location: http://127.0.0.1:1/\r\n", "")),
        ("login page", http("200 OK", "Content-Type: text/html\r\n", DOCUMENT)),
        ("no content type", http("200 OK", "", DOCUMENT)),
        ("empty", ok("")),
        ("blank", ok(" \n")),
        ("no mapping", ok("[]")),
        ("null", ok("null")),
        ("empty mapping", ok("{}")),
        ("no classes", ok(r#"{"parameters":{"fqdn":"hv01.example.com"}}"#)),
        ("list of classes", ok(r#"{"classes":["virtapi"],"parameters":{"fqdn":"hv01.example.com"}}"#)),
        ("class without hash", ok(r#"{"classes":{"virtapi":null},"parameters":{"fqdn":"hv01.example.com"}}"#)),
        ("no parameters", ok(r#"{"classes":{"virtapi":{}}}"#)),
        ("list of parameters", ok(r#"{"classes":{},"parameters":[]}"#)),
        ("nameless", ok(r#"{"classes":{},"parameters":{}}"#)),
        ("another node", ok(r#"{"classes":{},"parameters":{"fqdn":"hv02.example.com"}}"#)),
        ("environment 7", ok(r#"{"classes":{},"parameters":{"fqdn":"hv01.example.com"},"environment":7}"#)),
        ("environment empty", ok(r#"{"classes":{},"parameters":{"fqdn":"hv01.example.com"},"environment":""}"#)),
        ("invalid JSON", ok(&DOCUMENT[..60])),
        ("two documents", ok(&format!("{DOCUMENT}\n{DOCUMENT}"))),
        ("no HTTP", Some("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n".into())),
    ];
    for (case, answer) in answers {
        let (args, dir, _) = with_copy(vec![answer]);
        let (printed, warnings) = ask(&args);
        assert!(printed.is_err() && warnings.is_empty(), "{case}: {printed:?} {warnings:?}");
        copy_file(dir.path());
    }
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let args = args(&format!("http://{}", listener.local_addr().unwrap()), dir.path());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        stream
            .write_all(
                b"HTTP/1.0 200 OK\r\nContent-Type: text/yaml\r\n\r\n{\"classes\":{},\"parameters\":{\"\xff\":1}}",
            )
            .unwrap();
    });
    assert!(ask(&args).0.unwrap_err().contains("not UTF-8"));
}

#[test]
fn an_unknown_node_loses_its_copy() {
    let (args, dir, _) = with_copy(vec![http("404 Not Found", "", "")]);
    assert!(ask(&args).0.unwrap_err().contains("knows no such node (404)"));
    assert_eq!(std::fs::read_dir(dir.path().join("copies")).unwrap().count(), 0);
    assert!(ask(&args).0.unwrap_err().contains("there is no copy"));
}

#[test]
fn an_unchanged_document_is_confirmed_anew() {
    let (args, dir, requests) = with_copy(vec![http("304 Not Modified", "ETag: \"v1\"\r\n", "")]);
    age_copy(dir.path(), 90_000);
    assert_eq!(ask(&args), (Ok(DOCUMENT.into()), vec![]));
    assert!(requests.recv().unwrap().contains("if-none-match: \"v1\"\r\n"));
    assert_eq!(ask(&args).0, Ok(DOCUMENT.into()), "the copy's age counts from the 304");
}

#[test]
fn a_304_without_a_condition_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (url, requests) = serve(vec![http("304 Not Modified", "", "")]);
    assert!(ask(&args(&url, dir.path())).0.unwrap_err().contains("304"));
    assert!(!requests.recv().unwrap().contains("if-none-match"));
}

#[test]
fn a_copy_has_its_time() {
    for (case, age, max_age, reason) in [
        ("too old", 101, 100, "100 s are allowed"),
        ("from the future", -100, 100, "in the future"),
        ("not wanted", 0, 0, "max age 0"),
    ] {
        let (mut args, dir, _) = with_copy(vec![None]);
        age_copy(dir.path(), age);
        args.options.max_age = Some(max_age);
        let printed = ask(&args).0;
        assert!(printed.clone().unwrap_err().contains(reason), "{case}: {printed:?}");
    }
}

#[test]
fn a_copy_that_cannot_be_trusted_is_none() {
    type Spoil = fn(&Path);
    let spoil: [(&str, Spoil); 4] = [
        ("torn", |dir| std::fs::write(copy_file(dir), "{\"url\":").unwrap()),
        ("empty", |dir| std::fs::write(copy_file(dir), "").unwrap()),
        ("no document", |dir| {
            let text = std::fs::read_to_string(copy_file(dir)).unwrap();
            std::fs::write(copy_file(dir), text.replace("classes", "glasses")).unwrap();
        }),
        ("open to others", |dir| {
            std::fs::set_permissions(dir.join("copies"), std::fs::Permissions::from_mode(0o770)).unwrap();
        }),
    ];
    for (case, spoil) in spoil {
        let (args, dir, requests) = with_copy(vec![None, ok(DOCUMENT)]);
        spoil(dir.path());
        let (printed, warnings) = ask(&args);
        assert!(printed.unwrap_err().contains("there is no copy"), "{case}");
        assert!(warnings[0].contains("not usable"), "{case}: {warnings:?}");
        assert!(!requests.recv().unwrap().contains("if-none-match"), "{case}");
        // It is no obstacle to a server that answers.
        assert_eq!(ask(&args).0, Ok(DOCUMENT.into()), "{case}");
    }
}

#[test]
fn a_copy_belongs_to_one_server_and_one_node() {
    let (mut args, _dir, _) = with_copy(vec![]);
    args.options.url = Some(closed_port());
    assert!(ask(&args).0.unwrap_err().contains("there is no copy"));
}

#[test]
fn the_timeout_is_for_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut args = args(&format!("http://{}", listener.local_addr().unwrap()), dir.path());
    args.options.timeout = Some(1);
    // A byte now and then keeps any timeout between two reads from firing.
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let started = Instant::now();
    assert!(ask(&args).0.unwrap_err().contains("did not answer within 1 s"));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_token_goes_along_and_the_path_of_the_server_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (url, requests) = serve(vec![ok(DOCUMENT), ok(DOCUMENT)]);
    let mut args = args(&format!("{url}/cmdb/"), dir.path());
    let token = dir.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    args.options.token_file = Some(token.clone());
    ask(&args).0.unwrap();
    let request = requests.recv().unwrap();
    assert!(request.starts_with("GET /cmdb/puppet/enc/hv01.example.com HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer s3cret\r\n"), "{request}");
    std::fs::write(&token, "\n").unwrap();
    assert!(ask(&args).0.unwrap_err().contains("it is empty"));
}

#[test]
fn a_certname_cannot_leave_its_place_in_the_path() {
    let settings =
        Settings::resolve(&args("http://127.0.0.1:1", Path::new("/nonexistent")), Path::new(NO_FILE)).unwrap();
    assert_eq!(settings.document_url("a%2e?#b c").unwrap().path(), "/puppet/enc/a%252e%3F%23b%20c");
    for certname in ["", ".", "..", "a/b", "a\nb", "ä"] {
        assert!(settings.document_url(certname).is_err(), "{certname:?}");
    }
}

#[test]
fn flags_go_before_the_file_and_wrong_settings_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("enc.toml");
    std::fs::write(&file, "url = \"http://127.0.0.1:1\"\ntimeout = 7\nno_environment = true\nmax_age = 5\n").unwrap();
    let mut args = args("http://127.0.0.1:2", dir.path());
    let settings = Settings::resolve(&args, &file).unwrap();
    assert_eq!((settings.timeout, settings.max_age, settings.no_environment), (2, 5, true));
    assert!(settings.document_url(NODE).unwrap().as_str().starts_with("http://127.0.0.1:2/"));

    let wrong = |args: &EncArgs| Settings::resolve(args, &file).unwrap_err().to_string();
    args.config = Some(dir.path().join("missing.toml"));
    assert!(wrong(&args).contains("missing.toml"), "{}", wrong(&args));
    args.config = None;
    for (url, reason) in [
        ("virtapi.example.com", "relative URL"),
        ("ftp://virtapi.example.com", "neither http nor https"),
        ("http://me:pw@virtapi.example.com", "credentials"),
        ("http://virtapi.example.com/?a=b", "query"),
    ] {
        args.options.url = Some(url.into());
        assert!(wrong(&args).contains(reason), "{}", wrong(&args));
    }
    args.options = EncOptions::default();
    for (text, reason) in [
        ("", "no server"),
        ("timeout = 0\nurl = \"http://a\"", "timeout: 0 s"),
        ("cert = \"a\"\nurl = \"http://a\"", "only cert is set"),
        ("key = \"a\"\nurl = \"http://a\"", "only key is set"),
        ("utl = \"http://a\"", "utl"),
        ("timeout = \"soon\"", "timeout"),
    ] {
        std::fs::write(&file, text).unwrap();
        assert!(wrong(&args).contains(reason), "{text}: {}", wrong(&args));
    }
}

#[test]
fn a_reason_is_one_line() {
    assert_eq!(one_line("a\r\nb\u{7f}c\u{2028}d"), "a  b c d");
}
