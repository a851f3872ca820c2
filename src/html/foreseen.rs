//! What a change would make of the documents of nodes, as a panel above the button that makes it. It knows what was
//! foreseen, and not by whom.

use serde_json::Value;

use crate::column::text;
use crate::consequences::{Consequence, Difference};
use crate::html::cell::more;
use crate::html::layout::{Link, collection};
use crate::resource::Resource;
use crate::resources::Node;

/// How many nodes are shown.
const NODES: usize = 20;
/// How many differences of a node are shown.
const DIFFERENCES: usize = 50;

/// The panel.
pub struct Foreseen {
    /// `2 nodes`, or nothing if no node's document would change.
    pub heading: Option<String>,
    /// The first of them.
    pub nodes: Vec<Changed>,
    /// `and 3 more`
    pub more: String,
}

/// A node whose document would change.
pub struct Changed {
    /// Its page, if it has one now.
    pub node: Link,
    /// What would happen to its document as a whole.
    pub what: &'static str,
    /// The first differences.
    pub rows: Vec<Row>,
    /// `and 3 more`
    pub more: String,
}

/// A value that would be another.
pub struct Row {
    /// Where it is in the document.
    pub path: String,
    /// What it is; empty if it is not there.
    pub before: String,
    /// What it would be.
    pub after: String,
    /// The classes that it concerns.
    pub classes: String,
}

impl Foreseen {
    /// The panel for these.
    pub fn new(consequences: &[Consequence]) -> Self {
        let heading = match consequences.len() {
            0 => None,
            1 => Some("The document of one node would change".to_owned()),
            many => Some(format!("The documents of {many} nodes would change")),
        };
        Self {
            heading,
            nodes: consequences.iter().take(NODES).map(Changed::new).collect(),
            more: more(consequences.len(), NODES),
        }
    }
}

impl Changed {
    fn new(consequence: &Consequence) -> Self {
        let Consequence { node, generation, differences } = consequence;
        let found = differences.as_deref().unwrap_or_default();
        let what = match (generation.before, generation.after) {
            (None, _) => "would begin to have one",
            (_, None) => "would have none any more",
            _ if differences.is_none() => "was not looked at",
            _ if found.is_empty() => "would only get another generation",
            _ => "",
        };
        let href = generation.before.map(|_| format!("{}/{node}", collection(Node::KIND)));
        Self {
            node: Link::new(node, href.unwrap_or_default()),
            what,
            rows: found.iter().take(DIFFERENCES).map(Row::new).collect(),
            more: more(found.len(), DIFFERENCES),
        }
    }
}

impl Row {
    fn new(difference: &Difference) -> Self {
        let shown = |value: &Option<Value>| value.as_ref().map(written).unwrap_or_default();
        Self {
            path: difference.path.clone(),
            before: shown(&difference.before),
            after: shown(&difference.after),
            classes: difference.classes.join(", "),
        }
    }
}

/// A value of a document, where nothing at all is written otherwise than null.
fn written(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => format!("{value:#}"),
        Value::Null => "null".to_owned(),
        _ => text(value),
    }
}
