//! The page that shows a secret, once.

use askama::Template;

use crate::auth::Actor;
use crate::html::layout::{Layout, Link, collection};
use crate::resource::Resource;
use crate::resources::Token;

/// The page.
#[derive(Template)]
#[template(path = "secret.html")]
pub struct SecretPage {
    layout: Layout,
    collection: Link,
    secret: String,
}

impl SecretPage {
    /// For this secret.
    #[must_use]
    pub fn new(secret: &str, reader: &Actor) -> Self {
        Self {
            layout: Layout::new("A new secret", Some(Token::KIND), Some(reader)),
            collection: Link::new("Tokens", collection(Token::KIND)),
            secret: secret.to_owned(),
        }
    }
}
