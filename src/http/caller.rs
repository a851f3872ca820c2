//! Who sends a request, and what agents may ask and tell. Somebody is known by a token, as `Authorization: Bearer …`, as
//! `Token …`, or as the password of `Basic`, for some agents can send nothing else; by the session of somebody who has
//! logged in; or by the client certificate of the connection.

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use rocket::Request;
use rocket::http::Method;
use rocket::mtls::Certificate;
use rocket::request::{FromRequest, Outcome};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::{Actor, Identities, Rates, token_digest};
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::events::Feed;
use crate::http::ask::CertName;
use crate::http::audience::Audience;
use crate::http::format::Format;
use crate::http::proof::Proof;
use crate::http::reply::Reply;
use crate::http::seen;
use crate::http::session;
use crate::policy;
use crate::render::{Documents, Kept};
use crate::reports::{self, Report};
use crate::resource::Resource;
use crate::resources::Node;
use crate::sightings::{Object, Sighting, Sightings, What};
use crate::tls::ClientAuthorities;

/// Who sends a request, or why that is not known. A guard of its own instead of a `Result`, for Rocket would make another
/// future on the heap for that with each request.
pub struct Caller<'r>(Result<Known<'r>>);

/// Who sends a request.
pub struct Known<'r> {
    actor: Actor,
    proof: Proof,
    identities: &'r Arc<Identities>,
    sightings: &'r Arc<Sightings>,
    address: Option<IpAddr>,
    rates: &'r Rates,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Caller<'r> {
    type Error = Infallible;
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self(Known::read(request).await))
    }
}

impl<'r> Caller<'r> {
    /// Who it is.
    ///
    /// # Errors
    /// As [`of`].
    pub fn known(self) -> Result<Known<'r>> {
        self.0
    }
}

impl<'r> Known<'r> {
    async fn read(request: &'r Request<'_>) -> Result<Self> {
        let identities = identities(request)?;
        let (actor, proof) = identify(request, identities).await?;
        let sightings = request.rocket().state();
        Ok(Self {
            actor,
            proof,
            identities,
            sightings: sightings.ok_or_else(|| Error::Internal("nothing is recorded".into()))?,
            address: seen::address(request),
            rates: rates(request)?,
        })
    }

    /// The document of the node with this name, if the caller may read it. Who is known by a certificate is recorded as
    /// having read this view of it.
    ///
    /// # Errors
    /// What is wrong with the name, or with the wish.
    pub async fn document(
        &self,
        name: Result<CertName>,
        documents: &Documents,
        view: &'static str,
    ) -> Result<Arc<Kept>> {
        let CertName(name) = name?;
        let matches = async |filter: &str| Box::pin(self.identities.matches(filter, &name)).await;
        policy::document(&self.actor, &name, matches).await?;
        let kept = documents.get(&name).await?;
        if self.actor.has_certificate() {
            let object = Object { collection: Node::NAME, id: Some(kept.node()), key: Cow::Borrowed(&name) };
            let sighting = Sighting::of(&self.actor, self.address, What::Read { view });
            self.sightings.note(&Sighting { object: Some(object), ..sighting });
        }
        Ok(kept)
    }

    /// Keeps what an agent reports: all of it, or nothing.
    ///
    /// # Errors
    /// What is wrong with the name of a node, or with the wish.
    pub async fn report(&self, reports: &[Report], db: &Db) -> Result<Reply> {
        self.may_report(reports.iter().map(|report| report.node.as_str())).await?;
        db.write(Actor::system("reports"), false, async |tx: &Tx| reports::keep(tx, reports).await).await?;
        Ok(Reply::new(204, Format::Json, Value::Null))
    }

    /// Keeps the facts of a node.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub async fn facts(&self, node: &str, facts: &Value, db: &Db) -> Result<Reply> {
        self.may_report([node].into_iter()).await?;
        db.write(Actor::system("reports"), false, async |tx: &Tx| reports::keep_facts(tx, node, facts).await).await?;
        Ok(Reply::new(204, Format::Json, Value::Null))
    }

    /// Whoever reports reads no inventory, so what it sends is written by the server itself, once it is known that it may
    /// be sent.
    async fn may_report(&self, nodes: impl Iterator<Item = &str>) -> Result<()> {
        self.rates.take(&self.actor)?;
        for node in nodes {
            let matches = async |filter: &str| self.identities.matches(filter, node).await;
            policy::report(&self.actor, node, matches).await?;
        }
        // No form of ours sends one.
        if self.actor.is_confirmed() { Ok(()) } else { Err(Error::Unconfirmed) }
    }

    /// What the caller may hear of, narrowed to these nodes if there are any.
    ///
    /// # Errors
    /// What is wrong with the wish: a node that is not the caller's is not found.
    pub async fn audience(self, wanted: BTreeSet<String>, feed: &Feed) -> Result<Audience> {
        self.rates.take(&self.actor)?;
        Audience::find(self.actor, self.proof, self.identities.clone(), wanted, feed).await
    }
}

/// Who sends this request. A token is sent on purpose, so it counts more than what a browser sends of its own accord:
/// the cookie of a session, and the certificate of the connection.
///
/// # Errors
/// [`Error::Unauthorized`] and [`Error::Certificate`] for nobody, [`Error::Forbidden`] for a page of somebody else's,
/// [`Error::Away`].
pub async fn of(request: &Request<'_>) -> Result<Actor> {
    Ok(identify(request, identities(request)?).await?.0)
}

/// The same, and by what that is known.
async fn identify(request: &Request<'_>, identities: &Identities) -> Result<(Actor, Proof)> {
    if let Some(header) = request.headers().get_one("Authorization") {
        let digest = digest(header).ok_or(Error::Unauthorized)?;
        refuse_other_pages(request)?;
        let proof = Proof::Secret(digest, seen::address(request));
        return Ok((proof.whose(identities).await?, proof));
    }
    // Boxed, so that agents, who send a token, do not carry about the room that it needs.
    Box::pin(identify_browser(request, identities)).await
}

/// By what a browser, or a tool with a certificate, sends of its own accord.
async fn identify_browser(request: &Request<'_>, identities: &Identities) -> Result<(Actor, Proof)> {
    if let Some(secret) = session::secret(request) {
        let proof = Proof::Session(secret, seen::address(request));
        match proof.whose(identities).await {
            // The connection may have a certificate.
            Err(Error::Unauthorized) => {}
            found => {
                refuse_other_pages(request)?;
                return Ok((found?, proof));
            }
        }
    }
    let proof = certificate(request).await?;
    refuse_other_pages(request)?;
    Ok((proof.whose(identities).await?, proof))
}

/// How much everybody may ask.
///
/// # Errors
/// [`Error::Internal`]: there is a fault in how the server was put together.
pub fn rates<'r>(request: &'r Request<'_>) -> Result<&'r Rates> {
    let rates = request.rocket().state::<Arc<Rates>>().map(AsRef::as_ref);
    rates.ok_or_else(|| Error::Internal("nobody has said how much one may ask".into()))
}

/// Whose secrets are known.
///
/// # Errors
/// [`Error::Internal`]: there is a fault in how the server was put together.
pub fn identities<'r>(request: &'r Request<'_>) -> Result<&'r Arc<Identities>> {
    request.rocket().state().ok_or_else(|| Error::Internal("there are no identities".into()))
}

/// The certificate of the connection, if one is asked for.
async fn certificate(request: &Request<'_>) -> Result<Proof> {
    let authorities = request.rocket().state::<Arc<ClientAuthorities>>().ok_or(Error::Unauthorized)?;
    if authorities.current().is_none() {
        return Err(Error::Unauthorized);
    }
    let certificate = match request.guard::<Certificate<'_>>().await {
        Outcome::Success(certificate) => certificate,
        Outcome::Forward(_) => return Err(Error::Unauthorized),
        Outcome::Error((_, error)) => return Err(Error::Certificate(format!("it cannot be read: {error}"))),
    };
    let mut names = certificate.subject().common_names();
    let name = match (names.next(), names.next()) {
        (Some(name), None) => Ok(name.to_ascii_lowercase()),
        _ => Err("its subject has no common name, or several".to_owned()),
    };
    Ok(Proof::Certificate { bytes: certificate.as_bytes().to_vec(), name, authorities: authorities.clone() })
}

/// The digest of the secret that was sent to be known by.
fn digest(header: &str) -> Option<[u8; 32]> {
    let (scheme, rest) = header.split_once(' ')?;
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if is("Bearer") || is("Token") {
        return token_digest(rest.trim());
    }
    let text = BASE64.decode(rest.trim()).ok().filter(|_| is("Basic"))?;
    token_digest(str::from_utf8(&text).ok()?.split_once(':')?.1)
}

/// Refuses a request that changes something and comes from a page that is not ours. A browser that was given a password
/// or a certificate sends it along with the forms of every other site, too. It says where a form is from: in
/// `Sec-Fetch-Site` (W3C Fetch Metadata), and where it does not, in `Origin`. With a session, its forms say so as well.
///
/// # Errors
/// [`Error::Forbidden`].
pub fn refuse_other_pages(request: &Request<'_>) -> Result<()> {
    if matches!(request.method(), Method::Get | Method::Head | Method::Options) {
        return Ok(());
    }
    let header = |name| request.headers().get_one(name);
    let is_own = match (header("Sec-Fetch-Site"), header("Origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").is_some_and(|(_, host)| Some(host) == header("Host")),
        (None, None) => true,
    };
    if is_own { Ok(()) } else { Err(Error::Forbidden) }
}
