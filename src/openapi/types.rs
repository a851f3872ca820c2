//! What a column can hold, as JSON Schema: in an answer, in a request, in a filter. The rules are those of
//! `value_type`; a test sends what the schemas forbid to the server.

use serde_json::{Value, json};

use crate::column::Column;
use crate::kind::Kind;
use crate::natural_key;
use crate::openapi::{names, or_null, refer};
use crate::value_type::{LABEL, MAX_LABELS, Owned, Type, Word};

/// A natural key: not all digits, without control characters and slashes, no dot or space at its edges.
const NAME: &str = r"^(?![0-9]+$)(?![.\s])[^/\u0000-\u001f\u007f-\u009f]*[^/\s\u0000-\u001f\u007f-\u009f]$";
const ONE_LINE: &str = r"^[^\u0000-\u001f]+$";
const LINES: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]+$";
const URL: &str = r"^https?://[^/\s\u0000-\u001f\u007f-\u009f][^\s\u0000-\u001f\u007f-\u009f]*$";
const FQDN: &str = "^(?![0-9]+$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$";
const PATH: &str = r"^/[^\u0000-\u001f\u007f-\u009f]*$";
const MAC: &str = "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$";
const NETWORK: &str = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}/([0-9]|[12][0-9]|3[0-2])|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8]))$";

/// A column in an answer.
pub fn answered(column: &Column) -> Value {
    let schema = match column.ty {
        Type::Ref(kind) => shown(kind),
        Type::Many(link) => json!({"type": "array", "items": shown(link.kind)}),
        Type::Owned(owned) => json!({"type": "array", "items": shown(owned.kind)}),
        _ => scalar(column),
    };
    let mut schema = if may_be_null(column) { or_null(schema) } else { schema };
    schema["description"] = column.about.into();
    if !column.writable {
        schema["readOnly"] = true.into();
    }
    schema
}

/// A column in a request.
pub fn requested(column: &Column) -> Value {
    let schema = match column.ty {
        Type::Ref(kind) => given(kind),
        Type::Many(link) => json!({"type": "array", "items": given(link.kind)}),
        Type::Owned(owned) => json!({"type": "array", "items": owned_item(owned)}),
        _ => scalar(column),
    };
    let mut schema = if column.required { schema } else { or_null(schema) };
    schema["description"] = column.about.into();
    schema
}

/// A column in a form, as text.
pub fn typed(column: &Column) -> Value {
    let (mut schema, how) = match column.ty {
        Type::Ref(_) => (json!({"type": "string"}), " An id or a natural key."),
        Type::Many(_) | Type::Owned(_) => {
            (json!({"type": "string"}), " Ids or natural keys, one a line, or separated by commas.")
        }
        Type::Labels => (json!({"type": "string"}), " One a line, or separated by commas."),
        Type::Json => (json!({"type": "string", "contentMediaType": "application/json"}), " As JSON."),
        _ if column.required => (scalar(column), ""),
        _ => (json!({"anyOf": [scalar(column), {"type": "string", "maxLength": 0}]}), ""),
    };
    schema["description"] = format!("{}{how}", column.about).into();
    schema
}

/// A reference in a request as it came out in an answer: nothing but the id counts.
pub fn as_it_came_out() -> Value {
    json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer", "format": "int64"}},
        "additionalProperties": true, "description": "As it came out."})
}

/// A value in a filter: looser than in a request, for what cannot be stored can still be asked for.
pub fn compared(ty: Type) -> Value {
    match ty {
        Type::Int => json!({"type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX}),
        Type::Float => json!({"type": "number", "format": "double"}),
        Type::Time | Type::Ip | Type::Cidr | Type::Mac | Type::Uuid => plain(ty),
        Type::Inet => {
            json!({"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}, plain(ty)]})
        }
        _ => json!({"type": "string"}),
    }
}

/// Lists are never null, and neither is what the server itself sets.
fn may_be_null(column: &Column) -> bool {
    column.is_stored() && !column.required && !column.ty.is_list()
}

fn scalar(column: &Column) -> Value {
    let mut schema = plain(column.ty);
    if let Some((low, high)) = column.range {
        schema["minimum"] = low.into();
        schema["maximum"] = high.into();
    }
    schema
}

fn plain(ty: Type) -> Value {
    match ty {
        Type::Int => json!({"type": "integer", "format": "int64"}),
        Type::Float => json!({"type": "number", "format": "double"}),
        Type::Bool => json!({"type": "boolean"}),
        Type::Text => json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": ONE_LINE}),
        Type::Lines(most) => json!({"type": "string", "minLength": 1, "maxLength": most, "pattern": LINES}),
        Type::Labels => {
            let label = json!({"type": "string", "pattern": LABEL});
            json!({"type": "array", "items": label, "maxItems": MAX_LABELS, "uniqueItems": true})
        }
        Type::Name => json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": NAME}),
        Type::Fqdn => json!({"type": "string", "maxLength": 253, "pattern": FQDN, "example": "hv01.example.com"}),
        Type::Word(word) => json!({"type": "string", "maxLength": word.max, "pattern": pattern(word)}),
        Type::Path => json!({"type": "string", "maxLength": 4096, "pattern": PATH}),
        Type::Url => json!({"type": "string", "maxLength": 2048, "pattern": URL}),
        Type::Choice(words) => json!({"type": "string", "enum": words}),
        Type::Time => json!({"type": "string", "format": "date-time"}),
        Type::Ip => {
            json!({"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]})
        }
        Type::Inet => json!({"type": "string", "pattern": NETWORK, "examples": ["192.0.2.10/24", "2001:db8::10/64"]}),
        Type::Cidr => json!({"type": "string", "pattern": NETWORK, "examples": ["192.0.2.0/24", "2001:db8::/64"]}),
        Type::Mac => json!({"type": "string", "pattern": MAC, "examples": ["52:54:00:12:34:56"]}),
        Type::Uuid => json!({"type": "string", "format": "uuid"}),
        Type::Json => json!({"type": "object"}),
        // An id or a natural key.
        Type::Ref(_) | Type::Many(_) | Type::Owned(_) => json!({"type": "string"}),
    }
}

/// The rule of a word as a regular expression.
fn pattern(word: &Word) -> String {
    // Inside brackets a hyphen stands last, and nothing else that is allowed there has a meaning.
    let (hyphen, others): (Vec<char>, Vec<char>) = word.punctuation.chars().partition(|c| *c == '-');
    let letters = if word.capitals { "A-Za-z0-9" } else { "a-z0-9" };
    let any: String = letters.chars().chain(others).chain(hyphen).collect();
    match word.prefix {
        "" => {
            let first = if word.punctuation.contains('_') { "_" } else { "" };
            format!("^[{letters}{first}][{any}]*$")
        }
        prefix => format!("^{prefix}[{any}]+$"),
    }
}

/// A reference as it comes out, or the object itself where it was asked for with `embed`.
fn shown(kind: &dyn Kind) -> Value {
    let name = names::singular(kind);
    json!({"anyOf": [refer("schemas", &format!("{name}Reference")), refer("schemas", &name)]})
}

/// A reference as a client may give it.
fn given(kind: &dyn Kind) -> Value {
    refer("schemas", &format!("{}ReferenceInput", names::singular(kind)))
}

/// An object that belongs to the one whose list this is, which therefore need not be named.
fn owned_item(owned: &Owned) -> Value {
    let columns = owned.kind.columns().iter().filter(|column| column.writable && column.name != owned.owner);
    let properties: serde_json::Map<String, Value> =
        columns.clone().map(|column| (column.name.to_owned(), requested(column))).collect();
    let required: Vec<&str> = columns.filter(|column| column.required).map(|column| column.name).collect();
    let field = natural_key::field(owned.kind);
    json!({"anyOf": [
        {"type": "integer", "format": "int64", "description": "The id of one that it already has."},
        {"type": "string", "description": format!("The natural key (`{field}`) of one that it has or shall have.")},
        as_it_came_out(),
        {"type": "object", "required": required, "properties": properties, "additionalProperties": false,
            "description": "One that it has or shall have, whole."},
    ]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_regular_expression() {
        let plain = Word { punctuation: "_-.", capitals: false, max: 9, prefix: "" };
        assert_eq!(pattern(&plain), "^[a-z0-9_][a-z0-9_.-]*$");
        let path = Word { punctuation: "_./:+-", capitals: true, max: 9, prefix: "/dev/" };
        assert_eq!(pattern(&path), "^/dev/[A-Za-z0-9_./:+-]+$");
    }
}
