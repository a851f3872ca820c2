//! The pages about a person: its own, and the one where an administrator gives somebody a password.

use askama::Template;

use crate::auth::{Actor, Authority};
use crate::error::Error;
use crate::html::layout::{Layout, Link};

/// One's own page.
#[derive(Template)]
#[template(path = "account.html")]
pub struct Account {
    layout: Layout,
    /// As it is recorded.
    name: String,
    rights: &'static str,
    /// Whether there is a session to end.
    has_session: bool,
    /// Whether it may have a password.
    is_user: bool,
    mistake: Option<String>,
    done: bool,
}

impl Account {
    /// As it is; after a change that was made, or was refused.
    pub fn new(reader: &Actor, changed: Option<Result<(), &Error>>) -> Self {
        Self {
            layout: Layout::new("Your account", None, Some(reader)),
            name: reader.user().unwrap_or(reader.name()).to_owned(),
            rights: rights(reader.authority()),
            has_session: reader.form_token().is_some(),
            is_user: reader.user().is_some(),
            done: matches!(changed, Some(Ok(()))),
            mistake: changed.and_then(Result::err).map(Error::named),
        }
    }
}

fn rights(authority: &Authority) -> &'static str {
    match authority {
        Authority::System => "A part of virtapi itself",
        Authority::Administrator => "Administrator: may do everything",
        Authority::Operator => "Operator: reads everything, and writes the fleet and what customers have on it",
        Authority::Auditor => "Auditor: reads everything",
        Authority::Customer(_) => "Customer: what the memberships of its organizations say",
        Authority::Node(_) | Authority::Compiler(_) => "Reads documents",
        Authority::Nothing => "May do nothing",
    }
}

/// The page where somebody is given a password.
#[derive(Template)]
#[template(path = "password.html")]
pub struct NewPassword {
    layout: Layout,
    collection: Link,
    user: Link,
    action: String,
    mistake: Option<String>,
}

impl NewPassword {
    /// For this user, at this address.
    pub fn new(reader: &Actor, name: &str, href: &str, refused: Option<&Error>) -> Self {
        Self {
            layout: Layout::new(format!("Password of {name}"), None, Some(reader)),
            collection: Link::new("Users", "/v1/users"),
            user: Link::new(name, href),
            action: format!("{href}/password"),
            mistake: refused.map(Error::named),
        }
    }
}
