//! The page that shows the description, in a browser.

use crate::harness::App;
use crate::html::chromium::look_for;
use crate::start::process::{DataDir, Server};

/// What Swagger UI says of every type with a format, and is not about the page.
const NOISE: &str = "Could not find component: JsonSchema_";

/// What a page of this address becomes, once its scripts have shown what this selects. The browser finds nobody but this
/// machine, and says on its console what the policy of the page forbids: inline scripts and styles, and whatever is
/// elsewhere.
async fn shown(url: String, selector: &'static str) -> String {
    let seen = look_for(url, selector).await;
    let said: Vec<&String> = seen.said.iter().filter(|line| !line.contains(NOISE)).collect();
    assert_eq!(said, [""; 0]);
    seen.page
}

#[rocket::async_test]
async fn the_page_shows_the_description_and_asks_nobody_else() {
    let app = App::start().await;
    let page = app.get("/docs").await;
    let policy = page.header("Content-Security-Policy");
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(app.get("/docs/index.html").await.status, 404);

    let server = Server::start(&DataDir::new(), &["--database-url", &app.dsn, "--log-level", "error"]);
    let list = shown(format!("http://{}/docs", server.at), "#operations-tag-server").await;
    for tag in ["nodes", "cache-options", "puppet", "salt", "server"] {
        assert!(list.contains(&format!("id=\"operations-tag-{tag}\"")), "{tag} is not shown: {list}");
    }
    let operation =
        shown(format!("http://{}/docs#/bonds/createBond", server.at), "#operations-bonds-createBond .example").await;
    assert!(operation.contains("802.3ad"), "the example is not shown: {operation}");
    server.stop();
}
