//! The routes about the program itself: the way in, its health, its description.

use serde_json::{Value, json};

use crate::http::docs;
use crate::openapi::{refer, responses};

/// Their tag.
pub const TAG: (&str, &str) = ("server", "The way in, the server's health, and this description.");

/// Their paths.
pub fn paths() -> serde_json::Map<String, Value> {
    let all = [
        ("/v1/", root("getLinks", "Links to everything")),
        ("/health", health()),
        ("/ready", ready()),
        ("/metrics", metrics()),
        ("/api-docs", description()),
        ("/docs", page()),
        ("/docs/{file}", file()),
    ];
    all.map(|(path, mut get)| {
        if path != "/v1/" {
            // Anybody may ask.
            get["security"] = json!([]);
        }
        (path.to_owned(), json!({"get": get}))
    })
    .into_iter()
    .collect()
}

fn operation(id: &str, summary: &str, answers: &Value) -> Value {
    json!({"operationId": id, "summary": summary, "tags": [TAG.0], "responses": answers})
}

fn status(description: &str, word: &str) -> Value {
    let schema = json!({"type": "object", "required": ["status"], "properties": {"status": {"const": word}}});
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

/// The links to everything.
pub fn root(id: &str, summary: &str) -> Value {
    let schema = json!({
        "type": "object", "required": ["links"],
        "properties": {"links": {
            "type": "object", "description": "What there is, and where.",
            "additionalProperties": {"type": "string", "format": "uri-reference"},
        }},
    });
    let mut answers = responses::problems(&[400, 401, 403, 406, 429, 503]);
    let content = responses::content(responses::ALL_FORMATS, &schema);
    answers.insert("200".into(), json!({"description": "Links.", "content": content}));
    operation(id, summary, &answers.into())
}

fn health() -> Value {
    let mut alive = status("The server is alive.", "alive");
    alive["content"]["application/json"]["schema"]["properties"]["version"] = json!({"type": "string"});
    operation("getHealth", "Whether the server is alive", &json!({"200": alive}))
}

fn ready() -> Value {
    let mut answers = responses::problems(&[429, 503]);
    answers.insert("200".into(), status("The server can serve: it reaches its database.", "ready"));
    operation("getReadiness", "Whether the server can serve", &answers.into())
}

fn metrics() -> Value {
    let counted = json!({"description": "In the text format of Prometheus.", "content": {"text/plain": {"schema": {"type": "string"}}}});
    operation("getMetrics", "What the server has counted", &json!({"200": counted}))
}

fn description() -> Value {
    let known = json!({"description": "The description in OpenAPI 3.1.", "headers": {"ETag": refer("headers", "ETag")},
        "content": {"application/json": {"schema": {"type": "object", "required": ["openapi", "info", "paths"]}}}});
    let answers = json!({"200": known, "304": refer("responses", "NotModified")});
    let mut operation = operation("getOpenapi", "This description", &answers);
    operation["parameters"] = json!([refer("parameters", "If-None-Match")]);
    operation
}

fn page() -> Value {
    let page = json!({"description": "A page that shows this description.", "headers": {"ETag": refer("headers", "ETag")},
        "content": {"text/html": {"schema": {"type": "string"}}}});
    let mut operation = operation(
        "getDocs",
        "This description as a page",
        &json!({"200": page, "304": refer("responses", "NotModified")}),
    );
    operation["parameters"] = json!([refer("parameters", "If-None-Match")]);
    operation
}

fn file() -> Value {
    let names: Vec<&str> = docs::FILES.to_vec();
    let content: serde_json::Map<String, Value> = ["text/css", "text/javascript", "image/png"]
        .map(|format| (format.to_owned(), json!({"schema": {"type": "string"}})))
        .into_iter()
        .collect();
    let mut answers = responses::problems(&[404]);
    answers.insert(
        "200".into(),
        json!({"description": "The file.", "headers": {"ETag": refer("headers", "ETag")}, "content": content}),
    );
    answers.insert("304".into(), refer("responses", "NotModified"));
    let mut operation = operation("getDocsFile", "A file that the page needs", &answers.into());
    operation["parameters"] = json!([
        {"name": "file", "in": "path", "required": true, "schema": {"type": "string", "enum": names}},
        refer("parameters", "If-None-Match"),
    ]);
    operation
}
