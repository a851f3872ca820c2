//! The routes that agents read.

use serde_json::{Value, json};

use crate::openapi::{refer, responses};

/// The tag of Puppet's routes.
pub const PUPPET: (&str, &str) = ("puppet", "What Puppet reads: ENC, Hiera, and the path of the Foreman client.");
/// The tag of Salt's routes.
pub const SALT: (&str, &str) = ("salt", "What Salt reads: pillar and tops.");

/// Their paths.
pub fn paths() -> Vec<(String, Value)> {
    let read = |tag: (&str, &str), id: &str, summary: &str, format: &str, schema: &str| {
        let known = json!({"description": "The node's document.", "headers": {"ETag": refer("headers", "ETag")},
            "content": {format: {"schema": refer("schemas", schema)}}});
        let mut answers = responses::problems(&[400, 404, 503]);
        answers.insert("200".into(), known);
        answers.insert("304".into(), refer("responses", "NotModified"));
        json!({"operationId": id, "summary": summary, "tags": [tag.0], "responses": answers,
            "parameters": [refer("parameters", "If-None-Match")]})
    };
    let (yaml, json_type) = ("application/yaml", "application/json");
    let mut foreman =
        read(PUPPET, "getForemanNode", "The ENC's answer, where the Foreman client looks for it", yaml, "EncDocument");
    if let Some(parameters) = foreman["parameters"].as_array_mut() {
        parameters
            .push(json!({"name": "format", "in": "query", "schema": {"type": "string", "enum": ["yml", "yaml"]}}));
    }
    vec![
        by_name(
            "/puppet/enc/{certname}",
            read(PUPPET, "getEnc", "What a node is, for the external node classifier", yaml, "EncDocument"),
        ),
        by_name(
            "/puppet/hiera/{certname}",
            read(PUPPET, "getHiera", "All of a node's data for Hiera", json_type, "HieraDocument"),
        ),
        by_name("/puppet/hiera/{certname}/{key}", hiera_key()),
        ("/puppet/hiera".into(), json!({"get": hiera_of_nobody()})),
        by_name("/node/{certname}", foreman),
        by_name(
            "/salt/pillar/{minion_id}",
            read(SALT, "getPillar", "The pillar of a minion", json_type, "PillarDocument"),
        ),
        by_name("/salt/tops/{minion_id}", read(SALT, "getTops", "The states of a minion", json_type, "TopsDocument")),
    ]
}

/// A path, with its parameters.
fn by_name(path: &str, get: Value) -> (String, Value) {
    let names = path.split(['{', '}']).skip(1).step_by(2);
    let parameters: Vec<Value> = names
        .map(|name| {
            let description =
                if name == "key" { "A full key, such as `virtapi::roles`." } else { "The FQDN of the node." };
            json!({"name": name, "in": "path", "required": true, "description": description,
                "schema": {"type": "string", "minLength": 1}})
        })
        .collect();
    (path.to_owned(), json!({"parameters": parameters, "get": get}))
}

fn hiera_key() -> Value {
    let mut answers = responses::problems(&[404, 503]);
    let value = json!({"description": "The value of the key.", "content": {"application/json": {"schema": {}}}});
    answers.insert("200".into(), value);
    json!({"operationId": "getHieraKey", "summary": "One key of a node's data for Hiera", "tags": [PUPPET.0],
        "description": "404 also where the node has no such key.", "responses": answers})
}

fn hiera_of_nobody() -> Value {
    json!({"operationId": "getHieraOfNobody", "summary": "Refused: the name of the node is missing", "tags": [PUPPET.0],
        "responses": responses::problems(&[400])})
}
