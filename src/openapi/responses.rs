//! Answers that many routes share: the problems (RFC 9457), the headers, and in which media types an answer comes.

use serde_json::{Map, Value, json};

use crate::openapi::refer;

/// In what an object or a list is answered.
pub const ALL_FORMATS: &[&str] = &["application/json", "application/msgpack", "application/yaml", "text/csv"];
/// A problem is no table.
const PROBLEM_FORMATS: &[&str] = &["application/problem+json", "application/msgpack", "application/yaml"];

/// The problems: name, status, and when they occur.
const PROBLEMS: &[(&str, u16, &str)] = &[
    ("BadRequest", 400, "The body, the address or a parameter cannot be read."),
    ("Unauthorized", 401, "A token is needed, and none was sent that is good."),
    ("Forbidden", 403, "The holder of the token may not do this."),
    ("NotFound", 404, "There is no such thing."),
    ("NotAcceptable", 406, "`Accept` asks for none of the media types that there are."),
    ("Conflict", 409, "It conflicts with what exists: a name is taken, or an object is in use. `errors` says what."),
    (
        "PreconditionFailed",
        412,
        "The object has changed since the client read it, or `If-None-Match` names what is there.",
    ),
    ("ContentTooLarge", 413, "The body is larger than the server reads."),
    ("UnsupportedMediaType", 415, "The body is neither JSON, MessagePack nor a form."),
    ("UnprocessableContent", 422, "Some fields are invalid; `errors` names each."),
    ("TooManyRequests", 429, "Too many requests, or too many false tokens from this address. To be tried again."),
    ("BadGateway", 502, "The provider of identities does not answer as it should."),
    ("ServiceUnavailable", 503, "The database is away, or a statement took too long. To be tried again."),
];

/// The same schema in several media types, and as a page.
pub fn content(formats: &[&str], schema: &Value) -> Value {
    let mut content: Map<String, Value> =
        formats.iter().map(|format| ((*format).to_owned(), media(format, schema))).collect();
    content.insert("text/html".into(), json!({"schema": {"type": "string"}}));
    content.into()
}

fn media(format: &str, schema: &Value) -> Value {
    if format == "text/csv" {
        return json!({"schema": {"type": "string", "description": "A line of names, and a line for each object."}});
    }
    json!({"schema": schema})
}

/// Entries of `responses` for these problems.
pub fn problems(statuses: &[u16]) -> Map<String, Value> {
    let known = PROBLEMS.iter().filter(|(_, status, _)| statuses.contains(status));
    known.map(|(name, status, _)| (status.to_string(), refer("responses", name))).collect()
}

/// The answers that many routes share, by name.
pub fn shared() -> Map<String, Value> {
    let problem = |&(name, status, description): &(&str, u16, &str)| {
        let mut answer =
            json!({"description": description, "content": content(PROBLEM_FORMATS, &refer("schemas", "Problem"))});
        if matches!(status, 429 | 503) {
            answer["headers"] = json!({"Retry-After": refer("headers", "RetryAfter")});
        }
        (name.to_owned(), answer)
    };
    let mut all: Map<String, Value> = PROBLEMS.iter().map(problem).collect();
    all["Unauthorized"]["headers"] = json!({"WWW-Authenticate": refer("headers", "WWWAuthenticate")});
    all.insert(
        "NotModified".into(),
        json!({
            "description": "Nothing has changed since the `ETag` in `If-None-Match`.",
            "headers": {"ETag": refer("headers", "ETag")},
        }),
    );
    all.insert(
        "Rehearsed".into(),
        json!({
            "description": "What would become of the documents of nodes. Only with `dry_run=true`, and for who may change the fleet.",
            "content": content(ALL_FORMATS, &refer("schemas", "Rehearsal")),
        }),
    );
    all.insert(
        "SeeOther".into(),
        json!({
            "description": "Done; for a browser, which goes on to the result. Only with `Accept: text/html`.",
            "headers": {"Location": refer("headers", "Location")},
            "content": {"text/html": {"schema": {"type": "string"}}},
        }),
    );
    all
}

/// The headers of answers, by name.
pub fn headers() -> Map<String, Value> {
    let header = |description: &str, schema: Value| json!({"description": description, "schema": schema});
    let all = [
        ("ETag", header("What the object is now, for `If-Match` and `If-None-Match`.", json!({"type": "string"}))),
        ("Location", header("Where the object is.", json!({"type": "string", "format": "uri-reference"}))),
        ("Link", header("The next page, with `rel=\"next\"`, if there is one.", json!({"type": "string"}))),
        ("WWWAuthenticate", header("How to say who one is (RFC 9110, section 11.6.1).", json!({"type": "string"}))),
        ("RetryAfter", header("Seconds to wait.", json!({"type": "integer", "minimum": 0}))),
    ];
    all.map(|(name, header)| (name.to_owned(), header)).into_iter().collect()
}

/// The schemas that belong to no kind.
pub fn schemas() -> Vec<(String, Value)> {
    let wrong = json!({
        "type": "object",
        "required": ["pointer", "detail"],
        "properties": {
            "pointer": {"type": "string", "format": "json-pointer", "description": "Where in the body; empty for all of it."},
            "detail": {"type": "string", "description": "What is wrong there."},
        },
    });
    let problem = json!({
        "type": "object",
        "description": "A problem (RFC 9457).",
        "required": ["type", "title", "status", "detail", "errors", "instance"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "const": "about:blank"},
            "title": {"type": "string", "description": "The name of the status."},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "What went wrong, in a sentence."},
            "errors": {"type": "array", "items": wrong, "description": "Each field that is at fault."},
            "instance": {"type": "string", "format": "uri", "description": "The request, as the log names it."},
        },
    });
    let links = json!({
        "type": "object",
        "required": ["self", "next"],
        "properties": {
            "self": {"type": "string", "format": "uri-reference"},
            "next": {"type": ["string", "null"], "format": "uri-reference",
                "description": "The next page; null on the last one."},
        },
    });
    vec![("Problem".into(), problem), ("ListLinks".into(), links)]
}
