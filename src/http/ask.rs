//! What a request says, body aside. A guard that fails loses its error to the catchers, so handlers take `Result<…>`.

use rocket::http::uri::{Segments, fmt::Path};
use rocket::http::{Method, Status};
use rocket::request::{FromParam, FromRequest, FromSegments, Outcome, Request};
use serde_json::Value;

use crate::auth::{Actor, Origin};
use crate::error::{Error, Result};
use crate::etag::Preconditions;
use crate::http::caller;
use crate::http::format::{Format, stem};
use crate::http::seen;
use crate::value_type::Type;
use crate::{kind::Kind, policy, query, resource, resources};

/// `/v1/<kind>`
pub struct Named(pub &'static dyn Kind);

impl FromParam<'_> for Named {
    type Error = Error;
    fn from_param(name: &str) -> Result<Self> {
        resources::kind(stem(name)).map(Self).ok_or(Error::NotFound)
    }
}

impl Named {
    /// The same, for a form that changes something.
    ///
    /// # Errors
    /// When nobody changes it.
    pub fn writable(self) -> Result<&'static dyn Kind> {
        if self.0.is_read_only() { Err(resource::recorded()) } else { Ok(self.0) }
    }
}

/// `/v1/<kind>/<key..>`: an id or a natural key, which may have a slash in it.
#[derive(Clone)]
pub struct Key(pub String);

impl FromSegments<'_> for Key {
    type Error = Error;
    fn from_segments(segments: Segments<'_, Path>) -> Result<Self> {
        let parts: Vec<&str> = segments.collect();
        let key = parts.join("/");
        match key.as_str() {
            // The collection itself.
            "" => Err(Error::MethodNotAllowed("GET, HEAD, POST".into())),
            // A key that cannot be stored names nothing.
            _ if key.contains('\0') => Err(Error::NotFound),
            _ => {
                utf8(&key)?;
                Ok(Self(stem(&key).to_owned()))
            }
        }
    }
}

/// Rocket reads what is no UTF-8 as this character, which stands for itself in no name.
fn utf8(path: &str) -> Result<()> {
    if path.contains('\u{fffd}') {
        return Err(Error::Malformed("the address is not percent-encoded UTF-8".into()));
    }
    Ok(())
}

/// The name of a node, as an agent gives it.
pub struct CertName(pub String);

impl CertName {
    /// An agent that does not know its own name asks for nobody.
    pub fn missing() -> Error {
        Error::Malformed("the name of the node is missing".into())
    }

    fn read(name: &str) -> Result<Self> {
        utf8(name)?;
        if name.is_empty() { Err(Self::missing()) } else { Ok(Self(name.to_owned())) }
    }
}

impl FromParam<'_> for CertName {
    type Error = Error;
    fn from_param(name: &str) -> Result<Self> {
        Self::read(name)
    }
}

impl FromSegments<'_> for CertName {
    type Error = Error;
    fn from_segments(segments: Segments<'_, Path>) -> Result<Self> {
        let parts: Vec<&str> = segments.collect();
        Self::read(&parts.join("/"))
    }
}

/// Everything but the path and the body.
pub struct Ask {
    /// On whose behalf.
    pub actor: Actor,
    /// What the client wants to read.
    pub format: Format,
    /// The path, for links to the same place.
    pub path: String,
    /// The query parameters, `dry_run` left out.
    pub pairs: Vec<(String, String)>,
    /// Do everything but commit.
    pub dry_run: bool,
    /// What the client believes to be there.
    pub preconditions: Preconditions,
    /// By which a repeated request is known.
    pub idempotency_key: Option<String>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Ask {
    type Error = Error;
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        match Self::read(request).await {
            Ok(ask) => Outcome::Success(ask),
            Err(error) => Outcome::Error((Status::new(error.status()), error)),
        }
    }
}

impl Ask {
    /// Says why, unless a header has said it.
    ///
    /// # Errors
    /// When it is too long, or more than one line.
    pub fn explain(&mut self, why: String) -> Result<()> {
        if let (Some(origin), Some(message)) = (self.actor.origin(), message(why)?)
            && origin.message.is_none()
        {
            let origin = Origin { message: Some(message), ..origin.clone() };
            self.actor = self.actor.clone().within(origin);
        }
        Ok(())
    }

    async fn read(request: &Request<'_>) -> Result<Self> {
        let header = |name| request.headers().get_one(name).map(str::to_owned);
        let asked = request.uri().query().map_or("", |query| query.as_str());
        let mut pairs = query::pairs(asked)?;
        once(&pairs)?;
        let mut dry_run = false;
        for (name, value) in pairs.extract_if(.., |(name, _)| name == "dry_run") {
            dry_run = value.parse().map_err(|_| Error::Parameter(name, "must be true or false".into()))?;
        }
        // Of a read it is the representation that is compared, once it is there.
        let writes = !matches!(request.method(), Method::Get | Method::Head);
        let actor = caller::of(request).await?;
        // Everything but documents and reports comes by here.
        caller::rates(request)?.take(&actor)?;
        policy::enter(&actor)?;
        let why = header("X-Change-Message").map(message).transpose()?.flatten();
        Ok(Self {
            actor: actor.within(seen::origin(request, why)),
            format: Format::of(request)?,
            path: request.uri().path().to_string(),
            pairs,
            dry_run,
            preconditions: Preconditions {
                if_match: header("If-Match"),
                if_none_match: header("If-None-Match").filter(|_| writes),
            },
            idempotency_key: header("Idempotency-Key"),
        })
    }
}

/// What is said about a change: one line, or nothing.
fn message(text: String) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    match Type::Text.check(&Value::String(text.clone())) {
        Ok(()) => Ok(Some(text)),
        Err(rule) => Err(Error::Malformed(format!("the message of a change {rule}"))),
    }
}

/// Filters narrow each other; what is asked for twice otherwise is a mistake, and no place is better than the other.
fn once(pairs: &[(String, String)]) -> Result<()> {
    let single = ["limit", "cursor", "count", "sort", "fields", "embed", "dry_run"];
    let twice = |i: usize, name: &str| single.contains(&name) && pairs[..i].iter().any(|(other, _)| other == name);
    match pairs.iter().enumerate().find(|(i, (name, _))| twice(*i, name)) {
        Some((_, (name, _))) => Err(Error::Parameter(name.clone(), "stands twice".into())),
        None => Ok(()),
    }
}
