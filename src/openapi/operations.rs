//! The operations on a kind: six, on two paths; of what is only recorded the two that read.

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::openapi::{links, names, orders, parameters, refer, responses, schemas};
use crate::query::MAX_LIMIT;

/// What every route of the inventory may answer.
const ALWAYS: &[u16] = &[400, 401, 403, 406, 429, 503];

const FORM: &str = "application/x-www-form-urlencoded";

/// The paths of a kind.
pub fn paths(kind: &'static dyn Kind) -> [(String, Value); 2] {
    let collection = format!("/v1/{}", kind.name());
    let object = format!("{collection}/{{key}}");
    if kind.is_read_only() {
        let find = json!({"parameters": [parameters::key(kind)], "get": find(kind)});
        return [(collection, json!({"get": list(kind)})), (object, find)];
    }
    [
        (collection, json!({"get": list(kind), "post": create(kind)})),
        (
            object,
            json!({
                "parameters": [parameters::key(kind)],
                "get": find(kind), "patch": update(kind), "put": replace(kind), "delete": remove(kind),
            }),
        ),
    ]
}

/// An operation, with the problems that may always occur besides its own.
fn operation(kind: &dyn Kind, verb: &str, summary: &str, parameters: &[Value], good: Value, problems: &[u16]) -> Value {
    let mut answers = responses::problems(&[problems, ALWAYS].concat());
    if let Value::Object(good) = good {
        answers.extend(good);
    }
    let (name, summary) = match verb {
        "list" => (names::plural(kind), format!("{summary} {}", kind.name())),
        _ => (names::singular(kind), format!("{summary} {}", names::with_article(kind))),
    };
    json!({
        "operationId": format!("{verb}{name}"), "summary": summary, "tags": [kind.name()],
        "parameters": parameters, "responses": answers,
    })
}

fn list(kind: &'static dyn Kind) -> Value {
    let mut all = parameters::named(&["limit", "cursor", "count", "q"]);
    all.extend(parameters::shape(kind));
    all.push(parameters::sort(kind));
    all.extend(parameters::filters(kind));
    let schema = refer("schemas", &format!("{}List", names::singular(kind)));
    let page = json!({
        "description": "A page of the list.",
        "headers": {"Link": refer("headers", "Link")},
        "content": responses::content(responses::ALL_FORMATS, &schema),
        "links": links::from_list(kind),
    });
    operation(kind, "list", "List", &all, json!({"200": page}), &[])
}

fn find(kind: &'static dyn Kind) -> Value {
    let mut all = parameters::named(&["If-None-Match"]);
    all.extend(parameters::shape(kind));
    let good = json!({"200": is_now(kind), "304": refer("responses", "NotModified")});
    operation(kind, "get", "Read", &all, good, &[404])
}

fn create(kind: &'static dyn Kind) -> Value {
    let mut all = parameters::named(&["Idempotency-Key", "X-Change-Message", "dry_run"]);
    all.extend(parameters::shape(kind));
    let name = names::singular(kind);
    let either = json!({"anyOf": [refer("schemas", &name), refer("schemas", &format!("{name}Batch"))]});
    let good = json!({
        "201": created(kind, "The new object; of several, all of them.", &either), "303": refer("responses", "SeeOther"),
    });
    let mut create = operation(kind, "create", "Create", &all, good, &[409, 412, 413, 415, 422]);
    create["description"] = format!(
        "An array of up to {MAX_LIMIT} creates all of them or, if one is refused, none; `errors` then names its place."
    )
    .into();
    let new = refer("schemas", &format!("New{name}"));
    let many = json!({"type": "array", "items": new, "minItems": 1, "maxItems": MAX_LIMIT});
    let mut bodies = vec![new, many];
    if !kind.order().is_empty() {
        bodies.push(refer("schemas", &orders::schema_name(kind)));
    }
    create["requestBody"] = body(&json!({"anyOf": bodies}), &format!("{name}Form"), &schemas::required(kind), &[]);
    if let Ok(example) = serde_json::from_str::<Value>(kind.example()) {
        let examples =
            json!({"one": {"summary": "One", "value": example}, "several": {"summary": "Several", "value": [example]}});
        create["requestBody"]["content"]["application/json"]["examples"] = examples;
    }
    create
}

fn update(kind: &'static dyn Kind) -> Value {
    let good = json!({"200": is_now(kind), "303": refer("responses", "SeeOther")});
    let mut update = operation(kind, "update", "Change", &changing(kind), good, CHANGE_PROBLEMS);
    let name = names::singular(kind);
    let patch = refer("schemas", &format!("{name}Patch"));
    update["requestBody"] = body(&patch, &format!("{name}PatchForm"), &[], &["application/merge-patch+json"]);
    update
}

fn replace(kind: &'static dyn Kind) -> Value {
    let new = created(kind, "The new object.", &refer("schemas", &names::singular(kind)));
    let good = json!({"200": is_now(kind), "201": new, "303": refer("responses", "SeeOther")});
    let mut replace = operation(kind, "replace", "Create or replace", &changing(kind), good, CHANGE_PROBLEMS);
    replace["description"] = "Creates the object if the natural key names none; an id must name one.".into();
    let name = names::singular(kind);
    let replacement = refer("schemas", &format!("{name}Replacement"));
    replace["requestBody"] = body(&replacement, &format!("{name}PatchForm"), &schemas::required_with_key(kind), &[]);
    replace
}

fn remove(kind: &'static dyn Kind) -> Value {
    let good = json!({
        "200": refer("responses", "Rehearsed"), "204": {"description": "It is gone."}, "303": refer("responses", "SeeOther"),
    });
    let mut remove = operation(kind, "delete", "Delete", &changing(kind), good, &[404, 409, 412, 413]);
    remove["description"] =
        "What belongs to the object goes with it. What is in use is not deleted: 409 says by what.".into();
    let fields: Map<String, Value> = schemas::form_headers().into_iter().collect();
    remove["requestBody"] = json!({
        "description": "Only a form is read, for what a browser cannot say in headers.",
        "content": {FORM: {"schema": {"type": "object", "properties": fields}}},
    });
    remove
}

const CHANGE_PROBLEMS: &[u16] = &[404, 409, 412, 413, 415, 422];

fn changing(kind: &'static dyn Kind) -> Vec<Value> {
    let mut all = parameters::named(&["If-Match", "If-None-Match", "X-Change-Message", "dry_run"]);
    all.extend(parameters::shape(kind));
    all
}

/// The answers that several operations on a kind have, by name.
pub fn answers_of(kind: &dyn Kind) -> (String, Value) {
    let name = names::singular(kind);
    (name.clone(), shown(kind, "The object as it is now.", &refer("schemas", &name)))
}

fn is_now(kind: &dyn Kind) -> Value {
    refer("responses", &names::singular(kind))
}

fn created(kind: &dyn Kind, description: &str, schema: &Value) -> Value {
    let mut created = shown(kind, description, schema);
    created["headers"]["Location"] = refer("headers", "Location");
    created
}

/// An object, in all media types, with its entity tag, and what can be asked about it.
fn shown(kind: &dyn Kind, description: &str, schema: &Value) -> Value {
    json!({
        "description": description,
        "headers": {"ETag": refer("headers", "ETag")},
        "content": responses::content(responses::ALL_FORMATS, schema),
        "links": links::from_object(kind),
    })
}

/// A body, as JSON, MessagePack, or a form of this schema with these fields at least.
fn body(schema: &Value, form: &str, required: &[&str], more: &[&str]) -> Value {
    let formats = [&["application/json"], more, &["application/msgpack"]].concat();
    let mut content: Map<String, Value> =
        formats.into_iter().map(|format| (format.to_owned(), json!({"schema": schema}))).collect();
    let mut form = refer("schemas", form);
    if !required.is_empty() {
        form["required"] = json!(required);
    }
    content.insert(FORM.into(), json!({"schema": form}));
    json!({"required": true, "content": content})
}
