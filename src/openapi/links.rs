//! The links (OpenAPI's): what can be asked next about an object that was answered, and with which of its values. Where
//! the answer is a table or a page, or leaves out the id, they lead nowhere.

use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::openapi::{names, refer};
use crate::resource::Resource;
use crate::resources::{Node, Token};

/// What agents ask about a node, and the parameter that names it.
const DOCUMENTS: [(&str, &str); 5] = [
    ("getEnc", "certname"),
    ("getForemanNode", "certname"),
    ("getHiera", "certname"),
    ("getPillar", "minion_id"),
    ("getTops", "minion_id"),
];

/// All links from an object of a kind, by name.
pub fn of(kind: &dyn Kind) -> Vec<(String, Value)> {
    let name = names::singular(kind);
    let operation = |verb: &str| format!("{verb}{name}");
    let mut all = vec![
        link(kind, operation("get"), "Reads it.", by_id()),
        link(kind, "objectHistory".into(), "What was done to it.", json!({"kind": kind.name(), "id": ID})),
    ];
    if kind.is_read_only() {
        return all;
    }
    let unchanged = json!({"path.key": ID, "header.If-Match": "$response.header.ETag"});
    all.push(link(kind, operation("update"), "Changes it, if nobody else has.", unchanged.clone()));
    let mut replace = link(kind, operation("replace"), "Writes it as it was answered.", by_id());
    replace.1["requestBody"] = "$response.body".into();
    all.push(replace);
    all.push(link(kind, operation("delete"), "Deletes it, if nobody has changed it.", unchanged));
    if kind.name() == Token::NAME {
        all.push(link(kind, "issueTokenSecret".into(), "Issues its secret.", by_id()));
    }
    if kind.name() == Node::NAME {
        let document = |(operation, parameter): (&str, &str)| {
            link(kind, operation.into(), "What agents read about it.", json!({parameter: "$response.body#/fqdn"}))
        };
        all.extend(DOCUMENTS.map(document));
    }
    all
}

/// Pointers to them, for an answer that is one object.
pub fn from_object(kind: &dyn Kind) -> Value {
    of(kind).into_iter().map(|(name, _)| (name.clone(), refer("links", &name))).collect::<Map<_, _>>().into()
}

/// The link from a list.
pub fn from_list(kind: &dyn Kind) -> Value {
    let operation = format!("get{}", names::singular(kind));
    json!({"first": {"operationId": operation, "description": "Reads the first item.",
        "parameters": {"path.key": "$response.body#/items/0/id"}}})
}

const ID: &str = "$response.body#/id";

fn by_id() -> Value {
    json!({"path.key": ID})
}

fn link(kind: &dyn Kind, operation: String, about: &str, parameters: Value) -> (String, Value) {
    let name = names::singular(kind);
    let name = if operation.ends_with(&name) { operation.clone() } else { format!("{operation}Of{name}") };
    (name, json!({"operationId": operation, "description": about, "parameters": parameters}))
}
