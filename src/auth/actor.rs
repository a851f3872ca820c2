//! Who does something. Every operation is given an actor.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::FormToken;

/// Who does something.
#[derive(Clone, Debug)]
pub struct Actor {
    inner: Arc<Inner>,
    origin: Option<Arc<Origin>>,
    has_certificate: bool,
    session: Option<Session>,
}

/// A browser's: it sends its cookie along with the forms of every other site, too.
#[derive(Clone, Debug)]
struct Session {
    form_token: Arc<FormToken>,
    /// Whether this request is known to come from a form of ours.
    is_confirmed: bool,
}

/// In which request somebody does something.
#[derive(Clone, Debug)]
pub struct Origin {
    /// From where.
    pub address: Option<IpAddr>,
    /// The request's name, as the log and the answer have it.
    pub request: String,
    /// Why, in the words of whoever does it.
    pub message: Option<String>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    authority: Authority,
    scope: Scope,
    token: Option<i64>,
}

/// On what ground somebody does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// A part of virtapi itself.
    System,
    /// Of everything.
    Administrator,
    /// Of the fleet.
    Operator,
    /// Reads everything.
    Auditor,
    /// A node, by its name.
    Node(String),
    /// A puppetserver or a Salt master.
    Compiler(Serves),
    /// A member of organizations, by the id of the user.
    Customer(i64),
    /// Somebody without a role, and in no organization.
    Nothing,
}

/// The nodes whose documents a compiler reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serves {
    /// All.
    All,
    /// Those with these names.
    Listed(HashSet<String>),
    /// Those that this filter matches.
    Matching(String),
}

/// What of that a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    All,
    /// What changes nothing.
    Read,
    /// The documents of nodes.
    Documents,
}

impl Actor {
    /// Somebody who has shown a token.
    #[must_use]
    pub fn new(name: impl Into<String>, authority: Authority, scope: Scope, token: Option<i64>) -> Self {
        Self {
            inner: Arc::new(Inner { name: name.into(), authority, scope, token }),
            origin: None,
            has_certificate: false,
            session: None,
        }
    }

    /// A part of virtapi itself.
    #[must_use]
    pub fn system(part: &str) -> Self {
        Self::new(format!("system:{part}"), Authority::System, Scope::All, None)
    }

    /// The same, known by a client certificate.
    #[must_use]
    pub fn by_certificate(self) -> Self {
        Self { has_certificate: true, ..self }
    }

    /// Whether it is known by a client certificate.
    #[must_use]
    pub fn has_certificate(&self) -> bool {
        self.has_certificate
    }

    /// The same, in this request.
    #[must_use]
    pub fn within(self, origin: Origin) -> Self {
        Self { origin: Some(Arc::new(origin)), ..self }
    }

    /// The same, known by the session of a browser, whose forms hold this.
    #[must_use]
    pub fn by_session(self, form_token: FormToken) -> Self {
        Self { session: Some(Session { form_token: Arc::new(form_token), is_confirmed: false }), ..self }
    }

    /// The same, with what the form of this request holds.
    #[must_use]
    pub fn with_form(mut self, given: &str) -> Self {
        if let Some(session) = &mut self.session {
            session.is_confirmed = session.form_token.is(given);
        }
        self
    }

    /// Whether what it asks for is its own wish, and not that of another site's page.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.session.as_ref().is_none_or(|session| session.is_confirmed)
    }

    /// What the forms of its pages must hold, if it is known by a session.
    #[must_use]
    pub fn form_token(&self) -> Option<&FormToken> {
        self.session.as_ref().map(|session| &*session.form_token)
    }

    /// The name of the user, if it is one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.inner.name.strip_prefix("user:")
    }

    /// In which request, if it is in one.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_deref()
    }

    /// The name that is shown and recorded: `user:alice`, `node:hv01.example.com`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// On what ground it acts.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.inner.authority
    }

    /// What its token is good for.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.inner.scope
    }

    /// The id of its token, if it has shown one.
    #[must_use]
    pub fn token(&self) -> Option<i64> {
        self.inner.token
    }
}
