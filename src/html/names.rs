//! The names of objects that are referred to, where the natural key is a UUID that tells people nothing.

use futures_util::future::try_join_all;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

use crate::db::Tx;
use crate::directory;
use crate::error::Result;
use crate::kind::Kind;

/// By collection and id.
#[derive(Default)]
pub struct Names(HashMap<(&'static str, i64), String>);

impl Names {
    /// The names of all that these objects refer to: a statement per kind that has such names.
    ///
    /// # Errors
    /// [`crate::error::Error::Away`].
    pub async fn read(tx: &Tx, kind: &dyn Kind, items: &[Value]) -> Result<Self> {
        let referred = kind.columns().iter().filter_map(|column| {
            let ids = |target| (target, items.iter().flat_map(|item| ids(&item[column.name])).collect());
            column.any_target().map(ids)
        });
        Self::of_objects(tx, referred.collect()).await
    }

    /// The names of the objects with these ids.
    ///
    /// # Errors
    /// [`crate::error::Error::Away`].
    pub async fn of_objects(tx: &Tx, objects: Vec<(&'static dyn Kind, Vec<i64>)>) -> Result<Self> {
        let mut wanted: HashMap<&'static str, (&'static dyn Kind, BTreeSet<i64>)> = HashMap::new();
        for (kind, ids) in objects {
            wanted.entry(kind.name()).or_insert((kind, BTreeSet::new())).1.extend(ids);
        }
        let read = wanted.into_values().map(|(kind, ids)| async move {
            let names = directory::names(tx, kind, ids).await?;
            Ok::<_, crate::error::Error>(names.into_iter().map(|(id, name)| ((kind.name(), id), name)))
        });
        Ok(Self(try_join_all(read).await?.into_iter().flatten().collect()))
    }

    /// The name of an object.
    pub fn of(&self, kind: &dyn Kind, id: i64) -> Option<&str> {
        self.0.get(&(kind.name(), id)).map(String::as_str)
    }
}

fn ids(value: &Value) -> Vec<i64> {
    match value {
        Value::Array(references) => references.iter().filter_map(|reference| reference["id"].as_i64()).collect(),
        reference => reference["id"].as_i64().into_iter().collect(),
    }
}
