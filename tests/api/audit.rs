//! Who did what: every change leaves its record, in its own transaction, and nothing else does.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use virtapi::KINDS;

use crate::every_kind::example;
use crate::harness::{App, random_part, rows, sql};
use crate::html::browser;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A write that is known by this name.
async fn write(app: &App, request: &str, method: Method, url: &str, body: Value) -> u16 {
    app.send(method, url, &[JSON, ("X-Request-Id", request)], body.to_string().as_bytes()).await.status
}

/// What was recorded, oldest first.
async fn events(app: &App, filter: &str) -> Vec<Value> {
    let list = app.get(&format!("/v1/audit-events?limit=1000&{filter}")).await.is(Status::Ok);
    list["items"].as_array().expect("a list").clone()
}

fn brief(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| format!("{} {} {}", event["action"], event["collection"], event["object_key"])).collect()
}

/// Every object that there is: collection and id.
async fn objects(app: &App) -> BTreeSet<(String, String)> {
    let tables = KINDS.iter().map(|kind| format!("SELECT '{}', id::text FROM {}", kind.name(), table(kind.name())));
    let found = rows(&app.dsn, &tables.collect::<Vec<_>>().join(" UNION ALL ")).await;
    found.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

fn table(collection: &str) -> String {
    collection.replace('-', "_")
}

/// The objects to which this was done in a request.
async fn done(app: &App, request: &str, action: &str) -> BTreeSet<(String, String)> {
    let events = events(app, &format!("request={request}&action={action}")).await;
    events.iter().map(|e| (e["collection"].as_str().unwrap().to_owned(), e["object_id"].to_string())).collect()
}

#[rocket::async_test]
async fn a_change_is_recorded_with_who_made_it_and_what_it_was_before_and_after() {
    let app = App::start().await;
    let node = json!({"fqdn": "hv01.example.com", "state": "running", "location": "rack 1"});
    let headers = [JSON, ("X-Request-Id", "one"), ("X-Change-Message", "a new rack")];
    let answer = app.send(Method::Post, "/v1/nodes", &headers, node.to_string().as_bytes()).await;
    // What agents make of it is no part of what was changed.
    let wanted = |mut node: Value| {
        let fields = node.as_object_mut().expect("an object");
        fields.retain(|name, _| !["status", "applied_generation", "last_report", "observed"].contains(&name.as_str()));
        node
    };
    let created = wanted(answer.is(Status::Created));
    let url = format!("/v1/nodes/{}", created["id"]);
    assert_eq!(write(&app, "two", Method::Patch, &url, json!({"location": "rack 2"})).await, 200);
    let changed = wanted(app.get(&url).await.is(Status::Ok));
    assert_eq!(write(&app, "three", Method::Delete, &url, Value::Null).await, 204);

    let token = rows(&app.dsn, "SELECT id FROM tokens").await[0][0].parse::<i64>().unwrap();
    let events = events(&app, "collection=nodes").await;
    assert_eq!(events.len(), 3, "{events:?}");
    for event in &events {
        assert_eq!((&event["actor"], &event["token_id"]), (&json!("user:admin"), &json!(token)));
        assert_eq!((&event["object_id"], &event["object_key"]), (&created["id"], &json!("hv01.example.com")));
    }
    let seen = |i: usize| ["action", "request", "message", "before", "after"].map(|name| events[i][name].clone());
    assert_eq!(seen(0), [json!("create"), json!("one"), json!("a new rack"), Value::Null, created.clone()]);
    assert_eq!(seen(1), [json!("update"), json!("two"), Value::Null, created, changed.clone()]);
    assert_eq!(seen(2), [json!("delete"), json!("three"), Value::Null, changed, Value::Null]);
    assert!(app.get(&format!("/v1/audit-events/{}", events[1]["id"])).await.is(Status::Ok)["before"].is_object());
}

#[rocket::async_test]
async fn all_that_a_request_makes_or_takes_away_is_recorded() {
    for &kind in KINDS {
        let (app, name) = (App::start().await, kind.name());
        let before = objects(&app).await;
        assert_eq!(write(&app, "make", Method::Post, &format!("/v1/{name}"), example(kind)).await, 201);
        let after = objects(&app).await;
        assert_eq!(done(&app, "make", "create").await, after.difference(&before).cloned().collect(), "{name}");

        // All that was made can go again, and takes with it what belongs to it.
        let mut gone = 0;
        for (collection, id) in after.difference(&before) {
            let (before, request) = (objects(&app).await, format!("take-{collection}-{id}"));
            let status = write(&app, &request, Method::Delete, &format!("/v1/{collection}/{id}"), Value::Null).await;
            let taken: BTreeSet<_> = before.difference(&objects(&app).await).cloned().collect();
            assert_eq!(done(&app, &request, "delete").await, taken, "{collection}: {status}");
            gone += taken.len();
        }
        assert!(gone > 0, "{name}");
        app.end().await;
    }
}

#[rocket::async_test]
async fn what_is_done_along_with_a_change_has_a_record_of_its_own() {
    let app = App::start().await;
    let node = json!({"fqdn": "hv01.example.com", "state": "running"});
    let bond = json!({"node": node, "name": "bond0", "mode": "active-backup"});
    assert_eq!(write(&app, "bond", Method::Post, "/v1/bonds", bond).await, 201);
    let interface = json!({"node": "hv01.example.com", "mac": "52:54:00:00:00:01", "name": "eth0",
        "bond": "hv01.example.com/bond0", "addresses": ["192.0.2.10/24"]});
    assert_eq!(write(&app, "interface", Method::Post, "/v1/interfaces", interface).await, 201);
    assert_eq!(
        brief(&events(&app, "request=interface&sort=-collection").await),
        [r#""create" "interfaces" "52:54:00:00:00:01""#, r#""create" "addresses" "192.0.2.10/24""#]
    );
    // A list that changes is a change of the object and of what the list holds.
    let list = json!({"addresses": ["192.0.2.11/24"]});
    assert_eq!(write(&app, "list", Method::Patch, "/v1/interfaces/52:54:00:00:00:01", list).await, 200);
    let changes = events(&app, "request=list&sort=collection,action").await;
    assert_eq!(
        brief(&changes),
        [
            r#""create" "addresses" "192.0.2.11/24""#,
            r#""delete" "addresses" "192.0.2.10/24""#,
            r#""update" "interfaces" "52:54:00:00:00:01""#,
        ]
    );
    let address = |side: &str| changes[2][side]["addresses"][0]["ip"].clone();
    assert_eq!((address("before"), address("after")), (json!("192.0.2.10/24"), json!("192.0.2.11/24")));
    // A reference that is cleared because its object goes.
    assert_eq!(write(&app, "unbond", Method::Delete, "/v1/bonds/hv01.example.com/bond0", Value::Null).await, 204);
    let cleared = events(&app, "request=unbond&sort=action").await;
    assert_eq!(
        brief(&cleared),
        [r#""delete" "bonds" "hv01.example.com/bond0""#, r#""update" "interfaces" "52:54:00:00:00:01""#]
    );
    assert_eq!(cleared[1]["before"]["bond"]["key"], "hv01.example.com/bond0");
    assert_eq!(cleared[1]["after"]["bond"], Value::Null);
}

#[rocket::async_test]
async fn what_changes_nothing_is_not_recorded() {
    let app = App::start().await;
    let vlan = json!({"name": "customers", "tag": 100});
    assert_eq!(write(&app, "first", Method::Post, "/v1/vlans", vlan.clone()).await, 201);
    let before = app.contents().await;
    for (method, url, body, status) in [
        (Method::Post, "/v1/vlans?dry_run=true", json!({"name": "other", "tag": 101}), 201),
        (Method::Post, "/v1/vlans", vlan.clone(), 409),
        (Method::Post, "/v1/vlans", json!([{"name": "other", "tag": 101}, {"name": "more", "tag": 0}]), 422),
        (Method::Patch, "/v1/vlans/customers", json!({"tag": 100}), 200),
        (Method::Put, "/v1/vlans/customers", vlan, 200),
        (Method::Delete, "/v1/vlans/customers?dry_run=true", Value::Null, 200),
        (Method::Delete, "/v1/vlans/other", Value::Null, 404),
    ] {
        assert_eq!(write(&app, "again", method, url, body).await, status, "{method} {url}");
    }
    assert_eq!(app.contents().await, before);

    // A request that is sent again has been recorded.
    let headers = [JSON, ("Idempotency-Key", "once")];
    for _ in 0..2 {
        let body = json!({"name": "once", "tag": 102}).to_string();
        app.send(Method::Post, "/v1/vlans", &headers, body.as_bytes()).await.is(Status::Created);
    }
    assert_eq!(events(&app, "object_key=once").await.len(), 1);
}

#[rocket::async_test]
async fn a_secret_is_recorded_as_issued_and_not_itself() {
    let app = App::start().await;
    let token = json!({"name": "laptop", "user": "admin", "scope": "read"});
    let token = app.post("/v1/tokens", token).await.is(Status::Created);
    let url = format!("/v1/tokens/{}/secret", token["id"]);
    let secret = app.post(&url, Value::Null).await.is(Status::Created)["secret"].as_str().unwrap().to_owned();
    let issued = events(&app, "action=issue&sort=-id").await;
    assert_eq!((&issued[0]["object_id"], &issued[0]["object_key"]), (&token["id"], &token["uuid"]));
    assert_eq!((&issued[0]["before"], &issued[0]["after"]), (&Value::Null, &Value::Null));
    let all = rows(&app.dsn, "SELECT e::text FROM audit_events e").await;
    let random = random_part(&secret);
    let digest = rows(&app.dsn, "SELECT encode(digest, 'hex') FROM token_secrets").await;
    for hidden in digest.iter().map(|row| row[0].as_str()).chain([random]) {
        assert!(!all.iter().any(|row| row[0].contains(hidden)), "{hidden}");
    }
}

#[rocket::async_test]
async fn a_record_stays_as_it_is() {
    let app = App::start().await;
    app.post("/v1/vlans", json!({"name": "customers", "tag": 100})).await.is(Status::Created);
    let event = events(&app, "collection=vlans").await.remove(0);
    let url = format!("/v1/audit-events/{}", event["id"]);
    let before = app.contents().await;
    for (method, url) in [
        (Method::Post, "/v1/audit-events"),
        (Method::Patch, &url),
        (Method::Put, &url),
        (Method::Delete, &url),
        (Method::Get, "/forms/audit-events/create"),
        (Method::Get, &format!("/forms/audit-events/edit/{}", event["id"])),
        (Method::Get, &format!("/forms/audit-events/delete/{}", event["id"])),
    ] {
        let answer = app.json(method, url, json!({"actor": "somebody else"})).await;
        answer.is(Status::MethodNotAllowed);
        assert_eq!(answer.header("Allow"), "GET, HEAD", "{method} {url}");
    }
    let (client, connection) = tokio_postgres::connect(&app.dsn, tokio_postgres::NoTls).await.expect("connects");
    rocket::tokio::spawn(connection);
    for statement in ["UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events", "TRUNCATE audit_events"] {
        let refused = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
    assert_eq!(app.contents().await, before);
}

#[rocket::async_test]
async fn a_message_is_one_line() {
    let app = App::start().await;
    let before = app.contents().await;
    let body = json!({"name": "customers", "tag": 100}).to_string();
    for message in ["x".repeat(256), "a\tb".to_owned()] {
        let answer =
            app.send(Method::Post, "/v1/vlans", &[JSON, ("X-Change-Message", &message)], body.as_bytes()).await;
        assert!(answer.is(Status::BadRequest)["detail"].as_str().unwrap().contains("message"), "{message}");
    }
    let form = format!("name=customers&tag=100&_change_message={}", "x".repeat(256));
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", browser::ACCEPT)];
    assert_eq!(app.send(Method::Post, "/v1/vlans", &headers, form.as_bytes()).await.status, 400);
    assert_eq!(app.contents().await, before);
}

#[rocket::async_test]
async fn people_see_what_was_done_to_an_object_and_by_a_request() {
    let app = App::start().await;
    let form = "name=customers&tag=100&_change_message=for+%3Cb%3Ethe%3C%2Fb%3E+shop";
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Accept", browser::ACCEPT),
        ("X-Request-Id", "by-form"),
    ];
    let answer = app.send(Method::Post, "/v1/vlans", &headers, form.as_bytes()).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(write(&app, "change", Method::Patch, "/v1/vlans/customers", json!({"tag": 200})).await, 200);
    let id = app.get("/v1/vlans/customers").await.is(Status::Ok)["id"].to_string();

    let page = async |url: &str| {
        let answer = app.send(Method::Get, url, &[("Accept", browser::ACCEPT)], b"").await;
        assert_eq!(answer.status, 200, "{url} {}", answer.text());
        answer.text().to_owned()
    };
    let history = format!("/history/vlans/{id}");
    assert!(page(&format!("/v1/vlans/{id}")).await.contains(&format!("href=\"{history}\"")));
    let text = page(&history).await;
    let (changed, created) = text.split_once("created VLAN").expect("newest first");
    assert!(changed.contains("user:admin</strong> changed VLAN") && changed.contains("/history/change\""), "{text}");
    let before_and_after: Vec<_> = ["class=\"before\"", "100", "class=\"after\"", "200"]
        .iter()
        .map(|part| changed.find(part).unwrap_or_else(|| panic!("{part} in {changed}")))
        .collect();
    assert!(before_and_after.is_sorted(), "{changed}");
    assert!(!changed.contains(">Name<"), "what stays is not shown: {changed}");
    assert!(created.contains("for &#60;b&#62;the&#60;/b&#62; shop"), "{created}");
    assert!(page("/history/by-form").await.contains("customers"));

    // Its history stays when it is gone.
    assert_eq!(write(&app, "gone", Method::Delete, "/v1/vlans/customers", Value::Null).await, 204);
    let text = page(&history).await;
    assert!(text.contains("deleted VLAN") && text.contains("<strong>customers</strong>"), "{text}");
    let list = page("/v1/audit-events").await;
    assert!(!list.contains("/forms/audit-events/create") && list.contains("/v1/audit-events/"), "{list}");
    let event = events(&app, "request=gone").await.remove(0);
    let text = page(&format!("/v1/audit-events/{}", event["id"])).await;
    assert!(!text.contains("/forms/audit-events/edit"), "{text}");
    for nothing in ["/history/vlans/4711", "/history/nothing/1", "/history/no-such-request", "/history/vlans/x"] {
        assert_eq!(app.send(Method::Get, nothing, &[("Accept", browser::ACCEPT)], b"").await.status, 404, "{nothing}");
    }
    assert_eq!(app.get(&format!("{history}?limit=1")).await.status, 400);
}

#[rocket::async_test]
async fn a_long_history_has_pages() {
    let app = App::start().await;
    let vlan = app.post("/v1/vlans", json!({"name": "customers", "tag": 1})).await.is(Status::Created);
    for tag in 2..=60 {
        assert_eq!(write(&app, "many", Method::Patch, "/v1/vlans/customers", json!({"tag": tag})).await, 200);
    }
    let mut url = format!("/history/vlans/{}", vlan["id"]);
    let mut found = 0;
    loop {
        let answer = app.send(Method::Get, &url, &[("Accept", browser::ACCEPT)], b"").await;
        found += answer.text().matches("<section class=\"card event\"").count();
        let Some((before, _)) = answer.text().split_once("\">Older</a>") else { break };
        url = before.rsplit_once("href=\"").expect("a link").1.replace("&#38;", "&").replace("&amp;", "&");
    }
    assert_eq!(found, 60);
}

#[rocket::async_test]
async fn a_database_that_cannot_record_changes_nothing() {
    let app = App::start().await;
    sql(&app.dsn, "ALTER TABLE audit_events ADD CONSTRAINT full_disk CHECK (object_key <> 'customers')").await;
    let answer = app.post("/v1/vlans", json!({"name": "customers", "tag": 100})).await;
    assert!(answer.status >= 400, "{}", answer.text());
    app.get("/v1/vlans/customers").await.is(Status::NotFound);
}
