//! One value as people read it: sizes with units, times without letters, references as links. It knows columns and
//! values, and no page.

use serde_json::Value;

use crate::byte_size;
use crate::column::{Column, text};
use crate::html::labels;
use crate::html::names::Names;
use crate::kind::Kind;
use crate::value_type::Type;

/// A value, ready for a template.
pub struct Cell {
    /// The heading of its column.
    pub label: String,
    /// How it is set: `number`, `mono`, `state`, `json` or nothing.
    pub class: &'static str,
    /// One part for a plain value, one for each reference of a list.
    pub parts: Vec<Part>,
    /// How many parts are left out.
    pub more: usize,
}

/// A text that may lead somewhere.
pub struct Part {
    /// What is shown.
    pub text: String,
    /// Where it leads.
    pub href: Option<String>,
    /// What it is exactly, if the text is not.
    pub exact: String,
}

/// How many references a table shows of a list.
const MAX_PARTS: usize = 3;

impl Cell {
    /// A value as it is shown on a page of its own.
    pub fn whole(column: &Column, value: &Value, names: &Names) -> Self {
        let parts = match (column.any_target(), value) {
            (_, Value::Null) => vec![],
            (Some(target), Value::Array(references)) => {
                references.iter().map(|reference| Part::reference(target, reference, names)).collect()
            }
            (Some(target), reference) => vec![Part::reference(target, reference, names)],
            _ => vec![Part::plain(column, value)],
        };
        Self { label: labels::column(column), class: class(column), parts, more: 0 }
    }

    /// A value in a table.
    pub fn brief(column: &Column, value: &Value, names: &Names) -> Self {
        let mut cell = Self::whole(column, value, names);
        cell.more = cell.parts.len().saturating_sub(MAX_PARTS);
        cell.parts.truncate(MAX_PARTS);
        cell
    }
}

impl Part {
    /// A time, as the API writes it.
    pub fn time(time: &str) -> Self {
        Self { text: moment(time), href: None, exact: time.to_owned() }
    }

    fn plain(column: &Column, value: &Value) -> Self {
        let (text, exact) = match (column.ty, value) {
            (Type::Int, Value::Number(number)) if column.holds_bytes() => {
                let bytes = number.as_i64().unwrap_or_default();
                (byte_size::short(bytes), format!("{} bytes", grouped(bytes)))
            }
            (Type::Time, Value::String(time)) => return Self::time(time),
            (Type::Json, _) => (serde_json::to_string_pretty(value).unwrap_or_default(), String::new()),
            _ => (text(value), String::new()),
        };
        Self { text, href: None, exact }
    }

    fn reference(target: &dyn Kind, reference: &Value, names: &Names) -> Self {
        let key = text(reference);
        let name = reference["id"].as_i64().and_then(|id| names.of(target, id));
        let (text, exact) = match name {
            Some(name) => (name.to_owned(), key),
            None => (key, String::new()),
        };
        Self { text, href: reference["href"].as_str().map(str::to_owned), exact }
    }
}

fn class(column: &Column) -> &'static str {
    match column.ty {
        Type::Int | Type::Float => "number",
        Type::Json | Type::Lines(_) => "json",
        Type::Ref(_) if column.name == "state" => "state",
        Type::Choice(_) if column.name == "status" => "state",
        Type::Ref(kind) | Type::Owned(&crate::value_type::Owned { kind, .. }) if is_machine(labels::primary(kind)) => {
            "mono"
        }
        Type::Many(_) => "list",
        _ if is_machine(column) => "mono",
        _ => "",
    }
}

/// Whether people compare it letter by letter.
fn is_machine(column: &Column) -> bool {
    matches!(column.ty, Type::Ip | Type::Inet | Type::Cidr | Type::Mac | Type::Uuid | Type::Path)
}

/// `2026-12-01 02:00:00 UTC`
fn moment(time: &str) -> String {
    let parsed = chrono::DateTime::parse_from_rfc3339(time).map(|time| time.to_utc().format("%Y-%m-%d %H:%M:%S UTC"));
    parsed.map_or_else(|_| time.to_owned(), |time| time.to_string())
}

/// `and 1,204 more`, of those that are left out, if any are.
pub fn more(all: usize, shown: usize) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        more => format!("and {} more", grouped(i64::try_from(more).unwrap_or(i64::MAX))),
    }
}

/// `1,234,567`
#[must_use]
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    format!("{}{}", if number < 0 { "-" } else { "" }, groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_read_well() {
        let names = Names::default();
        let shown = |column: Column, value: Value| {
            let cell = Cell::whole(&column, &value, &names);
            cell.parts.into_iter().map(|part| (part.text, part.exact)).collect::<Vec<_>>()
        };
        let both = |text: &str, exact: &str| vec![(text.to_owned(), exact.to_owned())];
        let ram = Column::new("ram_bytes", Type::Int);
        assert_eq!(shown(ram, json!(68_719_476_736_i64)), both("64 GiB", "68,719,476,736 bytes"));
        assert_eq!(shown(Column::CREATED_AT, json!("2026-12-01T02:00:00.123Z"))[0].0, "2026-12-01 02:00:00 UTC");
        assert_eq!(shown(ram, Value::Null), vec![]);
        assert_eq!(grouped(-1_234_567), "-1,234,567");
        assert_eq!(grouped(12), "12");
    }
}
