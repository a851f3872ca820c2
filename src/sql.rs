//! SQL text with bound values, usable in `filter` and `order` of any table. Identifiers come from the column
//! lists only; every value is bound as text and cast by Postgres, so one code path serves all types.

use std::marker::PhantomData;

use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{Array, Bool, Text};

/// A piece of SQL.
#[derive(Clone, Debug, Default)]
pub struct Sql(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    One(String),
    Many(Vec<String>),
}

impl Sql {
    /// Plain SQL.
    pub fn new(text: impl Into<String>) -> Self {
        Self(vec![Part::Text(text.into())])
    }

    /// More plain SQL.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Text(text.into()));
        self
    }

    /// `$1::int8`
    #[must_use]
    pub fn one(mut self, value: impl Into<String>, sql_type: &str) -> Self {
        self.0.push(Part::One(value.into()));
        self.text(format!("::{sql_type}"))
    }

    /// `ANY($1::int8[])`
    #[must_use]
    pub fn any(self, values: Vec<String>, sql_type: &str) -> Self {
        self.text("ANY(").many(values, sql_type).text(")")
    }

    /// `$1::int8[]`
    #[must_use]
    pub fn many(mut self, values: Vec<String>, sql_type: &str) -> Self {
        self.0.push(Part::Many(values));
        self.text(format!("::{sql_type}[]"))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this stands anywhere in it, values included.
    pub fn holds(&self, character: char) -> bool {
        self.0.iter().any(|part| match part {
            Part::Text(text) | Part::One(text) => text.contains(character),
            Part::Many(texts) => texts.iter().any(|text| text.contains(character)),
        })
    }

    /// Followed by another piece.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl QueryFragment<Pg> for Sql {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => {
                out.push_sql(text);
                Ok(())
            }
            Part::One(value) => out.push_bind_param::<Text, _>(value),
            Part::Many(values) => out.push_bind_param::<Array<Text>, _>(values),
        })
    }
}

// No static id: diesel then keeps prepared statements by their text.
impl QueryId for Sql {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

// As an expression: a condition, or an order.
impl Expression for Sql {
    type SqlType = Bool;
}
impl<T> AppearsOnTable<T> for Sql {}
impl<T> SelectableExpression<T> for Sql {}
impl ValidGrouping<()> for Sql {
    type IsAggregate = is_aggregate::No;
}

/// A whole statement, and the types of the columns that it gives.
#[derive(Clone, Debug)]
pub struct Statement<Columns> {
    sql: Sql,
    columns: PhantomData<fn() -> Columns>,
}

impl<Columns> From<Sql> for Statement<Columns> {
    fn from(sql: Sql) -> Self {
        Self { sql, columns: PhantomData }
    }
}

impl<Columns> QueryFragment<Pg> for Statement<Columns> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.sql.walk_ast(out)
    }
}

impl<Columns> QueryId for Statement<Columns> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Columns> Query for Statement<Columns> {
    type SqlType = Columns;
}

impl<Columns, Conn> diesel::RunQueryDsl<Conn> for Statement<Columns> {}
