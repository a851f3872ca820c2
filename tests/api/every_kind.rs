//! What holds for every kind, from its example: each verb, each format, and what comes out goes in again.

use rocket::http::{Method, Status};
use serde_json::{Map, Value, json};
use virtapi::{Column, KINDS, Kind, Type};

use crate::harness::App;

/// A body that creates one.
pub fn example(kind: &dyn Kind) -> Value {
    serde_json::from_str(kind.example()).unwrap()
}

/// A value as people write it: a reference by its natural key.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(reference) if reference.contains_key("href") => text(reference.values().nth(1).unwrap()),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

/// The address of an object by its natural key.
pub fn by_key(kind: &dyn Kind, object: &Value) -> String {
    let parts: Vec<String> = kind.key().iter().map(|name| text(&object[*name])).collect();
    format!("/v1/{}/{}", kind.name(), parts.join("/").replace("//", "/").replace(' ', "%20"))
}

/// The part of an object that a client may write.
pub fn writable(kind: &dyn Kind, object: &Value) -> Value {
    let columns = kind.columns().iter().filter(|column| column.writable);
    columns.map(|column| (column.name.to_owned(), object[column.name].clone())).collect::<Map<_, _>>().into()
}

/// The same, with lists of what belongs to it by natural key: an id would name what is gone.
pub fn recreatable(kind: &dyn Kind, object: &Value) -> Value {
    let mut body = writable(kind, object);
    for column in kind.columns().iter().filter(|column| matches!(column.ty, Type::Owned(_))) {
        body[column.name] = object[column.name].as_array().unwrap().iter().map(|item| json!(text(item))).collect();
    }
    body
}

/// Another value for a column that is no reference, with what else must change.
fn patch(kind: &dyn Kind, column: &Column, now: &Value) -> Option<Value> {
    let value = match (kind.name(), column.name, column.ty) {
        ("vlans", "vni", _) => return Some(json!({"vni": 7, "tag": null})),
        ("flavors", "gpu_model", _) => return Some(json!({"gpu_model": "L40", "gpu_count": 1})),
        ("floating-ips", "ip", _) => json!("198.51.100.9"),
        ("gpus", "address", _) => json!("0000:af:00.1"),
        ("security-rules", "ethertype", _) => {
            return Some(json!({"ethertype": "IPv6", "remote_ip_prefix": "2001:db8:8::/48"}));
        }
        ("security-rules", "remote_ip_prefix", _) if now.as_str().is_some_and(|now| now.contains('.')) => {
            json!("198.51.100.0/24")
        }
        ("security-rules", "port_range_min", _) => json!(20),
        ("security-rules", "protocol", _) => json!("udp"),
        ("subnets", "cidr", _) => json!("2001:db8:7::/56"),
        ("subnets", _, Type::Ip) => json!("2001:db8:7::7"),
        ("compilers", "node_filter", _) => json!("location=changed"),
        ("webhooks", "kinds", _) => json!(["networks"]),
        ("webhooks", "actions", _) => json!(["delete"]),
        (_, "checksum", _) => json!(format!("sha256:{}", "a".repeat(64))),
        (_, _, Type::Int) => json!(now.as_i64().unwrap_or(99) + 1),
        (_, _, Type::Bool) => json!(now != true),
        (_, _, Type::Float) => json!(2.5),
        (_, _, Type::Text | Type::Name | Type::Fqdn) => json!("changed"),
        (_, _, Type::Word(word)) => json!(format!("{}changed", word.prefix)),
        ("keys", "public_key", _) => json!("ssh-rsa AAAAB3NzaC1yc2E= other"),
        (_, "user_data", _) => json!("#!/bin/sh\necho \"å\"\n"),
        (_, _, Type::Lines(_)) => json!("changed\nå\n"),
        (_, _, Type::Labels) => json!(["changed", "tier=db"]),
        (_, _, Type::Url) => json!("https://changed.example.com/a?b=c"),
        (_, _, Type::Path) => json!("/changed/å b"),
        (_, _, Type::Choice(words)) => json!(words.iter().find(|word| now != *word)),
        (_, "keep_until", _) => json!("2027-01-03T04:05:06.789Z"),
        (_, _, Type::Time) => json!("2026-12-03T04:05:06.789Z"),
        (_, _, Type::Ip) => json!("2001:db8::7"),
        (_, _, Type::Inet) => json!("2001:db8::7/64"),
        (_, _, Type::Cidr) => json!("2001:db8:7::/48"),
        (_, _, Type::Mac) => json!("52:54:00:ff:ee:dd"),
        (_, _, Type::Uuid) => json!("0f8fad5b-d9cb-469f-a165-70867728950e"),
        (_, _, Type::Json) => json!({"ntp": [1, 2.5, null, "é😀", {"a": true}]}),
        (_, _, Type::Ref(_) | Type::Many(_) | Type::Owned(_)) => return None,
    };
    Some(json!({ column.name: value }))
}

#[rocket::async_test]
async fn every_verb_does_what_it_says() {
    for &kind in KINDS {
        let (app, name) = (App::start().await, kind.name());
        let answer = app.post(&format!("/v1/{name}"), example(kind)).await;
        let created = answer.is(Status::Created);
        let by_id = format!("/v1/{name}/{}", created["id"]);
        assert_eq!(answer.header("Location"), by_id, "{name}");
        let found = app.get(&by_id).await;
        assert_eq!(found.is(Status::Ok), created, "{name}");
        assert_eq!(found.header("ETag"), answer.header("ETag"), "{name}");
        let url = by_key(kind, &created);
        assert_eq!(app.get(&url).await.is(Status::Ok), created, "{url}");
        let list = app.get(&format!("/v1/{name}?id={}", created["id"])).await.is(Status::Ok);
        assert_eq!((&list["items"], &list["total"]), (&json!([created]), &json!(1)), "{name}");

        // What came out goes in again.
        let mut bodies = vec![json!({}), created.clone(), writable(kind, &created)];
        // Objects that are given whole, and exist. A volume or VM without its UUID is another one.
        if !["security-rules", "snapshots"].contains(&name) {
            bodies.push(example(kind));
        }
        for body in bodies {
            let same = app.json(Method::Patch, &url, body.clone()).await.is(Status::Ok);
            assert_eq!(writable(kind, &same), writable(kind, &created), "PATCH {url} {body}");
        }
        for body in [created.clone(), writable(kind, &created), app.get(&by_id).await.is(Status::Ok)] {
            let same = app.json(Method::Put, &url, body.clone()).await.is(Status::Ok);
            assert_eq!((&same["id"], writable(kind, &same)), (&created["id"], writable(kind, &created)), "{url}");
        }

        assert_eq!(app.json(Method::Delete, &url, Value::Null).await.status, 204, "{url}");
        for method in [Method::Get, Method::Delete] {
            app.json(method, &by_id, Value::Null).await.is(Status::NotFound);
            app.json(method, &url, Value::Null).await.is(Status::NotFound);
        }
        app.json(Method::Patch, &url, json!({})).await.is(Status::NotFound);
        app.json(Method::Put, &by_id, example(kind)).await.is(Status::NotFound);
        app.end().await;
    }
}

#[rocket::async_test]
async fn put_by_natural_key_creates_once_and_then_replaces() {
    for &kind in KINDS {
        let (app, name) = (App::start().await, kind.name());
        let created = app.post(&format!("/v1/{name}"), example(kind)).await.is(Status::Created);
        let url = by_key(kind, &created);
        app.json(Method::Delete, &url, Value::Null).await.is(Status::NoContent);
        // The key is in the address, so the body need not have it; as it came out, it may.
        for with_key in [false, true] {
            let mut body = recreatable(kind, &created);
            if !with_key {
                body.as_object_mut().unwrap().retain(|name, _| !kind.key().contains(&name.as_str()));
            }
            let answer = app.json(Method::Put, &url, body.clone()).await;
            let first = answer.is(Status::Created);
            assert_eq!(answer.header("Location"), format!("/v1/{name}/{}", first["id"]));
            let again = app.json(Method::Put, &url, body.clone()).await.is(Status::Ok);
            assert_eq!((&again["id"], writable(kind, &again)), (&first["id"], writable(kind, &first)), "{url} {body}");
            app.json(Method::Delete, &url, Value::Null).await.is(Status::NoContent);
        }
        // A body that names another object is a mistake.
        let column = kind.key().last().map(|name| Column::named(kind.columns(), name).unwrap()).unwrap();
        let other =
            patch(kind, column, &created[column.name]).unwrap_or_else(|| json!({column.name: "other.example.com"}));
        let mut body = recreatable(kind, &created);
        body[column.name] = other[column.name].clone();
        let problem = app.json(Method::Put, &url, body).await.is(Status::UnprocessableEntity);
        assert_eq!(problem["errors"][0]["pointer"], format!("/{}", column.name), "{name}");
        app.end().await;
    }
}

/// What is not cleared alone, or stays as it is.
const NOT_CLEARED: &[(&str, &str)] = &[
    ("flavors", "gpu_count"),
    ("flavors", "gpu_model"),
    ("floating-ips", "subnet"),
    ("interfaces", "node"),
    ("security-rules", "port_range_max"),
    ("security-rules", "port_range_min"),
    ("tokens", "user"),
    ("vlans", "vni"),
];

#[rocket::async_test]
async fn every_field_can_be_changed_and_cleared() {
    for &kind in KINDS {
        let (app, name) = (App::start().await, kind.name());
        let mut now = app.post(&format!("/v1/{name}"), example(kind)).await.is(Status::Created);
        let url = format!("/v1/{name}/{}", now["id"]);
        for column in kind.columns().iter().filter(|column| column.writable) {
            let Some(change) = patch(kind, column, &now[column.name]) else { continue };
            let changed = app.json(Method::Patch, &url, change.clone()).await.is(Status::Ok);
            let mut expected = writable(kind, &now);
            expected.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            assert_eq!(writable(kind, &changed), expected, "{url} {change}");
            assert_eq!(app.get(&url).await.is(Status::Ok), changed);
            now = changed;
        }
        for column in kind.columns().iter().filter(|column| column.writable) {
            let answer = app.json(Method::Patch, &url, json!({column.name: null})).await;
            if column.required {
                let problem = answer.is(Status::UnprocessableEntity);
                let errors = json!([{"pointer": format!("/{}", column.name), "detail": "is required"}]);
                assert_eq!(problem["errors"], errors, "{name}");
            } else if !NOT_CLEARED.contains(&(name, column.name)) {
                let cleared = answer.is(Status::Ok);
                let empty = matches!(&cleared[column.name], Value::Null) || cleared[column.name] == json!([]);
                let default = !cleared[column.name].is_null() && column.target().is_none();
                assert!(empty || default, "{name} {} {cleared}", column.name);
            }
        }
        app.end().await;
    }
}

#[rocket::async_test]
async fn a_rehearsal_shows_the_result_and_leaves_nothing() {
    for &kind in KINDS {
        let (app, list) = (App::start().await, format!("/v1/{}?dry_run=true", kind.name()));
        let before = app.contents().await;
        app.post(&list, example(kind)).await.is(Status::Created);
        app.post(&list, json!([example(kind)])).await.is(Status::Created);
        assert_eq!(app.contents().await, before, "{list}");
        let created = app.post(&list.replace("?dry_run=true", ""), example(kind)).await.is(Status::Created);
        let before = app.contents().await;
        let url = format!("{}?dry_run=true", by_key(kind, &created));
        let column = kind.columns().iter().rfind(|column| column.writable && column.target().is_none()).unwrap();
        if let Some(change) = patch(kind, column, &created[column.name]) {
            let shown = app.json(Method::Patch, &url, change.clone()).await.is(Status::Ok);
            assert_eq!(shown[column.name], change[column.name]);
        }
        app.json(Method::Put, &url, writable(kind, &created)).await.is(Status::Ok);
        app.json(Method::Delete, &url, Value::Null).await.is(Status::Ok);
        assert_eq!(app.contents().await, before, "{url}");
        app.end().await;
    }
}
