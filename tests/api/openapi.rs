//! The description of the API: current, complete, and valid OpenAPI.

use rocket::http::{Method, Status};
use serde_json::Value;
use std::collections::BTreeSet;

use self::check::check;
use crate::harness::{App, server};

mod check;
mod links;
mod page;
mod schemas;

/// What the program prints.
pub fn document() -> Value {
    virtapi::openapi::document()
}

/// The collections: every route for `<kind>` stands for one of each.
pub fn collections() -> Vec<String> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths").keys();
    let collections = paths.filter_map(|path| path.strip_prefix("/v1/")?.strip_suffix("/{key}"));
    // What has a slash is the same in other words.
    collections.filter(|name| !name.contains('/')).map(str::to_owned).collect()
}

/// Whether clients write it.
fn is_written(collection: &str) -> bool {
    virtapi::KINDS.iter().any(|kind| kind.name() == collection)
}

#[test]
fn the_description_that_is_checked_in_is_current() {
    let printed = serde_json::to_string_pretty(&document()).expect("text") + "\n";
    let kept = std::fs::read_to_string("openapi.json").unwrap_or_default();
    assert!(kept == printed, "openapi.json is not current: run `cargo run -- openapi > openapi.json`");
}

#[rocket::async_test]
async fn every_route_is_described_and_nothing_else() {
    let mut mounted = BTreeSet::new();
    for route in server("host=/nowhere").routes() {
        let path = route.uri.path().replace("..>", ">").replace('<', "{").replace('>', "}");
        let paths = match path.strip_prefix("/v1/{kind}") {
            // What is only recorded refuses to be written; its own tests see to that.
            Some(rest) => {
                let kinds = collections().into_iter().filter(|kind| route.method == Method::Get || is_written(kind));
                kinds.map(|kind| format!("/v1/{kind}{rest}")).collect()
            }
            None => vec![path],
        };
        mounted.extend(paths.into_iter().map(|path| format!("{} {path}", route.method)));
    }
    let document = document();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("methods").keys().filter(|method| *method != "parameters");
        let path = if path == "/" { path } else { path.trim_end_matches('/') };
        described.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    assert_eq!(mounted.difference(&described).collect::<Vec<_>>(), [""; 0], "are mounted and not described");
    assert_eq!(described.difference(&mounted).collect::<Vec<_>>(), [""; 0], "are described and not mounted");
}

#[test]
fn it_is_valid_openapi_with_names_that_are_unique() {
    check(&document(), &[]);
    let (document, mut seen) = (document(), BTreeSet::new());
    let operations = document["paths"].as_object().expect("paths").values().filter_map(Value::as_object);
    for id in operations.flat_map(|item| item.values()).filter_map(|operation| operation["operationId"].as_str()) {
        assert!(seen.insert(id.to_owned()), "{id} stands twice");
    }
    assert!(seen.len() > 100);
}

#[rocket::async_test]
async fn the_server_serves_it() {
    let app = App::start().await;
    assert_eq!(app.get("/api-docs").await.is(Status::Ok), document());
    let links = app.get("/v1/").await.is(Status::Ok);
    for (name, path) in links["links"].as_object().expect("links") {
        assert_eq!(app.get(path.as_str().expect("a path")).await.status, 200, "{name}");
    }
}

/// Every filter that is described is understood, and every other one is refused.
#[rocket::async_test]
async fn the_filters_are_those_that_the_server_has() {
    let (app, document) = (App::start().await, document());
    // What many kinds have, such as `created_at`, is asked of one of them.
    let mut asked = BTreeSet::new();
    let operators = ["", "__ne", "__lt", "__lte", "__gt", "__gte", "__in", "__contains", "__startswith", "__isnull"];
    for kind in collections() {
        let parameters = document["paths"][format!("/v1/{kind}")]["get"]["parameters"].as_array().expect("parameters");
        let parameters: Vec<Value> = parameters.iter().map(|parameter| resolved(&document, parameter)).collect();
        let fields = parameters.iter().find(|parameter| parameter["name"] == "fields").expect("fields");
        for field in fields["schema"]["items"]["enum"].as_array().expect("names") {
            for operator in operators {
                let name = format!("{}{operator}", field.as_str().expect("a name"));
                let described = parameters.iter().find(|parameter| parameter["name"] == name.as_str());
                if !asked.insert((name.clone(), described.map(ToString::to_string))) {
                    continue;
                }
                let value = described.map_or_else(|| "1".into(), |parameter| sample(&parameter["schema"]));
                let answer = app.get(&format!("/v1/{kind}?{name}={value}")).await;
                let expected = if described.is_some() { 200 } else { 400 };
                assert_eq!(answer.status, expected, "{kind}?{name}={value}: {}", answer.text());
            }
        }
    }
}

fn resolved(document: &Value, value: &Value) -> Value {
    let pointer = value["$ref"].as_str().and_then(|pointer| pointer.strip_prefix('#'));
    pointer.map_or(value, |pointer| document.pointer(pointer).expect(pointer)).clone()
}

/// Some value that a filter's schema allows.
fn sample(schema: &Value) -> String {
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("array"), _) => format!("{0},{0}", sample(&schema["items"])),
        (Some("boolean"), _) => "true".into(),
        (Some("integer" | "number"), _) => "1".into(),
        (_, Some("date-time")) => "2026-12-01T02:00:00Z".into(),
        (_, Some("uuid")) => "6f1c2a34-0000-4000-8000-000000000001".into(),
        (_, Some("ipv4")) => "192.0.2.1".into(),
        (None, _) => sample(&schema["anyOf"][0]),
        _ => schema["examples"][0].as_str().unwrap_or("some-text").into(),
    }
}
