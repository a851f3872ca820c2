//! What could be meant at the cursor: collections and words, what they can be asked, fields in a call of a collection,
//! and, within quotes, what objects are called. It knows kinds and calls; names it is told.

use super::context::{Context, Open, word_at_end};
use super::{help, value};
use crate::column::Column;
use crate::kind::Kind;
use crate::query::operators;
use crate::resources;
use crate::value_type::Type;

/// What could stand there.
pub struct Offer {
    /// Where it begins.
    pub start: usize,
    /// It.
    pub words: Vec<String>,
}

/// Parameters of a list that are no fields.
const SHAPE: [&str; 6] = ["cursor", "embed", "fields", "limit", "q", "sort"];

/// What could be meant at the end of this text. Names of objects that begin with something are asked for.
pub fn offer(text: &str, names: impl Fn(&'static dyn Kind, &str) -> Vec<String>) -> Offer {
    let context = Context::of(text);
    if let Some(start) = context.quoted {
        let words = quoted(&text[..start - 1], &text[start..], &context.open, names);
        return Offer { start, words };
    }
    let word = word_at_end(text);
    let start = text.len() - word.len();
    let before = text[..start].trim_end();
    let mut words: Vec<String> = if let Some(receiver) = before.strip_suffix('.') {
        methods(receiver)
    } else if let Some((kind, method)) = call(text, &context.open).filter(|_| before.ends_with(['{', ','])) {
        fields(kind, method, word)
    } else if context.open.last().is_some_and(|open| open.bracket == '#') && before.ends_with(['{', ',']) {
        vec![]
    } else {
        let collections = resources::readable().map(value::name);
        collections.chain(help::WORDS.iter().map(|(word, ..)| (*word).to_owned())).collect()
    };
    words.retain(|offered| offered.starts_with(word));
    words.sort();
    words.dedup();
    Offer { start, words }
}

/// What is after a dot.
fn methods(receiver: &str) -> Vec<String> {
    let of = match value::kind(word_at_end(receiver)) {
        Some(kind) => help::methods(kind),
        None => help::ON_OBJECTS,
    };
    of.iter().map(|(method, ..)| format!("{method}(")).collect()
}

/// The call of a collection in whose map the cursor is: `vms.list(#{`. The map may be in a list of maps.
fn call<'t>(text: &'t str, open: &[Open]) -> Option<(&'static dyn Kind, &'t str)> {
    let (map, around) = open.split_last()?;
    let outer = around.iter().rposition(|open| open.bracket != '[')?;
    let called = around.get(outer).filter(|open| map.bracket == '#' && open.bracket == '(')?;
    called_at(text, *called)
}

/// What is called whose brackets these are: `vms.list(`.
fn called_at(text: &str, open: Open) -> Option<(&'static dyn Kind, &str)> {
    let before = text.get(..open.inside - 1)?;
    let method = word_at_end(before);
    let receiver = before[..before.len() - method.len()].strip_suffix('.')?;
    Some((value::kind(word_at_end(receiver))?, method))
}

/// What could be a name in a map.
fn fields(kind: &'static dyn Kind, method: &str, word: &str) -> Vec<String> {
    let columns = kind.columns();
    let named = |column: &Column| format!("{}: ", column.name);
    match method {
        "create" | "update" | "replace" => columns.iter().filter(|column| column.writable).map(named).collect(),
        "find" => ["fields: ", "embed: "].map(str::to_owned).to_vec(),
        _ => match word.rsplit_once("__") {
            Some((field, _)) => {
                let operators = Column::named(columns, field).map_or(&[][..], |column| operators(column.ty));
                let worth = operators.iter().filter(|operator| **operator != "eq");
                worth.map(|operator| format!("{field}__{operator}: ")).collect()
            }
            None => columns.iter().map(named).chain(SHAPE.iter().map(|shape| format!("{shape}: "))).collect(),
        },
    }
}

/// What could stand within quotes: what an object is called, or one of the words that a field takes.
fn quoted(
    before: &str,
    beginning: &str,
    open: &[Open],
    names: impl Fn(&'static dyn Kind, &str) -> Vec<String>,
) -> Vec<String> {
    let Some(innermost) = open.last() else { return vec![] };
    // The object that a call is about.
    if innermost.bracket == '(' {
        return match called_at(before, *innermost) {
            Some((kind, "find" | "update" | "replace" | "delete")) if before.trim_end().ends_with('(') => {
                names(kind, beginning)
            }
            _ => vec![],
        };
    }
    // A field, or an item of a list in a field.
    let (open, inside) = match open {
        [rest @ .., last] if last.bracket == '[' => (rest, before.get(..last.inside - 1).unwrap_or_default()),
        all => (all, before),
    };
    let name = inside.trim_end().strip_suffix(':').map(|text| word_at_end(text.trim_end()));
    let Some(((kind, method), name)) = call(before, open).zip(name) else { return vec![] };
    let field = name.split_once("__").map_or(name, |(field, _)| field);
    let begins = |word: &&str| word.starts_with(beginning);
    if matches!(field, "fields" | "sort" | "embed") && !matches!(method, "create" | "update" | "replace") {
        return kind.columns().iter().map(|column| column.name).filter(begins).map(str::to_owned).collect();
    }
    match Column::named(kind.columns(), field) {
        Some(Column { ty: Type::Choice(words), .. }) => {
            words.iter().copied().filter(begins).map(str::to_owned).collect()
        }
        Some(column) => column.any_target().map_or_else(Vec::new, |target| names(target, beginning)),
        None => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(text: &str) -> Vec<String> {
        offer(text, |kind, beginning| vec![format!("{}/{beginning}", kind.name())]).words
    }

    #[test]
    fn collections_methods_and_fields_are_offered() {
        assert_eq!(offered("ceph_o"), ["ceph_osds"]);
        assert_eq!(offered("let x = ceph_m"), ["ceph_mons"]);
        assert_eq!(offered("rollb"), ["rollback"]);
        assert_eq!(offered("vms.co"), ["count("]);
        assert_eq!(offered("audit_events.cr"), [""; 0]);
        assert_eq!(offered("x.up"), ["update("]);
        assert_eq!(offered("vms.create(#{na"), ["name: "]);
        assert_eq!(offered("vms.create(#{name: \"a\", co"), ["cores: "]);
        assert_eq!(offered("vms.update(\"a\", #{ram"), ["ram_bytes: "]);
        assert_eq!(offered("vms.update(\"a\", #{stat"), ["state: "], "what only the server sets is not offered");
        assert_eq!(offered("vms.list(#{stat"), ["state: ", "status: "]);
        assert_eq!(offered("vms.list(#{lim"), ["limit: "]);
        assert_eq!(offered("vms.list(#{cores__g"), ["cores__gt: ", "cores__gte: "]);
        assert_eq!(
            offered("vms.list(#{hypervisor__"),
            ["hypervisor__in: ", "hypervisor__isnull: ", "hypervisor__ne: "]
        );
        assert_eq!(offered("vms.list(#{nothing__"), [""; 0]);
        assert_eq!(offered("for vm in vms.list() { vm.upd"), ["update("]);
        assert_eq!(offered("f(#{na"), [""; 0]);
    }

    #[test]
    fn what_objects_are_called_is_offered_within_quotes() {
        assert_eq!(offered("vms.find(\"we"), ["vms/we"]);
        assert_eq!(offered("vms.update(\"a\", \"b"), [""; 0]);
        assert_eq!(offered("vms.create(#{hypervisor: \"hv"), ["hypervisors/hv"]);
        assert_eq!(offered("vms.list(#{hypervisor__in: [\"a\", \"hv"), ["hypervisors/hv"]);
        assert_eq!(offered("interfaces.create(#{vlans: [\"cu"), ["vlans/cu"]);
        assert_eq!(offered("vms.list(#{sort: \"cor"), ["cores"]);
        assert_eq!(offered("users.create(#{role: \"op"), ["operator"]);
        assert_eq!(offered("print(\"vm"), [""; 0]);
        assert_eq!(offered("\"vm"), [""; 0]);
    }
}
