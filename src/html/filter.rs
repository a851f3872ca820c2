//! The form that narrows a list: its controls, what is narrowed already, and the address that a filled form means.

use crate::column::{Column, text};
use crate::html::layout::Link;
use crate::html::options::Options;
use crate::html::widget::{Choice, Widget};
use crate::html::{address, labels, table};
use crate::kind::Kind;
use crate::query::DEFAULT_LIMIT;
use crate::value_type::Type;

/// The form.
pub struct Filters {
    /// Where it is sent.
    pub action: String,
    /// What is searched for.
    pub search: String,
    /// A control or two for each column.
    pub controls: Vec<Filter>,
    /// The columns to show.
    pub columns: Vec<Choice>,
    /// How many rows to show.
    pub limits: Vec<Choice>,
    /// What the form has no control for, and keeps.
    pub kept: Vec<(String, String)>,
    /// What narrows the list now, each with the list without it.
    pub active: Vec<Link>,
    /// The list without any of it.
    pub clear: String,
}

/// A column.
pub struct Filter {
    /// Its heading.
    pub label: String,
    /// What `for` refers to.
    pub id: String,
    /// One control, or the two ends of a range.
    pub inputs: Vec<Input>,
}

/// A control.
pub struct Input {
    /// Its parameter.
    pub name: String,
    /// What it means, beside the heading.
    pub label: &'static str,
    /// The control.
    pub widget: Widget,
}

/// How many rows can be chosen.
const LIMITS: &[i64] = &[25, 50, 100, 250, 1000];
/// Parameters that narrow nothing.
const SHAPE: &[&str] = &["cursor", "limit", "sort", "fields", "embed", "count"];
/// Operators in the words of people.
const OPERATORS: &[(&str, &str)] = &[
    ("eq", "is"),
    ("ne", "is not"),
    ("lt", "<"),
    ("lte", "≤"),
    ("gt", ">"),
    ("gte", "≥"),
    ("contains", "contains"),
    ("startswith", "starts with"),
    ("in", "is one of"),
];

impl Filters {
    /// The form for a list that was asked for like this.
    pub fn new(kind: &'static dyn Kind, path: &str, pairs: &[(String, String)], options: &Options) -> Self {
        let value = |name: &str| pairs.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str());
        let controls: Vec<Filter> =
            kind.columns().iter().filter_map(|column| Filter::new(column, &value, options)).collect();
        let has_control = |name: &str| {
            matches!(name, "q" | "fields" | "limit" | "cursor")
                || controls.iter().flat_map(|filter| &filter.inputs).any(|input| input.name == name)
        };
        let narrowing = |name: &str| !SHAPE.contains(&name);
        let without = |left_out: &dyn Fn(&str) -> bool| {
            let left: Vec<_> = pairs.iter().filter(|(n, _)| n != "cursor" && !left_out(n)).cloned().collect();
            address(path, &left)
        };
        Self {
            action: format!("/forms/{}/filter", kind.name()),
            search: value("q").to_owned(),
            columns: columns(kind, pairs),
            limits: limits(value("limit")),
            kept: pairs.iter().filter(|(name, _)| !has_control(name)).cloned().collect(),
            active: pairs
                .iter()
                .filter(|(name, _)| narrowing(name))
                .map(|(name, value)| Link::new(told(kind, name, value), without(&|n| n == name)))
                .collect(),
            clear: without(&|name| narrowing(name)),
            controls,
        }
    }
}

impl Filter {
    fn new<'a>(column: &'static Column, value: &impl Fn(&str) -> &'a str, options: &Options) -> Option<Self> {
        let name = column.name;
        let bound = |operator: &str, label| {
            let name = format!("{name}__{operator}");
            Input { widget: Widget::for_bound(column, value(&name)), name, label }
        };
        let inputs = match column.ty {
            _ if matches!(name, "id" | "generation") => return None,
            Type::Json | Type::Lines(_) | Type::Owned(_) => return None,
            Type::Choice(_) | Type::Ref(_) | Type::Many(_) => {
                vec![Input { name: name.into(), label: "", widget: Widget::for_filter(column, value(name), options) }]
            }
            Type::Labels => {
                let attributes = vec![("type", "search".into()), ("placeholder", "one of them".to_owned())];
                let widget = Widget::line(value(name).to_owned(), attributes);
                vec![Input { widget, name: name.into(), label: "" }]
            }
            Type::Int | Type::Float | Type::Time => vec![bound("gte", "from"), bound("lte", "to")],
            _ => {
                let name = format!("{name}__contains");
                let attributes = vec![("type", "search".into()), ("placeholder", "contains…".to_owned())];
                vec![Input { widget: Widget::line(value(&name).to_owned(), attributes), name, label: "" }]
            }
        };
        Some(Self { label: labels::column(column), id: format!("filter-{name}"), inputs })
    }
}

/// All columns; chosen are those that are shown.
fn columns(kind: &'static dyn Kind, pairs: &[(String, String)]) -> Vec<Choice> {
    let fields: Vec<&str> = pairs.iter().filter(|(n, _)| n == "fields").flat_map(|(_, v)| v.split(',')).collect();
    let default = table::default_columns(kind);
    let is_default = |name: &str| default.iter().any(|column| column.name == name);
    let shown = |name: &str| if fields.is_empty() { is_default(name) } else { fields.contains(&name) };
    let choice = |column: &Column| Choice {
        value: column.name.to_owned(),
        text: labels::column(column),
        chosen: shown(column.name),
    };
    kind.columns().iter().map(choice).collect()
}

fn limits(given: &str) -> Vec<Choice> {
    let given = given.parse().unwrap_or(DEFAULT_LIMIT);
    let mut limits: Vec<i64> = LIMITS.to_vec();
    if !limits.contains(&given) {
        limits.push(given);
    }
    limits.iter().map(|limit| Choice::word(&limit.to_string(), *limit == given)).collect()
}

/// `RAM ≥ 64 GiB`
fn told(kind: &dyn Kind, name: &str, value: &str) -> String {
    if name == "q" {
        return format!("“{value}”");
    }
    let (field, operator) = name.split_once("__").unwrap_or((name, "eq"));
    let column = Column::named(kind.columns(), field);
    let label = column.map_or_else(|| field.to_owned(), labels::column);
    if operator == "isnull" {
        return format!("{label} {}", if value == "true" { "is empty" } else { "is set" });
    }
    let bytes = column.filter(|column| column.holds_bytes()).and_then(|_| value.parse().ok());
    let value = bytes.map_or_else(|| value.to_owned(), crate::byte_size::short);
    let words = OPERATORS.iter().find(|(o, _)| *o == operator).map_or(operator, |(_, words)| words);
    format!("{label} {words} {value}")
}

/// What the filled form asks a list for: nothing of what was left empty, sizes in bytes, times with their zone.
#[must_use]
pub fn meaning(kind: &'static dyn Kind, pairs: &[(String, String)]) -> Vec<(String, String)> {
    let mut meant: Vec<(String, String)> = Vec::new();
    for (name, given) in pairs.iter().filter(|(name, given)| !given.trim().is_empty() && name != "fields") {
        let field = name.split_once("__").map_or(name.as_str(), |(field, _)| field);
        let typed = Column::named(kind.columns(), field).filter(|c| c.holds_bytes() || matches!(c.ty, Type::Time));
        let value = typed.map_or_else(|| given.trim().to_owned(), |column| text(&column.form_value(given.trim())));
        if name != "limit" || value != DEFAULT_LIMIT.to_string() {
            meant.push((name.clone(), value));
        }
    }
    let fields: Vec<&str> =
        pairs.iter().filter(|(name, _)| name == "fields").map(|(_, field)| field.as_str()).collect();
    let default: Vec<&str> = table::default_columns(kind).iter().map(|column| column.name).collect();
    let is_default = fields.len() == default.len() && fields.iter().all(|field| default.contains(field));
    if !fields.is_empty() && !is_default {
        meant.push(("fields".into(), fields.join(",")));
    }
    meant
}
