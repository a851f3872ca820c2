//! The database goes away and comes back: every route that needs it says so, and serves again without a restart.

use rocket::http::{Header, Method, Status};
use rocket::local::asynchronous::Client;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::every_kind::example;
use crate::harness::{Answer, App, TOKEN, administrator, database};
use crate::openapi::document;

#[rocket::async_test]
async fn a_statement_that_takes_too_long_is_given_up() {
    let dsn = database().await;
    let settings = virtapi::config::Settings { query_timeout: 1, ..virtapi::config::Settings::default() };
    let client = Client::untracked(virtapi::rocket(&settings, &dsn, None).expect("a pool")).await.expect("ignites");
    let (holder, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await.expect("connects");
    rocket::tokio::spawn(connection);
    holder.batch_execute("BEGIN; LOCK TABLE vlans").await.expect("locks");
    let secret = || Header::new("Authorization", format!("Bearer {TOKEN}"));
    let answer = client.get("/v1/vlans").header(secret()).dispatch().await;
    assert_eq!((answer.status().code, answer.headers().get_one("Retry-After")), (503, Some("1")));
    assert!(answer.into_string().await.is_some_and(|text| text.contains("longer than is allowed")));
    holder.batch_execute("COMMIT").await.expect("lets go");
    assert_eq!(client.get("/v1/vlans").header(secret()).dispatch().await.status().code, 200);
}

/// Starts a cluster of this test alone, or starts it again.
fn start(dir: &Path) -> String {
    let started = Command::new("tests/pg").env("TEST_PG_DIR", dir).output().unwrap();
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    String::from_utf8(started.stdout).unwrap().trim().to_owned() + " dbname=postgres"
}

/// Stops it at once, as a crash would.
fn stop(dir: &Path) {
    let file = dir.join("data/postmaster.pid");
    let pid = std::fs::read_to_string(&file).unwrap();
    assert!(Command::new("kill").args(["-QUIT", pid.lines().next().unwrap()]).status().unwrap().success());
    while file.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The cluster, for as long as the test runs.
struct Cluster(tempfile::TempDir);

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.0.path().join("data/postmaster.pid").exists() {
            stop(self.0.path());
        }
    }
}

/// Every route, as a request that changes nothing.
fn requests() -> Vec<(Method, String, String)> {
    let document = document();
    let mut requests = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter_map(|name| name.to_uppercase().parse::<Method>().ok())
        {
            let kind = virtapi::KINDS.iter().find(|kind| path.contains(&format!("/{}", kind.name())));
            let body = kind.map_or_else(|| json!({}), |kind| example(*kind)).to_string();
            let mut url =
                path.replace("{kind}", "nodes").replace("{certname}/{key}", "hv01.example.com/virtapi::state");
            for (name, value) in
                [("{key}", "1"), ("{certname}", "hv01.example.com"), ("{minion_id}", "hv01.example.com")]
            {
                url = url.replace(name, value);
            }
            url = url.replace("{file}", "index.html").replace("{name}", "style.css");
            if method != Method::Get {
                url += "?dry_run=true";
            }
            requests.push((method, url, body));
        }
    }
    requests
}

async fn ask(app: &App, (method, url, body): &(Method, String, String)) -> Answer {
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "k")];
    app.send(*method, url, &headers, body.as_bytes()).await
}

/// What is answered without the database.
const ALONE: &[&str] =
    &["/", "/v1/", "/health", "/metrics", "/api-docs", "/docs", "/static", "/forms/nodes/filter", "/login", "/account"];

#[rocket::async_test(flavor = "multi_thread")]
async fn every_route_outlives_the_database() {
    let cluster = Cluster(tempfile::Builder::new().prefix("virtapi-outage-").tempdir_in("/tmp").unwrap());
    let dir = cluster.0.path();
    let dsn = start(dir);
    virtapi::migrations::migrate(&dsn).await.unwrap();
    administrator(&dsn).await;
    let app = App::on(&dsn).await;
    app.post("/v1/nodes", json!({"fqdn": "hv01.example.com", "state": "running"})).await.is(Status::Created);
    let requests = requests();
    let mut before = Vec::new();
    for request in &requests {
        let answer = ask(&app, request).await;
        assert!(answer.status < 500, "{} {}", answer.asked, answer.text());
        before.push(answer.status);
    }
    // The second time, no connection of the pool has yet been seen to be dead.
    for round in 0..2 {
        stop(dir);
        for (request, status) in requests.iter().zip(&before) {
            let began = Instant::now();
            let answer = ask(&app, request).await;
            assert!(began.elapsed() < Duration::from_secs(8), "{}", answer.asked);
            let (path, alone) = (&request.1, answer.status == *status);
            // What is wrong with a request can be said without the database, too.
            if alone
                && (*status >= 400
                    || ALONE.iter().any(|start| path == start || start.len() > 4 && path.starts_with(start)))
            {
                continue;
            }
            assert_eq!(answer.status, 503, "{} {status} {}", answer.asked, answer.text());
            assert_eq!(answer.header("Retry-After"), "1", "{}", answer.asked);
            assert!(!answer.text().contains("socket") && !answer.text().contains("/tmp/"), "{}", answer.text());
        }
        let page = app.send(Method::Get, "/v1/nodes", &[("Accept", "text/html")], b"").await;
        assert_eq!((page.status, page.header("Content-Type")), (503, "text/html; charset=utf-8"));
        start(dir);
        for (request, status) in requests.iter().zip(&before) {
            let answer = ask(&app, request).await;
            assert_eq!(answer.status, *status, "round {round} {} {}", answer.asked, answer.text());
        }
    }
    // Started again before anybody noticed: at worst one request for each dead connection is told to come again.
    stop(dir);
    start(dir);
    let mut refused = 0;
    for _ in 0..10 {
        let answer = app.get("/v1/nodes").await;
        refused += usize::from(answer.status == 503);
        assert!([200, 503].contains(&answer.status));
    }
    assert!(refused <= 4, "{refused}");
    assert_eq!(app.get("/v1/nodes").await.status, 200);
}
