//! What a reference may be: all objects of a small collection, to choose from. Of a large one nothing is read but that
//! it is large.

use futures_util::future::try_join_all;
use std::collections::HashMap;

use crate::column::Column;
use crate::db::Tx;
use crate::directory::{self, Entry};
use crate::error::Result;
use crate::html::widget::Choice;
use crate::kind::Kind;
use crate::value_type::Type;

/// A collection with more objects is not shown to choose from.
const MAX: usize = 200;

/// By collection. One that is missing is too large, or not to be read by whoever asks.
pub struct Options(HashMap<&'static str, Vec<Entry>>);

impl Options {
    /// For the references of a kind: a statement per kind that it refers to.
    ///
    /// # Errors
    /// [`crate::error::Error::Away`].
    pub async fn read(tx: &Tx, kind: &dyn Kind) -> Result<Self> {
        let targets: HashMap<&'static str, &'static dyn Kind> =
            kind.columns().iter().filter_map(chosen_from).map(|target| (target.name(), target)).collect();
        // What somebody may not read is not offered.
        let readable = targets.into_values().filter(|target| tx.may_read(*target).is_ok());
        let read = readable.map(|target| async move {
            let objects = directory::first(tx, target, MAX + 1).await?;
            Ok::<_, crate::error::Error>((target.name(), objects))
        });
        let found = try_join_all(read).await?;
        Ok(Self(found.into_iter().filter(|(_, objects)| objects.len() <= MAX).collect()))
    }

    /// The objects of a small collection; those that are chosen by id or natural key are marked. What is chosen and is
    /// not there stays, so that a person sees what was wrong.
    pub fn choices(&self, kind: &dyn Kind, chosen: &[String]) -> Option<Vec<Choice>> {
        let objects = self.0.get(kind.name())?;
        let named = |object: &Entry, given: &String| *given == object.key || *given == object.id.to_string();
        let mut choices: Vec<Choice> = objects
            .iter()
            .map(|object| Choice {
                value: object.key.clone(),
                text: told(object),
                chosen: chosen.iter().any(|given| named(object, given)),
            })
            .collect();
        let unknown = chosen.iter().filter(|given| !given.is_empty() && !objects.iter().any(|o| named(o, given)));
        choices.extend(unknown.map(|given| Choice { value: given.clone(), text: given.clone(), chosen: true }));
        Some(choices)
    }
}

/// The kind whose objects a column refers to, unless they are the object's own.
pub fn chosen_from(column: &Column) -> Option<&'static dyn Kind> {
    column.any_target().filter(|_| !matches!(column.ty, Type::Owned(_)))
}

fn told(object: &Entry) -> String {
    if object.name == object.key { object.key.clone() } else { format!("{} · {}", object.name, object.key) }
}
