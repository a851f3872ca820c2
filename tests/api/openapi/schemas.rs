//! What the description says of values, held against what the server answers and accepts.

use rocket::http::{Method, Status};
use serde_json::{Map, Value, json};

use super::check::{Case, check};
use super::{collections, document, is_written, resolved};
use crate::fleet::{ALL_ROLES, Fleet, MON, NO_ROLE, OSDS};
use crate::harness::App;

fn valid(schema: &str, value: &Value) -> Case {
    Case { schema: schema.to_owned(), value: value.clone(), valid: true }
}

fn invalid(schema: &str, value: &Value) -> Case {
    Case { valid: false, ..valid(schema, value) }
}

/// The name of the schema to which a part of the document points.
fn name_of(part: &Value) -> String {
    part["$ref"].as_str().and_then(|pointer| pointer.rsplit('/').next()).expect("a reference").to_owned()
}

/// A collection, the name of its schema, and a body that creates one.
pub fn kinds(document: &Value) -> Vec<(String, String, Value)> {
    let one = |kind: String| {
        let paths = &document["paths"];
        let name = name_of(&paths[format!("/v1/{kind}/{{key}}")]["get"]["responses"]["200"]);
        let body = &paths[format!("/v1/{kind}")]["post"]["requestBody"]["content"]["application/json"];
        (kind, name, body["examples"]["one"]["value"].clone())
    };
    collections().into_iter().filter(|kind| is_written(kind)).map(one).collect()
}

/// All relations of a kind, to be embedded.
fn relations(document: &Value, name: &str) -> String {
    let embed = &document["components"]["parameters"][format!("{name}Embed")]["schema"]["items"]["anyOf"][0]["enum"];
    let names = embed.as_array().into_iter().flatten().filter_map(Value::as_str);
    names.collect::<Vec<_>>().join(",")
}

#[rocket::async_test]
async fn every_kind_is_answered_as_described() {
    let (document, mut cases) = (document(), Vec::new());
    for (kind, name, example) in kinds(&document) {
        let app = App::start().await;
        let collection = format!("/v1/{kind}");
        let batch = app.post(&format!("{collection}?dry_run=true"), json!([example])).await.is(Status::Created);
        cases.push(valid(&format!("{name}Batch"), &batch));
        let created = app.post(&collection, example.clone()).await.is(Status::Created);
        let fields = &document["components"]["parameters"][format!("{name}Fields")]["schema"]["items"]["enum"];
        let answered: Vec<&String> = created.as_object().expect("an object").keys().collect();
        assert_eq!(json!(answered), *fields, "{kind}");
        let url = format!("{collection}/{}", created["id"]);
        let relations = relations(&document, &name);
        if !relations.is_empty() {
            let embedded = app.get(&format!("{url}?embed={relations}")).await.is(Status::Ok);
            cases.push(valid(&name, &embedded));
        }
        // What was read may be sent back.
        app.json(Method::Patch, &url, created.clone()).await.is(Status::Ok);
        app.json(Method::Put, &url, created.clone()).await.is(Status::Ok);
        let rehearsal = app.json(Method::Delete, &format!("{url}?dry_run=true"), Value::Null).await.is(Status::Ok);
        cases.push(valid("Rehearsal", &rehearsal));
        cases.push(valid(&format!("{name}List"), &app.get(&collection).await.is(Status::Ok)));
        cases.push(valid(&format!("New{name}"), &example));
        cases.push(valid(&format!("{name}Patch"), &created));
        cases.push(valid(&format!("{name}Replacement"), &created));
        cases.push(valid(&name, &created));
        let events = app.get("/v1/audit-events?limit=1&sort=-id").await.is(Status::Ok);
        cases.push(valid("AuditEventList", &events));
        cases.push(valid("AuditEvent", &events["items"][0]));
    }
    check(&document, &cases);
}

#[rocket::async_test]
async fn every_document_is_answered_as_described() {
    let app = App::start().await;
    Fleet::post(&app).await;
    let mut cases = Vec::new();
    for node in [ALL_ROLES, MON, OSDS, NO_ROLE] {
        for (path, schema) in [
            ("puppet/enc", "EncDocument"),
            ("node", "EncDocument"),
            ("puppet/hiera", "HieraDocument"),
            ("salt/pillar", "PillarDocument"),
            ("salt/tops", "TopsDocument"),
        ] {
            cases.push(valid(schema, &app.get(&format!("/{path}/{node}")).await.is(Status::Ok)));
        }
    }
    cases.push(valid("Problem", &app.get("/salt/pillar/nobody").await.is(Status::NotFound)));
    check(&document(), &cases);
}

/// What the schemas of bodies forbid, the server refuses, and names the field.
#[rocket::async_test]
async fn what_is_forbidden_is_refused() {
    let (app, document, mut cases) = (App::start().await, document(), Vec::new());
    for (kind, name, example) in kinds(&document) {
        let schema = &document["components"]["schemas"][format!("New{name}")];
        for (field, value) in forbidden(&document, schema) {
            let mut body = example.clone();
            match value {
                Some(value) => body[&field] = value,
                None => drop(body.as_object_mut().expect("an object").remove(&field)),
            }
            let problem = app.post(&format!("/v1/{kind}"), body.clone()).await;
            assert_eq!(problem.status, 422, "{kind}: {body}: {}", problem.text());
            let problem = problem.is(Status::UnprocessableEntity);
            let pointer = problem["errors"][0]["pointer"].as_str().expect("a pointer");
            assert_eq!(pointer.split('/').nth(1), Some(field.as_str()), "{kind}: {body}: {problem}");
            cases.push(invalid(&format!("New{name}"), &body));
            cases.push(valid("Problem", &problem));
        }
    }
    assert!(cases.len() > 500);
    check(&document, &cases);
}

/// Fields, and values that they must not have; none where they must not be missing.
fn forbidden(document: &Value, schema: &Value) -> Vec<(String, Option<Value>)> {
    let mut all = vec![("unknown".to_owned(), Some(json!(1))), ("id".to_owned(), Some(json!(1)))];
    let required = schema["required"].as_array().expect("names");
    for (field, schema) in schema["properties"].as_object().into_iter().flat_map(Map::iter) {
        if required.iter().any(|name| name == field) {
            all.push((field.clone(), None));
            all.push((field.clone(), Some(Value::Null)));
        }
        all.extend(wrong_values(&resolved(document, schema)).into_iter().map(|value| (field.clone(), Some(value))));
    }
    all
}

fn wrong_values(schema: &Value) -> Vec<Value> {
    let is = |name: &str| schema["type"] == name || schema["type"][0] == name;
    let mut wrong = vec![json!(true), json!([[]])];
    if is("integer") || is("number") {
        wrong.extend([json!("1"), json!({})]);
        wrong.extend(schema["minimum"].as_i64().map(|minimum| json!(minimum - 1)));
        wrong.extend(schema["maximum"].as_u64().map(|maximum| json!(maximum + 1)));
        wrong.extend(is("integer").then(|| json!(1.5)));
    } else if is("string") {
        wrong.extend([json!(1), json!({}), json!("")]);
        let longest = schema["maxLength"].as_u64().and_then(|length| usize::try_from(length).ok());
        wrong.extend(longest.map(|length| json!("/dev/sha".repeat(length))));
        wrong.extend(longest.map(|_| json!("a\u{1}b")));
        wrong.extend(schema.get("enum").or(schema.get("format")).map(|_| json!("none of these")));
    } else if is("object") {
        wrong.extend([json!("{}"), json!(1)]);
    } else if is("array") {
        wrong.extend([json!("a"), json!({"id": 1}), json!([true])]);
    }
    wrong
}
