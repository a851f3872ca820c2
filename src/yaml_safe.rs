//! JSON text that every YAML 1.1 reader (Psych, `SnakeYAML`, `PyYAML`) reads back as the same values. JSON is nearly
//! that by itself: every string and key is quoted. What remains: characters that YAML cannot hold raw are escaped, and
//! a float has a dot and a signed exponent, or it is read as a string.

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter};
use std::io::{self, Write};

/// On one line, for programs.
///
/// # Errors
/// When the value cannot be JSON.
pub fn to_vec(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    write(value, CompactFormatter)
}

/// Indented by two spaces, for people: YAML has no tabs.
///
/// # Errors
/// When the value cannot be JSON.
pub fn to_vec_pretty(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = write(value, PrettyFormatter::with_indent(b"  "))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn write(value: &impl Serialize, inner: impl Formatter) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1024);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Safe(inner)))?;
    Ok(bytes)
}

struct Safe<F>(F);

/// What a YAML stream may not hold raw, or what a reader folds: C1 controls with DEL and NEL, line and paragraph
/// separators, the byte order mark, and the noncharacters that end the first plane (YAML 1.1, section 5.1).
fn must_escape(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// `1e-7` is a string to YAML 1.1; `1.0e-07` is a number.
fn float(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let dot = if mantissa.contains('.') { "" } else { ".0" };
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent.trim_start_matches('+')), |d| ('-', d));
    format!("{mantissa}{dot}e{sign}{digits:0>2}")
}

impl<F: Formatter> Formatter for Safe<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(must_escape) {
            writer.write_all(&rest.as_bytes()[..at])?;
            let c = rest[at..].chars().next().unwrap_or_default();
            write!(writer, "\\u{:04x}", u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let mut text = Vec::new();
        self.0.write_f64(&mut text, value)?;
        writer.write_all(float(&String::from_utf8_lossy(&text)).as_bytes())
    }
    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }
    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }
    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }
    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }
    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }
    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }
    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_yaml_misreads_is_escaped_and_the_rest_is_left() {
        for (value, text) in [
            (json!("52:54:00:12:34:56"), r#""52:54:00:12:34:56""#),
            (json!("a\u{7f}b\u{85}c\u{9f}"), r#""a\u007fb\u0085c\u009f""#),
            (json!("\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}"), r#""\u2028\u2029\ufeff\ufffe\uffff""#),
            (json!("é😀\u{a0}/"), "\"é😀\u{a0}/\""),
            (json!("\n\u{1}"), r#""\n\u0001""#),
            (json!({"\u{85}": 1}), r#"{"\u0085":1}"#),
            (json!([1e22, 1e-7, 1.5e-7, 1.0, 0.5, -2.5e300]), "[1.0e+22,1.0e-07,1.5e-07,1.0,0.5,-2.5e+300]"),
            (json!([1, u64::MAX, null, true]), "[1,18446744073709551615,null,true]"),
        ] {
            let bytes = to_vec(&value).expect("is JSON");
            assert_eq!(String::from_utf8(bytes.clone()).expect("is UTF-8"), text);
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&bytes).expect("reads"), value);
        }
    }
}
