//! The files that pages load: one style, one icon. They are part of the program, and named by their contents, so that a
//! browser keeps them as long as they are the same.

use std::sync::LazyLock;

use crate::etag;

/// A file.
pub struct Asset {
    /// Its name under `/static/`.
    pub name: &'static str,
    /// Its media type.
    pub media_type: (&'static str, &'static str),
    /// What is in it.
    pub contents: &'static str,
    /// The digest of its contents.
    pub version: LazyLock<String>,
}

const STYLE_TEXT: &str = concat!(
    include_str!("../../static/base.css"),
    include_str!("../../static/layout.css"),
    include_str!("../../static/tables.css"),
    include_str!("../../static/forms.css"),
);
const ICON_TEXT: &str = include_str!("../../static/icon.svg");

/// The style.
pub static STYLE: Asset = Asset {
    name: "style.css",
    media_type: ("text", "css"),
    contents: STYLE_TEXT,
    version: LazyLock::new(|| etag::digest(STYLE_TEXT.as_bytes())),
};

/// The icon.
pub static ICON: Asset = Asset {
    name: "icon.svg",
    media_type: ("image", "svg+xml"),
    contents: ICON_TEXT,
    version: LazyLock::new(|| etag::digest(ICON_TEXT.as_bytes())),
};

impl Asset {
    /// The file with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        [&STYLE, &ICON].into_iter().find(|asset| asset.name == name)
    }

    /// Its address, with its version.
    pub fn href(&self) -> String {
        format!("/static/{}?v={}", self.name, *self.version)
    }
}
