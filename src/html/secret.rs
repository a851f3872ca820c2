//! The page that shows a secret, once.

use askama::Template;

use crate::auth::Actor;
use crate::html::labels;
use crate::html::layout::{Layout, Link, collection};
use crate::kind::Kind;
use crate::resource::Resource;
use crate::resources::Token;

/// The page.
#[derive(Template)]
#[template(path = "secret.html")]
pub struct SecretPage {
    layout: Layout,
    collection: Link,
    secret: String,
    /// What becomes of the secrets before.
    former: &'static str,
}

impl SecretPage {
    /// For this secret of a token.
    #[must_use]
    pub fn new(secret: &str, reader: &Actor) -> Self {
        let former = "it is shown this once, and kept nowhere. The token's former secret is refused from now on.";
        Self::of(Token::KIND, secret, former, reader)
    }

    /// For one that signs messages, of an object of this kind.
    #[must_use]
    pub fn for_signatures(secret: &str, kind: &'static dyn Kind, reader: &Actor) -> Self {
        let former =
            "it is shown this once. Messages are signed with it and with the one before, and with no older one.";
        Self::of(kind, secret, former, reader)
    }

    fn of(kind: &'static dyn Kind, secret: &str, former: &'static str, reader: &Actor) -> Self {
        Self {
            layout: Layout::new("A new secret", Some(kind), Some(reader)),
            collection: Link::new(labels::capitalized(&labels::plural(kind)), collection(kind)),
            secret: secret.to_owned(),
            former,
        }
    }
}
