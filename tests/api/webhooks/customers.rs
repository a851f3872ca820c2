//! A customer is told of its own, and of nothing else.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use super::{Told, said};
use crate::customers::{customer, objects, token};
use crate::harness::App;

const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn ask(app: &App, who: &str, method: Method, url: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = app.send(method, url, &[("Authorization", who), JSON], body.as_bytes()).await;
    (answer.status, serde_json::from_slice(&answer.bytes).unwrap_or_default())
}

#[rocket::async_test]
async fn a_customer_is_told_of_its_own_and_of_nothing_else() {
    let told = Told::start().await;
    let app = &told.app;
    let hypervisor = json!({"node": {"fqdn": "hv01.example.com", "state": "running"}, "cores": 8, "ram_bytes": 1_i64 << 40,
        "virt_methods": ["KVM"], "local_storage_path": "/var/lib/images"});
    app.post("/v1/hypervisors", hypervisor).await.is(Status::Created);
    for organization in ["ours", "theirs"] {
        customer(app, organization).await;
    }
    let [owner, member, viewer] =
        [token(app, "ours-owner").await, token(app, "ours-member").await, token(app, "ours-viewer").await];
    let other = token(app, "theirs-owner").await;
    let body = |organization: Value| json!({"name": "ours", "url": told.receiver.url, "state": "active", "organization": organization});
    let post =
        async |who: &str, organization: Value| ask(app, who, Method::Post, "/v1/webhooks", &body(organization)).await;
    for (who, organization, status) in [
        (&viewer, json!("ours"), 403),
        (&owner, Value::Null, 403),
        (&owner, json!("theirs"), 422),
        (&member, json!("ours"), 201),
    ] {
        assert_eq!(post(who, organization.clone()).await.0, status, "{organization}");
    }
    let id = app.get("/v1/webhooks").await.is(Status::Ok)["items"][0]["id"].to_string();
    for (who, get, issue) in [(&viewer, 404, 404), (&other, 404, 404), (&member, 200, 201), (&owner, 200, 201)] {
        assert_eq!(ask(app, who, Method::Get, &format!("/v1/webhooks/{id}"), &Value::Null).await.0, get);
        assert_eq!(ask(app, who, Method::Post, &format!("/v1/webhooks/{id}/secret"), &Value::Null).await.0, issue);
    }
    crate::harness::sql(&app.dsn, "DELETE FROM webhook_deliveries").await;

    objects(app, "ours", 11, Some("ours/ours-shop")).await;
    objects(app, "hidden", 12, Some("theirs/theirs-shop")).await;
    objects(app, "hidden-fleet", 13, None).await;
    let mut messages = vec![];
    loop {
        let sent = told.sent().await;
        if sent.is_empty() {
            break;
        }
        messages.extend(sent);
    }
    let kinds: std::collections::BTreeSet<String> =
        messages.iter().map(|message| message.body["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["addresses", "interfaces", "snapshots", "vms", "volumes"]);
    assert!(messages.iter().all(|message| !message.text.contains("hidden")), "{:?}", said(&messages));

    // What moves in is new, and what moves out is gone.
    let vm = "a0000000-0000-4000-8000-000000000011";
    app.json(Method::Delete, "/v1/volumes/b0000000-0000-4000-8000-000000000011", Value::Null)
        .await
        .is(Status::NoContent);
    app.json(Method::Patch, &format!("/v1/vms/{vm}"), json!({"environment": "theirs/theirs-shop"}))
        .await
        .is(Status::Ok);
    app.json(Method::Patch, &format!("/v1/vms/{vm}"), json!({"name": "hidden"})).await.is(Status::Ok);
    app.json(Method::Patch, &format!("/v1/vms/{vm}"), json!({"name": "x", "environment": "ours/ours-shop"}))
        .await
        .is(Status::Ok);
    let mut about = vec![];
    loop {
        let sent = told.sent().await;
        if sent.is_empty() {
            break;
        }
        assert!(sent.iter().all(|message| !message.text.contains("hidden") && !message.text.contains("theirs")));
        about.extend(said(&sent));
    }
    about.sort();
    assert_eq!(about, ["snapshots delete ours-snapshot", "vms create x", "vms delete ours-vm", "volumes delete "]);

    // The log is whose the webhook is.
    let log =
        async |who: &str| ask(app, who, Method::Get, "/v1/webhook-deliveries", &Value::Null).await.1["total"].clone();
    assert!(log(&member).await.as_i64() > Some(8));
    assert_eq!((log(&viewer).await, log(&other).await), (json!(0), json!(0)));
    let first =
        ask(app, &member, Method::Get, "/v1/webhook-deliveries?limit=1", &Value::Null).await.1["items"][0]["id"]
            .clone();
    let resend = format!("/v1/webhook-deliveries/{first}/resend");
    for (who, status) in [(&viewer, 404), (&other, 404), (&member, 202)] {
        assert_eq!(ask(app, who, Method::Post, &resend, &Value::Null).await.0, status);
    }
    // Callbacks are signed for whom owns the organization.
    for (who, status) in [(&viewer, 403), (&member, 403), (&other, 404), (&owner, 201)] {
        let url = "/v1/organizations/ours/callback-secret";
        assert_eq!(ask(app, who, Method::Post, url, &Value::Null).await.0, status, "{url}");
        let fleet = ask(app, who, Method::Post, "/v1/callback-secret", &Value::Null).await.0;
        assert_eq!(fleet, 403);
    }
    app.post("/v1/callback-secret", Value::Null).await.is(Status::Created);
}
