//! No secret is in what a server says of itself: not in its log at the level at which it says the most, nor in an
//! answer that tells of an error.

use rocket::http::Status;
use serde_json::json;
use std::fs::File;
use std::io::Write;

use crate::harness::{self, App, TOKEN, base64};
use crate::start::process::{DataDir, Server, answer};

const PASSWORD: &str = "a-password-that-nobody-may-read";
const FALSE: &str = "virtapi_00000000_a-token-that-was-never-issued";

/// A request with this header, and all of the answer that is its body.
fn ask(server: &Server, request: &str, authorization: &str, more: &str, body: &str) -> (u16, String) {
    let mut stream = server.connect();
    let head =
        format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {authorization}\r\n");
    let request = format!("{head}{more}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).expect("sends");
    answer(&mut stream)
}

#[rocket::async_test]
async fn a_log_of_everything_has_no_secret() {
    let dsn = harness::database().await;
    let app = App::on(&dsn).await;
    let token = json!({"name": "laptop", "user": "admin", "scope": "all"});
    let token = app.post("/v1/tokens", token).await.is(Status::Created)["id"].to_string();
    let dir = tempfile::tempdir().expect("a directory");
    for format in ["text", "json"] {
        let path = dir.path().join(format);
        let url = format!("{dsn} password={PASSWORD}");
        let more = ["--log-level", "trace", "--log-format", format, "--database-url", &url];
        let data = DataDir::new();
        let server = Server::start_with_log(&data, &more, File::create(&path).expect("creates"));

        let bearer = format!("Bearer {TOKEN}");
        let json = "Content-Type: application/json\r\n";
        let (status, issued) = ask(&server, &format!("POST /v1/tokens/{token}/secret"), &bearer, json, "");
        assert_eq!(status, 201);
        let issued: serde_json::Value = serde_json::from_str(&issued).expect("JSON");
        let issued = issued["secret"].as_str().expect("a secret");
        let basic = |secret: &str| format!("Basic {}", base64(format!("admin:{secret}").as_bytes()));
        let page = "Accept: text/html\r\n";
        let mut pages = vec![];
        for (secret, taken) in [(TOKEN, true), (issued, true), (FALSE, false), (PASSWORD, false)] {
            let ways = [format!("Bearer {secret}"), format!("Token {secret}"), basic(secret), secret.to_owned()];
            for (authorization, known) in ways.iter().zip([taken, taken, taken, false]) {
                for (request, more, body, good) in [
                    ("GET /v1/vlans", json, "", 200),
                    ("GET /v1/vlans/4711", page, "", 404),
                    ("GET /v1/vlans?nothing=1", page, "", 400),
                    ("POST /v1/vlans", json, "{", 400),
                    ("POST /v1/vlans", json, r#"{"name": "x", "tag": 0}"#, 422),
                    ("GET /puppet/enc/hv01.example.com", "", "", 404),
                ] {
                    let (status, body) = ask(&server, request, authorization, more, body);
                    assert_eq!(status, if known { good } else { 401 }, "{request} {authorization}");
                    pages.push(body);
                }
            }
        }
        let issued = issued.to_owned();
        let mut said = server.last_words();
        let log = std::fs::read_to_string(&path).expect("text");
        assert!(log.lines().filter(|line| line.contains("refused")).count() > 50, "it says what it refuses: {log}");
        said.push_str(&log);
        said.push_str(&pages.concat());
        for secret in [TOKEN, &issued, FALSE, PASSWORD] {
            let random = harness::random_part(secret);
            for hidden in [random.to_owned(), base64(random.as_bytes()), basic(secret), base64(secret.as_bytes())] {
                let line = said.lines().find(|line| line.contains(&hidden));
                assert_eq!(line, None, "{hidden}");
            }
        }
    }
}

#[rocket::async_test]
async fn what_goes_wrong_at_the_start_is_told_without_the_password() {
    let dsn = format!("postgres://nobody:{PASSWORD}@127.0.0.1:1/x");
    for (words, code) in [
        (vec!["serve", "--database-url", &dsn], 1),
        (vec!["migrate", "--database-url", &dsn], 1),
        (vec!["serve", "--port", "http", "--database-url", &dsn], 2),
        (vec!["serve", "--pool-size", "0", "--database-url", &dsn], 2),
        (vec!["check-config", "--database-url", &dsn], 0),
    ] {
        let words = [words, vec!["--log-level", "trace"]].concat();
        let (ended, out, err) = crate::start::process::run(&words);
        assert_eq!(ended, Some(code), "{err}");
        assert!(!out.contains(PASSWORD) && !err.contains(PASSWORD), "{words:?}: {out} {err}");
    }
}
