//! The routes by which people log in and out with a browser, and see who they are. Programs send tokens.

use serde_json::{Map, Value, json};

use crate::openapi::credentials::passwords;
use crate::openapi::{parameters, refer, responses};

/// Their tag.
pub const TAG: (&str, &str) = (
    "people",
    "How people log in with a browser: a session's cookie, and a word in every form. Programs have no use for this.",
);

/// Their paths.
pub fn paths() -> Map<String, Value> {
    let all = [
        ("/login", json!({"get": login_page(), "post": log_in()})),
        ("/login/openid", json!({"get": openid_start()})),
        ("/login/openid/callback", json!({"get": openid_finish()})),
        ("/logout", json!({"post": log_out()})),
        ("/account", json!({"get": account()})),
        ("/account/password", json!({"put": own_password()})),
    ];
    all.map(|(path, operations)| (path.to_owned(), operations)).into_iter().collect()
}

fn operation(id: &str, summary: &str, answers: Map<String, Value>) -> Value {
    json!({"operationId": id, "summary": summary, "tags": [TAG.0], "responses": answers})
}

/// The answers of what only a browser asks: these problems, and a page.
fn page(problems: &[u16], description: &str) -> Map<String, Value> {
    let mut answers = responses::problems(problems);
    let page = json!({"description": description, "content": {"text/html": {"schema": {"type": "string"}}}});
    answers.insert("200".into(), page);
    answers
}

/// On to another page.
fn elsewhere() -> Value {
    json!({"description": "On to another page.", "headers": {"Location": refer("headers", "Location")}})
}

fn next() -> Value {
    json!({"type": "string", "description": "Where to go then: a path of this server."})
}

fn login_page() -> Value {
    let mut operation = operation("getLogin", "The page where people log in", page(&[400], "The page."));
    operation["parameters"] = json!([{"name": "next", "in": "query", "schema": next()}]);
    operation["security"] = json!([]);
    operation
}

/// A form of a page of ours, with these fields.
fn form(required: &[&str], properties: &Value) -> Value {
    let schema = json!({"type": "object", "required": required, "properties": properties});
    json!({"required": true, "content": {"application/x-www-form-urlencoded": {"schema": schema}}})
}

fn log_in() -> Value {
    let mut answers = responses::problems(&[400, 401, 403, 413, 415, 429, 503]);
    answers.insert("303".into(), elsewhere());
    let mut operation = operation("logIn", "Log in", answers);
    let text = json!({"type": "string"});
    operation["requestBody"] = form(
        &["name", "password", "next", "_form_token"],
        &json!({"name": text, "password": {"type": "string", "format": "password"}, "next": next(), "_form_token": text}),
    );
    operation["description"] =
        "A session's cookie comes with the answer. The secret of a token does for the password.".into();
    operation["security"] = json!([]);
    operation
}

fn openid_start() -> Value {
    let mut answers = responses::problems(&[400, 404, 502]);
    answers.insert("303".into(), elsewhere());
    let mut operation = operation("startOpenid", "Log in at the provider of identities (OpenID Connect)", answers);
    operation["parameters"] = json!([{"name": "next", "in": "query", "schema": next()}]);
    operation["description"] = "404 where none is set.".into();
    operation["security"] = json!([]);
    operation
}

fn openid_finish() -> Value {
    let mut answers = responses::problems(&[400, 403, 404, 502, 503]);
    answers.insert("303".into(), elsewhere());
    let mut operation = operation("finishOpenid", "To where the provider of identities sends people back", answers);
    let said = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    operation["parameters"] = ["code", "state", "error"].map(said).to_vec().into();
    operation["security"] = json!([]);
    operation
}

fn log_out() -> Value {
    let mut answers = responses::problems(&[400, 403, 413, 415, 503]);
    answers.insert("303".into(), elsewhere());
    let mut operation = operation("logOut", "Log out", answers);
    operation["requestBody"] = form(&["_form_token"], &json!({"_form_token": {"type": "string"}}));
    operation["security"] = json!([]);
    operation
}

fn account() -> Value {
    let schema = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string",
        "description": "As it is recorded, such as user:alice."}}});
    let mut answers = responses::problems(&[400, 401, 403, 406, 429, 503]);
    let content = responses::content(responses::ALL_FORMATS, &schema);
    answers.insert("200".into(), json!({"description": "Who it is.", "content": content}));
    operation("getAccount", "Who one is", answers)
}

fn own_password() -> Value {
    let mut answers = page(&[400, 401, 403, 406, 413, 415, 422, 429, 503], "It is set, says a page.");
    answers.insert("204".into(), json!({"description": "It is set."}));
    let mut operation = operation("setOwnPassword", "Another password for oneself", answers);
    operation["description"] =
        "Every other session of the user ends. In a session, the current password is needed.".into();
    operation["parameters"] = json!(parameters::named(&["X-Change-Message", "dry_run"]));
    operation["requestBody"] = passwords(&["password"], &["current_password"]);
    operation
}
