//! Entity tags in two parts, `"object.representation"`: `If-Match` looks at the object only (whatever format, fields
//! or generation the client saw), `If-None-Match` at both.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::refs;
use crate::row::Row;

/// The first part: what a client may write, so that a new generation makes nobody's edit stale.
pub fn object(kind: &dyn Kind, row: &Row) -> String {
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

/// What a client that writes believes to be there.
#[derive(Clone, Default)]
pub struct Preconditions {
    /// It is this, or `*` for anything.
    pub if_match: Option<String>,
    /// It is not this, or `*` for nothing at all.
    pub if_none_match: Option<String>,
}

impl Preconditions {
    /// Compares them with the first part of the tag of what is there (RFC 9110, sections 13.1.1 and 13.1.2).
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub fn check(&self, current: Option<&str>) -> Result<()> {
        let same = |tag: &str, current| tag == "*" || tag.trim_matches('"').split('.').next() == Some(current);
        let any = |tags: &str| current.is_some_and(|current| tags.split(',').any(|tag| same(tag.trim(), current)));
        let as_wished = self.if_match.as_deref().is_none_or(any);
        let unlike = !self.if_none_match.as_deref().is_some_and(any);
        if as_wished && unlike { Ok(()) } else { Err(Error::Stale) }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }
}

/// Whether `If-None-Match` names this tag: weakly compared, a list, or `*` (RFC 9110, section 13.1.2).
pub fn names(if_none_match: &str, tag: &str) -> bool {
    let same = |given: &str| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag;
    if_none_match.split(',').any(|given| same(given.trim()))
}
