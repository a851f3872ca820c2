//! The routes of agents: what they read, and where they report.

use serde_json::{Value, json};

use crate::openapi::{refer, responses};

/// The tag of Puppet's routes.
pub const PUPPET: (&str, &str) =
    ("puppet", "What Puppet reads: ENC, Hiera, and the path of the Foreman client; and where it reports.");
/// The tag of Salt's routes.
pub const SALT: (&str, &str) = ("salt", "What Salt reads: pillar and tops; and where it returns what came of it.");

/// The tag of the change feed.
pub const EVENTS: (&str, &str) = ("events", "The change feed: whose document may have changed.");

const YAML: &str = "application/yaml";
const JSON: &str = "application/json";

/// Their paths.
pub fn paths() -> Vec<(String, Value)> {
    let (enc, foreman, hiera) = (
        document(PUPPET, "getEnc", "A node for the external node classifier", YAML, "EncDocument"),
        foreman(),
        document(PUPPET, "getHiera", "All of a node's data for Hiera", JSON, "HieraDocument"),
    );
    let pillar = document(SALT, "getPillar", "The pillar of a minion", JSON, "PillarDocument");
    let tops = document(SALT, "getTops", "The states of a minion", JSON, "TopsDocument");
    let all = [
        ("/puppet/enc/{certname}", enc),
        ("/puppet/hiera/{certname}", hiera),
        ("/puppet/hiera/{certname}/{key}", hiera_key()),
        ("/puppet/hiera", hiera_of_nobody()),
        ("/node/{certname}", foreman),
        ("/salt/pillar/{minion_id}", pillar),
        ("/salt/tops/{minion_id}", tops),
    ];
    let item = |(path, mut get): (&str, Value)| {
        // Documents are all that a certificate is good for.
        get["security"] = json!([{"bearer": []}, {"basic": []}, {"certificate": []}]);
        (path.to_owned(), json!({"parameters": in_path(path), "get": get}))
    };
    all.into_iter().map(item).chain(sent()).chain([events()]).collect()
}

fn events() -> (String, Value) {
    let mut answers = responses::problems(&[400, 401, 403, 404, 429, 503]);
    // OpenAPI 3.1 has no words for the events of a stream.
    let stream = json!({
        "description": "Events, for as long as the stream lasts (WHATWG HTML, section 9.2). `document`: the document of this \
            node may have changed, and this is its generation; of a node whose cluster has changed, the generation is \
            as before. `reset`: any may have changed. Between them, `id` alone says where the stream is, at least \
            twice a minute.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "examples": {"document": {"value":
            "id: 1-744:744:\nevent: document\ndata: {\"node\": \"hv01.example.com\", \"generation\": 13}\n\n"}}}},
    });
    answers.insert("200".into(), stream);
    let nodes = json!({"name": "node", "in": "query", "style": "form", "explode": false,
        "description": "Only of these nodes. May also stand several times.",
        "schema": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}});
    let last = json!({"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"},
        "description": "The last `id` that was heard: what was missed since then is told first. If that cannot be told \
            any more, a `reset` is."});
    let get = json!({
        "operationId": "listenToEvents", "summary": "Whose document may have changed, as it happens", "tags": [EVENTS.0],
        "description": "A node hears of itself, a compiler of the nodes that it serves, who reads the inventory of all. The \
            stream ends when the server stops, when its database is away, and when its listener may not listen any more; \
            one identity has 16 at most.",
        "security": [{"bearer": []}, {"basic": []}, {"session": []}, {"certificate": []}],
        "parameters": [nodes, last], "responses": answers,
    });
    ("/v1/events".into(), json!({"get": get}))
}

/// What agents send: it is kept, and answered with nothing, or as Foreman answers.
fn sent() -> Vec<(String, Value)> {
    let report =
        json!({"type": "string", "description": "A report as Puppet writes it: of format 4 or later, at most 16 MiB."});
    let one = json!({"type": "object", "description": "What a returner is given, or an event of the master's bus with `tag` and `data`."});
    let returns = json!({"anyOf": [one, {"type": "array", "items": one}]});
    let facts = json!({"type": "object", "anyOf": [{"required": ["name"]}, {"required": ["certname"]}],
        "properties": {"name": {"type": "string"}, "certname": {"type": "string"}, "facts": {"type": "object"},
            "values": {"type": "object", "description": "The facts, where Puppet has written it."}}});
    let foreman = json!({"type": "object", "required": ["config_report"], "properties": {"config_report": {"type": "object",
        "required": ["host", "reported_at", "status"], "properties": {"host": {"type": "string"},
            "reported_at": {"type": "string"}, "status": {"type": "object"}, "metrics": {"type": "object"},
            "logs": {"type": "array", "items": {"type": "object"}}}}}});
    let [puppet, salt] = [PUPPET.0, SALT.0];
    [
        (
            "/puppet/reports",
            puppet,
            "postPuppetReport",
            "A report of a run, as `reports = http` sends it",
            "application/x-yaml",
            report,
            "204",
        ),
        (
            "/puppet/facts",
            puppet,
            "postPuppetFacts",
            "The facts of a node, as Puppet keeps them",
            JSON,
            facts.clone(),
            "204",
        ),
        (
            "/api/config_reports",
            puppet,
            "postForemanReport",
            "A report, as the Foreman client sends it",
            JSON,
            foreman,
            "201",
        ),
        (
            "/api/hosts/facts",
            puppet,
            "postForemanFacts",
            "Facts, as the Foreman client uploads them",
            JSON,
            facts,
            "201",
        ),
        ("/salt/returns", salt, "postSaltReturns", "What came of runs of states", JSON, returns, "204"),
    ]
    .map(|(path, tag, id, summary, media, schema, status)| {
        let mut answers = responses::problems(&[400, 401, 403, 404, 413, 429, 503]);
        let mut kept = json!({"description": "It is kept; what came before, already. All of it, or nothing."});
        if status == "201" {
            let message = json!({"type": "object", "properties": {"message": {"type": "string"}}});
            kept["content"] = json!({JSON: {"schema": message}});
        }
        answers.insert(status.into(), kept);
        let post = json!({
            "operationId": id, "summary": summary, "tags": [tag],
            "security": [{"bearer": []}, {"basic": []}, {"certificate": []}],
            "requestBody": {"required": true, "content": {media: {"schema": schema}}},
            "responses": answers,
        });
        (path.to_owned(), json!({"post": post}))
    })
    .into()
}

/// The parameters that stand in a path.
fn in_path(path: &str) -> Vec<Value> {
    let parameter = |name| {
        let about = if name == "key" { "A full key, such as `virtapi::roles`." } else { "The FQDN of the node." };
        let schema = json!({"type": "string", "minLength": 1});
        json!({"name": name, "in": "path", "required": true, "description": about, "schema": schema})
    };
    path.split(['{', '}']).skip(1).step_by(2).map(parameter).collect()
}

fn document((tag, _): (&str, &str), id: &str, summary: &str, format: &str, schema: &str) -> Value {
    let mut answers = responses::problems(&[400, 401, 403, 404, 429, 503]);
    let known = json!({
        "description": "What the node must be.",
        "headers": {"ETag": refer("headers", "ETag")},
        "content": {format: {"schema": refer("schemas", schema)}},
    });
    answers.insert("200".into(), known);
    answers.insert("304".into(), refer("responses", "NotModified"));
    json!({
        "operationId": id, "summary": summary, "tags": [tag],
        "parameters": [refer("parameters", "If-None-Match")], "responses": answers,
    })
}

fn foreman() -> Value {
    let summary = "The classifier's answer, where the Foreman client looks for it";
    let mut foreman = document(PUPPET, "getForemanNode", summary, YAML, "EncDocument");
    let format = json!({"name": "format", "in": "query", "schema": {"type": "string", "enum": ["yml", "yaml"]}});
    foreman["parameters"] = json!([refer("parameters", "If-None-Match"), format]);
    foreman
}

fn hiera_key() -> Value {
    let mut answers = responses::problems(&[400, 401, 403, 404, 429, 503]);
    let value = json!({"description": "The value of the key.", "content": {JSON: {"schema": {}}}});
    answers.insert("200".into(), value);
    json!({
        "operationId": "getHieraKey", "summary": "One key of a node's data for Hiera", "tags": [PUPPET.0],
        "description": "404 also where the node has no such key.", "responses": answers,
    })
}

fn hiera_of_nobody() -> Value {
    json!({
        "operationId": "getHieraOfNobody", "summary": "Refused: the name of the node is missing", "tags": [PUPPET.0],
        "responses": responses::problems(&[400, 401, 503]),
    })
}
