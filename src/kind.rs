//! A resource whose type has been forgotten: what HTTP, HTML and OpenAPI hold. Values in, rows out.

use serde_json::Value;
use std::marker::PhantomData;
use validator::Validate;

use crate::{
    column::Column,
    db::Tx,
    error::{Error, Result, segment},
    leaving::Leaves,
    policy::Realm,
    query::Query,
    resource::{Action, Resource, Rule},
    row::Row,
    sql::Sql,
};

/// What can be done with any resource.
#[rocket::async_trait]
pub trait Kind: Send + Sync {
    /// Its collection.
    fn name(&self) -> &'static str;
    /// What it is, in a sentence.
    fn about(&self) -> &'static str;
    /// Its table.
    fn table(&self) -> &'static str;
    /// What it is read from: the table, or a view of it.
    fn source(&self) -> &'static str;
    /// Its columns; the first is the id.
    fn columns(&self) -> &'static [Column];
    /// The columns of its natural key.
    fn key(&self) -> &'static [&'static str];
    /// A body that creates one.
    fn example(&self) -> &'static str;
    /// The statement that tells which nodes and clusters show a row.
    fn shown_in(&self) -> &'static str;
    /// Whether many nodes can show one row.
    fn is_shared(&self) -> bool;
    /// [`Resource::CONDITIONAL`].
    fn is_conditional(&self) -> bool;
    /// What stays where one was that is deleted or moves away.
    fn leaves(&self) -> Option<&'static Leaves>;
    /// What can be done with one besides the verbs.
    fn actions(&self) -> &'static [Action];
    /// The forms that one has besides that for its fields.
    fn forms(&self) -> &'static [(&'static str, &'static str)];
    /// Whether nobody changes it through the API.
    fn is_read_only(&self) -> bool;
    /// [`Resource::ORDER`].
    fn order(&self) -> &'static [Column];
    /// Who may write it.
    fn realm(&self) -> Realm;
    /// The rules of the database that have words of their own.
    fn rules(&self) -> &'static [Rule];

    /// Whether this could be the whole of an object, its references by id.
    ///
    /// # Errors
    /// All that is wrong with it.
    fn check(&self, body: Value) -> Result<()>;

    /// Some rows, and one more if more follow.
    async fn list(&self, tx: &Tx, query: &Query) -> Result<Vec<Row>>;
    /// One row.
    async fn find(&self, tx: &Tx, key: &Sql) -> Result<Row>;
    /// One row that nobody else changes until the transaction ends.
    async fn lock(&self, tx: &Tx, key: &Sql) -> Result<Row>;
    /// A new row; its id.
    async fn insert(&self, tx: &Tx, body: Value) -> Result<i64>;
    /// New contents of a row.
    async fn update(&self, tx: &Tx, id: i64, body: Value) -> Result<()>;
    /// A row less.
    async fn delete(&self, tx: &Tx, id: i64) -> Result<()>;
}

/// The kind of a resource.
pub struct Of<R>(PhantomData<fn() -> R>);

impl<R: Resource> Of<R> {
    /// `&Of::<Node>::KIND` is a `&'static dyn Kind`.
    pub const KIND: Self = Self(PhantomData);
}

#[rocket::async_trait]
impl<R: Resource> Kind for Of<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }
    fn about(&self) -> &'static str {
        R::ABOUT
    }
    fn table(&self) -> &'static str {
        R::TABLE
    }
    fn source(&self) -> &'static str {
        R::SOURCE
    }
    fn columns(&self) -> &'static [Column] {
        R::COLUMNS
    }
    fn key(&self) -> &'static [&'static str] {
        R::KEY
    }
    fn example(&self) -> &'static str {
        R::EXAMPLE
    }
    fn shown_in(&self) -> &'static str {
        R::SHOWN_IN
    }
    fn is_shared(&self) -> bool {
        R::SHARED
    }
    fn is_conditional(&self) -> bool {
        R::CONDITIONAL
    }
    fn leaves(&self) -> Option<&'static Leaves> {
        R::LEAVES
    }
    fn actions(&self) -> &'static [Action] {
        R::ACTIONS
    }
    fn forms(&self) -> &'static [(&'static str, &'static str)] {
        R::FORMS
    }
    fn is_read_only(&self) -> bool {
        R::READ_ONLY
    }
    fn order(&self) -> &'static [Column] {
        R::ORDER
    }
    fn realm(&self) -> Realm {
        R::REALM
    }
    fn rules(&self) -> &'static [Rule] {
        R::RULES
    }
    fn check(&self, body: Value) -> Result<()> {
        parse::<R::New>(R::COLUMNS, body).map(drop)
    }
    async fn list(&self, tx: &Tx, query: &Query) -> Result<Vec<Row>> {
        tx.may_read(self)?;
        R::list(tx, query).await?.iter().map(|row| Row::new(R::COLUMNS, row)).collect()
    }
    async fn find(&self, tx: &Tx, key: &Sql) -> Result<Row> {
        tx.may_read(self)?;
        Row::new(R::COLUMNS, &R::find(tx, key).await?)
    }
    async fn lock(&self, tx: &Tx, key: &Sql) -> Result<Row> {
        Row::new(R::COLUMNS, &R::lock(tx, key).await?)
    }
    async fn insert(&self, tx: &Tx, body: Value) -> Result<i64> {
        R::insert(tx, &parse::<R::New>(R::COLUMNS, body)?).await
    }
    async fn update(&self, tx: &Tx, id: i64, body: Value) -> Result<()> {
        R::update(tx, id, &parse::<R::New>(R::COLUMNS, body)?).await
    }
    async fn delete(&self, tx: &Tx, id: i64) -> Result<()> {
        R::delete(tx, id).await
    }
}

/// The id of an object that is shown.
pub fn id(item: &Value) -> i64 {
    item["id"].as_i64().unwrap_or_default()
}

/// The only way in: known fields of the right type, and valid. All that is wrong is told at once.
fn parse<T: serde::de::DeserializeOwned + Validate>(columns: &'static [Column], body: Value) -> Result<T> {
    let fields = body.as_object().ok_or_else(|| Error::field("", "must be an object"))?;
    let mut wrong: Vec<_> = columns
        .iter()
        .filter(|column| column.writable)
        .filter_map(|column| {
            let value = fields.get(column.name).unwrap_or(&Value::Null);
            column.check(value).err().map(|detail| (column.name.to_owned(), detail))
        })
        .collect();
    wrong.extend(fields.keys().filter_map(|name| match Column::named(columns, name) {
        Some(column) if column.writable => None,
        Some(_) => Some((name.clone(), "is set by the server".to_owned())),
        None => Some((segment(name), "is not known".to_owned())),
    }));
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    let parsed: T = serde_path_to_error::deserialize(body).map_err(|error| {
        let path = error.path().to_string().replace('.', "/");
        Error::field(if path == "/" { "" } else { &path }, error.into_inner().to_string())
    })?;
    parsed.validate()?;
    Ok(parsed)
}
