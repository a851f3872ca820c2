//! What the program asks of a table. No type of diesel appears in the bounds.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use validator::Validate;

use crate::kind::{Kind, Of};
use crate::leaving::Leaves;
use crate::policy::Realm;
use crate::{
    column::Column,
    db::Tx,
    error::{Error, Result},
    query::Query,
    sql::Sql,
};

/// A rule of the database that concerns more than one column, in the words of a person.
pub struct Rule {
    /// The name of the constraint.
    pub constraint: &'static str,
    /// The field to show it at.
    pub field: &'static str,
    /// What is wrong.
    pub detail: &'static str,
}

/// What can be done with an object besides the verbs.
pub struct Action {
    /// The last part of the address that it is posted to.
    pub path: &'static str,
    /// What its button says.
    pub text: &'static str,
    /// What the button sends along: a field, and the column that it is read from.
    pub sends: Option<(&'static str, &'static str)>,
}

/// A table's row as the API shows it. The verbs are usually `crud!`'s.
pub trait Resource: Serialize + Send + Sync + Sized + 'static {
    /// Its collection: `/v1/<NAME>`.
    const NAME: &'static str;
    /// What it is, in a sentence.
    const ABOUT: &'static str;
    /// Its table.
    const TABLE: &'static str;
    /// What it is read from: its table, or a view that knows more than the table keeps.
    const SOURCE: &'static str;
    /// The columns of its natural key: one, or a reference and one more.
    const KEY: &'static [&'static str];
    /// Its columns; the first is the id.
    const COLUMNS: &'static [Column];
    /// A body that creates one in a database that holds only seed rows.
    const EXAMPLE: &'static str;
    /// The nodes and clusters whose document shows row `$1`: a statement that gives `(node_id, cluster_id)`, either of
    /// them null. Empty if there are none.
    const SHOWN_IN: &'static str = "";
    /// Whether many nodes can show one row, so that to change it is to change them all.
    const SHARED: bool = false;
    /// Whether it depends on other objects if one is shown: what writes those must see it, so it is written alone.
    const CONDITIONAL: bool = false;
    /// What stays where one was that is deleted or moves away.
    const LEAVES: Option<&'static Leaves> = None;
    /// The rules of the database that need more words than "is not allowed".
    const RULES: &'static [Rule] = &[];
    /// What can be done with one besides the verbs.
    const ACTIONS: &'static [Action] = &[];
    /// What can be set of one besides its fields, by a form of its own: the last part of the address that it is put to,
    /// and of its form's after `/forms/<kind>`; and what the button says.
    const FORMS: &'static [(&'static str, &'static str)] = &[];
    /// Whether nobody changes it through the API: what is recorded, and not what is wanted.
    const READ_ONLY: bool = false;
    /// What else a request can say that orders one instead of describing it: `orders` makes it.
    const ORDER: &'static [Column] = &[];
    /// Who may write it.
    const REALM: Realm = Realm::Fleet;
    /// This resource with its type forgotten.
    const KIND: &'static dyn Kind = &Of::<Self>::KIND;
    /// What a client may set. A create and a replace parse it from the body, a patch from the merged object.
    type New: DeserializeOwned + Validate + Send + Sync;

    /// Some rows.
    fn list(tx: &Tx, query: &Query) -> impl Future<Output = Result<Vec<Self>>> + Send;
    /// One row.
    fn find(tx: &Tx, key: &Sql) -> impl Future<Output = Result<Self>> + Send;
    /// One row that nobody else changes, or refers to anew, until the transaction ends.
    fn lock(tx: &Tx, key: &Sql) -> impl Future<Output = Result<Self>> + Send;
    /// A new row; its id.
    fn insert(tx: &Tx, new: &Self::New) -> impl Future<Output = Result<i64>> + Send;
    /// New contents of a row.
    fn update(tx: &Tx, id: i64, new: &Self::New) -> impl Future<Output = Result<()>> + Send;
    /// A row less.
    fn delete(tx: &Tx, id: i64) -> impl Future<Output = Result<()>> + Send;
}

/// What a client may set of what is only recorded.
#[derive(Deserialize, Validate)]
pub struct Nothing {}

/// What is said to who wants to change what is only recorded.
#[must_use]
pub fn recorded() -> Error {
    Error::MethodNotAllowed("GET, HEAD".into())
}

/// The statements that every table has, for one table: name those that you do not write yourself. A list reads one row
/// more than it was asked for, so that the caller sees whether more follow. A table that is read from a view is locked
/// by `lock_table`: a view cannot be.
#[macro_export]
macro_rules! crud {
    ($table:ident: $($verb:ident)+) => {
        $crate::crud!($table as $table: $($verb)+);
    };
    ($table:ident as $source:ident: $($verb:ident)+) => {
        const TABLE: &'static str = stringify!($table);
        const SOURCE: &'static str = stringify!($source);
        $($crate::crud!(@$verb $table $source);)+
    };
    (@list $table:ident $source:ident) => {
        async fn list(tx: &Tx, query: &Query) -> Result<Vec<Self>> {
            let rows = $source::table.filter(&query.matching).filter(&query.after).order(&query.order);
            Ok(rows.limit(query.limit + 1).select(Self::as_select()).load(&mut tx.conn()).await?)
        }
    };
    (@find $table:ident $source:ident) => {
        async fn find(tx: &Tx, key: &Sql) -> Result<Self> {
            Ok($source::table.filter(key).select(Self::as_select()).first(&mut tx.conn()).await?)
        }
    };
    (@lock $table:ident $source:ident) => {
        async fn lock(tx: &Tx, key: &Sql) -> Result<Self> {
            Ok($table::table.filter(key).select(Self::as_select()).for_update().get_result(&mut tx.conn()).await?)
        }
    };
    (@lock_table $table:ident $source:ident) => {
        async fn lock(tx: &Tx, key: &Sql) -> Result<Self> {
            let row = $table::table.filter(key).select($table::id).for_update();
            let id: i64 = row.get_result(&mut tx.conn()).await?;
            Ok($source::table.filter($source::id.eq(id)).select(Self::as_select()).first(&mut tx.conn()).await?)
        }
    };
    (@insert $table:ident $source:ident) => {
        async fn insert(tx: &Tx, new: &Self::New) -> Result<i64> {
            let row = diesel::insert_into($table::table).values(new).returning($table::id);
            Ok(row.get_result(&mut tx.conn()).await?)
        }
    };
    (@update $table:ident $source:ident) => {
        async fn update(tx: &Tx, id: i64, new: &Self::New) -> Result<()> {
            let changes = (new, $table::updated_at.eq(diesel::dsl::now));
            let row = diesel::update($table::table.find(id)).set(changes).returning($table::id);
            let _: i64 = row.get_result(&mut tx.conn()).await?;
            Ok(())
        }
    };
    // All but the reading, of what is only recorded.
    (@refuse $table:ident $source:ident) => {
        async fn lock(_: &Tx, _: &Sql) -> Result<Self> {
            Err($crate::resource::recorded())
        }
        async fn insert(_: &Tx, _: &Self::New) -> Result<i64> {
            Err($crate::resource::recorded())
        }
        async fn update(_: &Tx, _: i64, _: &Self::New) -> Result<()> {
            Err($crate::resource::recorded())
        }
        async fn delete(_: &Tx, _: i64) -> Result<()> {
            Err($crate::resource::recorded())
        }
    };
    (@delete $table:ident $source:ident) => {
        async fn delete(tx: &Tx, id: i64) -> Result<()> {
            diesel::delete($table::table.find(id)).execute(&mut tx.conn()).await?;
            Ok(())
        }
    };
}
