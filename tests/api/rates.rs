//! Who asks too much is told to wait, and nobody else is.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::config::Settings;

use crate::harness::{App, database};
use crate::reports::REPORT;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A slow machine gives some more than the five at once; it never gives as many as this.
const MANY: usize = 1000;

/// A server that gives a customer one request a second. Its administrator has fifty at once.
async fn app() -> App {
    App::with(&database().await, Settings { pool_size: 4, request_rate: 1, ..Settings::default() }).await
}

/// A new token of this holder.
async fn token(app: &App, kind: &str, holder: Value) -> String {
    let token = app.post("/v1/tokens", json!({"name": "test", "scope": "all", kind: holder})).await.is(Status::Created);
    let secret = app.post(&format!("/v1/tokens/{}/secret", token["id"]), Value::Null).await.is(Status::Created);
    format!("Bearer {}", secret["secret"].as_str().expect("a secret"))
}

/// The token of one who owns an organization.
async fn customer(app: &App, name: &str) -> String {
    let user = json!({"name": name, "account_type": "service", "state": "active"});
    let organization = json!({"name": format!("{name}-inc"), "full_name": name});
    let membership = json!({"organization": organization, "user": user, "role": "owner"});
    app.post("/v1/memberships", membership).await.is(Status::Created);
    token(app, "user", json!(name)).await
}

#[rocket::async_test]
async fn an_identity_that_asks_too_much_waits_and_no_other() {
    let app = app().await;
    let busy = customer(&app, "busy").await;
    let other = customer(&app, "other").await;
    let ask = async |token: &str, url: &str| {
        app.send(Method::Get, url, &[("Authorization", token), ("Accept", "application/json")], b"").await
    };
    let mut answered = 0;
    let refused = loop {
        let answer = ask(&busy, "/v1/vms").await;
        if answer.status != 200 {
            break answer;
        }
        answered += 1;
        assert!(answered < MANY, "nobody is limited");
    };
    assert!(answered >= 5, "{answered}");
    assert_eq!(refused.header("Content-Type"), "application/problem+json");
    assert!(refused.header("Retry-After").parse::<u32>().is_ok_and(|seconds| (1..=5).contains(&seconds)));
    let detail = refused.is(Status::TooManyRequests)["detail"].to_string();
    assert!(detail.contains("you have sent too many requests; try again in"), "{detail}");
    ask(&other, "/v1/vms").await.is(Status::Ok);
    app.get("/v1/vms").await.is(Status::Ok);
}

#[rocket::async_test]
async fn what_is_refused_is_not_done() {
    let app = app().await;
    let busy = customer(&app, "busy").await;
    let mut made = 0;
    loop {
        let body = json!({"organization": "busy-inc", "name": format!("shop-{made}")}).to_string();
        let headers = [JSON, ("Authorization", &*busy)];
        match app.send(Method::Post, "/v1/environments", &headers, body.as_bytes()).await.status {
            201 => made += 1,
            status => {
                assert_eq!(status, 429);
                break;
            }
        }
        assert!(made < MANY, "nobody is limited");
    }
    assert_eq!(app.get("/v1/environments?count=exact").await.is(Status::Ok)["total"], made);
}

#[rocket::async_test]
async fn an_address_that_tries_to_log_in_too_often_waits() {
    let app = app().await;
    for url in ["/login", "/login/openid"] {
        let from = format!("192.0.2.{}", url.len());
        let open = async |from: &str| app.send_from(from, Method::Get, url, &[]).await;
        let first = open(&from).await;
        assert!(matches!(first, 200 | 404), "{url}: {first}");
        let mut answered = 1;
        while open(&from).await == first {
            answered += 1;
            assert!(answered < MANY, "{url}: nobody is limited");
        }
        assert_eq!(open(&from).await, 429, "{url}");
        assert_eq!(open("192.0.2.99").await, first, "{url}");
    }
    // What is refused asks for no password: the page that asks for one costs nothing.
    assert_eq!(app.send_from("192.0.2.6", Method::Get, "/v1/vlans", &[("Accept", "text/html")]).await, 401);
}

#[rocket::async_test]
async fn a_node_that_reports_too_often_waits_and_a_compiler_for_long_does_not() {
    let app = app().await;
    app.post("/v1/nodes", json!({"fqdn": "hv01.example.com", "state": "running"})).await.is(Status::Created);
    let node = token(&app, "node", json!("hv01.example.com")).await;
    let compiler = token(&app, "compiler", json!({"name": "puppet.example.com", "serves": "all"})).await;
    let report = async |token: &str| {
        let headers = [("Authorization", token), ("Content-Type", "application/x-yaml")];
        app.send(Method::Post, "/puppet/reports", &headers, REPORT.as_bytes()).await.status
    };
    let mut taken = 0;
    while report(&node).await == 204 {
        taken += 1;
        assert!(taken < MANY, "nobody is limited");
    }
    assert!(taken >= 5, "{taken}");
    assert_eq!(report(&node).await, 429);
    for _ in 0..40 {
        assert_eq!(report(&compiler).await, 204);
    }
}

#[rocket::async_test]
async fn documents_are_for_all_who_ask() {
    let app = app().await;
    app.post("/v1/nodes", json!({"fqdn": "hv01.example.com", "state": "running"})).await.is(Status::Created);
    let compiler = token(&app, "compiler", json!({"name": "puppet.example.com", "serves": "all"})).await;
    for _ in 0..100 {
        for url in ["/puppet/enc/hv01.example.com", "/salt/pillar/hv01.example.com"] {
            let answer = app.send(Method::Get, url, &[("Authorization", &compiler)], b"").await;
            assert_eq!(answer.status, 200, "{url}");
        }
        assert_eq!(app.send_from("192.0.2.1", Method::Get, "/health", &[]).await, 200);
    }
}

#[rocket::async_test]
async fn an_address_that_asks_too_often_whether_the_database_is_there_waits() {
    let app = app().await;
    let ready = async |from: &str| app.send_from(from, Method::Get, "/ready", &[]).await;
    let mut answered = 0;
    while ready("192.0.2.1").await == 200 {
        answered += 1;
        assert!(answered < MANY, "nobody is limited");
    }
    assert!(answered >= 5, "{answered}");
    assert_eq!(ready("192.0.2.2").await, 200);
}
