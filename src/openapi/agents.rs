//! The routes of agents: what they read, and where they report.

use serde_json::{Value, json};

use crate::openapi::{refer, responses};

/// The tag of Puppet's routes.
pub const PUPPET: (&str, &str) =
    ("puppet", "What Puppet reads: ENC, Hiera, and the path of the Foreman client; and where it reports.");
/// The tag of Salt's routes.
pub const SALT: (&str, &str) = ("salt", "What Salt reads: pillar and tops; and where it returns what came of it.");

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
    all.into_iter().map(item).chain([reports(), returns()]).collect()
}

fn reports() -> (String, Value) {
    let mut answers = responses::problems(&[400, 401, 403, 404, 413, 429, 503]);
    answers.insert("204".into(), json!({"description": "It is kept; one that came before, already."}));
    let schema =
        json!({"type": "string", "description": "A report as Puppet writes it: of format 4 or later, at most 16 MiB."});
    let post = json!({
        "operationId": "postPuppetReport", "summary": "A report of a run, as `reports = http` sends it", "tags": [PUPPET.0],
        "security": [{"bearer": []}, {"basic": []}, {"certificate": []}],
        "requestBody": {"required": true, "content": {"application/x-yaml": {"schema": schema}}},
        "responses": answers,
    });
    ("/puppet/reports".into(), json!({"post": post}))
}

fn returns() -> (String, Value) {
    let mut answers = responses::problems(&[400, 401, 403, 404, 413, 429, 503]);
    answers.insert("204".into(), json!({"description": "They are kept; what came before, already."}));
    let one = json!({"type": "object", "description": "What a returner is given, or an event of the master's bus with `tag` and `data`."});
    let schema = json!({"anyOf": [one, {"type": "array", "items": one}]});
    let post = json!({
        "operationId": "postSaltReturns", "summary": "What came of runs of states", "tags": [SALT.0],
        "description": "All are kept, or none. What is of another function than `state.…` is left out.",
        "security": [{"bearer": []}, {"basic": []}, {"certificate": []}],
        "requestBody": {"required": true, "content": {JSON: {"schema": schema}}},
        "responses": answers,
    });
    ("/salt/returns".into(), json!({"post": post}))
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
