//! JSON and MessagePack read as one tree, strictly: what JSON cannot say, or what two readers could understand
//! differently (a key twice, NaN), is refused. It knows no resource.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// How deep a body may be nested.
const MAX_DEPTH: usize = 64;

/// Reads JSON (RFC 8259).
///
/// # Errors
/// What is wrong, and where.
pub fn from_json(bytes: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Tree { depth: 0 }.deserialize(&mut reader).map_err(|e| e.to_string())?;
    reader.end().map_err(|e| e.to_string())?;
    match beyond_64_bits(bytes) {
        Some(number) => Err(format!("the whole number {number} is beyond 64 bits, and would be rounded")),
        None => Ok(value),
    }
}

/// A whole number in well-formed JSON that the reader has silently turned into a float.
fn beyond_64_bits(json: &[u8]) -> Option<&str> {
    let (mut rest, mut in_text) = (json, false);
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'"' => in_text = !in_text,
            b'\\' if in_text => rest = after.get(1..)?,
            b'-' | b'0'..=b'9' if !in_text => {
                let token = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let length = after.iter().take_while(|byte| token(byte)).count();
                let number = std::str::from_utf8(&json[json.len() - after.len() - 1..][..=length]).ok()?;
                let whole = number.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
                if whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Some(number);
                }
                rest = &after[length..];
            }
            _ => {}
        }
    }
    None
}

/// Reads MessagePack: maps with string keys, no binary, no extension types.
///
/// # Errors
/// What is wrong.
pub fn from_msgpack(bytes: &[u8]) -> Result<Value, String> {
    let mut rest = bytes;
    let mut reader = rmp_serde::Deserializer::new(&mut rest);
    reader.set_max_depth(MAX_DEPTH * 2);
    let value = Tree { depth: 0 }.deserialize(&mut reader).map_err(|e| e.to_string())?;
    drop(reader);
    if rest.is_empty() { Ok(value) } else { Err(format!("{} bytes follow the value", rest.len())) }
}

#[derive(Clone, Copy)]
struct Tree {
    depth: usize,
}

impl Tree {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format!("nested more than {MAX_DEPTH} deep")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, true, false, a number, a string, a list or an object")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }
    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }
    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        if value.contains('\0') {
            return Err(E::custom("a string holds a NUL, which cannot be stored"));
        }
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let (below, mut list) = (self.below()?, Vec::new());
        while let Some(item) = items.next_element_seed(below)? {
            list.push(item);
        }
        Ok(list.into())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let (below, mut object) = (self.below()?, Map::new());
        while let Some(name) = fields.next_key::<String>()? {
            if name.contains('\0') {
                return Err(A::Error::custom("a key holds a NUL, which cannot be stored"));
            }
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("the key {name:?} stands twice")));
            }
            let value = fields.next_value_seed(below)?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_and_messagepack_give_the_same_tree() {
        let tree = json!({"a": [1, -2, 3.5, null, true, "é😀"], "b": {"c": u64::MAX, "d": i64::MIN}});
        assert_eq!(from_json(tree.to_string().as_bytes()), Ok(tree.clone()));
        let packed = rmp_serde::to_vec_named(&tree).expect("packs");
        assert_eq!(from_msgpack(&packed), Ok(tree));
    }

    #[test]
    fn what_is_ambiguous_or_broken_is_refused() {
        let deep = "[".repeat(100) + "]".repeat(100).as_str();
        for text in
            [r#"{"a":1,"a":2}"#, "", "{", "NaN", "1e999", "[1,]", "1 2", r#""\u0000""#, r#"{"\u0000":1}"#, &deep]
        {
            from_json(text.as_bytes()).expect_err(text);
        }
        from_json(b"\"\xff\"").expect_err("invalid UTF-8");
        for number in ["18446744073709551616", "-9223372036854775809", r#"{"a\"": [1, 99999999999999999999]}"#] {
            from_json(number.as_bytes()).expect_err(number);
        }
        for number in
            ["18446744073709551615", "-9223372036854775808", "1e19", "1.0e30", r#""\\\"99999999999999999999""#]
        {
            from_json(number.as_bytes()).expect(number);
        }
        let nan = [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0];
        let four_gigabytes = [0xdb, 0xff, 0xff, 0xff, 0xff, b'a'];
        let four_billion_items = [0xdd, 0xff, 0xff, 0xff, 0xff, 1];
        let four_billion_fields = [0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, b'a', 1];
        let twice = [0x82, 0xa1, b'a', 1, 0xa1, b'a', 2];
        let number_as_key = [0x81, 1, 1];
        let binary = [0xc4, 1, 0];
        let truncated = [0x92, 1];
        let invalid_utf8 = [0xa1, 0xff];
        let two_values = [1, 1];
        let deep = [[0x91u8; 100].as_slice(), &[1]].concat();
        let all: [&[u8]; 12] = [
            &nan,
            &four_gigabytes,
            &four_billion_items,
            &four_billion_fields,
            &twice,
            &number_as_key,
            &binary,
            &truncated,
            &invalid_utf8,
            &two_values,
            &deep,
            &[],
        ];
        for bytes in all {
            from_msgpack(bytes).expect_err(&format!("{bytes:x?}"));
        }
    }
}
