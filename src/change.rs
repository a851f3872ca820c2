//! The one way to write: lock, compare with what the client saw, resolve references, validate and write, raise
//! generations, in the caller's transaction. It knows kinds, and no request.

use serde_json::Value;

use crate::column::{Column, text};
use crate::error::{Error, Result};
use crate::shown::{Shown, lock_structure};
use crate::{db::Tx, dependents, etag, kind, kind::Kind, lists, merge, natural_key, refs};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a new object.
    Create,
    /// Merge into what is there (RFC 7396).
    Update,
    /// Replace what is there, or create it.
    Replace,
    /// Remove it, and what belongs to it.
    Delete,
}

/// A wish to change one object.
#[derive(Clone)]
pub struct Change {
    /// What it is.
    pub kind: &'static dyn Kind,
    /// What to do with it.
    pub action: Action,
    /// Its id or natural key; nothing when it is to be created.
    pub key: Option<String>,
    /// What the client sent.
    pub body: Value,
    /// What the client believes to be there.
    pub if_match: Option<String>,
}

/// What became of a change.
pub struct Done {
    /// The object afterwards, as in the table; or the one that was deleted.
    pub row: Value,
    /// Whether it is new.
    pub created: bool,
}

/// Applies a list of changes: all of them or, by the caller's roll back, none. An error names its place in the list.
///
/// # Errors
/// What is wrong with a change, or [`Error::Away`].
pub async fn apply(tx: &Tx, changes: Vec<Change>) -> Result<Vec<Done>> {
    lock_structure(tx, changes.iter().any(Change::moves)).await?;
    let (mut done, mut shown) = (Vec::with_capacity(changes.len()), Shown::default());
    for (i, change) in changes.into_iter().enumerate() {
        let one = change.apply(tx, &mut shown).await;
        done.push(one.map_err(|error| error.below(&i.to_string()))?);
    }
    shown.raise_generations(tx).await?;
    Ok(done)
}

/// Applies one change.
///
/// # Errors
/// What is wrong with it, or [`Error::Away`].
pub async fn apply_one(tx: &Tx, change: Change) -> Result<Done> {
    lock_structure(tx, change.moves()).await?;
    apply_nested(tx, change).await
}

/// Applies a change that is part of another one: a referenced or owned object that was given whole.
pub(crate) async fn apply_nested(tx: &Tx, change: Change) -> Result<Done> {
    let mut shown = Shown::default();
    let done = change.apply(tx, &mut shown).await?;
    shown.raise_generations(tx).await?;
    Ok(done)
}

/// Whether an object is what is said of it. What the server sets does not count.
pub(crate) async fn is_as_given(tx: &Tx, kind: &'static dyn Kind, id: i64, mut given: Value) -> Result<bool> {
    let mut rows = [kind.find(tx, &natural_key::condition(kind, &id.to_string())?).await?];
    refs::fill_lists(tx, kind, &mut rows).await?;
    let [row] = rows;
    if let Some(fields) = given.as_object_mut() {
        let server = |name: &str| Column::named(kind.columns(), name).is_some_and(|column| !column.writable);
        fields.retain(|name, _| !server(name) && name != "href");
    }
    let mut body = merge::onto(kind, &row, Action::Update, given);
    lists::settle(tx, kind, id, &mut body).await?;
    refs::resolve(tx, kind, &mut body).await?;
    Ok(merge::changes_nothing(kind, &row, &body))
}

impl Change {
    async fn apply(mut self, tx: &Tx, shown: &mut Shown) -> Result<Done> {
        let before = self.locate(tx).await?;
        if let Some(expected) = &self.if_match {
            let current = before.as_ref().map(|row| etag::object(self.kind, row));
            etag::check(expected, current.as_deref())?;
        }
        if self.action == Action::Delete {
            return self.delete(tx, before.ok_or(Error::NotFound)?, shown).await;
        }
        self.resolve(tx, before.as_ref()).await?;
        let (kind, body) = (self.kind, self.body);
        let Some(before) = before else {
            let row = write(tx, kind, None, body).await?;
            shown.add_later(kind, kind::id(&row));
            return Ok(Done { row, created: true });
        };
        // Nothing to write is nothing for agents to fetch.
        if merge::changes_nothing(kind, &before, &body) {
            return Ok(Done { row: before, created: false });
        }
        let id = kind::id(&before);
        shown.add(tx, kind, id).await?;
        let row = write(tx, kind, Some(id), body).await?;
        shown.add_later(kind, id);
        Ok(Done { row, created: false })
    }

    /// A new object.
    pub fn create(kind: &'static dyn Kind, body: Value) -> Self {
        Self { kind, action: Action::Create, key: None, body, if_match: None }
    }

    /// Whether it can move something from one node's document to another, or change what many documents show. Then
    /// no other change may be under way: it could show up in a document that neither of the two knew of.
    fn moves(&self) -> bool {
        let refers = |name: &String| Column::named(self.kind.columns(), name).is_some_and(|c| c.any_target().is_some());
        match self.action {
            Action::Create | Action::Delete => false,
            Action::Update => {
                self.kind.is_shared() || self.body.as_object().is_some_and(|body| body.keys().any(refers))
            }
            Action::Replace => true,
        }
    }

    /// Locks what is to be changed. A replace of nothing becomes a create.
    async fn locate(&mut self, tx: &Tx) -> Result<Option<Value>> {
        let Some(key) = &self.key else { return Ok(None) };
        let found = match natural_key::condition(self.kind, key) {
            Ok(condition) => self.kind.lock(tx, &condition).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(row) => {
                let mut rows = [row];
                refs::fill_lists(tx, self.kind, &mut rows).await?;
                let [row] = rows;
                Ok(Some(row))
            }
            Err(Error::NotFound) if self.action == Action::Replace && !natural_key::is_id(key) => {
                let fields = natural_key::fields(self.kind, key).ok_or(Error::NotFound)?;
                self.set_key(tx, fields).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The natural key of a new object comes from its address; a body that says otherwise is a mistake.
    async fn set_key(&mut self, tx: &Tx, fields: Vec<(&'static str, String)>) -> Result<()> {
        let kind = self.kind;
        let body = self.body.as_object_mut().ok_or_else(not_an_object)?;
        for (name, value) in fields {
            let column = Column::named(kind.columns(), name).ok_or(Error::NotFound)?;
            let same = match body.get(name) {
                None => true,
                Some(given) => match column.target() {
                    Some(target) => refs::same(tx, target, given, &value).await?,
                    None => given.is_null() || natural_key::same(column, &text(given), &value),
                },
            };
            if !same {
                return Err(Error::field(name, "differs from the address"));
            }
            body.entry(name).or_insert_with(|| value.into());
        }
        Ok(())
    }

    /// Makes the body what is to be written, with the ids of what it refers to.
    async fn resolve(&mut self, tx: &Tx, before: Option<&Value>) -> Result<()> {
        if !self.body.is_object() {
            return Err(not_an_object());
        }
        if let Some(row) = before {
            self.body = merge::onto(self.kind, row, self.action, self.body.take());
            lists::settle(tx, self.kind, kind::id(row), &mut self.body).await?;
        }
        refs::resolve(tx, self.kind, &mut self.body).await
    }

    async fn delete(self, tx: &Tx, row: Value, shown: &mut Shown) -> Result<Done> {
        let id = kind::id(&row);
        shown.add(tx, self.kind, id).await?;
        dependents::refuse_if_used(tx, self.kind, id).await?;
        self.kind.delete(tx, id).await?;
        Ok(Done { row, created: false })
    }
}

/// Writes a row and its lists; a new one, if it has no id yet.
async fn write(tx: &Tx, kind: &'static dyn Kind, id: Option<i64>, mut body: Value) -> Result<Value> {
    let lists = lists::take(kind, &mut body)?;
    let mut row = match id {
        Some(id) => kind.update(tx, id, body).await?,
        None => kind.insert(tx, body).await?,
    };
    lists::write(tx, kind::id(&row), lists).await?;
    refs::fill_lists(tx, kind, std::slice::from_mut(&mut row)).await?;
    Ok(row)
}

fn not_an_object() -> Error {
    Error::field("", "must be an object")
}
