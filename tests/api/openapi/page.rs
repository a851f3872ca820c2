//! The page that shows the description, in a browser.

use std::process::Command;

use crate::harness::App;
use crate::start::process::{DataDir, Server};

/// What Swagger UI says of every type with a format, and is not about the page.
const NOISE: &str = "Could not find component: JsonSchema_";

/// What a page of this address becomes, once its scripts have run. The browser finds nobody but this machine, and says
/// on its console what the policy of the page forbids: inline scripts and styles, and whatever is elsewhere.
fn shown(url: &str) -> String {
    let profile = tempfile::tempdir().expect("a directory");
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--enable-logging=stderr"])
        .args(["--virtual-time-budget=30000", "--dump-dom", url])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .output()
        .expect("scripts/setup-openapi has installed chromium");
    let (page, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{log}");
    let said: Vec<&str> = log.lines().filter(|line| line.contains(":CONSOLE") && !line.contains(NOISE)).collect();
    assert_eq!(said, [""; 0], "{url}");
    page.into_owned()
}

#[rocket::async_test]
async fn the_page_shows_the_description_and_asks_nobody_else() {
    let app = App::start().await;
    let page = app.get("/docs").await;
    let policy = page.header("Content-Security-Policy");
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(app.get("/docs/index.html").await.status, 404);

    let server = Server::start(&DataDir::new(), &["--database-url", &app.dsn, "--log-level", "error"]);
    let list = shown(&format!("http://{}/docs", server.at));
    for tag in ["nodes", "cache-options", "puppet", "salt", "server"] {
        assert!(list.contains(&format!("id=\"operations-tag-{tag}\"")), "{tag} is not shown: {list}");
    }
    let operation = shown(&format!("http://{}/docs#/bonds/createBond", server.at));
    assert!(operation.contains("802.3ad"), "the example is not shown: {operation}");
    server.stop();
}
