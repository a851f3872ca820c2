//! The schemas of what a rehearsal tells beside its result.

use serde_json::{Map, Value, json};

use crate::consequences::COMPARED;
use crate::openapi::refer;

/// All of them, by name.
pub fn schemas() -> Map<String, Value> {
    let generation = |when: &str| json!({"type": ["integer", "null"], "format": "int64", "description": format!("{when}; null where there is no document.")});
    let generations = json!({
        "type": "object", "required": ["before", "after"],
        "properties": {"before": generation("The committed one"), "after": generation("The one that the change would make")},
    });
    let difference = json!({
        "type": "object",
        "description": "A value of the document that would be another. What is only to be is not there `before`, what \
            would be no more is not there `after`.",
        "required": ["path", "classes"],
        "properties": {
            "path": {"type": "string", "description": "A JSON pointer (RFC 6901) into what is below `virtapi`, in which an \
                item of a list is named by its `uuid`, `fqdn`, `mac`, `name` or `device`."},
            "before": {}, "after": {},
            "classes": {"type": "array", "items": {"type": "string"}, "description": "The classes of Puppet that it concerns."},
        },
    });
    let differences = json!({
        "type": ["array", "null"], "items": difference,
        "description": format!("Null beyond the first {COMPARED} nodes. Names that the database would make are made again \
            when the change is: ids, and UUIDs that are not given."),
    });
    let all = [
        (
            "Consequences",
            json!({
                "type": "array", "readOnly": true, "items": refer("schemas", "Consequence"),
                "description": "The nodes whose documents would change, by name. Only with `dry_run=true`, and for who may \
                    change the fleet.",
            }),
        ),
        (
            "Consequence",
            json!({
                "type": "object", "required": ["node", "generation", "differences"],
                "properties": {
                    "node": {"type": "string", "description": "The name of the node."},
                    "generation": generations,
                    "differences": differences,
                },
            }),
        ),
        (
            "Rehearsal",
            json!({
                "type": "object", "required": ["consequences"],
                "properties": {"consequences": refer("schemas", "Consequences")},
            }),
        ),
    ];
    all.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}
