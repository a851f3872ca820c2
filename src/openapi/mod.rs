//! The description of the API in OpenAPI 3.1: every route, every parameter, every schema. What concerns the inventory
//! is derived from the kinds and their columns, so that a new resource is described without a word here; the routes
//! that no kind has are described by hand. It knows no request and no database.

mod actions;
mod agents;
mod approvals;
mod consequences;
mod credentials;
mod documents;
mod infrahub;
mod links;
mod names;
mod operations;
mod orders;
mod pages;
mod parameters;
mod people;
mod program;
mod responses;
mod schemas;
mod telling;
mod types;

use serde_json::{Map, Value, json};

use crate::resources;

/// What holds for the whole API.
const DESCRIPTION: &str = "\
The inventory of a fleet of hypervisors and Ceph storage nodes, and the documents that its agents read.

**Tokens.** Nothing but this description, its page, the health, readiness and metrics of the server is told to strangers: a \
request carries a token's secret, as `Authorization: Bearer` or as the password of HTTP Basic. A browser in which somebody \
has logged in sends a cookie; what it then changes must come from a form of ours, which holds `_form_token`. 401 means that there is none, or \
none that is good; 403 that its holder may not do this.

**Representations.** `Accept` chooses between JSON, MessagePack, YAML, CSV and HTML; a suffix of the address (`.json`, \
`.msgpack`, `.yaml`, `.csv`, `.html`) overrides it. MessagePack is also `application/x-msgpack` and \
`application/vnd.msgpack`. `HEAD` answers wherever `GET` does.

**Names.** An object is addressed by its id or by its natural key, which is never all digits. A natural key of two \
parts has a slash between them, which may be written as it is or as `%2F`.

**Links** (OpenAPI's) say what can be asked next about an object that was answered as JSON.

**Lists** are read page by page: follow `links.next`, or the `Link` header, until there is none. Filters are fields, \
with an operator after two underscores; an unknown parameter, field or operator is refused with 400.

**Writes** are done when they are answered. `If-Match` with the `ETag` of what was read keeps two people from \
overwriting each other; `Idempotency-Key` makes it safe to send a `POST` again; `dry_run=true` does everything but \
commit, and tells who may change the fleet what would become of the documents of nodes.

**Problems** are `application/problem+json` (RFC 9457), or the same object as MessagePack, YAML or a page. `instance` \
names the request, with the client's `X-Request-Id` if there was one.";

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut paths = program::paths();
    paths.extend(resources::readable().flat_map(operations::paths));
    paths.extend(credentials::paths());
    paths.extend(telling::paths());
    paths.extend([approvals::path(), orders::path()]);
    paths.extend(actions::paths());
    paths.extend(infrahub::paths());
    paths.extend(agents::paths());
    paths.extend(people::paths());
    paths.extend(pages::paths());
    let mut answers = responses::shared();
    answers.extend(resources::readable().map(operations::answers_of));
    let links: Map<String, Value> = resources::readable().flat_map(links::of).collect();
    let mut schemas = Map::new();
    schemas.extend(responses::schemas());
    schemas.extend(resources::readable().flat_map(schemas::of));
    schemas.extend(resources::readable().filter_map(orders::schema));
    schemas.extend([orders::candidate()]);
    schemas.extend(consequences::schemas());
    schemas.extend(documents::schemas());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "virtapi",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags(),
        // Each is enough. What needs none says so itself.
        "security": [{"bearer": []}, {"basic": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters::components(),
            "headers": responses::headers(),
            "responses": answers,
            "links": links,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token's secret. `Token` does for `Bearer`."},
                "basic": {"type": "http", "scheme": "basic", "description": "A token's secret as the password of any user."},
                "session": {"type": "apiKey", "in": "cookie", "name": "virtapi_session",
                    "description": "Of a browser, after `/login`; over TLS it is called `__Host-virtapi_session`."},
                "certificate": {"type": "mutualTLS", "description": "The Puppet certificate of a node or a compiler."},
            },
        },
    })
}

fn tags() -> Vec<Value> {
    let mut tags: Vec<Value> =
        resources::readable().map(|kind| json!({"name": kind.name(), "description": kind.about()})).collect();
    tags.extend(
        [agents::PUPPET, agents::SALT, agents::EVENTS, program::TAG, people::TAG, pages::TAG]
            .map(|(name, description)| json!({"name": name, "description": description})),
    );
    tags
}

/// A pointer to a component.
fn refer(section: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{section}/{name}")})
}

/// The schema, or null.
fn or_null(mut schema: Value) -> Value {
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    if let Some(choices) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        choices.push(json!({"type": "null"}));
        return schema;
    }
    match schema.get("type").cloned() {
        Some(one) => {
            schema["type"] = json!([one, "null"]);
            schema
        }
        None => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}
