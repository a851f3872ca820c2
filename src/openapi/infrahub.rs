//! The description of the VMs in the words of the Infrahub API.

use serde_json::{Value, json};

use crate::openapi::{parameters, responses};
use crate::resource::Resource;
use crate::resources::Vm;

const HERE: &str = "/v1/core/virtual-machines";
const FORM: &str = "application/x-www-form-urlencoded";

fn order() -> Value {
    let text = |about: &str| json!({"type": ["string", "null"], "description": about});
    let yes = |about: &str| json!({"type": ["boolean", "null"], "description": about});
    let named = |about: &str| json!({"type": ["string", "integer", "null"], "description": about});
    let rule = json!({
        "type": "object",
        "properties": {
            "direction": {"enum": ["ingress", "egress"]}, "ethertype": {"enum": ["IPv4", "IPv6"]},
            "protocol": {"enum": ["any", "icmp", "tcp", "udp", null]}, "port_range_min": {"type": ["integer", "null"]},
            "port_range_max": {"type": ["integer", "null"]}, "remote_ip_prefix": {"type": ["string", "null"]},
        },
        "required": ["direction", "ethertype"],
    });
    json!({
        "type": "object", "additionalProperties": false, "required": ["environment_name"],
        "properties": {
            "name": text("Of several, what they are counted by; made unless given."),
            "environment_name": named("The environment, with its organization before it where the name alone is that of several."),
            "image_name": named("What the boot volume is made from."),
            "flavor_name": named("The size; required unless the profile has one."),
            "key_name": text("A key of the environment."),
            "key_names": {"type": ["array", "null"], "items": {"type": "string"}, "description": "Several of them."},
            "volume_name": named("A volume of the environment to boot from, by its name or its UUID."),
            "create_bootable_volume": yes("Whether the boot volume is kept when the VM is deleted."),
            "count": {"type": ["integer", "null"], "minimum": 1, "maximum": 100, "description": "How many."},
            "user_data": text("What cloud-init is given."),
            "callback_url": text("Who is told of what becomes of it."),
            "assign_floating_ip": yes("Whether it gets a public address."),
            "security_rules": {"type": ["array", "null"], "items": rule, "description": "What is let in and out; nothing else goes in."},
            "profile": {"type": ["string", "object", "null"], "description": "A profile of the environment, by its name."},
            "labels": {"type": ["array", "null"], "items": {"type": "string"}, "description": "By which it is found."},
        },
    })
}

fn instance() -> Value {
    json!({
        "type": "object", "required": ["id", "name", "environment_name", "state", "public_ip", "links"],
        "properties": {
            "id": {"type": "integer", "format": "int64"}, "uuid": {"type": "string", "format": "uuid"}, "name": {"type": "string"},
            "environment_name": {"type": "string"}, "flavor_name": {"type": "string"},
            "state": {"type": "string", "description": "Its `lifecycle`; of one that was deleted, `deleting` or `deleted`."}, "failure": {"type": ["string", "null"]},
            "public_ip": {"type": ["string", "null"]}, "labels": {"type": "array", "items": {"type": "string"}},
            "created_at": {"type": "string", "format": "date-time"},
            "links": {"type": "object", "properties": {"self": {"type": "string"}, "vm": {"type": "string"}}},
        },
    })
}

fn good(about: &str, schema: &Value) -> Value {
    json!({"description": about, "content": responses::content(responses::ALL_FORMATS, schema)})
}

fn operation(id: &str, summary: &str, description: &str, answers: Vec<(&str, Value)>, body: Option<Value>) -> Value {
    let mut all = responses::problems(&[400, 401, 403, 404, 406, 409, 413, 415, 422, 429, 503]);
    all.extend(answers.into_iter().map(|(status, answer)| (status.to_owned(), answer)));
    let mut operation = json!({"operationId": id, "summary": summary, "description": description, "tags": [Vm::KIND.name()], "responses": all});
    if let Some(body) = body {
        operation["requestBody"] = body;
        operation["parameters"] = parameters::named(&["X-Change-Message", "dry_run"]).into();
    }
    operation
}

/// The paths.
pub fn paths() -> Vec<(String, Value)> {
    let one = json!({"type": "object", "required": ["status", "instance"], "properties": {"status": {"const": true}, "instance": instance()}});
    let list = json!({"type": "object", "required": ["status", "instances"], "properties": {
        "status": {"const": true}, "instances": {"type": "array", "items": instance()}, "cursor": {"type": ["string", "null"]}}});
    let result = json!({"type": "object", "required": ["id", "name", "status"], "properties": {"id": {"type": "integer"},
        "name": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}}});
    let each = json!({"type": "object", "properties": {"results": {"type": "array", "items": result}}});
    let either = json!({"anyOf": [one, list]});
    let done = json!({"anyOf": [one, each]});
    let body = |schema: &Value| {
        json!({"content": {"application/json": {"schema": schema}, "application/msgpack": {"schema": schema},
        FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}}})
    };
    let form = json!({"description": "Only a form is read, for what a browser cannot say in headers.",
        "content": {FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}}});
    let query = |name: &str, about: &str| json!({"name": name, "in": "query", "description": about, "schema": {"type": "string"}});
    let label = query("label", "Those that have this label.");
    let paging = [label.clone(), query("limit", "How many at most."), query("cursor", "Where to go on.")];
    let mut all = operation(
        "listInstances",
        "VMs, in the words of Infrahub",
        "By label, if one is given.",
        vec![("200", good("Some VMs.", &list))],
        None,
    );
    all["parameters"] = json!(paging);
    let create = operation(
        "createInstances",
        "Order VMs, in the words of Infrahub",
        "All of them or, if one is refused, none (`docs/compute.md`).",
        vec![("201", good("What was ordered.", &list))],
        Some(body(&order())),
    );
    let mut find = operation(
        "getInstance",
        "One VM, or those of an environment",
        "",
        vec![("200", good("The VM, or VMs.", &either))],
        None,
    );
    find["parameters"] = json!(paging);
    let changed = json!({"type": "object", "additionalProperties": false, "properties": {
        "name": {"type": "string"}, "flavor_name": {"type": "string", "description": "Another size: it is restarted."},
        "labels": {"type": "array", "items": {"type": "string"}}, "user_data": {"type": ["string", "null"]},
        "callback_url": {"type": ["string", "null"]}, "security_rules": {"type": "array", "items": {"type": "object"}}}});
    let many = |mut operation: Value| {
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            parameters.push(label.clone());
        }
        operation
    };
    let update = many(operation(
        "updateInstance",
        "Change a VM, or those with a label",
        "",
        vec![("200", good("As it is now.", &done))],
        Some(body(&changed)),
    ));
    let gone = vec![("200", good("How it went with each.", &each)), ("204", json!({"description": "It is gone."}))];
    let remove = many(operation(
        "deleteInstance",
        "Delete a VM, or those with a label",
        "What was made for it goes with it; volumes in a pool that are kept stay.",
        gone,
        Some(form.clone()),
    ));
    let act = many(operation(
        "actOnInstance",
        "Start, stop or reboot a VM, or those with a label",
        "The last part of the address is `start`, `stop`, `reboot` or `hard-reboot`.",
        vec![("200", good("As it is now.", &done))],
        Some(form),
    ));
    let key = json!({"name": "key", "in": "path", "required": true, "schema": {"type": "string"},
        "description": "An id, a UUID, `environment/name`, `organization/environment/name`; or, with `label`, an environment."});
    let by_key = json!({"parameters": [key], "get": find, "patch": update, "delete": remove, "post": act});
    vec![(HERE.into(), json!({"get": all, "post": create})), (format!("{HERE}/{{key}}"), by_key)]
}
