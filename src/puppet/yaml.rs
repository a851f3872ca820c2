//! A YAML document of somebody else's, as the texts that stand in it: whether `1e3` or `52:54:00:12:34:56` is a number
//! is for whoever knows what is meant. Anchors, and tags but for the document's own and `!binary`, are refused: nothing
//! that is read here makes an object or grows.

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use std::borrow::Cow;

/// How deep it may be.
const DEEPEST: usize = 32;

/// A part of a document.
#[derive(Debug, PartialEq, Eq)]
pub enum Yaml {
    /// A text, and whether it is quoted: what is not, and is empty, is nothing.
    Text(String, bool),
    /// A list.
    List(Vec<Yaml>),
    /// A map, in its order.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// The one document that stands here, with this tag.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn read(bytes: &[u8], root: &str) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let mut reader = Reader { parser: Parser::new_from_str(text), root: Some(root) };
        let mut read = None;
        loop {
            match reader.next()? {
                Event::StreamEnd => return read.ok_or_else(|| "it is empty".to_owned()),
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if read.is_some() => return Err("it has several documents".into()),
                event => read = Some(reader.part(event, 0)?),
            }
        }
    }

    /// What stands in a map under this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// The text, if it is one and says something.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text, is_quoted) if *is_quoted || !matches!(text.as_str(), "" | "~" | "null") => Some(text),
            _ => None,
        }
    }

    /// What stands in it, if it is a map.
    pub fn fields(&self) -> &[(String, Self)] {
        if let Self::Map(fields) = self { fields } else { &[] }
    }

    /// The items, if it is a list.
    pub fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }
}

struct Reader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    /// The tag that the document must have, until it was seen.
    root: Option<&'t str>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Event<'t>, String> {
        match self.parser.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(Event::StreamEnd),
        }
    }

    fn part(&mut self, event: Event<'t>, depth: usize) -> Result<Yaml, String> {
        if depth > DEEPEST {
            return Err(format!("it is more than {DEEPEST} levels deep"));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_binary = self.tag(anchor, tag.as_deref())?;
                let text = if is_binary { binary(&text)? } else { text.into_owned() };
                Ok(Yaml::Text(text, style != ScalarStyle::Plain))
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_binary(anchor, tag)?;
                let mut items = vec![];
                loop {
                    match self.next()? {
                        Event::SequenceEnd => return Ok(Yaml::List(items)),
                        event => items.push(self.part(event, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(anchor, tag) => {
                self.no_binary(anchor, tag)?;
                self.map(depth)
            }
            Event::Alias(_) => Err("it has an alias".into()),
            other => Err(format!("it ends too soon: {other:?}")),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Yaml, String> {
        let mut fields: Vec<(String, Yaml)> = vec![];
        let mut names = std::collections::HashSet::new();
        loop {
            let event = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Yaml::Map(fields));
            }
            let Yaml::Text(name, _) = self.part(event, depth + 1)? else {
                return Err("a key is no text".into());
            };
            if !names.insert(name.clone()) {
                return Err(format!("the key {name:?} stands twice"));
            }
            let event = self.next()?;
            fields.push((name, self.part(event, depth + 1)?));
        }
    }

    fn no_binary(&mut self, anchor: usize, tag: Option<Cow<'_, Tag>>) -> Result<(), String> {
        if self.tag(anchor, tag.as_deref())? { Err("what is binary is a text".into()) } else { Ok(()) }
    }

    /// Whether it says that it is binary.
    fn tag(&mut self, anchor: usize, tag: Option<&Tag>) -> Result<bool, String> {
        if anchor != 0 {
            return Err("it has an anchor".into());
        }
        let tag = tag.map(|tag| format!("{}{}", tag.handle, tag.suffix));
        match (self.root.take(), tag.as_deref()) {
            (Some(root), Some(tag)) if root == tag => Ok(false),
            (Some(root), _) => Err(format!("it does not begin with {root}")),
            (None, None) => Ok(false),
            (None, Some("!binary" | "tag:yaml.org,2002:binary")) => Ok(true),
            (None, Some(tag)) => Err(format!("it has the tag {tag}")),
        }
    }
}

/// Bytes that were no text: as much of them as can be read.
fn binary(text: &str) -> Result<String, String> {
    let text: String = text.split_whitespace().collect();
    let bytes = BASE64.decode(text).map_err(|error| format!("what is binary is not in base64: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Yaml, String> {
        Yaml::read(text.as_bytes(), "!a")
    }

    #[test]
    fn texts_stay_what_they_are_and_nothing_is_nothing() {
        let read = read(
            "--- !a\nmac: 52:54:00:12:34:56\nn: 1e3\no: 0o17\nnone:\nempty: ''\nq: 'null'\nl: [a, ~]\nb: !binary |-\n  /2E=\n",
        );
        let read = read.expect("read");
        for (name, text) in [("mac", "52:54:00:12:34:56"), ("n", "1e3"), ("o", "0o17"), ("empty", ""), ("q", "null")] {
            assert_eq!(read.get(name).and_then(Yaml::text), Some(text));
        }
        assert_eq!(read.get("none").and_then(Yaml::text), None);
        assert_eq!(read.get("l").map(|l| l.items().iter().map(Yaml::text).collect()), Some(vec![Some("a"), None]));
        assert_eq!(read.get("b").and_then(Yaml::text), Some("\u{fffd}a"));
    }

    #[test]
    fn what_could_make_more_of_itself_is_refused() {
        let deep = format!("--- !a\n{}", "[".repeat(1000));
        for wrong in [
            "",
            "a: b\n",
            "--- !b\na: b\n",
            "--- !a\na: !ruby/object:Kernel x\n",
            "--- !a\na: &x b\nc: *x\n",
            "--- !a\na: b\na: c\n",
            "--- !a\n[a]: b\n",
            "--- !a\na: b\n--- !a\na: b\n",
            "--- !a\na: \"b\n",
            &deep,
            "--- !a\nb: !binary '!'\n",
            "--- !a\nb: !binary [a]\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        assert!(Yaml::read(b"--- !a\na: \xff\n", "!a").is_err());
    }
}
