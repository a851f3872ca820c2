//! The routes by which somebody gets what it is known by: a token's secret, a user's password.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::openapi::{parameters, refer, responses};
use crate::resource::Resource;
use crate::resources::{Token, User};

/// Their paths.
pub fn paths() -> Vec<(String, Value)> {
    vec![token_secret(), user_password()]
}

fn token_secret() -> (String, Value) {
    let kind: &dyn Kind = Token::KIND;
    let mut answers = responses::problems(&[400, 401, 403, 404, 406, 413, 429, 503]);
    let schema = json!({"type": "object", "required": ["secret"], "properties": {"secret": {"type": "string",
        "pattern": "^virtapi_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$"}}});
    answers.insert(
        "201".into(),
        json!({"description": "The secret: this once. The one before is refused from now on.",
            "content": responses::content(responses::ALL_FORMATS, &schema)}),
    );
    let issue = json!({
        "operationId": "issueTokenSecret", "summary": "Issue a secret for a token", "tags": [kind.name()],
        "parameters": parameters::named(&["X-Change-Message", "dry_run"]), "responses": answers,
    });
    (format!("/v1/{}/{{key}}/secret", kind.name()), json!({"parameters": [parameters::key(kind)], "post": issue}))
}

fn user_password() -> (String, Value) {
    let kind: &dyn Kind = User::KIND;
    let mut answers = responses::problems(&[400, 401, 403, 404, 406, 413, 415, 422, 429, 503]);
    answers.insert("204".into(), json!({"description": "It is set."}));
    answers.insert("303".into(), refer("responses", "SeeOther"));
    let parameters = parameters::named(&["X-Change-Message", "dry_run"]);
    let set = json!({
        "operationId": "setUserPassword", "summary": "Give a user a password", "tags": [kind.name()],
        "description": "The one before is refused from now on, and the user's sessions end.",
        "parameters": parameters, "requestBody": passwords(&["password"], &[]), "responses": answers,
    });
    let mut answers = responses::problems(&[400, 401, 403, 404, 406, 413, 429, 503]);
    answers.insert("204".into(), json!({"description": "There is none any more."}));
    answers.insert("303".into(), refer("responses", "SeeOther"));
    let remove = json!({
        "operationId": "removeUserPassword", "summary": "Take a user's password away", "tags": [kind.name()],
        "parameters": parameters, "responses": answers,
    });
    let path = json!({"parameters": [parameters::key(kind)], "put": set, "delete": remove});
    (format!("/v1/{}/{{key}}/password", kind.name()), path)
}

/// A body of passwords. A form may hold the new one a second time.
pub fn passwords(required: &[&str], more: &[&str]) -> Value {
    let text = |name: &str| match name {
        "password" => json!({"type": "string", "format": "password", "minLength": 12, "maxLength": 1024}),
        _ => json!({"type": "string", "format": "password"}),
    };
    let fields = |names: &[&str]| {
        let properties: serde_json::Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), text(name))).collect();
        json!({"type": "object", "required": required, "properties": properties})
    };
    let mut schema = fields(&[required, more].concat());
    schema["additionalProperties"] = false.into();
    let form = fields(&[required, more, &["again"]].concat());
    json!({"required": true, "content": {
        "application/json": {"schema": schema},
        "application/msgpack": {"schema": schema},
        "application/x-www-form-urlencoded": {"schema": form},
    }})
}
