//! Which representation a client wants: by suffix, else by `Accept` (RFC 9110, section 12.5.1).

use rocket::Request;
use rocket::http::Accept;

use crate::error::{Error, Result};

/// What a client wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The default.
    Json,
    /// The same tree as JSON.
    MsgPack,
    /// JSON that every YAML reader understands alike.
    Yaml,
    /// A table of a list.
    Csv,
    /// A page for people.
    Html,
}

/// The suffixes that override `Accept`.
const SUFFIXES: &[(&str, Format)] = &[
    (".json", Format::Json),
    (".msgpack", Format::MsgPack),
    (".yaml", Format::Yaml),
    (".csv", Format::Csv),
    (".html", Format::Html),
];

/// A path segment without its suffix.
pub fn stem(segment: &str) -> &str {
    SUFFIXES.iter().find_map(|(suffix, _)| segment.strip_suffix(suffix)).unwrap_or(segment)
}

impl Format {
    /// What this request asks for.
    ///
    /// # Errors
    /// [`Error::NotAcceptable`].
    pub fn of(request: &Request<'_>) -> Result<Self> {
        let path = request.uri().path();
        if let Some((_, format)) = SUFFIXES.iter().find(|(suffix, _)| path.ends_with(suffix)) {
            return Ok(*format);
        }
        // hiera_http sends two headers: `*/*`, and its own.
        let headers: Vec<&str> = request.headers().get("Accept").collect();
        if headers.is_empty() {
            return Ok(Self::Json);
        }
        let accept: Accept = headers.join(", ").to_ascii_lowercase().parse().map_err(|_| Error::NotAcceptable)?;
        let mut wanted: Vec<_> = Accept::iter(&accept).filter(|media| media.weight_or(1.0) > 0.0).collect();
        wanted.sort_by(|a, b| b.weight_or(1.0).total_cmp(&a.weight_or(1.0)));
        wanted.iter().find_map(|m| Self::named(m.top().as_str(), m.sub().as_str())).ok_or(Error::NotAcceptable)
    }

    fn named(top: &str, sub: &str) -> Option<Self> {
        match (top, sub) {
            ("*", "*") | ("application", "*" | "json" | "problem+json") => Some(Self::Json),
            ("application", "msgpack" | "x-msgpack" | "vnd.msgpack") => Some(Self::MsgPack),
            ("application" | "text", "yaml" | "x-yaml") => Some(Self::Yaml),
            ("text", "csv") => Some(Self::Csv),
            ("text", "*" | "html") | ("application", "xhtml+xml") => Some(Self::Html),
            _ => None,
        }
    }
}
