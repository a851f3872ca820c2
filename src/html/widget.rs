//! What a person fills in: the control for a column, in a form or in a filter.

use crate::byte_size;
use crate::column::Column;
use crate::html::options::Options;
use crate::value_type::Type;

/// A control.
pub enum Widget {
    /// One line.
    Input {
        /// What stands in it.
        value: String,
        /// Its HTML attributes.
        attributes: Vec<(&'static str, String)>,
    },
    /// One of several.
    Select(Vec<Choice>),
    /// Any of several.
    Checks(Vec<Choice>),
    /// Several lines.
    Area {
        /// What stands in it.
        text: String,
        /// How many lines it shows.
        rows: usize,
    },
}

/// Something to choose.
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub text: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

impl Choice {
    /// What is sent is what is shown.
    pub fn word(word: &str, chosen: bool) -> Self {
        Self { value: word.to_owned(), text: word.to_owned(), chosen }
    }

    fn nothing(text: &str, chosen: bool) -> Self {
        Self { value: String::new(), text: text.to_owned(), chosen }
    }
}

impl Widget {
    /// The control that sets a column.
    pub fn for_field(column: &Column, texts: &[String], options: &Options) -> Self {
        let text = texts.first().cloned().unwrap_or_default();
        match column.ty {
            Type::Choice(words) => Self::choice(words, &text, if column.required { "Choose…" } else { "None" }),
            Type::Ref(target) => match options.choices(target, texts) {
                Some(choices) => Self::select(choices, if column.required { "Choose…" } else { "None" }),
                None => Self::line(text, vec![("spellcheck", "false".into()), ("autocapitalize", "off".into())]),
            },
            Type::Many(link) => match options.choices(link.kind, texts) {
                Some(choices) if !choices.is_empty() => Self::Checks(choices),
                _ => Self::lines(texts.join("\n"), 3),
            },
            Type::Owned(_) | Type::Labels => Self::lines(texts.join("\n"), 3),
            Type::Json | Type::Lines(_) => Self::lines(text, 8),
            Type::Time if is_local(&text) => {
                Self::line(text, vec![("type", "datetime-local".into()), ("step", "1".into())])
            }
            _ => Self::line(text, attributes(column)),
        }
    }

    /// The control that narrows a list by a column that is one of several.
    pub fn for_filter(column: &Column, text: &str, options: &Options) -> Self {
        let target = match column.ty {
            Type::Choice(words) => return Self::choice(words, text, "Any"),
            Type::Ref(target) => Some(target),
            Type::Many(link) => Some(link.kind),
            _ => None,
        };
        match target.and_then(|target| options.choices(target, &[text.to_owned()])) {
            Some(choices) => Self::select(choices, "Any"),
            None => Self::line(text.to_owned(), vec![("spellcheck", "false".into()), ("autocapitalize", "off".into())]),
        }
    }

    /// One end of a range.
    pub fn for_bound(column: &Column, text: &str) -> Self {
        match column.ty {
            Type::Int if column.holds_bytes() => {
                let shown = text.parse().map_or_else(|_| text.to_owned(), byte_size::exact);
                Self::line(shown, vec![("inputmode", "text".into()), ("placeholder", "64 GiB".into())])
            }
            Type::Time => {
                let local = text.trim_end_matches('Z').trim_end_matches("+00:00").to_owned();
                let kind = if is_local(&local) { "datetime-local" } else { "text" };
                Self::line(local, vec![("type", kind.into()), ("step", "1".into())])
            }
            _ => Self::line(text.to_owned(), vec![("type", "number".into()), ("step", "any".into())]),
        }
    }

    /// A line of text.
    pub fn line(value: String, attributes: Vec<(&'static str, String)>) -> Self {
        Self::Input { value, attributes }
    }

    fn lines(text: String, at_least: usize) -> Self {
        let rows = (text.lines().count() + 1).clamp(at_least, 20);
        Self::Area { text, rows }
    }

    fn choice(words: &[&str], chosen: &str, nothing: &str) -> Self {
        let mut choices: Vec<Choice> = words.iter().map(|word| Choice::word(word, *word == chosen)).collect();
        if !chosen.is_empty() && !words.contains(&chosen) {
            choices.push(Choice::word(chosen, true));
        }
        Self::select(choices, nothing)
    }

    fn select(mut choices: Vec<Choice>, nothing: &str) -> Self {
        let any = choices.iter().any(|choice| choice.chosen);
        choices.insert(0, Choice::nothing(nothing, !any));
        Self::Select(choices)
    }

    /// Whether it is several controls, that need a legend and not a label.
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Checks(_))
    }
}

/// Whether a browser's control for moments can show it: no fractions of seconds, no zone.
fn is_local(text: &str) -> bool {
    text.is_empty() || (text.len() <= "2026-12-01T02:00:00".len() && !text.ends_with('Z'))
}

fn attributes(column: &Column) -> Vec<(&'static str, String)> {
    let plain = |placeholder: &str| {
        vec![("placeholder", placeholder.to_owned()), ("spellcheck", "false".into()), ("autocapitalize", "off".into())]
    };
    match column.ty {
        Type::Int if column.holds_bytes() => plain("64 GiB"),
        Type::Int | Type::Float => {
            let step = if matches!(column.ty, Type::Int) { "1" } else { "any" };
            let mut attributes = vec![("type", "number".to_owned()), ("step", step.to_owned())];
            if let Some((low, high)) = column.range {
                attributes.push(("min", low.to_string()));
                attributes.extend((high != i64::MAX).then(|| ("max", high.to_string())));
            }
            attributes
        }
        Type::Name => vec![("maxlength", "64".into()), ("spellcheck", "false".into())],
        Type::Text => vec![("maxlength", "255".into())],
        Type::Word(word) => {
            vec![("maxlength", word.max.to_string()), ("spellcheck", "false".into()), ("autocapitalize", "off".into())]
        }
        Type::Fqdn => plain("host.example.com"),
        Type::Path => plain("/var/lib/…"),
        Type::Time => plain("2026-12-01T02:00:00Z"),
        Type::Ip => plain("192.0.2.10"),
        Type::Inet => plain("192.0.2.10/24"),
        Type::Cidr => plain("192.0.2.0/24"),
        Type::Mac => plain("52:54:00:12:34:56"),
        Type::Uuid => plain("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
        _ => vec![],
    }
}
