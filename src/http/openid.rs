//! People log in at a provider of identities: there by a link of the login page, and back with a code. What must be
//! known again meanwhile is in a cookie of the browser's, so that any server can go on.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use rocket::http::Header;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::{FromForm, Route, get, routes};
use std::convert::Infallible;
use std::sync::Arc;

use crate::auth::{OpenId, Pending};
use crate::error::{Error, Result};
use crate::http::reply::Reply;
use crate::http::session::{Visitor, here_or_home};

/// What the browser keeps while somebody is at the provider.
const PENDING: &str = "virtapi_openid";
/// For how long, in seconds.
const KEPT: i64 = 600;

/// What was kept: the attempt, and where somebody wanted to go.
struct Kept(Option<(Pending, String)>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Kept {
    type Error = Infallible;
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let text = Visitor::cookie(request, PENDING);
        Outcome::Success(Self(text.as_deref().and_then(read)))
    }
}

fn write(pending: &Pending, next: &str) -> String {
    [&pending.state, &pending.nonce, &pending.verifier, &BASE64.encode(next)].map(String::as_str).join(".")
}

fn read(text: &str) -> Option<(Pending, String)> {
    let parts: Vec<&str> = text.split('.').collect();
    let &[state, nonce, verifier, next] = parts.as_slice() else { return None };
    let next = String::from_utf8(BASE64.decode(next).ok()?).ok()?;
    let [state, nonce, verifier] = [state, nonce, verifier].map(str::to_owned);
    Some((Pending { state, nonce, verifier }, next))
}

fn provider(visitor: &Visitor<'_>) -> Result<Arc<OpenId>> {
    visitor.openid.clone().ok_or(Error::NotFound)
}

/// To the provider.
#[get("/login/openid?<next>")]
async fn start(next: Option<&str>, visitor: Result<Visitor<'_>>) -> Result<Reply> {
    let visitor = visitor?;
    let (url, pending) = provider(&visitor)?.start().await?;
    let kept = write(&pending, here_or_home(next.unwrap_or("/")));
    let mut reply = Reply::see_other(url);
    reply.headers.extend([visitor.cookies.keep(PENDING, kept, KEPT), Header::new("Cache-Control", "no-store")]);
    Ok(reply)
}

/// What the provider says in the address to which it sends somebody back.
#[derive(FromForm)]
struct Said<'r> {
    code: Option<&'r str>,
    state: Option<&'r str>,
    error: Option<&'r str>,
}

const STALE: &str = "This login was begun in another browser, or too long ago. Try again.";
const REFUSED: &str = "The provider of identities has not let you in.";

/// And back.
#[get("/login/openid/callback?<said..>")]
async fn finish(said: Said<'_>, kept: Kept, visitor: Result<Visitor<'_>>) -> Result<Reply> {
    let visitor = visitor?;
    let openid = provider(&visitor)?;
    // Nobody is to be logged in with a code that somebody else has got (RFC 6749, section 10.12).
    let Some((pending, next)) = kept.0.filter(|(pending, _)| said.state == Some(pending.state.as_str())) else {
        return visitor.page(403, "/", "", Some(STALE.into()));
    };
    let (Some(code), None) = (said.code, said.error) else {
        tracing::info!(error = said.error.unwrap_or_default(), "the provider of identities has refused somebody");
        return visitor.page(403, here_or_home(&next), "", Some(REFUSED.into()));
    };
    let subject = openid.finish(pending, code.to_owned()).await?;
    let Some(secret) = visitor.identities.log_in_as(&subject, &visitor.origin).await? else {
        let unknown = format!(
            "The provider of identities calls you {subject:?}, and no user here has that as its openid_subject."
        );
        return visitor.page(403, here_or_home(&next), "", Some(unknown));
    };
    visitor.enter(&secret, here_or_home(&next), PENDING).await
}

/// The routes under `/`.
pub fn routes() -> Vec<Route> {
    routes![start, finish]
}
