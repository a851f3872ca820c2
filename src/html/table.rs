//! Objects as a table: which columns it has, and what stands in it.

use serde_json::Value;

use crate::column::Column;
use crate::html::cell::Cell;
use crate::html::labels;
use crate::html::names::Names;
use crate::kind::{self, Kind};
use crate::refs;
use crate::value_type::Type;

/// A table.
pub struct Table {
    /// What it shows, for those who cannot see it.
    pub caption: String,
    /// The headings.
    pub heads: Vec<Head>,
    /// The objects.
    pub rows: Vec<Row>,
}

/// A heading.
pub struct Head {
    /// The name of its column.
    pub name: &'static str,
    /// What it says.
    pub label: String,
    /// `number` for a column of numbers.
    pub class: &'static str,
    /// Whether the table can be ordered by it.
    pub sortable: bool,
    /// `ascending`, `descending`, or nothing.
    pub order: &'static str,
    /// The same table ordered by it; nothing where order is fixed.
    pub href: String,
}

/// An object. Its first cell leads to it.
pub struct Row {
    /// What it holds.
    pub cells: Vec<Cell>,
}

/// How many columns a list shows unless the person says.
const WIDE: usize = 8;
/// How many columns a table has that is only a part of a page.
pub const NARROW: usize = 6;

/// The columns of a list: the primary one, and those that say most about the objects, in their order.
#[must_use]
pub fn default_columns(kind: &dyn Kind) -> Vec<&'static Column> {
    let primary = labels::primary(kind);
    let telling = |column: &&'static Column| {
        let of_the_record =
            matches!(column.name, "id" | "created_at" | "updated_at" | "generation" | "desired_generation");
        let is_long = matches!(column.ty, Type::Uuid | Type::Json | Type::Lines(_));
        column.name != primary.name && !of_the_record && !is_long
    };
    let mut others: Vec<&Column> = kind.columns().iter().filter(telling).collect();
    // What every object has, then what it has to do with others.
    let tells = |column: &Column| column.required && (column.writable || column.is_derived());
    others.sort_by_key(|column| (!tells(column), column.any_target().is_none()));
    others.truncate(WIDE - 1);
    let in_order = kind.columns().iter().filter(|column| others.iter().any(|other| other.name == column.name));
    let mut columns: Vec<&Column> = std::iter::once(primary).chain(in_order).collect();
    if columns.len() < 3 {
        columns.extend(kind.columns().iter().filter(|column| matches!(column.name, "created_at" | "updated_at")));
    }
    columns
}

/// The columns of a table of objects that are related by one column, which is the same for all.
#[must_use]
pub fn related_columns(kind: &dyn Kind, by: &str) -> Vec<&'static Column> {
    let mut columns = default_columns(kind);
    let primary = labels::primary(kind).name;
    columns.retain(|column| column.name != by || column.name == primary);
    columns
}

/// The columns that a person asked for; the primary one is always there, for it leads to the object.
#[must_use]
pub fn chosen_columns(kind: &dyn Kind, fields: &[&'static str]) -> Vec<&'static Column> {
    if fields.is_empty() {
        return default_columns(kind);
    }
    let primary = labels::primary(kind);
    let others = kind.columns().iter().filter(|column| column.name != primary.name && fields.contains(&column.name));
    std::iter::once(primary).chain(others).collect()
}

impl Table {
    /// Of objects whose references are shown as such.
    pub fn new(kind: &dyn Kind, columns: &[&'static Column], items: &[Value], names: &Names) -> Self {
        let head = |column: &&'static Column| Head {
            name: column.name,
            label: labels::column(column),
            class: if matches!(column.ty, Type::Int | Type::Float) { "number" } else { "" },
            // By a reference it would be ordered by ids, which mean nothing to people.
            sortable: column.is_stored() && column.ty.is_sortable() && !matches!(column.ty, Type::Ref(_)),
            order: "",
            href: String::new(),
        };
        Self {
            caption: labels::capitalized(&labels::plural(kind)),
            heads: columns.iter().map(head).collect(),
            rows: items.iter().map(|item| row(kind, columns, item, names)).collect(),
        }
    }
}

fn row(kind: &dyn Kind, columns: &[&'static Column], item: &Value, names: &Names) -> Row {
    let mut cells: Vec<Cell> = columns.iter().map(|column| Cell::brief(column, &item[column.name], names)).collect();
    if let Some(part) = cells.first_mut().and_then(|cell| cell.parts.first_mut()) {
        part.href = Some(refs::href(kind, kind::id(item)));
    }
    Row { cells }
}
