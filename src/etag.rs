//! Entity tags in two parts, `"object.representation"`: `If-Match` looks at the object only (whatever format, fields
//! or generation the client saw), `If-None-Match` at both.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::refs;

/// The first part: what a client may write, so that a new generation makes nobody's edit stale.
pub fn object(kind: &dyn Kind, row: &Value) -> String {
    let writable = kind.columns().iter().filter(|column| column.writable);
    let mut text = row["id"].to_string();
    for column in writable {
        text.push(',');
        text.push_str(&refs::ids_of(column, &row[column.name]).to_string());
    }
    digest(text.as_bytes())
}

/// A short digest.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..8])
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Compares `If-Match` with the first part of the tag of what is there (RFC 9110, section 13.1.1).
pub fn check(if_match: &str, current: Option<&str>) -> Result<()> {
    let current = current.ok_or(Error::Stale)?;
    let same = |tag: &str| tag == "*" || tag.trim_matches('"').split('.').next() == Some(current);
    if if_match.split(',').any(|tag| same(tag.trim())) { Ok(()) } else { Err(Error::Stale) }
}

/// Whether `If-None-Match` names this tag: weakly compared, a list, or `*` (RFC 9110, section 13.1.2).
pub fn names(if_none_match: &str, tag: &str) -> bool {
    let same = |given: &str| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag;
    if_none_match.split(',').any(|given| same(given.trim()))
}
