//! What a body means for an object that is there: what it changes, and what stays. It knows columns, and no database.

use serde_json::{Value, json};

use crate::change::Action;
use crate::column::Column;
use crate::kind::Kind;
use crate::refs;
use crate::row::Row;

/// What a client could have sent to get what it wants now.
pub fn onto(kind: &dyn Kind, row: &Row, action: Action, body: Value) -> Value {
    let body = without_server_fields(kind, row, action, body);
    let mut wanted = if action == Action::Update { merged(writable(kind, row), body) } else { body };
    for column in kind.columns().iter().filter(|column| column.writable) {
        let given = wanted.get(column.name);
        // What the server made, it makes once. A replace has the natural key in its address already.
        let made_once = column.is_made_once() && given.is_none_or(Value::is_null);
        let in_address = action == Action::Replace && kind.key().contains(&column.name) && given.is_none();
        if made_once || in_address {
            wanted[column.name] = refs::ids_of(column, &row[column.name]);
        }
    }
    wanted
}

/// Whether a body, its references resolved, leaves an object as it is.
pub fn changes_nothing(kind: &dyn Kind, row: &Row, body: &Value) -> bool {
    let known = |name: &String| Column::named(kind.columns(), name).is_some_and(|column| column.writable);
    let stays = |column: &Column| {
        let (now, given) = (refs::ids_of(column, &row[column.name]), &body[column.name]);
        let no_list = |value: &Value| value.is_null() || *value == json!([]);
        let both_empty = !column.is_stored() && no_list(&now) && no_list(given);
        now == *given || both_empty || same_value(column, &now, given)
    };
    body.as_object().is_some_and(|fields| fields.keys().all(known))
        && kind.columns().iter().filter(|column| column.writable).all(stays)
}

/// Written in another way: a MAC address in capitals, `1` for `1.0`.
fn same_value(column: &Column, a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => {
            column.ty.canonical(a).is_some_and(|a| Some(a) == column.ty.canonical(b))
        }
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64() && a.is_f64() != b.is_f64(),
        _ => false,
    }
}

/// What a client could have sent to get this row.
fn writable(kind: &dyn Kind, row: &Row) -> Value {
    let columns = kind.columns().iter().filter(|column| column.writable);
    columns.map(|column| (column.name.to_owned(), refs::ids_of(column, &row[column.name]))).collect()
}

/// A client may send back what the server sets. In a patch it must be as it is; a replace is a whole object that was
/// read some time ago, and a generation that has grown since is no reason to refuse it.
fn without_server_fields(kind: &dyn Kind, row: &Row, action: Action, mut body: Value) -> Value {
    let is_left = |column: &Column, value: &Value| {
        column.writable || *value != row[column.name] && (action == Action::Update || column.name == Column::ID.name)
    };
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, value| Column::named(kind.columns(), name).is_none_or(|column| is_left(column, value)));
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
