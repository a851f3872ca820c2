//! How values look: lists of objects as tables, objects as their fields, everything as JSON. What comes from the
//! database is shown as text, whatever a terminal would make of it. It knows no database and no statement.

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use rhai::Dynamic;
use serde_json::Value;
use std::io::Write;

use super::request::Item;
use super::value::{self, Collection, Objects};
use crate::column::text;

/// How values are shown.
#[derive(Clone, Copy)]
pub struct Look {
    /// As JSON, whatever they are.
    pub json: bool,
    /// How many columns the terminal has, if it is one.
    pub width: Option<u16>,
}

/// What the server keeps for itself, and a table has no room for.
const ASIDE: [&str; 3] = ["created_at", "updated_at", "href"];

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

impl Look {
    /// A value as it is shown, with the end of its line; nothing for nothing.
    pub fn show(self, shown: &Dynamic) -> String {
        if shown.is_unit() {
            return String::new();
        }
        if self.json {
            return json(shown);
        }
        let shown = shown.flatten_clone();
        if let Some(item) = shown.read_lock::<Item>() {
            return self.fields(&item.value);
        }
        if let Some(collection) = shown.read_lock::<Collection>() {
            return plain(&format!("{}: {}\n", value::name(collection.0), collection.0.about()));
        }
        if let Ok(items) = shown.as_array_ref() {
            let objects: Vec<Item> = items.iter().filter_map(|item| Some(item.read_lock::<Item>()?.clone())).collect();
            if !objects.is_empty() && objects.len() == items.len() {
                return self.list(&objects);
            }
            if items.is_empty() {
                return "none\n".into();
            }
            return json(&shown);
        }
        if shown.is_map() {
            return match value::to_value(&shown, Objects::Whole) {
                Ok(fields) => self.fields(&fields),
                Err(_) => plain(&format!("{shown}\n")),
            };
        }
        plain(&format!("{shown}\n"))
    }

    /// The fields of an object, one below the other.
    pub fn fields(self, object: &Value) -> String {
        let rows = object.as_object().into_iter().flatten();
        let rows = rows.map(|(name, value)| vec![name.clone(), text(value)]).collect();
        self.table(None, rows)
    }

    /// A table of objects, without what none of them has.
    fn list(self, items: &[Item]) -> String {
        let mut names: Vec<&str> = Vec::new();
        for name in items.iter().filter_map(|item| item.value.as_object()).flat_map(|fields| fields.keys()) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        // Who asks for few fields wants all of these.
        let is_whole = names.len() > ASIDE.len() + 2;
        let is_shown = |name: &&str| {
            let has =
                |item: &Item| !matches!(&item.value[*name], Value::Null) && item.value[*name] != Value::Array(vec![]);
            !is_whole || !ASIDE.contains(name) && items.iter().any(has)
        };
        names.retain(|name| is_shown(name));
        let row = |item: &Item| names.iter().map(|name| text(&item.value[*name])).collect();
        let rows = items.iter().map(row).collect();
        self.table(Some(names.iter().map(|name| (*name).to_owned()).collect()), rows)
    }

    /// A table. Each cell is one line, unless the terminal is too narrow.
    pub fn table(self, header: Option<Vec<String>>, rows: Vec<Vec<String>>) -> String {
        let mut table = Table::new();
        table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
        if let Some(width) = self.width {
            table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
        }
        if let Some(header) = header {
            table.set_header(header);
        }
        for row in rows {
            table.add_row(row.iter().map(|cell| plain(&cell.replace(['\n', '\t'], " "))).collect::<Vec<_>>());
        }
        table.trim_fmt() + "\n"
    }
}

/// A value as JSON, for people and programs.
pub fn json(shown: &Dynamic) -> String {
    let text = value::to_value(shown, Objects::Whole)
        .and_then(|value| serde_json::to_string_pretty(&value).map_err(|error| error.to_string()));
    // JSON has its own way to write what a terminal would take for a command, but for these.
    plain(&text.unwrap_or_else(|problem| problem)) + "\n"
}

/// Puts text on standard output. Whoever reads it may stop in the middle.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::debug!("nobody reads what is said: {error}");
    }
}

/// Text in which a terminal finds no commands: somebody else may have written it.
pub fn plain(text: &str) -> String {
    let is_command = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_command) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_command(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_finds_no_commands() {
        assert_eq!(plain("a\u{1b}[31mb\u{9b}0m\r\n"), "a\\u{1b}[31mb\\u{9b}0m\\u{d}\n");
        let look = Look { json: false, width: None };
        let shown = look.show(&Dynamic::from("\u{7}".to_owned()));
        assert_eq!(shown, "\\u{7}\n");
        assert!(!look.table(None, vec![vec!["a\u{1b}b".into()]]).contains('\u{1b}'));
    }
}
