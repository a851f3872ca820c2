//! What a list may be asked: filters, order, cursor, search, read from the URL against the columns of a kind.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use rocket::http::RawStr;
use serde_json::json;

use crate::column::{Column, text};
use crate::embed::Embed;
use crate::error::{Error, Result};
use crate::row::Row;
use crate::value_type::Type;
use crate::{kind::Kind, natural_key, sql::Sql};

/// How many items a page has unless the client says.
pub const DEFAULT_LIMIT: i64 = 50;
/// How many items a page may have.
pub const MAX_LIMIT: i64 = 1000;

/// A question to a list.
pub struct Query {
    /// For `filter`: what matches.
    pub matching: Sql,
    /// Whether anything narrows the list.
    pub filtered: bool,
    /// Whether that asks for what only the view of a kind knows.
    pub is_of_view: bool,
    /// For `filter`: what comes after the cursor.
    pub after: Sql,
    /// For `order`: total, for it ends with the id.
    pub order: Sql,
    /// How many to show at most.
    pub limit: i64,
    /// Whether the total must be exact, however long that takes.
    pub exact: bool,
    /// The columns to show; empty for all.
    pub fields: Vec<&'static str>,
    /// The related objects to show whole.
    pub embed: Embed,
    /// Columns, and whether descending.
    sort: Vec<(&'static Column, bool)>,
}

impl Query {
    /// Reads the parameters of a list.
    ///
    /// # Errors
    /// [`Error::Parameter`] for what is not understood.
    pub fn parse(kind: &'static dyn Kind, pairs: &[(String, String)]) -> Result<Self> {
        let mut query = Self::all();
        let mut cursor = None;
        for (name, value) in pairs {
            let bad = |detail: String| Error::Parameter(name.clone(), detail);
            match name.as_str() {
                "limit" => {
                    let number = value.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n));
                    query.limit = number.ok_or_else(|| bad(format!("must be between 1 and {MAX_LIMIT}")))?;
                }
                "cursor" => cursor = Some(value),
                "count" if value == "exact" => query.exact = true,
                "count" => return Err(bad("can only be exact".into())),
                "sort" => query.sort = sort(kind, value).map_err(bad)?,
                "q" => query.narrow(search(kind, value).map_err(bad)?),
                _ if query.read_shape(kind, name, value)? => {}
                _ => {
                    let (field, operator) = name.split_once("__").unwrap_or((name, "eq"));
                    let column = Column::named(kind.columns(), field).ok_or_else(|| bad(unknown(kind, field)))?;
                    query.narrow(condition(column, operator, value).map_err(bad)?);
                    query.is_of_view |= column.is_derived();
                }
            }
        }
        query.sort.push((&Column::ID, false));
        query.order = order(&query.sort);
        if let Some(cursor) = cursor {
            query.after = after(&query.sort, cursor)?;
        }
        Ok(query)
    }

    /// Reads filters, which say nothing of how a list is shown.
    ///
    /// # Errors
    /// [`Error::Parameter`] for what is none, or is not understood.
    pub fn filters(kind: &'static dyn Kind, pairs: &[(String, String)]) -> Result<Sql> {
        let shape = |name: &str| ["limit", "cursor", "count", "sort", "fields", "embed"].contains(&name);
        match pairs.iter().find(|(name, _)| shape(name)) {
            Some((name, _)) => Err(Error::Parameter(name.clone(), "is no filter".into())),
            None => Ok(Self::parse(kind, pairs)?.matching),
        }
    }

    /// Reads the parameters of one object: how it is shown.
    ///
    /// # Errors
    /// [`Error::Parameter`] for what is not understood.
    pub fn parse_shape(kind: &'static dyn Kind, pairs: &[(String, String)]) -> Result<Self> {
        let mut query = Self::all();
        for (name, value) in pairs {
            if !query.read_shape(kind, name, value)? {
                return Err(Error::Parameter(name.clone(), "is not known here".into()));
            }
        }
        Ok(query)
    }

    /// Refuses all parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first.
    pub fn none(pairs: &[(String, String)]) -> Result<()> {
        match pairs.first() {
            Some((name, _)) => Err(Error::Parameter(name.clone(), "is not known here".into())),
            None => Ok(()),
        }
    }

    /// `fields` and `embed`.
    fn read_shape(&mut self, kind: &'static dyn Kind, name: &str, value: &str) -> Result<bool> {
        let bad = |detail: String| Error::Parameter(name.to_owned(), detail);
        match name {
            "fields" => {
                for field in value.split(',') {
                    let column = Column::named(kind.columns(), field).ok_or_else(|| bad(unknown(kind, field)))?;
                    self.fields.push(column.name);
                }
            }
            "embed" => self.embed = Embed::parse(kind, value).map_err(bad)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Every object.
    fn all() -> Self {
        Self {
            matching: Sql::new("TRUE"),
            filtered: false,
            is_of_view: false,
            after: Sql::new("TRUE"),
            order: order(&[(&Column::ID, false)]),
            limit: DEFAULT_LIMIT,
            exact: false,
            fields: vec![],
            embed: Embed::default(),
            sort: vec![],
        }
    }

    /// The objects whose column has one of these ids, in a fixed order, `limit` at most.
    pub fn related(column: &Column, ids: Vec<String>, limit: i64) -> Self {
        let matching = Sql::new(format!("{} = ", column.sql_name())).any(ids, "int8");
        Self { matching, filtered: true, limit, ..Self::all() }
    }

    fn narrow(&mut self, condition: Sql) {
        self.matching = std::mem::take(&mut self.matching).text(" AND ").then(condition);
        self.filtered = true;
    }

    /// Those of a list's rows that were asked for, and the cursor that continues after them, if more follow: a list has one
    /// more then.
    pub fn cut(&self, mut rows: Vec<Row>) -> (Vec<Row>, Option<String>) {
        let limit = usize::try_from(self.limit).unwrap_or_default();
        let more = rows.len() > limit;
        rows.truncate(limit);
        let cursor = rows.last().filter(|_| more).map(|last| self.cursor(last));
        (rows, cursor)
    }

    /// Whether a field is to be shown.
    pub fn shows(&self, name: &str) -> bool {
        self.fields.is_empty() || self.fields.contains(&name) || self.embed.0.iter().any(|branch| branch.name == name)
    }

    /// The cursor that continues after this row.
    fn cursor(&self, row: &Row) -> String {
        let value = |column: &Column| Some(&row[column.name]).filter(|v| !v.is_null()).map(text);
        let values: Vec<_> = self.sort.iter().map(|(column, _)| value(column)).collect();
        BASE64.encode(json!([name_of(&self.sort), values]).to_string())
    }
}

/// `a=1&b=2`, percent-encoded UTF-8.
pub fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        let decoded = RawStr::new(&spaced).percent_decode().map(std::borrow::Cow::into_owned);
        decoded.map_err(|_| Error::Malformed(format!("{part:?} is not percent-encoded UTF-8")))
    };
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn unknown(kind: &dyn Kind, field: &str) -> String {
    format!("{} have no field {field:?}", kind.name())
}

fn sort(kind: &'static dyn Kind, value: &str) -> Result<Vec<(&'static Column, bool)>, String> {
    let one = |name: &str| {
        let (field, descending) = name.strip_prefix('-').map_or((name, false), |field| (field, true));
        let column = Column::named(kind.columns(), field).ok_or_else(|| unknown(kind, field))?;
        let sortable = column.is_stored() && column.ty.is_sortable();
        if sortable { Ok((column, descending)) } else { Err(format!("cannot sort by {field:?}")) }
    };
    value.split(',').map(one).collect()
}

/// What a cursor says of its order, for it means nothing in another one.
fn name_of(sort: &[(&Column, bool)]) -> String {
    let names =
        sort.iter().map(|(column, descending)| format!("{}{}", if *descending { "-" } else { "" }, column.name));
    names.collect::<Vec<_>>().join(",")
}

fn order(sort: &[(&Column, bool)]) -> Sql {
    let direction =
        |(c, descending): &(&Column, bool)| c.sql_name() + if *descending { " DESC NULLS LAST" } else { "" };
    Sql::new(sort.iter().map(direction).collect::<Vec<_>>().join(", "))
}

/// `?q=hv`: any text holds it, or it is the natural key.
fn search(kind: &dyn Kind, value: &str) -> Result<Sql, String> {
    if value.is_empty() || value.contains('\0') {
        return Err("must not be empty or hold a NUL".into());
    }
    let texts = kind.columns().iter().filter(|column| column.ty.is_text() && !column.is_derived());
    let mut sql = texts.fold(Sql::new("(FALSE"), |sql, column| sql.text(" OR ").then(contains(column, value)));
    if let Ok(key) = natural_key::condition(kind, value) {
        sql = sql.text(" OR ").then(key);
    }
    Ok(sql.text(")"))
}

/// The operators that a filter by a column of this type can have.
pub fn operators(ty: Type) -> &'static [&'static str] {
    match ty {
        Type::Owned(_) => &[],
        Type::Many(_) | Type::Labels => &["eq", "in"],
        Type::Json | Type::Lines(_) => &["isnull"],
        Type::Ref(_) => &["eq", "ne", "in", "isnull"],
        _ => &["eq", "ne", "lt", "lte", "gt", "gte", "in", "contains", "startswith", "isnull"],
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

fn contains(column: &Column, text: &str) -> Sql {
    Sql::new(format!("{}::text ILIKE ", column.sql_name())).one(format!("%{}%", escaped(text)), "text")
}

/// `fqdn__contains=hv`
fn condition(column: &Column, operator: &str, text: &str) -> Result<Sql, String> {
    let name = column.sql_name();
    let fit = |text: &str| column.ty.canonical(text).ok_or(format!("{text:?} is not such a value"));
    let compare = |sign: &str| Ok(Sql::new(format!("{name} {sign} ")).one(fit(text)?, column.ty.sql_type()));
    match (operator, column.ty) {
        _ if text.contains('\0') => Err("holds a NUL, which Postgres cannot store".into()),
        (_, Type::Many(link)) => listed(link, operator, text),
        (_, Type::Owned(_)) => Err("is a list: filter its own collection".into()),
        // An object has one of these: as Postgres can look it up in an index.
        ("eq", Type::Labels) => Ok(Sql::new(format!("{name} @> ")).many(vec![fit(text)?], "text")),
        ("in", Type::Labels) => {
            let labels = text.split(',').map(fit).collect::<Result<_, _>>()?;
            Ok(Sql::new(format!("{name} && ")).many(labels, "text"))
        }
        ("isnull", ty) if !matches!(ty, Type::Labels) => match text {
            "true" => Ok(Sql::new(format!("{name} IS NULL"))),
            "false" => Ok(Sql::new(format!("{name} IS NOT NULL"))),
            _ => Err("must be true or false".into()),
        },
        ("eq" | "ne" | "in", Type::Ref(kind)) => {
            let found = Sql::new(format!("{name} IN (")).then(ids(kind, operator, text)).text(")");
            Ok(if operator == "ne" { Sql::new("(").then(found).text(") IS NOT TRUE") } else { found })
        }
        (_, Type::Ref(_) | Type::Json | Type::Lines(_) | Type::Labels) => Err(format!("has no operator {operator:?}")),
        ("eq", _) => fit(text).map(|value| natural_key::equals(column, &value)),
        ("ne", _) => {
            fit(text).map(|value| Sql::new("(").then(natural_key::equals(column, &value)).text(") IS NOT TRUE"))
        }
        ("lt", _) => compare("<"),
        ("lte", _) => compare("<="),
        ("gt", _) => compare(">"),
        ("gte", _) => compare(">="),
        ("in", Type::Inet) => {
            let mut values = text.split(',').map(|value| fit(value).map(|value| natural_key::equals(column, &value)));
            values.try_fold(Sql::new("(FALSE"), |sql, value| Ok(sql.text(" OR ").then(value?))).map(|sql| sql.text(")"))
        }
        ("in", _) => {
            let values = text.split(',').map(fit).collect::<Result<_, _>>()?;
            Ok(Sql::new(format!("{name} = ")).any(values, column.ty.sql_type()))
        }
        ("contains", _) => Ok(contains(column, text)),
        ("startswith", _) => Ok(Sql::new(format!("{name}::text LIKE ")).one(format!("{}%", escaped(text)), "text")),
        _ => Err(format!("has no operator {operator:?}")),
    }
}

/// `vlans=customers`: the list holds it.
fn listed(link: &crate::value_type::Link, operator: &str, text: &str) -> Result<Sql, String> {
    if !matches!(operator, "eq" | "in") {
        return Err(format!("has no operator {operator:?}"));
    }
    let holds = Sql::new(format!("id IN (SELECT {} FROM {} WHERE {} IN (", link.own, link.table, link.other));
    Ok(holds.then(ids(link.kind, operator, text)).text("))"))
}

/// `SELECT id FROM …`: the objects with these ids or natural keys. What names nothing matches nothing.
fn ids(kind: &dyn Kind, operator: &str, text: &str) -> Sql {
    let names: Vec<_> = if operator == "in" { text.split(',').collect() } else { vec![text] };
    let found = names.iter().filter_map(|name| natural_key::condition(kind, name).ok());
    let start = Sql::new(format!("SELECT id FROM {} WHERE FALSE", kind.table()));
    found.fold(start, |sql, condition| sql.text(" OR ").then(condition))
}

/// `a > $1 OR a IS NULL OR (a = $1 AND id > $2)`: what follows in an order with nulls last.
fn after(sort: &[(&'static Column, bool)], cursor: &str) -> Result<Sql> {
    let foreign = || Error::Parameter("cursor".into(), "is not of this list".into());
    let bytes = BASE64.decode(cursor).map_err(|_| foreign())?;
    let (order, values): (String, Vec<Option<String>>) = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
    if order != name_of(sort) || values.len() != sort.len() {
        return Err(foreign());
    }
    let fit = |(value, (column, _)): (&Option<String>, &(&Column, bool))| match value {
        Some(value) => column.ty.canonical(value).map(Some).ok_or_else(foreign),
        None if column.name == Column::ID.name => Err(foreign()),
        None => Ok(None),
    };
    let values = values.iter().zip(sort).map(fit).collect::<Result<Vec<_>>>()?;
    let mut sql = Sql::new("(FALSE");
    for (i, (column, descending)) in sort.iter().enumerate() {
        let (name, sign) = (column.sql_name(), if *descending { "<" } else { ">" });
        if let Some(value) = &values[i] {
            sql = sql.text(format!(" OR (({name} {sign} ")).one(value, column.ty.sql_type());
            // The id is never null; to say so would keep Postgres from its index.
            sql = sql.text(if column.name == "id" { ")".into() } else { format!(" OR {name} IS NULL)") });
            for ((column, _), value) in sort.iter().zip(&values).take(i) {
                let and = format!(" AND {} ", column.sql_name());
                sql = match value {
                    Some(value) => sql.text(and + "= ").one(value, column.ty.sql_type()),
                    None => sql.text(and + "IS NULL"),
                };
            }
            sql = sql.text(")");
        }
    }
    Ok(sql.text(")"))
}
