//! The route by which somebody approves what the document of a node removes.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::openapi::{parameters, refer, responses};
use crate::resource::Resource;
use crate::resources::Node;

/// Its path.
pub fn path() -> (String, Value) {
    let kind: &dyn Kind = Node::KIND;
    let schema = json!({"type": "object", "required": ["generation"], "additionalProperties": false,
        "properties": {"generation": {"type": "integer", "format": "int64"}}});
    let mut answers = responses::problems(&[400, 401, 403, 404, 406, 409, 413, 415, 422, 429, 503]);
    answers.insert(
        "200".into(),
        json!({"description": "The next generation, whose `meta` says that it is approved.",
            "content": responses::content(responses::ALL_FORMATS, &schema)}),
    );
    answers.insert("303".into(), refer("responses", "SeeOther"));
    let approve = json!({
        "operationId": "approveNode", "summary": "Approve what the document of a node removes", "tags": [kind.name()],
        "description": "Agents remove only a share of what is there in one run, unless that very generation is approved. \
            A document that is at another generation by now is a conflict.",
        "parameters": parameters::named(&["X-Change-Message", "dry_run"]),
        "requestBody": {"required": true, "content": {
            "application/json": {"schema": schema},
            "application/msgpack": {"schema": schema},
            "application/x-www-form-urlencoded": {"schema": schema},
        }},
        "responses": answers,
    });
    (format!("/v1/{}/{{key}}/approve", kind.name()), json!({"parameters": [parameters::key(kind)], "post": approve}))
}
