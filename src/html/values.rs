//! The texts in a form: of what is stored, or of what a person typed.

use serde_json::Value;
use std::collections::HashMap;

use crate::byte_size;
use crate::column::{Column, text};
use crate::kind::Kind;
use crate::value_type::Type;

/// By the name of the column; a list has several.
#[derive(Default)]
pub struct Values(HashMap<String, Vec<String>>);

impl Values {
    /// What was typed, or given in an address.
    pub fn typed(kind: &dyn Kind, pairs: &[(String, String)]) -> Self {
        let mut values: HashMap<String, Vec<String>> = HashMap::new();
        for (name, given) in pairs {
            let column = Column::named(kind.columns(), name);
            let of_list = column.is_some_and(|column| column.ty.is_list());
            let texts = values.entry(name.clone()).or_default();
            if of_list {
                texts
                    .extend(given.split(['\n', '\r', ',']).map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned));
            } else {
                texts.push(given.clone());
            }
        }
        Self(values)
    }

    /// What is stored: an object whose references are shown as such.
    pub fn stored(kind: &dyn Kind, item: &Value) -> Self {
        let texts = |column: &Column| match &item[column.name] {
            Value::Null => vec![],
            Value::Array(items) => items.iter().map(text).collect(),
            value => vec![form_text(column, value)],
        };
        Self(kind.columns().iter().map(|column| (column.name.to_owned(), texts(column))).collect())
    }

    /// The texts of a column.
    pub fn of(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether two forms say the same in a column.
    pub fn same(&self, other: &Self, column: &Column) -> bool {
        let meant = |values: &Self| {
            let mut meant: Vec<Value> =
                values.of(column.name).iter().map(|text| meaning(column, text.trim())).collect();
            meant.retain(|value| !value.is_null());
            meant.sort_by_key(ToString::to_string);
            meant
        };
        meant(self) == meant(other)
    }
}

fn meaning(column: &Column, text: &str) -> Value {
    match column.ty {
        Type::Json if !text.is_empty() => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        _ => column.form_value(text),
    }
}

/// A value as a form's text, from which the same value is read.
fn form_text(column: &Column, value: &Value) -> String {
    match (column.ty, value) {
        (Type::Int, Value::Number(number)) if column.holds_bytes() => {
            number.as_i64().map_or_else(|| text(value), byte_size::exact)
        }
        (Type::Json, Value::Object(fields)) if fields.is_empty() => String::new(),
        (Type::Json, _) => serde_json::to_string_pretty(value).unwrap_or_default(),
        // As browsers write it; with fractions they would not take it.
        (Type::Time, Value::String(time)) if !time.contains('.') => time.trim_end_matches('Z').to_owned(),
        _ => text(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources;
    use serde_json::json;

    #[test]
    fn what_is_stored_is_read_back_as_it_was() {
        for (collection, column, value) in [
            ("vms", "ram_bytes", json!(68_719_476_736_i64)),
            ("vms", "ram_bytes", json!(1_000_000_000_001_i64)),
            ("nodes", "parameters", json!({"a": {"b": [1, "2"]}})),
            ("snapshots", "take_at", json!("2026-12-01T02:00:00Z")),
            ("snapshots", "take_at", json!("2026-12-01T02:00:00.123456Z")),
            ("hypervisors", "cpu_overcommit_ratio", json!(1.5)),
        ] {
            let kind = resources::kind(collection).expect("a kind");
            let column = Column::named(kind.columns(), column).expect("a column");
            let read = meaning(column, &form_text(column, &value));
            let time = |value: &Value| value.as_str().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
            assert!(read == value || (time(&read).is_some() && time(&read) == time(&value)), "{value} {read}");
        }
    }
}
