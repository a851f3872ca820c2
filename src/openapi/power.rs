//! The routes by which a VM is started, stopped and rebooted.

use serde_json::{Value, json};

use crate::openapi::{parameters, refer, responses};
use crate::power::WORDS;
use crate::resource::Resource;
use crate::resources::Vm;

/// Their paths.
pub fn paths() -> impl Iterator<Item = (String, Value)> {
    WORDS.iter().map(|(word, _)| {
        let mut answers = responses::problems(&[400, 401, 403, 404, 406, 409, 413, 415, 422, 429, 503]);
        answers.insert(
            "200".into(),
            json!({"description": "The VM.", "content": responses::content(responses::ALL_FORMATS, &refer("schemas", "Vm"))}),
        );
        answers.insert("303".into(), refer("responses", "SeeOther"));
        let operation = json!({
            "operationId": format!("{word}Vm"), "summary": format!("Want a VM to {word}"), "tags": [Vm::KIND.name()],
            "description": "What is wanted changes at once; `lifecycle` says what was seen of it.",
            "parameters": parameters::named(&["X-Change-Message", "dry_run"]),
            "requestBody": {"description": "Only a form is read, for what a browser cannot say in headers.",
                "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}}},
            "responses": answers,
        });
        (format!("/v1/vms/{{key}}/{word}"), json!({"parameters": [parameters::key(Vm::KIND)], "post": operation}))
    })
}
