//! The same tree in every format, in and out, for every kind.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::{Column, KINDS, Kind, Type};

use crate::every_kind::{by_key, example, recreatable, text, writable};
use crate::harness::{Answer, App};

const MSGPACK: &str = "application/msgpack";

async fn accepting(app: &App, url: &str, accept: &str) -> Answer {
    app.send(Method::Get, url, &[("Accept", accept)], b"").await
}

/// The form that a page would send: text for each field that can be written.
fn form(kind: &dyn Kind, body: &Value) -> String {
    let field = |name: &str, ty: Type| match ty {
        Type::Json => body[name].to_string(),
        _ => text(&body[name]),
    };
    let fields = kind.columns().iter().filter(|column| column.writable);
    serde_urlencoded::to_string(fields.map(|c| (c.name, field(c.name, c.ty))).collect::<Vec<_>>()).unwrap()
}

#[rocket::async_test]
async fn every_kind_looks_the_same_in_every_format() {
    for &kind in KINDS {
        let (app, list) = (App::start().await, format!("/v1/{}", kind.name()));
        let created = app.post(&list, example(kind)).await.is(Status::Created);
        for url in [list.clone(), by_key(kind, &created), format!("{list}?limit=1{}", embed(kind)), "/v1".into()] {
            let json = app.get(&url).await.is(Status::Ok);
            for name in [MSGPACK, "application/x-msgpack", "application/vnd.msgpack"] {
                let answer = accepting(&app, &url, name).await;
                assert_eq!((answer.status, answer.header("Content-Type")), (200, MSGPACK), "{url}");
                assert_eq!(rmp_serde::from_slice::<Value>(&answer.bytes).unwrap(), json, "{url}");
            }
            for name in ["application/yaml", "text/yaml"] {
                let answer = accepting(&app, &url, name).await;
                assert_eq!((answer.status, answer.header("Content-Type")), (200, "application/yaml"), "{url}");
                assert_eq!(serde_yaml::from_slice::<Value>(&answer.bytes).unwrap(), json, "{url}");
                // It is JSON as well.
                assert_eq!(serde_json::from_slice::<Value>(&answer.bytes).unwrap(), json, "{url}");
            }
        }
        for (url, rows) in
            [(&list, app.get(&list).await.is(Status::Ok)["total"].as_u64().unwrap()), (&by_key(kind, &created), 1)]
        {
            let answer = accepting(&app, url, "text/csv").await;
            assert_eq!((answer.status, answer.header("Content-Type")), (200, "text/csv; charset=utf-8"), "{url}");
            let mut table = csv::Reader::from_reader(answer.bytes.as_slice());
            let names: Vec<_> = kind.columns().iter().map(|column| column.name).collect();
            assert_eq!(table.headers().unwrap().iter().collect::<Vec<_>>(), names, "{url}");
            let end = table.records().map(Result::unwrap).last().unwrap();
            assert_eq!(table.position().record(), rows + 1, "{url}");
            assert_eq!(end[0], created["id"].to_string(), "{url}");
        }
        let page = accepting(&app, &list, "text/html").await;
        assert_eq!((page.status, page.header("Content-Type")), (200, "text/html; charset=utf-8"), "{list}");
        app.end().await;
    }
}

/// What a list of the kind can embed: what it refers to, or what refers to it, if anything does.
fn embed(kind: &dyn Kind) -> String {
    let own = kind.columns().iter().find(|column| column.any_target().is_some());
    let refers =
        |other: &dyn Kind| other.columns().iter().filter_map(Column::target).any(|target| target.name() == kind.name());
    let name = own.map(|column| column.name.to_owned());
    let name = name.or_else(|| KINDS.iter().find(|kind| refers(**kind)).map(|kind| kind.name().replace('-', "_")));
    name.map(|name| format!("&embed={name}")).unwrap_or_default()
}

#[rocket::async_test]
async fn every_kind_is_written_in_messagepack_and_by_forms() {
    for &kind in KINDS {
        let (app, list) = (App::start().await, format!("/v1/{}", kind.name()));
        let packed = rmp_serde::to_vec_named(&example(kind)).unwrap();
        let headers = [("Content-Type", MSGPACK), ("Accept", MSGPACK)];
        let answer = app.send(Method::Post, &list, &headers, &packed).await;
        assert_eq!((answer.status, answer.header("Content-Type")), (201, MSGPACK), "{list}");
        let created: Value = rmp_serde::from_slice(&answer.bytes).unwrap();
        let url = by_key(kind, &created);
        assert_eq!(app.get(&url).await.is(Status::Ok), created);
        let packed = rmp_serde::to_vec_named(&created).unwrap();
        assert_eq!(app.send(Method::Put, &url, &headers, &packed).await.status, 200, "{url}");
        assert_eq!(app.send(Method::Patch, &url, &headers, &[0x80]).await.status, 200, "{url}");
        app.json(Method::Delete, &url, Value::Null).await.is(Status::NoContent);

        let body = form(kind, &recreatable(kind, &created));
        let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")];
        let again = app.send(Method::Post, &list, &headers, body.as_bytes()).await.is(Status::Created);
        assert_eq!(without_ids(recreatable(kind, &again)), without_ids(recreatable(kind, &created)), "{list} {body}");
        let patched = app.send(Method::Patch, &url, &headers, body.as_bytes()).await.is(Status::Ok);
        assert_eq!(writable(kind, &patched), writable(kind, &again), "{url} {body}");
        app.end().await;
    }
}

/// What is the same of two objects, one after the other.
fn without_ids(object: Value) -> Value {
    match object {
        Value::Object(fields) if fields.contains_key("href") => json!(text(&Value::Object(fields))),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, without_ids(value))).collect(),
        Value::Array(items) => items.into_iter().map(without_ids).collect(),
        other => other,
    }
}
