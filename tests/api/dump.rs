//! A copy of the database opens nothing: no word of it is a credential, nor what could be made of one by writing it
//! otherwise.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rocket::http::{Method, Status};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::{App, TOKEN, base64};
use crate::sessions::Browser;

/// How many characters of a secret are shown.
const SHOWN: usize = "virtapi_00000000".len();

/// The whole of a database, as text.
fn dump(dsn: &str) -> String {
    let installed = std::fs::read_dir("/usr/lib/postgresql").expect("Postgres is installed");
    let programs = installed.map(|version| version.expect("a directory").path().join("bin/pg_dump"));
    let newest: PathBuf = programs.filter(|program| program.exists()).max().expect("pg_dump is beside Postgres");
    let ran = Command::new(newest).arg(format!("--dbname={dsn}")).output().expect("runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}

/// The bytes that hexadecimal digits stand for.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).ok()).collect()
}

/// Whatever a thief would try: each word that is long enough or says what it is, and the same written otherwise.
fn candidates(dump: &str) -> BTreeSet<String> {
    let part_of_a_word = |c: char| c.is_ascii_alphanumeric() || "_-+/=.".contains(c);
    let words: BTreeSet<&str> = dump.split(|c| !part_of_a_word(c)).collect();
    let prefixes: Vec<&str> =
        words.iter().copied().filter(|word| word.len() == SHOWN && word.starts_with("virtapi_")).collect();
    let mut found = BTreeSet::new();
    for word in words.iter().filter(|word| word.len() >= 32 || word.starts_with("virtapi_")) {
        // A digest is written `\x…`.
        let hex = word.strip_prefix('x').unwrap_or(word);
        found.extend([(*word).to_owned(), hex.to_owned(), hex.to_uppercase(), base64(word.as_bytes())]);
        let bytes = bytes(hex).unwrap_or_default();
        if bytes.len() >= 16 {
            let written = [BASE64_STANDARD.encode(&bytes), BASE64_URL_SAFE_NO_PAD.encode(&bytes)];
            for rest in written.iter().map(String::as_str).chain([hex]) {
                found.extend(prefixes.iter().map(|prefix| format!("{prefix}_{rest}")));
            }
            found.extend(written);
        }
    }
    found.retain(|candidate| !candidate.is_empty());
    found
}

#[rocket::async_test]
async fn a_dump_of_the_database_opens_nothing() {
    let app = App::start().await;
    let mut secrets = vec![TOKEN.to_owned()];
    app.post("/v1/nodes", json!({"fqdn": "hv01.example.com", "state": "running"})).await.is(Status::Created);
    let user = json!({"name": "alice", "account_type": "person", "role": "operator", "state": "active"});
    let compiler = json!({"name": "puppet.example.com", "serves": "all"});
    for (holder, value) in [("user", user), ("node", json!("hv01.example.com")), ("compiler", compiler)] {
        let token = app.post("/v1/tokens", json!({"name": "laptop", "scope": "all", holder: value})).await;
        let url = format!("/v1/tokens/{}/secret", token.is(Status::Created)["id"]);
        // Issued twice: neither what holds nor what held before is kept. Issued as a repeated request: nor is its
        // answer.
        for key in ["first", "second"] {
            let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
            let issued = app.send(Method::Post, &url, &headers, b"").await.is(Status::Created);
            let secret = issued["secret"].as_str().expect("a secret").to_owned();
            let bearer = format!("Bearer {secret}");
            let answer = app.send(Method::Get, "/v1", &[("Authorization", &bearer)], b"").await;
            assert_ne!(answer.status, 401, "{holder}: it is one");
            secrets.push(secret);
        }
    }
    // A repeated request's answer is kept for a while: it holds no secret either.
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "kept")];
    app.send(Method::Post, "/v1/vlans", &headers, br#"{"name": "customers", "tag": 1}"#).await.is(Status::Created);

    // Somebody has a password, and has logged in with it.
    let password = "correct-horse-battery-staple";
    let body = json!({"password": password});
    app.json(Method::Put, "/v1/users/alice/password", body).await.is(Status::NoContent);
    let mut browser = Browser::new(&app);
    assert_eq!(browser.log_in("alice", password).await.status, 303);
    let session = browser.cookie("virtapi_session").to_owned();
    assert_eq!(browser.open("/v1/vlans").await.status, 200);
    secrets.extend([password.to_owned(), session.clone()]);

    let dump = dump(&app.dsn);
    for secret in &secrets {
        // What of it is shown is cut off by its length: what is not may have a `_` of its own.
        let random = if secret.starts_with("virtapi_") { &secret[SHOWN + 1..] } else { secret.as_str() };
        assert!(random.len() >= 28, "long enough to be nowhere by chance: {random}");
        for hidden in [random.to_owned(), base64(secret.as_bytes()), base64(random.as_bytes())] {
            assert!(!dump.contains(&hidden), "the dump holds {hidden}");
        }
    }
    let candidates = candidates(&dump);
    // The digests are there, and so is how each secret begins.
    assert!(candidates.iter().filter(|word| bytes(word).is_some_and(|bytes| bytes.len() == 32)).count() >= 4);
    assert!(secrets[1..].iter().any(|secret| candidates.contains(&secret[..SHOWN])));
    for candidate in &candidates {
        for header in
            [format!("Bearer {candidate}"), format!("Basic {}", base64(format!("admin:{candidate}").as_bytes()))]
        {
            let answer = app.send(Method::Get, "/v1/nodes", &[("Authorization", &header)], b"").await;
            assert_eq!(answer.status, 401, "{candidate}");
        }
        let cookie = format!("virtapi_session={candidate}");
        let answer = app.send_as_stranger(None, Method::Get, "/v1/nodes", &[("Cookie", &cookie)], b"").await;
        assert_eq!(answer.status, 401, "{candidate}");
    }
}
