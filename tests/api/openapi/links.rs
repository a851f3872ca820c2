//! The links of the description, followed: each leads from what was answered to something that can be asked.

use rocket::http::{Method, Status};
use serde_json::{Map, Value};

use super::schemas::kinds;
use super::{document, resolved};
use crate::harness::{Answer, App};

/// The method, the path and the parameters of the operation with this name.
fn operation<'d>(document: &'d Value, id: &str) -> (Method, &'d str, Vec<Value>) {
    let paths = document["paths"].as_object().expect("paths").iter();
    let mut all = paths.flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").iter();
        methods.map(move |(method, operation)| (path, item, method, operation))
    });
    let (path, item, method, found) =
        all.find(|(.., found)| found["operationId"] == id).unwrap_or_else(|| panic!("there is no operation {id}"));
    let parameters = [&item["parameters"], &found["parameters"]].into_iter().filter_map(Value::as_array).flatten();
    let method = method.to_uppercase().parse().expect("a method");
    (method, path, parameters.map(|parameter| resolved(document, parameter)).collect())
}

/// What an expression of a link stands for.
fn value(expression: &Value, answer: &Answer) -> String {
    let text = expression.as_str().expect("text");
    let body: Value = serde_json::from_slice(&answer.bytes).expect("JSON");
    if let Some(header) = text.strip_prefix("$response.header.") {
        return answer.header(header).to_owned();
    }
    let Some(pointer) = text.strip_prefix("$response.body") else { return text.to_owned() };
    match body.pointer(pointer.trim_start_matches('#')).unwrap_or_else(|| panic!("{text} is nothing in {body}")) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Asks what a link says.
async fn follow(app: &App, document: &Value, link: &Value, answer: &Answer) {
    let id = link["operationId"].as_str().expect("an operation");
    let (method, path, known) = operation(document, id);
    let (mut url, mut headers) = (path.to_owned(), vec![]);
    for (parameter, expression) in link["parameters"].as_object().expect("parameters") {
        let (place, name) = parameter.split_once('.').unwrap_or(("path", parameter));
        assert!(known.iter().any(|known| known["name"] == name && known["in"] == place), "{id} has no {parameter}");
        let value = value(expression, answer);
        assert!(!value.is_empty(), "{id}: {expression} is empty");
        match place {
            "path" => url = url.replace(&format!("{{{name}}}"), &value),
            _ => headers.push((name, value)),
        }
    }
    let body = match (link.get("requestBody"), method) {
        (Some(expression), _) => value(expression, answer),
        (None, Method::Patch) => "{}".to_owned(),
        _ => String::new(),
    };
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    if !body.is_empty() {
        headers.push(("Content-Type", "application/json"));
    }
    let followed = app.send(method, &url, &headers, body.as_bytes()).await;
    assert!((200..300).contains(&followed.status), "{id} {method} {url}: {} {}", followed.status, followed.text());
}

/// The links of an answer, the one that deletes last.
fn links<'d>(document: &'d Value, answer: &'d Value) -> Vec<&'d Value> {
    let all = answer["links"].as_object().into_iter().flat_map(Map::values);
    let mut all: Vec<&Value> = all
        .map(|link| match link["$ref"].as_str() {
            Some(pointer) => document.pointer(pointer.trim_start_matches('#')).expect(pointer),
            None => link,
        })
        .collect();
    all.sort_by_key(|link| link["operationId"].as_str().is_some_and(|id| id.starts_with("delete")));
    all
}

#[rocket::async_test]
async fn every_link_can_be_followed() {
    let document = document();
    let mut followed = 0;
    for (kind, _, example) in kinds(&document) {
        let app = App::start().await;
        let (collection, object) = (format!("/v1/{kind}"), format!("/v1/{kind}/{{key}}"));
        let answers = |path: &str, method: &str, status: &str| {
            resolved(&document, &document["paths"][path][method]["responses"][status])
        };
        // Each is deleted at the end by a link of its own answer.
        for path in [&collection, &object] {
            let created = app.post(&collection, example.clone()).await;
            let id = created.is(Status::Created)["id"].clone();
            let list = app.get(&format!("{collection}?sort=-id")).await;
            for link in links(&document, &answers(&collection, "get", "200")) {
                follow(&app, &document, link, &list).await;
                followed += 1;
            }
            let (answer, described) = if path == &collection {
                (created, answers(&collection, "post", "201"))
            } else {
                (app.get(&format!("{collection}/{id}")).await, answers(&object, "get", "200"))
            };
            let from_object = links(&document, &described);
            assert!(from_object.len() > 4, "{kind}: {described}");
            for link in from_object {
                follow(&app, &document, link, &answer).await;
                followed += 1;
            }
            assert_eq!(app.get(&format!("{collection}/{id}")).await.status, 404, "{kind}: nothing was deleted");
        }
        app.end().await;
    }
    assert!(followed > 300, "{followed}");
}
