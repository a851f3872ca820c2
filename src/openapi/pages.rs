//! The routes that only people use: the start, the search, the forms, and the files that pages load.

use serde_json::{Map, Value, json};

use crate::html::assets;
use crate::kind::Kind;
use crate::openapi::{program, refer, responses};
use crate::resources::{self, KINDS};

/// Their tag.
pub const TAG: (&str, &str) = ("pages", "What only people use. What a form sends goes to the address of the resource.");

/// Their paths.
pub fn paths() -> Map<String, Value> {
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name()).collect();
    let kind = json!({"name": "kind", "in": "path", "required": true, "schema": {"type": "string", "enum": kinds}});
    let kinds: Vec<&str> = resources::readable().map(Kind::name).collect();
    let any_kind = json!({"name": "kind", "in": "path", "required": true, "schema": {"type": "string", "enum": kinds}});
    let id = json!({"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "format": "int64"},
        "description": "The id of an object that may be gone."});
    let request = json!({"name": "request", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1},
        "description": "The name of the request, as its answer and the log have it."});
    let cursor = refer("parameters", "cursor");
    let key = json!({"name": "key", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1},
        "description": "The id or the natural key."});
    let fields = json!({"name": "fields", "in": "query", "style": "form", "explode": true,
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
        "description": "What stands in the form's fields."});
    let wanted = json!({"name": "q", "in": "query", "schema": {"type": "string"}, "description": "What to look for."});
    let all = [
        ("/", program::root("getStart", "Links to everything; for people an overview")),
        ("/search", page("search", "Objects of all collections that hold a text", &[&wanted])),
        ("/forms/{kind}/create", page("createForm", "A form for a new object", &[&kind, &fields])),
        ("/forms/{kind}/edit/{key}", page("editForm", "A form for an object", &[&kind, &key])),
        (
            "/forms/{kind}/delete/{key}",
            page("deleteForm", "What goes with an object, and what keeps it", &[&kind, &key]),
        ),
        ("/forms/users/password/{key}", page("passwordForm", "A form for a user's password", &[&key])),
        ("/forms/{kind}/filter", filter(&[&any_kind, &fields])),
        ("/history/{kind}/{id}", page("objectHistory", "What was done to an object", &[&any_kind, &id, &cursor])),
        ("/history/{request}", page("requestHistory", "What a request has changed", &[&request, &cursor])),
        ("/static/{name}", file()),
    ];
    all.map(|(path, get)| (path.to_owned(), json!({"get": get}))).into_iter().collect()
}

fn operation(id: &str, summary: &str, parameters: &[&Value], answers: Map<String, Value>) -> Value {
    json!({"operationId": id, "summary": summary, "tags": [TAG.0], "parameters": parameters, "responses": answers})
}

fn page(id: &str, summary: &str, parameters: &[&Value]) -> Value {
    let mut answers = responses::problems(&[400, 401, 403, 404, 429, 503]);
    let page = json!({"description": "A page.", "content": {"text/html": {"schema": {"type": "string"}}}});
    answers.insert("200".into(), page);
    operation(id, summary, parameters, answers)
}

fn filter(parameters: &[&Value]) -> Value {
    let mut answers = responses::problems(&[400, 401, 403, 404, 429, 503]);
    let list = json!({"description": "The list.", "headers": {"Location": refer("headers", "Location")}});
    answers.insert("303".into(), list);
    operation("filterForm", "From a filled form to the list that it means", parameters, answers)
}

fn file() -> Value {
    let files = [&assets::STYLE, &assets::ICON];
    let names: Vec<&str> = files.iter().map(|file| file.name).collect();
    let content: Map<String, Value> = files
        .iter()
        .map(|file| (format!("{}/{}", file.media_type.0, file.media_type.1), json!({"schema": {"type": "string"}})))
        .collect();
    let mut answers = responses::problems(&[404]);
    answers.insert(
        "200".into(),
        json!({"description": "The file.", "headers": {"ETag": refer("headers", "ETag")}, "content": content}),
    );
    answers.insert("304".into(), refer("responses", "NotModified"));
    let name = json!({"name": "name", "in": "path", "required": true, "schema": {"type": "string", "enum": names}});
    let version = json!({"name": "v", "in": "query", "schema": {"type": "string"},
        "description": "The digest of the file: with it, the file may be kept for ever."});
    let mut get = operation(
        "getFile",
        "A file that pages load",
        &[&name, &version, &refer("parameters", "If-None-Match")],
        answers,
    );
    // Anybody may ask: it is in the program.
    get["security"] = json!([]);
    get
}
