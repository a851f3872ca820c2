//! What can be said in the shell, told from the registry: `help()`, `help(vms)`, `ls()`. It knows kinds, and no object.

use super::table::Look;
use super::value;
use crate::column::Column;
use crate::kind::Kind;
use crate::resources;
use crate::value_type::Type;

/// What a collection can be asked: how that is written, and what it means. Those that change nothing come first.
const METHODS: &[(&str, &str, &str)] = &[
    ("list", "list(#{…})", "a page of objects: filters, sort, limit, fields, embed, q, as in the API"),
    ("all", "all(#{…})", "all of them, page after page"),
    ("count", "count(#{…})", "how many there are"),
    ("find", "find(key, #{…})", "one, by id, natural key, or (where the key is a UUID) name; fields, embed"),
    ("create", "create(#{…})", "make a new one"),
    ("update", "update(key, #{…})", "change some fields"),
    ("replace", "replace(key, #{…})", "change all fields, or make it"),
    ("delete", "delete(key)", "remove it, and what belongs to it"),
];

/// How many of them change nothing.
const READING: usize = 4;

/// What this collection can be asked.
pub fn methods(kind: &dyn Kind) -> &'static [(&'static str, &'static str, &'static str)] {
    if kind.is_read_only() { &METHODS[..READING] } else { METHODS }
}

/// What an object can be asked.
pub const ON_OBJECTS: &[(&str, &str, &str)] = &[
    ("update", "update(#{…})", "change some fields; the object as it then is"),
    ("delete", "delete()", "remove it"),
    ("load", "load()", "the whole object as it is now"),
];

/// What can be said by itself: as words at the prompt, as functions everywhere.
pub const WORDS: &[(&str, &str, &str)] = &[
    ("help", "help vms", "what a collection has, and can be asked"),
    ("ls", "ls vms", "the collections, or the first objects of one"),
    ("show", "show x", "a value, an object with all its fields"),
    ("json", "json(x)", "the same as text in JSON"),
    ("changes", "changes", "what a commit would do"),
    ("commit", "commit \"why\"", "make the changes, after a question"),
    ("rollback", "rollback", "forget the changes"),
    ("exit", "exit", "leave"),
];

/// What there is to say.
pub fn overview(look: Look) -> String {
    let collections: Vec<_> = resources::readable().map(value::name).collect();
    format!(
        "Collections: {}\n\nOf a collection, such as vms:\n{}\nOf an object, such as x = vms.find(\"web-1\"):\n{}\n\
         Besides:\n{}\nThe language is Rhai: let x = 1; if, for, fn, #{{a: 1}}, [1, 2], |x| x.cores > 2.\n",
        collections.join(" "),
        lines(look, METHODS),
        lines(look, ON_OBJECTS),
        lines(look, WORDS),
    )
}

fn lines(look: Look, of: &[(&str, &str, &str)]) -> String {
    look.table(None, of.iter().map(|(_, usage, about)| vec![(*usage).to_owned(), (*about).to_owned()]).collect())
}

/// What a collection has, and can be asked.
pub fn of(look: Look, kind: &dyn Kind) -> String {
    let called = value::name(kind);
    let row = |column: &Column| {
        let set = match (kind.is_read_only() || !column.writable, column.required) {
            (true, _) => "server",
            (false, true) => "required",
            (false, false) => "",
        };
        [column.name.to_owned(), type_of(column), set.to_owned(), column.about.to_owned()].to_vec()
    };
    let header = ["field", "type", "set by", "about"].map(str::to_owned).to_vec();
    let fields = look.table(Some(header), kind.columns().iter().map(row).collect());
    let usage = methods(kind).iter().map(|(_, usage, _)| format!("{called}.{usage}")).collect::<Vec<_>>().join("  ");
    let example = kind.example().split_whitespace().collect::<Vec<_>>().join(" ");
    let example =
        if kind.is_read_only() { String::new() } else { format!("\nFor example: {called}.create(#{example})\n") };
    format!("{called}: {}\nNatural key: {}\n\n{fields}\n{usage}\n{example}", kind.about(), kind.key().join("/"))
}

/// The collections, a line each.
pub fn collections(look: Look) -> String {
    let row = |kind: &'static dyn Kind| vec![value::name(kind), kind.about().to_owned()];
    look.table(None, resources::readable().map(row).collect())
}

/// What a column holds, in words.
fn type_of(column: &Column) -> String {
    let range = match column.range {
        Some((low, i64::MAX)) => format!(", from {low}"),
        Some((low, high)) => format!(", {low} to {high}"),
        None => String::new(),
    };
    let ty = match column.ty {
        Type::Int if column.holds_bytes() => "bytes".to_owned(),
        Type::Int => "whole number".to_owned(),
        Type::Float => "number".to_owned(),
        Type::Bool => "true | false".to_owned(),
        Type::Text | Type::Word(_) => "text".to_owned(),
        Type::Lines(_) => "lines of text".to_owned(),
        Type::Labels => "list of labels".to_owned(),
        Type::Name => "name".to_owned(),
        Type::Fqdn => "host name".to_owned(),
        Type::Path => "path".to_owned(),
        Type::Url => "address of the web".to_owned(),
        Type::Choice(words) => words.join(" | "),
        Type::Time => "time".to_owned(),
        Type::Ip => "IP address".to_owned(),
        Type::Inet => "IP address/length".to_owned(),
        Type::Cidr => "network".to_owned(),
        Type::Mac => "MAC address".to_owned(),
        Type::Uuid => "UUID".to_owned(),
        Type::Json => "object".to_owned(),
        Type::Ref(kind) => format!("one of {}", value::name(kind)),
        Type::Many(link) => format!("list of {}", value::name(link.kind)),
        Type::Owned(owned) => format!("list of {}", value::name(owned.kind)),
    };
    format!("{ty}{range}")
}
