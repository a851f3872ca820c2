//! The one way to write: lock, compare with what the client saw, resolve references, validate and write, raise
//! generations, in the caller's transaction. It knows kinds, and no request.

use diesel::sql_types::{BigInt, Nullable};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use serde_json::{Value, json};
use std::collections::BTreeSet;

use crate::column::Column;
use crate::error::{Error, Result};
use crate::sql::{Sql, Statement};
use crate::{db::Tx, dependents, etag, kind, kind::Kind, lists, natural_key, refs};

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

/// The nodes and clusters whose document shows something.
#[derive(Default)]
struct Shown {
    nodes: BTreeSet<i64>,
    clusters: BTreeSet<i64>,
}

/// Applies changes, all of them or, by the caller's roll back, none. An error of one of several names its place.
///
/// # Errors
/// What is wrong with a change, or [`Error::Away`].
pub async fn apply(tx: &Tx, changes: Vec<Change>) -> Result<Vec<Done>> {
    lock_structure(tx, changes.iter().any(Change::moves)).await?;
    let (mut done, mut shown, several) = (Vec::with_capacity(changes.len()), Shown::default(), changes.len() > 1);
    for (i, change) in changes.into_iter().enumerate() {
        let one = apply_one(tx, change, &mut shown).await;
        done.push(one.map_err(|error| if several { error.below(&i.to_string()) } else { error })?);
    }
    raise_generations(tx, &shown).await?;
    Ok(done)
}

/// Applies a change that is part of another one: a referenced or owned object that was given whole.
pub(crate) async fn apply_nested(tx: &Tx, change: Change) -> Result<Value> {
    let mut shown = Shown::default();
    let done = apply_one(tx, change, &mut shown).await?;
    raise_generations(tx, &shown).await?;
    Ok(done.row)
}

async fn apply_one(tx: &Tx, mut change: Change, shown: &mut Shown) -> Result<Done> {
    let before = change.locate(tx).await?;
    if let Some(expected) = &change.if_match {
        let current = before.as_ref().map(|row| etag::object(change.kind, row));
        etag::check(expected, current.as_deref())?;
    }
    if let Some(row) = &before {
        shown.add(tx, change.kind, row).await?;
    }
    let after = change.write(tx, before.as_ref()).await?;
    if let Some(row) = &after {
        shown.add(tx, change.kind, row).await?;
    }
    let created = before.is_none();
    let row = after.or(before).ok_or(Error::NotFound)?;
    Ok(Done { row, created })
}

impl Change {
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
                self.set_key(fields)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The natural key of a new object comes from its address; a body that says otherwise is a mistake.
    fn set_key(&mut self, fields: Vec<(&'static str, String)>) -> Result<()> {
        let body = self.body.as_object_mut().ok_or_else(|| Error::Malformed("the body is not an object".into()))?;
        for (name, value) in fields {
            let column = Column::named(self.kind.columns(), name);
            let given = body.get(name).filter(|given| !given.is_null());
            let same = |given: &Value| match column.and_then(Column::target) {
                Some(target) => given.is_number() || refs::name_of(target, given) == value,
                None => given == value.as_str(),
            };
            if given.is_some_and(|given| !same(given)) {
                return Err(Error::field(name, "differs from the address"));
            }
            body.entry(name).or_insert_with(|| value.into());
        }
        Ok(())
    }

    async fn write(&mut self, tx: &Tx, before: Option<&Value>) -> Result<Option<Value>> {
        let (kind, mut body) = (self.kind, self.body.take());
        if self.action == Action::Delete {
            let row = before.ok_or(Error::NotFound)?;
            dependents::refuse_if_used(tx, kind, kind::id(row)).await?;
            kind.delete(tx, kind::id(row)).await?;
            return Ok(None);
        }
        if !body.is_object() {
            return Err(Error::Malformed("the body is not an object".into()));
        }
        if let Some(row) = before {
            body = without_unchanged(kind, row, body);
            if self.action == Action::Update {
                body = merged(writable(kind, row), body);
            }
        }
        refs::resolve(tx, kind, &mut body).await?;
        let lists = lists::take(kind, &mut body)?;
        let mut row = match before {
            Some(row) => kind.update(tx, kind::id(row), body).await?,
            None => kind.insert(tx, body).await?,
        };
        lists::write(tx, kind::id(&row), lists).await?;
        refs::fill_lists(tx, kind, std::slice::from_mut(&mut row)).await?;
        Ok(Some(row))
    }
}

impl Shown {
    async fn add(&mut self, tx: &Tx, kind: &dyn Kind, row: &Value) -> Result<()> {
        if kind.shown_in().is_empty() {
            return Ok(());
        }
        // The statement names its parameter more than once, and a bound value stands in one place.
        let sql = Sql::new("SELECT shown.* FROM (SELECT ").one(kind::id(row).to_string(), "int8");
        let sql = sql.text(format!(" AS id) AS changed, LATERAL ({}) AS shown", kind.shown_in()));
        let statement: Statement<(Nullable<BigInt>, Nullable<BigInt>)> = sql.into();
        let found: Vec<(Option<i64>, Option<i64>)> = statement.load(&mut tx.conn()).await?;
        self.nodes.extend(found.iter().filter_map(|(node, _)| *node));
        self.clusters.extend(found.iter().filter_map(|(_, cluster)| *cluster));
        Ok(())
    }
}

/// Changes that cannot move anything go on side by side; one that can has the inventory to itself until it is
/// committed. Without this, a VM that moves while it gets an interface would show it in a document of old generation.
async fn lock_structure(tx: &Tx, alone: bool) -> Result<()> {
    let how = if alone { "" } else { "_shared" };
    // Any number that nobody else uses.
    let lock = format!("SELECT pg_advisory_xact_lock{how}(7306)");
    let mut conn = tx.conn();
    Ok(conn.batch_execute(&lock).await?)
}

/// Raises generations. Locked in order, so that two changes never wait for each other.
async fn raise_generations(tx: &Tx, shown: &Shown) -> Result<()> {
    for (table, ids) in [("nodes", &shown.nodes), ("ceph_clusters", &shown.clusters)] {
        if ids.is_empty() {
            continue;
        }
        let ids = ids.iter().map(ToString::to_string).collect();
        let locked = Sql::new(format!("WITH locked AS (SELECT id FROM {table} WHERE id = ")).any(ids, "int8");
        let raise = locked.text(format!(
            " ORDER BY id FOR NO KEY UPDATE) UPDATE {table} SET generation = generation + 1 FROM locked \
             WHERE {table}.id = locked.id"
        ));
        Statement::<BigInt>::from(raise).execute(&mut tx.conn()).await?;
    }
    Ok(())
}

/// What a client could have sent to get this row.
fn writable(kind: &dyn Kind, row: &Value) -> Value {
    let columns = kind.columns().iter().filter(|column| column.writable);
    columns.map(|column| (column.name.to_owned(), refs::ids_of(column, &row[column.name]))).collect()
}

/// A client may send back what the server sets, as long as it has not changed.
fn without_unchanged(kind: &dyn Kind, before: &Value, mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        let server = |name: &str| Column::named(kind.columns(), name).is_some_and(|column| !column.writable);
        fields.retain(|name, value| !server(name) || before.get(name) != Some(value));
    }
    body
}

/// JSON merge patch, RFC 7396. What it removes at the top is then missing.
fn merged(mut target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    if !target.is_object() {
        target = json!({});
    }
    for (name, value) in patch {
        match (target.as_object_mut(), value) {
            (Some(fields), Value::Null) => {
                fields.shift_remove(&name);
            }
            (_, value) => target[&name] = merged(target[&name].take(), value),
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_is_applied_as_the_examples_of_rfc_7396_say() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(merged(target.clone(), patch.clone()), result, "{target} {patch}");
        }
    }
}
