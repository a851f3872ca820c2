//! Who sends a request: by a token, as `Authorization: Bearer …`, as `Token …`, or as the password of `Basic`, for some
//! agents can send nothing else and browsers ask for it.

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use rocket::Request;
use rocket::http::{Method, Status};
use rocket::request::{FromRequest, Outcome};

use crate::auth::{Actor, Identities, Secret};
use crate::error::{Error, Result};
use crate::http::ask::CertName;
use crate::policy;

/// Who sends a request.
pub struct Caller(pub Actor);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Caller {
    type Error = Error;
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        match of(request).await {
            Ok(actor) => Outcome::Success(Self(actor)),
            Err(error) => Outcome::Error((Status::new(error.status()), error)),
        }
    }
}

impl Caller {
    /// The name of the node whose document is asked for, if the caller may read it.
    ///
    /// # Errors
    /// What is wrong with the name, or with the wish.
    pub fn node(&self, name: Result<CertName>) -> Result<String> {
        let CertName(name) = name?;
        policy::document(&self.0, &name)?;
        Ok(name)
    }
}

/// Who sends this request.
///
/// # Errors
/// [`Error::Unauthorized`] for nobody, [`Error::Forbidden`] for a page of somebody else's, [`Error::Away`].
pub async fn of(request: &Request<'_>) -> Result<Actor> {
    let secret = secret(request).ok_or(Error::Unauthorized)?;
    if !is_own_page(request) {
        return Err(Error::Forbidden);
    }
    let identities = request.rocket().state::<Identities>();
    let identities = identities.ok_or_else(|| Error::Internal("there are no identities".into()))?;
    // Not the address that a header claims: anybody can send that.
    let from = request.remote().map(|remote| remote.ip());
    identities.identify(&secret, from).await?.ok_or(Error::Unauthorized)
}

/// What was sent to be known by.
fn secret(request: &Request<'_>) -> Option<Secret> {
    let (scheme, rest) = request.headers().get_one("Authorization")?.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" => Secret::given(rest.trim()),
        "basic" => {
            let text = String::from_utf8(BASE64.decode(rest.trim()).ok()?).ok()?;
            Secret::given(text.split_once(':')?.1)
        }
        _ => None,
    }
}

/// Whether a request that changes something comes from a page of ours, or from no page at all. A browser that was given
/// a password sends it along with the forms of every other site, too. It says where a form is from: in `Sec-Fetch-Site`
/// (W3C Fetch Metadata), and where it does not, in `Origin`.
fn is_own_page(request: &Request<'_>) -> bool {
    if matches!(request.method(), Method::Get | Method::Head | Method::Options) {
        return true;
    }
    let header = |name| request.headers().get_one(name);
    match (header("Sec-Fetch-Site"), header("Origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").is_some_and(|(_, host)| Some(host) == header("Host")),
        (None, None) => true,
    }
}
