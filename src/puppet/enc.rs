//! The external node classifier's answer: `classes`, `parameters`, `environment`.

use serde_json::{Map, Value, json};

use crate::render::classes::classes;

/// The ENC's view of a document.
pub fn view(tree: &Value) -> Value {
    let node = &tree["node"];
    let classes: Map<String, Value> = classes(tree, "::").map(|class| (class, json!({}))).collect();
    let mut parameters = json!({
        "fqdn": node["fqdn"], "location": node["location"], "state": node["state"],
        "roles": tree["roles"], "generation": tree["meta"]["generation"],
    });
    // The names of ours are reserved, so none is overwritten.
    for (name, value) in node["parameters"].as_object().into_iter().flatten() {
        parameters[name] = value.clone();
    }
    let mut answer = json!({"classes": classes, "parameters": parameters});
    if !node["environment"].is_null() {
        answer["environment"] = node["environment"].clone();
    }
    answer
}
