//! The one way to write: lock, compare with what the client saw, resolve references, validate and write, raise
//! generations, in the caller's transaction. It knows kinds, and no request.

use serde_json::Value;

use crate::auth::Authority;
use crate::column::{Column, text};
use crate::dependents::Fate;
use crate::error::{Error, Result};
use crate::etag::{self, Preconditions};
use crate::leaving::Leaves;
use crate::orders::Order;
use crate::row::Row;
use crate::shown::{Shown, lock_structure};
use crate::work::Work;
use crate::{db::Tx, kind::Kind, leaving, lists, merge, natural_key, orders, refs, resolve, telling};

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
    pub preconditions: Preconditions,
}

/// What became of a change.
pub struct Done {
    /// The id of the object, or of what was the object.
    pub id: i64,
    /// Whether it is new.
    pub created: bool,
}

/// Changes that were applied, and whose documents show them.
pub struct Applied<T> {
    /// What became of them.
    pub done: T,
    /// Whose generations were raised.
    pub shown: Shown,
    /// What is new, also of what came along: kinds and ids.
    pub made: Vec<(&'static dyn Kind, i64)>,
}

/// Applies a list of changes: all of them or, by the caller's roll back, none. An error names its place in the list.
///
/// # Errors
/// What is wrong with a change, or [`Error::Away`].
pub async fn apply(tx: &Tx, changes: Vec<Change>) -> Result<Applied<Vec<Done>>> {
    lock_structure(tx, changes.iter().any(Change::moves)).await?;
    let (mut done, mut work) = (Vec::with_capacity(changes.len()), Work::new(tx));
    for (i, change) in changes.into_iter().enumerate() {
        let one = apply_nested(&mut work, change).await;
        done.push(one.map_err(|error| error.below(&i.to_string()))?);
    }
    let made = work.made();
    Ok(Applied { done, shown: work.finish().await?, made })
}

/// Takes the lock that several changes need, before the first of them: who has it with others could get it alone only
/// when all of those are done, and one of them may wait for the same.
///
/// # Errors
/// [`Error::Away`].
pub async fn lock(tx: &Tx, changes: impl IntoIterator<Item = &Change>) -> Result<()> {
    lock_structure(tx, changes.into_iter().any(Change::moves)).await
}

/// Applies one change.
///
/// # Errors
/// What is wrong with it, or [`Error::Away`].
pub async fn apply_one(tx: &Tx, change: Change) -> Result<Applied<Done>> {
    lock_structure(tx, change.moves()).await?;
    let mut work = Work::new(tx);
    let done = apply_nested(&mut work, change).await?;
    let made = work.made();
    Ok(Applied { done, shown: work.finish().await?, made })
}

/// Applies a change that is part of another one: a referenced or owned object that was given whole.
pub(crate) async fn apply_nested(work: &mut Work<'_>, mut change: Change) -> Result<Done> {
    work.tx.may_write(change.kind)?;
    let before = change.locate(work).await?;
    if !change.preconditions.is_empty() {
        let current = before.as_ref().map(|row| etag::object(change.kind, row));
        change.preconditions.check(current.as_deref())?;
    }
    if change.action == Action::Delete {
        return delete(work, change.kind, &before.ok_or(Error::NotFound)?).await;
    }
    let order = match &before {
        None => change.order(work).await?,
        Some(_) => None,
    };
    change.resolve(work, before.as_ref()).await?;
    change.refuse_fields_of_operators(work, before.as_ref())?;
    telling::check_targets(work.tx, change.kind, before.as_ref(), &change.body)?;
    if let Some(order) = order {
        return orders::fulfil(work, order, change.body).await;
    }
    let (tx, kind, mut body) = (work.tx, change.kind, change.body);
    let Some(before) = before else {
        let lists = lists::take(kind, &mut body)?;
        for column in kind.columns().iter().filter(|column| column.is_made_once()) {
            if body[column.name].is_null() {
                body[column.name] = tx.new_uuid().to_string().into();
            }
        }
        let id = kind.insert(work.tx, body).await?;
        work.is_there(kind, id);
        lists::fill(work, id, lists).await?;
        work.shown.add_later(kind, id);
        work.trail.created(kind, id);
        return Ok(Done { id, created: true });
    };
    let done = Done { id: before.id(), created: false };
    // Nothing to write is nothing for agents to fetch.
    if !merge::changes_nothing(kind, &before, &body) {
        let leaves = kind.leaves().filter(|leaves| leaves.moves(&before, &body));
        let left = tx
            .as_server(async || {
                work.trail.will_update(tx, kind, &before).await?;
                work.shown.add(tx, kind, done.id).await?;
                what_is_left(tx, leaves, done.id).await
            })
            .await?;
        let lists = lists::take(kind, &mut body)?;
        kind.update(work.tx, done.id, body).await?;
        tx.as_server(async || leaving::leave(work, left).await).await?;
        lists::replace(work, done.id, lists).await?;
        work.shown.add_later(kind, done.id);
        work.forget_names();
    }
    Ok(done)
}

async fn delete(work: &mut Work<'_>, kind: &'static dyn Kind, row: &Row) -> Result<Done> {
    let (tx, id) = (work.tx, row.id());
    let fate = tx.as_server(async || Fate::of(tx, kind, id).await).await?;
    fate.refuse_if_used()?;
    for (part, id) in &fate.apart {
        let delete = Change::of(*part, Action::Delete, &id.to_string(), Value::Null);
        Box::pin(apply_nested(work, delete)).await?;
    }
    let left = tx
        .as_server(async || {
            work.trail.will_delete(tx, kind, row, &fate).await?;
            work.shown.add(tx, kind, id).await?;
            what_is_left(tx, kind.leaves(), id).await
        })
        .await?;
    kind.delete(tx, id).await?;
    tx.as_server(async || leaving::leave(work, left).await).await?;
    work.forget_names();
    Ok(Done { id, created: false })
}

async fn what_is_left(tx: &Tx, leaves: Option<&Leaves>, id: i64) -> Result<Vec<Value>> {
    match leaves {
        Some(leaves) => leaves.of(tx, id).await,
        None => Ok(vec![]),
    }
}

/// Whether an object is what is said of it. What the server sets does not count.
pub(crate) async fn is_as_given(
    work: &mut Work<'_>,
    kind: &'static dyn Kind,
    id: i64,
    mut given: Value,
) -> Result<bool> {
    let mut rows = [kind.find(work.tx, &natural_key::condition(kind, &id.to_string())?).await?];
    refs::fill_lists(work.tx, kind, &mut rows).await?;
    let [row] = rows;
    if let Some(fields) = given.as_object_mut() {
        let server = |name: &str| Column::named(kind.columns(), name).is_some_and(|column| !column.writable);
        fields.retain(|name, _| !server(name) && name != "href");
    }
    let mut body = merge::onto(kind, &row, Action::Update, given);
    lists::settle(work.tx, kind, id, &mut body).await?;
    resolve::references(work, kind, &mut body).await?;
    Ok(merge::changes_nothing(kind, &row, &body))
}

impl Change {
    /// A new object.
    pub fn create(kind: &'static dyn Kind, body: Value) -> Self {
        Self { kind, action: Action::Create, key: None, body, preconditions: Preconditions::default() }
    }

    /// Something with the object of this name.
    pub fn of(kind: &'static dyn Kind, action: Action, key: &str, body: Value) -> Self {
        Self { kind, action, key: Some(key.to_owned()), body, preconditions: Preconditions::default() }
    }

    /// Whether it can move something from one node's document to another, or change what many documents show. Then
    /// no other change may be under way: it could show up in a document that neither of the two knew of.
    fn moves(&self) -> bool {
        let refers = |name: &String| Column::named(self.kind.columns(), name).is_some_and(|c| c.any_target().is_some());
        match self.action {
            Action::Delete => false,
            Action::Create => self.kind.is_conditional(),
            Action::Update => {
                self.kind.is_conditional()
                    || self.kind.is_shared()
                    || self.body.as_object().is_some_and(|body| body.keys().any(refers))
            }
            Action::Replace => true,
        }
    }

    /// Locks what is to be changed. A replace of nothing becomes a create.
    async fn locate(&mut self, work: &mut Work<'_>) -> Result<Option<Row>> {
        let Some(key) = &self.key else { return Ok(None) };
        let found = match natural_key::condition(self.kind, key) {
            Ok(condition) => self.kind.lock(work.tx, &condition).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(row) => {
                let mut rows = [row];
                refs::fill_lists(work.tx, self.kind, &mut rows).await?;
                let [row] = rows;
                Ok(Some(row))
            }
            // What a customer sees and may not write.
            Err(Error::NotFound) if self.is_visible(work.tx).await? => Err(Error::Forbidden),
            Err(Error::NotFound) if self.action == Action::Replace && !natural_key::is_id(key) => {
                let fields = natural_key::fields(self.kind, key).ok_or(Error::NotFound)?;
                self.set_key(work, fields).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a customer sees what is to be changed.
    async fn is_visible(&self, tx: &Tx) -> Result<bool> {
        let key = self.key.as_deref().filter(|_| matches!(tx.actor.authority(), Authority::Customer(_)));
        let Some(Ok(condition)) = key.map(|key| natural_key::condition(self.kind, key)) else { return Ok(false) };
        match self.kind.find(tx, &condition).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What a new object is ordered by, if it is: that is taken out of the body, and decides what the body leaves open.
    async fn order(&mut self, work: &mut Work<'_>) -> Result<Option<Order>> {
        let Some(given) = Order::take(self.kind, &mut self.body) else { return Ok(None) };
        Order::read(work, given, &mut self.body).await.map(Some)
    }

    /// A customer leaves to the operators what is theirs to set, or says what is so already.
    fn refuse_fields_of_operators(&self, work: &Work<'_>, before: Option<&Row>) -> Result<()> {
        let set = |column: &&Column| {
            let now = before.map_or(Value::Null, |row| refs::ids_of(column, &row[column.name]));
            !work.tx.may_set(column) && self.body[column.name] != now
        };
        let wrong: Vec<_> =
            self.kind.columns().iter().filter(set).map(|c| (c.name.to_owned(), OPERATORS.into())).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(wrong)) }
    }

    /// The natural key of a new object comes from its address; a body that says otherwise is a mistake.
    async fn set_key(&mut self, work: &mut Work<'_>, fields: Vec<(&'static str, String)>) -> Result<()> {
        let kind = self.kind;
        let body = self.body.as_object_mut().ok_or_else(not_an_object)?;
        for (name, value) in fields {
            let column = Column::named(kind.columns(), name).ok_or(Error::NotFound)?;
            let same = match body.get(name) {
                None => true,
                Some(given) => match column.target() {
                    Some(target) => resolve::same(work, target, given, &value).await?,
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
    async fn resolve(&mut self, work: &mut Work<'_>, before: Option<&Row>) -> Result<()> {
        if !self.body.is_object() {
            return Err(not_an_object());
        }
        if let Some(row) = before {
            self.body = merge::onto(self.kind, row, self.action, self.body.take());
            for column in self.kind.columns().iter().filter(|column| !work.tx.may_set(column)) {
                // A replace by a customer does not clear what the customer cannot set.
                if self.action == Action::Replace && self.body.is_object() && self.body.get(column.name).is_none() {
                    self.body[column.name] = refs::ids_of(column, &row[column.name]);
                }
            }
            lists::settle(work.tx, self.kind, row.id(), &mut self.body).await?;
        }
        resolve::references(work, self.kind, &mut self.body).await
    }
}

const OPERATORS: &str = "is set by the operators of the fleet";

fn not_an_object() -> Error {
    Error::field("", "must be an object")
}
