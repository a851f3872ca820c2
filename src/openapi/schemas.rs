//! The schemas of a kind: how it is answered, created, changed, sent as a form, and referred to.

use serde_json::{Map, Value, json};

use crate::column::Column;
use crate::embed;
use crate::kind::Kind;
use crate::natural_key;
use crate::openapi::{names, orders, refer, types};

/// All of them, by name.
pub fn of(kind: &'static dyn Kind) -> Vec<(String, Value)> {
    let name = names::singular(kind);
    if kind.is_read_only() {
        return vec![(format!("{name}List"), list(&name)), (name, answered(kind))];
    }
    vec![
        (format!("{name}List"), list(&name)),
        (format!("{name}Batch"), batch(&name)),
        (name.clone(), answered(kind)),
        (format!("New{name}"), new(kind)),
        (format!("{name}Patch"), patch(kind)),
        (format!("{name}Replacement"), replacement(kind)),
        (format!("{name}Form"), form(kind, false)),
        (format!("{name}PatchForm"), form(kind, true)),
        (format!("{name}Reference"), reference(kind)),
        (format!("{name}ReferenceInput"), reference_input(kind)),
    ]
}

fn properties<'c>(columns: impl Iterator<Item = &'c Column>, schema: fn(&Column) -> Value) -> Map<String, Value> {
    columns.map(|column| (column.name.to_owned(), schema(column))).collect()
}

fn writable(kind: &dyn Kind) -> impl Iterator<Item = &'static Column> {
    kind.columns().iter().filter(|column| column.writable)
}

/// What a client must set.
pub fn required(kind: &dyn Kind) -> Vec<&'static str> {
    writable(kind).filter(|column| column.required).map(|column| column.name).collect()
}

/// Nothing is required: `fields` can leave out any of it.
fn answered(kind: &'static dyn Kind) -> Value {
    let mut properties = properties(kind.columns().iter(), types::answered);
    for (name, user, column) in embed::reverse(kind) {
        properties.insert(
            name.clone(),
            json!({
                "type": "array", "items": refer("schemas", &names::singular(user)), "readOnly": true,
                "description": format!("The {} whose {} it is; only with `embed={name}`.", user.name(), column.name),
            }),
        );
    }
    properties.insert(
        "href".into(),
        json!({"type": "string", "format": "uri-reference", "readOnly": true,
            "description": "Where it is; only where it is embedded in another object."}),
    );
    if !kind.is_read_only() {
        properties.insert("consequences".into(), refer("schemas", "Consequences"));
    }
    if !kind.order().is_empty() {
        let mut candidates = orders::candidates(
            "Every hypervisor, the best first. Only for one order with `dry_run=true`, and for who may change the fleet.",
        );
        candidates["readOnly"] = true.into();
        properties.insert("candidates".into(), candidates);
    }
    json!({
        "type": "object",
        "description": format!("{} All fields of its own are there, unless `fields` leaves some out.", kind.about()),
        "properties": properties,
    })
}

fn list(name: &str) -> Value {
    json!({
        "type": "object",
        "required": ["items", "total", "links"],
        "properties": {
            "items": {"type": "array", "items": refer("schemas", name)},
            "total": {"type": "integer", "format": "int64", "minimum": 0,
                "description": "How many match, on all pages together."},
            "total_is_estimate": {"type": "boolean", "const": true,
                "description": "There only when `total` is an estimate: beyond 10,000, without `count=exact`."},
            "links": refer("schemas", "ListLinks"),
        },
    })
}

fn batch(name: &str) -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": refer("schemas", name)},
            "consequences": refer("schemas", "Consequences"),
        },
    })
}

fn new(kind: &dyn Kind) -> Value {
    json!({
        "type": "object",
        "description": kind.about(),
        "required": required(kind),
        "properties": properties(writable(kind), types::requested),
        "additionalProperties": false,
    })
}

/// What the server sets may be sent back as it was read.
fn patch(kind: &dyn Kind) -> Value {
    let mut properties = properties(writable(kind), types::requested);
    for column in kind.columns().iter().filter(|column| !column.writable) {
        properties.insert(column.name.to_owned(), types::answered(column));
    }
    json!({
        "type": "object",
        "description": "A JSON merge patch (RFC 7396): what is missing stays as it is, null clears, a list replaces \
            the list. What only the server sets may be sent back unchanged.",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// What a client must set where the address has the natural key already.
pub fn required_with_key(kind: &dyn Kind) -> Vec<&'static str> {
    required(kind).into_iter().filter(|name| !kind.key().contains(name)).collect()
}

fn replacement(kind: &dyn Kind) -> Value {
    json!({
        "description": "The whole object: what is missing is cleared. The natural key may be left to the address. \
            What only the server sets may be sent back unchanged.",
        "allOf": [refer("schemas", &format!("{}Patch", names::singular(kind)))],
        "required": required_with_key(kind),
    })
}

/// A form for a new object, or for one that is there: as in [`patch`], what the server sets may be sent back.
fn form(kind: &dyn Kind, of_existing: bool) -> Value {
    let sent = kind.columns().iter().filter(|column| column.writable || of_existing);
    let mut fields = properties(sent, types::typed);
    fields.extend(form_headers());
    json!({
        "type": "object",
        "description": "The fields as text; an empty one is null. As a browser sends only `GET` and `POST`, a first \
            field `_method` with `PUT`, `PATCH` or `DELETE` makes a `POST` that.",
        "properties": fields,
        "patternProperties": {"^_": {"type": "string"}},
        "additionalProperties": false,
    })
}

/// The fields of a form that stand for headers.
pub fn form_headers() -> [(String, Value); 3] {
    ["If-Match", "Idempotency-Key", "X-Change-Message"].map(|header| {
        let field = format!("_{}", header.trim_start_matches("X-").to_lowercase().replace('-', "_"));
        (field, json!({"type": "string", "description": format!("Stands for the header `{header}`.")}))
    })
}

fn reference(kind: &dyn Kind) -> Value {
    let key = natural_key::field(kind);
    let mut fields = Map::new();
    fields.insert("id".into(), json!({"type": "integer", "format": "int64"}));
    fields.insert(key.into(), json!({"type": "string", "description": "Its natural key."}));
    fields.insert("href".into(), json!({"type": "string", "format": "uri-reference", "description": "Where it is."}));
    json!({"type": "object", "required": ["id", key, "href"], "properties": fields})
}

fn reference_input(kind: &dyn Kind) -> Value {
    let (name, key) = (names::singular(kind), natural_key::field(kind));
    let mut only_key = Map::new();
    only_key.insert(key.into(), json!({"type": "string"}));
    json!({"anyOf": [
        {"type": "integer", "format": "int64", "description": "The id."},
        {"type": "string", "description": format!("The natural key: `{}`.", kind.key().join("`/`"))},
        types::as_it_came_out(),
        {"type": "object", "required": [key], "properties": only_key, "additionalProperties": false,
            "description": "The natural key with its name."},
        {"$ref": format!("#/components/schemas/New{name}"), "description": "A new object, created with this one."},
    ]})
}
