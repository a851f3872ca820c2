//! Messages do not lead inside: not when their address is stored, and not when it is connected to.

use rocket::http::{Method, Status};
use serde_json::json;

use super::{Told, courier, said, settings};
use crate::harness::{App, sql};

#[rocket::async_test]
async fn an_address_that_leads_inside_is_not_stored() {
    let app = App::start().await;
    let post = async |url: &str| app.post("/v1/webhooks", json!({"name": "a", "url": url, "state": "active"})).await;
    for url in [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://10.1.2.3:8443/hook",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd00:ec2::254]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://0.0.0.0/",
        "https://localhost/",
        "http://example.com/",
        "https://user:password@example.com/",
        "https://example.com/#a",
    ] {
        let answer = post(url).await;
        assert_eq!(answer.status, 422, "{url}");
        assert!(answer.text().contains("/url"), "{url} {}", answer.text());
    }
    for url in ["ftp://example.com/", "https://", "javascript:alert(1)", "https://example.com/a b", "", "x"] {
        assert_eq!(post(url).await.status, 422, "{url}");
    }
    let stored = post("https://example.com/hook").await.is(Status::Created);
    let moved =
        app.json(Method::Patch, &format!("/v1/webhooks/{}", stored["id"]), json!({"url": "https://[::1]/"})).await;
    assert_eq!(moved.status, 422);
}

#[rocket::async_test]
async fn an_address_that_leads_inside_by_now_is_not_connected_to() {
    let told = Told::start().await;
    told.webhook(json!({})).await;
    told.vlan("blue", 7).await;
    let mut strict = settings(&told.receiver);
    strict.webhook_networks = "10.0.0.0/8".parse().expect("a network");
    let careful = courier(&told.app.dsn, &strict);
    assert_eq!(careful.send_due().await.expect("asks"), 1);
    assert_eq!(told.receiver.connections(), 0);
    let log = told.deliveries("").await;
    assert_eq!(log[0]["error"], "the address must not lead to a private, local or reserved network");
    told.hurry().await;
    assert_eq!(said(&told.sent().await), ["vlans create blue"]);
}

#[rocket::async_test]
async fn nobody_is_followed_elsewhere() {
    let told = Told::start().await;
    told.webhook(json!({})).await;
    told.vlan("blue", 7).await;
    let elsewhere = super::Receiver::start();
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        told.receiver.answer(&[&format!("{status}\r\nLocation: {}", elsewhere.url)]);
        told.hurry().await;
        assert_eq!(told.sent().await.len(), 1, "{status}");
        assert_eq!(told.deliveries("").await[0]["error"], format!("it answered {status}"));
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[rocket::async_test]
async fn who_has_another_certificate_is_told_nothing() {
    let told = Told::start().await;
    told.webhook(json!({})).await;
    let impostor = super::Receiver::start();
    sql(&told.app.dsn, &format!("UPDATE webhooks SET url = '{}'", impostor.url)).await;
    told.vlan("blue", 7).await;
    assert_eq!(told.courier.send_due().await.expect("asks"), 1);
    assert!(impostor.take().is_empty());
    let log = told.deliveries("").await;
    assert!(log[0]["error"].as_str().is_some_and(|error| error.contains("certificate")), "{}", log[0]);
}
