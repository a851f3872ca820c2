//! Where the cursor is in a statement that is being typed: within which brackets, which text, which call. It reads
//! brackets, quotes and comments, and knows neither collections nor the rest of the language.

/// A bracket that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// `(`, `[`, `{`, or `#` for that of a map.
    pub bracket: char,
    /// Where what is within begins.
    pub inside: usize,
}

/// Where a text ends.
#[derive(Debug, Default)]
pub struct Context {
    /// The brackets that are open, the innermost last.
    pub open: Vec<Open>,
    /// Where the text in quotes begins that is open.
    pub quoted: Option<usize>,
    /// Whether a comment is open.
    commented: bool,
    /// Whether there is a bracket that closes none.
    mismatched: bool,
}

impl Context {
    /// Where this text ends.
    pub fn of(text: &str) -> Self {
        let mut context = Self::default();
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, c)| *c);
            match c {
                '/' if next == Some('/') => while chars.next_if(|(_, c)| *c != '\n').is_some() {},
                '/' if next == Some('*') => context.commented = !skip_comment(&mut chars),
                '"' | '`' | '\'' => {
                    context.quoted = (!skip_quoted(&mut chars, c)).then_some(at + c.len_utf8());
                }
                '#' if next == Some('{') => {
                    chars.next();
                    context.open.push(Open { bracket: '#', inside: at + 2 });
                }
                '(' | '[' | '{' => context.open.push(Open { bracket: c, inside: at + 1 }),
                ')' | ']' | '}' => context.mismatched |= context.open.pop().is_none(),
                _ => {}
            }
        }
        context
    }

    /// Whether more must follow.
    pub fn is_incomplete(&self) -> bool {
        !self.mismatched && (!self.open.is_empty() || self.quoted.is_some() || self.commented)
    }
}

/// Skips to the end of a text that began with this quote; whether there is one.
fn skip_quoted(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>, quote: char) -> bool {
    let mut escaped = false;
    for (_, c) in chars.by_ref() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            _ if c == quote => return true,
            _ => {}
        }
    }
    false
}

/// Skips to the end of a comment, which may hold others; whether there is one.
fn skip_comment(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> bool {
    let (mut depth, mut before) = (1, ' ');
    // The star of its beginning does not end it.
    chars.next();
    for (_, c) in chars.by_ref() {
        match (before, c) {
            ('*', '/') => depth -= 1,
            ('/', '*') => depth += 1,
            _ => {
                before = c;
                continue;
            }
        }
        before = ' ';
        if depth == 0 {
            return true;
        }
    }
    false
}

/// The name at the end of a text.
pub fn word_at_end(text: &str) -> &str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let start = text.rfind(|c| !is_part(c)).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_wants_more() {
        for (text, more) in [
            ("vms.list()", false),
            ("vms.list(#{", true),
            ("vms.list(#{state: \"running\"", true),
            ("vms.list(#{state: \"run", true),
            ("if x {", true),
            ("\"}\"", false),
            ("\"a\\\"", true),
            ("`a\nb`", false),
            ("`a", true),
            ("1 // {", false),
            ("/* a", true),
            ("/* a /* b */ */ 1", false),
            ("'{'", false),
            (")", false),
            ("(}{", true),
            ("", false),
        ] {
            assert_eq!(Context::of(text).is_incomplete(), more, "{text}");
        }
    }

    #[test]
    fn the_cursor_is_within_brackets_and_quotes() {
        let text = "vms.create(#{hypervisor: \"hv";
        let context = Context::of(text);
        assert_eq!(context.open.iter().map(|open| open.bracket).collect::<String>(), "(#");
        assert_eq!(context.quoted.map(|at| &text[at..]), Some("hv"));
        assert_eq!(word_at_end("é.ceph_o"), "ceph_o");
        assert_eq!(word_at_end("aé"), "");
    }
}
