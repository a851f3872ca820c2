//! What a change would make of the documents of nodes, for who wants to know before it is made: the change is made and
//! undone, and each document read as it was meanwhile and as it is. It knows documents as trees, and no request.

use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::policy;
use crate::render::{Document, classes, showing};
use crate::shown::Shown;

/// Of how many nodes the documents are compared. Of the others it is told that they would change.
pub const COMPARED: usize = 100;

/// What names an item of a list, in this order: whoever reads a difference knows it by that, and not by its place.
const NAMES: [&str; 5] = ["uuid", "fqdn", "mac", "name", "device"];

/// What would become of the document of one node.
#[derive(Debug, Serialize)]
pub struct Consequence {
    /// The node's name.
    pub node: String,
    /// Its generation before and after. Whoever has none has no document.
    pub generation: Generations,
    /// What would be other, or nothing if it was not looked at.
    pub differences: Option<Vec<Difference>>,
}

/// Two generations of a document.
#[derive(Debug, Serialize)]
pub struct Generations {
    /// The committed one.
    pub before: Option<i64>,
    /// The one that the change would make.
    pub after: Option<i64>,
}

/// A value of a document that would be another.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where it is: a JSON pointer (RFC 6901) below `virtapi`, but that an item of a list is named by what names it.
    pub path: String,
    /// What it is; nothing if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it would be; nothing if it would not be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// The classes of Puppet that it concerns.
    pub classes: Vec<String>,
}

/// Does some work, undoes it, and tells what it would have made of the documents, to an actor that may know.
///
/// # Errors
/// What the work fails with, or [`Error::Away`].
pub async fn foresee<T>(
    tx: &Tx,
    work: impl AsyncFnOnce(&Tx) -> Result<(T, Shown)>,
) -> Result<(T, Option<Vec<Consequence>>)> {
    if !policy::foresees(&tx.actor) {
        let (done, _) = work(tx).await?;
        return Ok((done, None));
    }
    let (done, shown, after) = tx
        .undo(async |tx| {
            let (done, shown) = work(tx).await?;
            let after = documents(tx, &shown).await?;
            Ok((done, shown, after))
        })
        .await?;
    let before = documents(tx, &shown).await?;
    Ok((done, Some(compare(before, after))))
}

/// The generation of each node whose document shows something, and the documents of the first.
type Documents = BTreeMap<String, (i64, Option<Value>)>;

async fn documents(tx: &Tx, shown: &Shown) -> Result<Documents> {
    let (nodes, clusters): (Vec<_>, Vec<_>) =
        (shown.nodes.iter().copied().collect(), shown.clusters.iter().copied().collect());
    let named: BTreeMap<String, i64> = showing::nodes(tx, &nodes, &clusters).await?.into_iter().collect();
    let mut documents = Documents::new();
    for (place, (name, generation)) in named.into_iter().enumerate() {
        let tree = if place < COMPARED { Some(tree(tx, &name).await?) } else { None };
        documents.insert(name, (generation, tree));
    }
    Ok(documents)
}

/// A document without what says of which version it is.
async fn tree(tx: &Tx, name: &str) -> Result<Value> {
    let Document { mut tree, .. } = Document::read(tx, name).await?;
    let fields = tree.as_object_mut().ok_or_else(|| Error::Internal("a document is no object".into()))?;
    fields.remove("meta");
    Ok(tree)
}

fn compare(mut before: Documents, mut after: Documents) -> Vec<Consequence> {
    let names: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
    let one = |node: String| {
        let (before, after) = (before.remove(&node), after.remove(&node));
        let generation =
            Generations { before: before.as_ref().map(|(g, _)| *g), after: after.as_ref().map(|(g, _)| *g) };
        let nothing = Value::Object(serde_json::Map::new());
        let tree = |document: Option<(i64, Option<Value>)>| document.map_or(Some(nothing.clone()), |(_, tree)| tree);
        let differences = match (tree(before), tree(after)) {
            (Some(before), Some(after)) => Some(differences(&before, &after)),
            _ => None,
        };
        Consequence { node, generation, differences }
    };
    names.into_iter().map(one).collect()
}

/// What is other in a document.
fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = vec![];
    differ("", Some(before), Some(after), &mut found);
    for difference in &mut found {
        difference.classes = classes::concerned(&difference.path, [before, after]);
    }
    found
}

fn differ(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    let Some((old, new)) = before.zip(after).and_then(|(before, after)| members(before, after)) else {
        let (before, after) = (before.cloned(), after.cloned());
        found.push(Difference { path: path.to_owned(), before, after, classes: vec![] });
        return;
    };
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    for name in names {
        let step = name.replace('~', "~0").replace('/', "~1");
        differ(&format!("{path}/{step}"), old.get(name).copied(), new.get(name).copied(), found);
    }
}

type Members<'v> = BTreeMap<&'v str, &'v Value>;

/// The fields of two objects, or the items of two lists by name, if each item has one of its own.
fn members<'v>(before: &'v Value, after: &'v Value) -> Option<(Members<'v>, Members<'v>)> {
    let fields = |object: &'v serde_json::Map<String, Value>| object.iter().map(|(name, value)| (name.as_str(), value));
    let by = |field: &str, items: &'v [Value]| {
        let named: Members<'v> = items.iter().map(|item| Some((item[field].as_str()?, item))).collect::<Option<_>>()?;
        (named.len() == items.len()).then_some(named)
    };
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => Some((fields(before).collect(), fields(after).collect())),
        (Value::Array(before), Value::Array(after)) => {
            NAMES.iter().find_map(|field| Some((by(field, before)?, by(field, after)?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(before: &Value, after: &Value) -> Vec<(String, Option<Value>, Option<Value>)> {
        let one = |difference: Difference| (difference.path, difference.before, difference.after);
        differences(before, after).into_iter().map(one).collect()
    }

    #[test]
    fn the_items_of_a_list_are_known_by_name() {
        let volume = |uuid: &str, size: i64| json!({"uuid": uuid, "size_bytes": size});
        let tree = |volumes: Vec<Value>| json!({"hypervisor": {"vms": {"a/b~": {"volumes": volumes}}}});
        let (one, two) = (volume("1", 1024), volume("2", 1024));
        assert_eq!(found(&tree(vec![one.clone(), two.clone()]), &tree(vec![two.clone(), one.clone()])), []);
        let gone = found(&tree(vec![one.clone(), two.clone()]), &tree(vec![volume("2", 2048)]));
        let below = "/hypervisor/vms/a~1b~0/volumes";
        assert_eq!(
            gone,
            [
                (format!("{below}/1"), Some(one), None),
                (format!("{below}/2/size_bytes"), Some(json!(1024)), Some(json!(2048)))
            ]
        );
        assert_eq!(found(&tree(vec![]), &tree(vec![two.clone()])), [(format!("{below}/2"), None, Some(two))]);
    }

    #[test]
    fn null_is_a_value_and_what_is_not_there_is_none() {
        let (null, none) = (json!({"a": null}), json!({}));
        assert_eq!(found(&null, &json!({"a": 1})), [("/a".into(), Some(Value::Null), Some(json!(1)))]);
        assert_eq!(found(&null, &none), [("/a".into(), Some(Value::Null), None)]);
    }

    #[test]
    fn a_list_of_plain_values_is_one_value() {
        let tree = |roles: &[&str]| json!({"roles": roles});
        let expected = ("/roles".into(), Some(json!(["a", "b"])), Some(json!(["b"])));
        assert_eq!(found(&tree(&["a", "b"]), &tree(&["b"])), [expected]);
        // Two of one name are told apart by nothing.
        let twice = json!([{"name": "a"}, {"name": "a"}]);
        assert_eq!(found(&twice, &json!([])), [(String::new(), Some(twice.clone()), Some(json!([])))]);
    }

    #[test]
    fn who_has_no_document_has_no_generation() {
        let documents = |of: &[(&str, i64, Option<Value>)]| -> Documents {
            of.iter().map(|(name, generation, tree)| ((*name).to_owned(), (*generation, tree.clone()))).collect()
        };
        let tree = json!({"node": {"fqdn": "a"}});
        let before = documents(&[("a", 3, Some(tree.clone())), ("b", 1, None)]);
        let after = documents(&[("b", 2, None), ("c", 1, Some(tree))]);
        let told: Vec<_> = compare(before, after)
            .into_iter()
            .map(|c| (c.node, c.generation.before, c.generation.after, c.differences.map(|found| found.len())))
            .collect();
        assert_eq!(
            told,
            [
                ("a".into(), Some(3), None, Some(1)),
                ("b".into(), Some(1), Some(2), None),
                ("c".into(), None, Some(1), Some(1))
            ]
        );
    }
}
