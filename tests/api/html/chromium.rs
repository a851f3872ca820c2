//! The pages in a real browser: what it loads, it may load, and nothing goes wrong. Chromium comes with
//! `scripts/setup-browser`.

use std::net::TcpListener;
use std::process::Command;

use rocket::config::Config;
use rocket::fairing::AdHoc;
use rocket::http::{Header, Status};
use rocket::tokio::task::JoinHandle;
use serde::Deserialize;
use serde_json::json;

use crate::harness::{App, TOKEN, server};

#[rocket::async_test]
async fn a_browser_has_nothing_to_complain_about() {
    let app = App::start().await;
    let node = json!({"fqdn": "hv01.example.com", "state": "running", "location": "<b>rack</b>"});
    app.post("/v1/nodes", node).await.is(Status::Created);
    let served = Served::start(&app).await;
    for path in ["/", "/v1/nodes", "/v1/nodes/1", "/forms/nodes/create", "/forms/nodes/delete/1", "/v1/nothing"] {
        let seen = served.look(path).await;
        assert!(seen.page.contains("id=\"navigation\""), "{path}: {}", seen.page);
        assert_eq!(seen.complaints(), [""; 0], "{path}");
    }
    served.stop().await;
}

/// A server that a browser can reach.
pub struct Served {
    port: u16,
    shutdown: rocket::Shutdown,
    running: JoinHandle<Result<rocket::Rocket<rocket::Ignite>, rocket::Error>>,
}

impl Served {
    /// One more for the database of this one.
    pub async fn start(app: &App) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let server = server(&app.dsn);
        let config = Config {
            port,
            shutdown: rocket::config::Shutdown { ctrlc: false, signals: [].into(), ..Default::default() },
            ..Config::from(server.figment())
        };
        // Somebody has logged in: a browser that only prints a page cannot.
        let token = AdHoc::on_request("the administrator's", |request, _| {
            Box::pin(async move { request.add_header(Header::new("Authorization", format!("Bearer {TOKEN}"))) })
        });
        let server = server.configure(config).attach(token).ignite().await.expect("ignites");
        Self { port, shutdown: server.shutdown(), running: rocket::tokio::spawn(server.launch()) }
    }

    /// Opens a page as the administrator.
    pub async fn look(&self, path: &str) -> Seen {
        look(format!("http://127.0.0.1:{}{path}", self.port)).await
    }

    pub async fn stop(self) {
        self.shutdown.notify();
        self.running.await.expect("ends").expect("ends well");
    }
}

/// What the browser made of a page, and what it said on its console.
#[derive(Debug, Deserialize)]
pub struct Seen {
    pub page: String,
    pub said: Vec<String>,
}

impl Seen {
    /// What a page's policy forbade, and what went wrong. That a page answers with an error, the browser says as well.
    pub fn complaints(&self) -> Vec<&str> {
        self.said.iter().map(String::as_str).filter(|line| !line.contains("404")).collect()
    }
}

/// Opens an address.
pub async fn look(url: String) -> Seen {
    look_for(url, "").await
}

/// Opens an address, and waits for what this selects.
pub async fn look_for(url: String, selector: &'static str) -> Seen {
    let ran = rocket::tokio::task::spawn_blocking(move || {
        Command::new("node").args(["target/tools/browser/look.mjs", "/usr/bin/chromium", &url, selector]).output()
    });
    let ran = ran.await.expect("looks").expect("node runs: see scripts/setup-browser");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "scripts/setup-browser has installed what drives the browser: {said}");
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}
