//! Query parameters and headers: those that all kinds share, and those that follow from the columns of a kind.

use serde_json::{Map, Value, json};
use std::sync::LazyLock;

use crate::column::Column;
use crate::embed::{self, MAX_DEPTH};
use crate::kind::Kind;
use crate::openapi::{names, refer, types};
use crate::query::{DEFAULT_LIMIT, MAX_LIMIT, operators};
use crate::resources;

/// All that operations refer to, by name.
pub fn components() -> Map<String, Value> {
    let mut all = shared();
    all.extend(resources::readable().flat_map(of));
    all.extend(FILTERS.clone());
    all
}

fn shared() -> Map<String, Value> {
    let text = || json!({"type": "string"});
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT});
    let word = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
    let line = json!({"type": "string", "maxLength": 255, "pattern": "^[^\\x00-\\x1f]*$"});
    let flag = json!({"type": "boolean", "default": false});
    let again = "A word of the client's own choice. A request that is sent again with it, within a day, does nothing \
        and gets the first answer again; with other contents it gets a 422.";
    let all = [
        ("query", "limit", "How many items a page has at most.", limit),
        ("query", "cursor", "Continues a list: `links.next` holds it, for the same order and filters.", text()),
        (
            "query",
            "count",
            "Makes `total` exact, however long that takes.",
            json!({"type": "string", "enum": ["exact"]}),
        ),
        (
            "query",
            "q",
            "What some text holds, in any case; or the natural key.",
            json!({"type": "string", "minLength": 1}),
        ),
        (
            "query",
            "dry_run",
            "Does everything but commit, and shows what the result would be; who may change the fleet is also told what would become of the documents of nodes.",
            flag,
        ),
        ("header", "If-Match", "An `ETag`: writes only if the object is still what was read, else 412.", text()),
        (
            "header",
            "If-None-Match",
            "An `ETag`: a read answers 304 if nothing has changed. A write with `*` only creates, else 412.",
            text(),
        ),
        ("header", "Idempotency-Key", again, word),
        ("header", "X-Change-Message", "Why: kept with the change in its history.", line),
    ];
    let parameter = |(place, name, about, schema): (&str, &str, &str, Value)| {
        (name.to_owned(), json!({"name": name, "in": place, "description": about, "schema": schema}))
    };
    all.map(parameter).into_iter().collect()
}

/// The parameters with these names.
pub fn named(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| refer("parameters", name)).collect()
}

/// `{key}`
pub fn key(kind: &dyn Kind) -> Value {
    let key = kind.key().join("`/`");
    json!({"name": "key", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1},
        "description": format!("The id or the natural key (`{key}`).")})
}

/// How objects are shown: `fields` and `embed`.
pub fn shape(kind: &'static dyn Kind) -> Vec<Value> {
    of(kind).iter().map(|(name, _)| refer("parameters", name)).collect()
}

/// The parameters that several operations of a kind have, by name.
fn of(kind: &'static dyn Kind) -> Vec<(String, Value)> {
    let name = names::singular(kind);
    let fields: Vec<&str> = kind.columns().iter().map(|column| column.name).collect();
    let fields =
        several("fields", "Which fields to show; all unless given.", &json!({"type": "string", "enum": fields}));
    let mut all = vec![(format!("{name}Fields"), fields)];
    let relations = relations(kind);
    if !relations.is_empty() {
        let deeper = format!("^({})(\\.[a-z_]+){{1,{}}}$", relations.join("|"), MAX_DEPTH - 1);
        let about = format!(
            "Which related objects to show whole. Relations of theirs follow after a dot, {MAX_DEPTH} steps deep at most."
        );
        let item = json!({"anyOf": [{"type": "string", "enum": relations}, {"type": "string", "pattern": deeper}]});
        all.push((format!("{name}Embed"), several("embed", &about, &item)));
    }
    all
}

fn relations(kind: &'static dyn Kind) -> Vec<String> {
    let own = kind.columns().iter().filter(|column| column.any_target().is_some());
    own.map(|column| column.name.to_owned()).chain(embed::reverse(kind).into_iter().map(|(name, ..)| name)).collect()
}

/// The order of a list.
pub fn sort(kind: &dyn Kind) -> Value {
    let sortable = kind.columns().iter().filter(|column| column.is_stored() && column.ty.is_sortable());
    let orders: Vec<String> =
        sortable.flat_map(|column| [column.name.to_owned(), format!("-{}", column.name)]).collect();
    several(
        "sort",
        "The order, ascending or with `-` descending; last comes the id.",
        &json!({"type": "string", "enum": orders}),
    )
}

/// What narrows a list.
pub fn filters(kind: &dyn Kind) -> Vec<Value> {
    let all = kind.columns().iter().flat_map(of_column);
    all.map(|(name, filter)| if FILTERS.get(&name) == Some(&filter) { refer("parameters", &name) } else { filter })
        .collect()
}

/// The filters of all kinds, by name; of those that differ in spite of their name, the first.
static FILTERS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let mut all = Map::new();
    for (name, filter) in resources::readable().flat_map(Kind::columns).flat_map(of_column) {
        all.entry(name).or_insert(filter);
    }
    all
});

fn of_column(column: &Column) -> Vec<(String, Value)> {
    let named = |operator: &&str| match *operator {
        "eq" => column.name.to_owned(),
        operator => format!("{}__{operator}", column.name),
    };
    operators(column.ty).iter().map(|op| (named(op), filter(column, op, &named(op)))).collect()
}

fn filter(column: &Column, operator: &str, name: &str) -> Value {
    let one = match (operator, column.any_target()) {
        ("isnull", _) => json!({"type": "boolean"}),
        ("contains" | "startswith", _) => json!({"type": "string"}),
        (_, Some(_)) => json!({"type": "string", "description": "An id or a natural key."}),
        _ => types::compared(column.ty),
    };
    match operator {
        "in" => several(name, "One of these.", &one),
        _ => json!({"name": name, "in": "query", "schema": one}),
    }
}

/// A list with commas.
fn several(name: &str, description: &str, item: &Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "style": "form", "explode": false,
        "schema": {"type": "array", "items": item, "minItems": 1}})
}
