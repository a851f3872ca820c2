//! The routes by which VMs and hypervisors are acted on, besides the changes of their fields.

use serde_json::{Map, Value, json};

use crate::actions::{STATES, WORDS};
use crate::kind::Kind;
use crate::openapi::{names, parameters, refer, responses};
use crate::resource::Resource;
use crate::resources::{Hypervisor, Vm};

/// Their paths.
pub fn paths() -> Vec<(String, Value)> {
    let mut paths: Vec<_> = WORDS
        .iter()
        .map(|(word, _)| path(Vm::KIND, word, &format!("Want a VM to {word}"), form(), whole(Vm::KIND)))
        .collect();
    paths.extend([
        path(
            Vm::KIND,
            "resize",
            "Give a VM the size of another flavor",
            body(&[("flavor", "The flavor: its id, its name, or an object.", true)]),
            whole(Vm::KIND),
        ),
        path(
            Vm::KIND,
            "rebuild",
            "Make the volume that a VM boots from anew, from an image: what is on it is lost",
            body(&[
                (
                    "image",
                    "The image: its id, its name, or an object; the one that the volume was made from unless given.",
                    false,
                ),
                (
                    "volume",
                    "Which volume: its id, its UUID, or an object; the one that it boots from unless given.",
                    false,
                ),
            ]),
            whole(Vm::KIND),
        ),
        path(
            Vm::KIND,
            "snapshot",
            "Take a snapshot of a VM's volumes",
            body(&[
                ("name", "What it is called: unique for each volume.", true),
                ("keep_until", "When it goes; it stays unless given.", false),
                ("volume", "Of which volume: its id, its UUID, or an object; of all unless given.", false),
            ]),
            whole(Vm::KIND),
        ),
        path(
            Vm::KIND,
            "restore",
            "Set a VM's volumes back to a snapshot: what was written since is lost",
            body(&[
                ("snapshot", "Its name.", true),
                ("volume", "Which volume: its id, its UUID, or an object; all of them unless given.", false),
            ]),
            whole(Vm::KIND),
        ),
        path(
            Vm::KIND,
            "attach",
            "Give a VM a volume, a floating IP, or an interface in a network: one of them",
            body(&[
                ("volume", "A volume of no VM: its id, its UUID, or an object.", false),
                ("floating_ip", "A floating IP of no VM: its id, itself, or an object.", false),
                ("network", "Where a new interface is: its id, its name, or an object.", false),
                ("subnet", "Where the address of that family is from: its id, its name, or an object.", false),
                ("address", "The address of that family.", false),
            ]),
            whole(Vm::KIND),
        ),
        path(
            Vm::KIND,
            "detach",
            "Take a volume, a floating IP or an interface from a VM: one of them",
            body(&[
                ("volume", "A volume of type rbd: its id, its UUID, or an object.", false),
                ("floating_ip", "A floating IP: its id, itself, or an object.", false),
                ("interface", "An interface, which goes with its addresses: its id, its MAC, or an object.", false),
            ]),
            whole(Vm::KIND),
        ),
        path(
            Vm::KIND,
            "migrate",
            "Move a VM to another hypervisor",
            body(&[(
                "hypervisor",
                "The hypervisor: its id, its name, or an object; the best one unless given.",
                false,
            )]),
            whole(Vm::KIND),
        ),
    ]);
    paths.extend(STATES.iter().map(|(word, state)| {
        let summary = format!("Put the node of a hypervisor into the state {state}");
        path(Hypervisor::KIND, word, &summary, form(), whole(Hypervisor::KIND))
    }));
    let summary = "Put a hypervisor into maintenance, and migrate its VMs";
    paths.push(path(Hypervisor::KIND, "evacuate", summary, form(), moved()));
    paths
}

fn path(kind: &dyn Kind, word: &str, summary: &str, body: Value, answer: Value) -> (String, Value) {
    let mut answers = responses::problems(&[400, 401, 403, 404, 406, 409, 413, 415, 422, 429, 503]);
    answers.insert("200".into(), answer);
    answers.insert("303".into(), refer("responses", "SeeOther"));
    let operation = json!({
        "operationId": format!("{word}{}", names::singular(kind)), "summary": summary, "tags": [kind.name()],
        "description": "What is wanted changes at once; `lifecycle` says what was seen of it.",
        "parameters": parameters::named(&["X-Change-Message", "dry_run"]),
        "requestBody": body, "responses": answers,
    });
    (format!("/v1/{}/{{key}}/{word}", kind.name()), json!({"parameters": [parameters::key(kind)], "post": operation}))
}

fn form() -> Value {
    json!({"description": "Only a form is read, for what a browser cannot say in headers.",
        "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}}})
}

/// Fields: what each means, and whether it must be there.
fn body(fields: &[(&str, &str, bool)]) -> Value {
    let value = |about: &str| json!({"type": ["integer", "string", "object", "null"], "description": about});
    let properties: Map<String, Value> =
        fields.iter().map(|(name, about, _)| ((*name).to_owned(), value(about))).collect();
    let required: Vec<&str> = fields.iter().filter(|(.., required)| *required).map(|(name, ..)| *name).collect();
    let schema =
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    json!({"required": true, "content": {
        "application/json": {"schema": schema}, "application/msgpack": {"schema": schema},
        "application/x-www-form-urlencoded": {"schema": {"type": "object", "additionalProperties": {"type": "string"}}},
    }})
}

fn whole(kind: &dyn Kind) -> Value {
    let schema = names::singular(kind);
    json!({"description": "What it is then.", "content": responses::content(responses::ALL_FORMATS, &refer("schemas", &schema))})
}

fn moved() -> Value {
    let text = json!({"type": "string"});
    let result = json!({"type": "object", "properties": {
        "uuid": {"type": "string", "format": "uuid"}, "name": text, "hypervisor": text,
        "status": {"type": "integer", "description": "200, or why it stays."}, "detail": text,
    }, "required": ["uuid", "name", "hypervisor", "status"]});
    let schema = json!({"type": "object", "properties": {"results": {"type": "array", "items": result}}, "required": ["results"]});
    json!({"description": "What became of each VM, the largest first.", "content": responses::content(responses::ALL_FORMATS, &schema)})
}
