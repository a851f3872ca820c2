//! How orders are described: what a request to create can say instead of all fields, and the route that explains where it would go.

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::openapi::{names, parameters, refer, responses, types};
use crate::resource::Resource;
use crate::resources::Vm;

/// What follows from the order, and is not said in one.
const FOLLOWS: [&str; 3] = ["cores", "ram_bytes", "virt_method"];

/// The name of the schema of an order.
pub fn schema_name(kind: &dyn Kind) -> String {
    format!("{}Order", names::singular(kind))
}

/// The schema of an order, of a kind that is ordered.
pub fn schema(kind: &dyn Kind) -> Option<(String, Value)> {
    if kind.order().is_empty() {
        return None;
    }
    let own = kind.columns().iter().filter(|column| column.writable && !FOLLOWS.contains(&column.name));
    let mut properties: Map<String, Value> = own
        .chain(kind.order())
        .map(|column| {
            let mut schema = types::requested(column);
            if column.required {
                schema = json!({"anyOf": [schema, {"type": "null"}], "description": column.about});
            }
            (column.name.to_owned(), schema)
        })
        .collect();
    let wanted = json!({
        "type": "object", "additionalProperties": false,
        "properties": {"network": properties["network"], "subnet": properties["subnet"], "address": properties["address"]},
    });
    properties.insert(
        "networks".into(),
        json!({"anyOf": [{"type": "array", "items": wanted}, {"type": "null"}],
            "description": "An interface for each, instead of `network`, `subnet` and `address`."}),
    );
    let schema = json!({
        "type": "object", "properties": properties, "additionalProperties": false,
        "anyOf": [{"required": ["flavor"]}, {"required": ["profile"]}],
        "description": "An order: of which flavor, and what else is wanted. The rest is decided and made along with it \
            (`docs/compute.md`).",
    });
    Some((schema_name(kind), schema))
}

/// The schema of what is said of a hypervisor that an order could go to.
pub fn candidate() -> (String, Value) {
    let candidate = json!({
        "type": "object", "required": ["hypervisor", "weight", "refused"],
        "properties": {
            "hypervisor": {"type": "string", "description": "The name of its node."},
            "weight": {"type": "integer", "format": "int64", "description": "The memory that would be left, in bytes."},
            "refused": {"type": "array", "items": {"type": "string"}, "description": "Why it cannot take it; nothing if it can."},
        },
    });
    ("Candidate".to_owned(), candidate)
}

/// Every one of them, the best first.
pub fn candidates(about: &str) -> Value {
    json!({"type": "array", "items": refer("schemas", "Candidate"), "description": about})
}

/// The path of what explains a placement.
pub fn path() -> (String, Value) {
    let shown = json!({
        "type": "object", "required": ["chosen", "candidates"],
        "properties": {
            "chosen": {"type": ["string", "null"], "description": "The one that would be taken now."},
            "candidates": candidates("Every hypervisor, the best first."),
        },
    });
    let mut answers = responses::problems(&[400, 401, 403, 404, 406, 409, 413, 415, 422, 429, 503]);
    answers.insert(
        "200".into(),
        json!({"description": "Where it would go.", "content": responses::content(responses::ALL_FORMATS, &shown)}),
    );
    let order = refer("schemas", &schema_name(Vm::KIND));
    let explain = json!({
        "operationId": "explainPlacement", "summary": "Explain where an order would go", "tags": [Vm::KIND.name()],
        "description": "The same order as for `POST /v1/vms`; nothing is made.",
        "parameters": parameters::named(&["X-Change-Message", "dry_run"]),
        "requestBody": {"required": true, "content": {
            "application/json": {"schema": order}, "application/msgpack": {"schema": order},
            "application/x-www-form-urlencoded": {"schema": {"type": "object", "additionalProperties": {"type": "string"}}},
        }},
        "responses": answers,
    });
    ("/v1/placement/explain".into(), json!({"post": explain}))
}
