//! The pages in a real browser: what it loads, it may load, and nothing goes wrong. Chromium comes with
//! `scripts/setup-test`.

use std::net::TcpListener;
use std::process::Command;

use rocket::config::Config;
use rocket::http::Status;
use serde_json::json;

use crate::harness::{App, TOKEN, server};

#[rocket::async_test]
async fn a_browser_has_nothing_to_complain_about() {
    let app = App::start().await;
    let node = json!({"fqdn": "hv01.example.com", "state": "running", "location": "<b>rack</b>"});
    app.post("/v1/nodes", node).await.is(Status::Created);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let server = server(&app.dsn);
    let config = Config {
        port,
        shutdown: rocket::config::Shutdown { ctrlc: false, signals: [].into(), ..Default::default() },
        ..Config::from(server.figment())
    };
    let server = server.configure(config).ignite().await.expect("ignites");
    let shutdown = server.shutdown();
    let running = rocket::tokio::spawn(server.launch());
    for path in ["/", "/v1/nodes", "/v1/nodes/1", "/forms/nodes/create", "/forms/nodes/delete/1", "/v1/nothing"] {
        let url = format!("http://admin:{TOKEN}@127.0.0.1:{port}{path}");
        let seen = rocket::tokio::task::spawn_blocking(move || look(&url)).await.expect("looks");
        assert!(seen.page.contains("id=\"navigation\""), "{path}: {}", seen.page);
        // Chromium itself complains when a page answers with an error.
        let complaints: Vec<_> =
            seen.said.lines().filter(|line| line.contains(":CONSOLE") && !line.contains("404")).collect();
        assert!(complaints.is_empty(), "{path}: {complaints:?}");
    }
    shutdown.notify();
    running.await.expect("ends").expect("ends well");
}

/// What the browser made of a page, and what it said.
struct Seen {
    page: String,
    said: String,
}

fn look(url: &str) -> Seen {
    let profile = tempfile::tempdir().expect("a directory");
    let ran = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .output()
        .expect("chromium runs: see scripts/setup-test");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Seen { page: text(&ran.stdout), said: text(&ran.stderr) }
}
