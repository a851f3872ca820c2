//! People log in and out: the login page, and the cookies by which their browsers are known after that. Programs send
//! tokens, and have no use for this.

use rocket::form::{Errors, Form};
use rocket::http::{Cookie, Header, SameSite, Status};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::time::Duration;
use rocket::{FromForm, Route, get, post, routes};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::{Identities, OpenId, Origin, Password, SessionSecret};
use crate::error::{Error, Result};
use crate::html::login::Login;
use crate::http::caller;
use crate::http::reply::Reply;
use crate::http::seen::{self, Seen};

/// What a browser sends once somebody has logged in.
const SESSION: &str = "virtapi_session";
/// What it sends before, so that the login page's form is known to be ours.
const LOGIN: &str = "virtapi_login";
/// The longest address that a login leads back to.
const LONGEST_ADDRESS: usize = 2000;

/// How cookies are set; managed by Rocket.
#[derive(Clone, Copy)]
pub struct Cookies {
    secure: bool,
}

impl Cookies {
    /// Over TLS only, or not.
    pub fn new(secure: bool) -> Self {
        Self { secure }
    }

    /// Over TLS a browser takes it from this host alone, and not from a neighbour (RFC 6265bis, section 4.1.3.2).
    fn name(self, name: &str) -> String {
        if self.secure { format!("__Host-{name}") } else { name.to_owned() }
    }

    fn read(self, request: &Request<'_>, name: &str) -> Option<SessionSecret> {
        request.cookies().get(&self.name(name)).and_then(|cookie| SessionSecret::given(cookie.value()))
    }

    /// Until the browser is closed, or the server does not take it any more.
    fn set(self, name: &str, secret: &SessionSecret) -> Header<'static> {
        self.header(Cookie::new(self.name(name), secret.expose().to_owned()))
    }

    /// For so many seconds.
    pub fn keep(self, name: &str, value: String, seconds: i64) -> Header<'static> {
        let mut cookie = Cookie::new(self.name(name), value);
        cookie.set_max_age(Duration::seconds(seconds));
        self.header(cookie)
    }

    fn remove(self, name: &str) -> Header<'static> {
        let mut cookie = Cookie::from(self.name(name));
        cookie.make_removal();
        self.header(cookie)
    }

    /// `Lax`, for who follows a link to a page of ours is not to log in again; what changes something needs more than
    /// the cookie.
    fn header(self, mut cookie: Cookie<'static>) -> Header<'static> {
        cookie.set_path("/");
        cookie.set_http_only(true);
        cookie.set_secure(self.secure);
        cookie.set_same_site(SameSite::Lax);
        Header::new("Set-Cookie", cookie.to_string())
    }
}

/// The session that a request comes from, if there is a cookie of one.
pub fn secret(request: &Request<'_>) -> Option<SessionSecret> {
    request.rocket().state::<Cookies>().and_then(|cookies| cookies.read(request, SESSION))
}

/// The session that a request comes from, and the address.
pub struct OwnSession {
    /// What its cookie holds.
    pub secret: Option<SessionSecret>,
    /// From where it comes.
    pub from: Option<IpAddr>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for OwnSession {
    type Error = Infallible;
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self { secret: secret(request), from: seen::address(request) })
    }
}

/// Somebody who has not said who it is, or is about to say so.
pub struct Visitor<'r> {
    /// How its cookies are set.
    pub cookies: Cookies,
    /// Who is known.
    pub identities: Arc<Identities>,
    /// Where it comes from.
    pub origin: Origin,
    seen: &'r Seen,
    /// A provider of identities, if there is one.
    pub openid: Option<Arc<OpenId>>,
    session: Option<SessionSecret>,
    login: Option<SessionSecret>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Visitor<'r> {
    type Error = Error;
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        match Self::read(request) {
            Ok(visitor) => Outcome::Success(visitor),
            Err(error) => Outcome::Error((Status::new(error.status()), error)),
        }
    }
}

impl<'r> Visitor<'r> {
    fn read(request: &'r Request<'_>) -> Result<Self> {
        caller::refuse_other_pages(request)?;
        // A password costs a lot of arithmetic, and a provider of identities a request of ours.
        caller::rates(request)?.take_from(seen::address(request))?;
        Self::of(request)
    }

    fn of(request: &'r Request<'_>) -> Result<Self> {
        let none = || Error::Internal("nobody has said how cookies are set".into());
        let cookies = *request.rocket().state::<Cookies>().ok_or_else(none)?;
        Ok(Self {
            identities: caller::identities(request)?.clone(),
            origin: seen::origin(request, None),
            seen: Seen::of(request),
            openid: request.rocket().state::<Arc<OpenId>>().cloned(),
            session: cookies.read(request, SESSION),
            login: cookies.read(request, LOGIN),
            cookies,
        })
    }

    /// A cookie of this name.
    pub fn cookie(request: &Request<'_>, name: &str) -> Option<String> {
        let cookies = request.rocket().state::<Cookies>()?;
        request.cookies().get(&cookies.name(name)).map(|cookie| cookie.value().to_owned())
    }

    /// Begins with this session, in place of the one before, and goes on to a page. What the browser kept for the login
    /// is removed.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn enter(&self, secret: &SessionSecret, next: &str, kept: &str) -> Result<Reply> {
        if let Some(former) = &self.session {
            self.identities.log_out(former, self.origin.address).await?;
        }
        let mut reply = Reply::see_other(next.to_owned());
        reply.headers.extend([self.cookies.set(SESSION, secret), self.cookies.remove(kept)]);
        Ok(reply)
    }

    /// The login page, which leads back to where somebody wanted to go.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn page(self, status: u16, next: &str, name: &str, refusal: Option<String>) -> Result<Reply> {
        // One secret for all the login pages that a browser has open.
        let secret = match self.login {
            Some(secret) => secret,
            None => SessionSecret::random()?,
        };
        let view = Login::new(secret.form_token().expose(), next, name, refusal, self.openid.is_some());
        let mut reply = Reply::page(status, &view)?;
        reply.headers.push(self.cookies.set(LOGIN, &secret));
        reply.headers.push(Header::new("Cache-Control", "no-store"));
        Ok(reply)
    }
}

/// The answer to who must log in first: the page for it, which leads back here.
///
/// # Errors
/// [`Error::Internal`].
pub fn demand(request: &Request<'_>, error: &Error) -> Result<Reply> {
    let reads = request.method() == rocket::http::Method::Get;
    let here = if reads { request.uri().to_string() } else { "/".to_owned() };
    // Who has shown nothing at all has done nothing wrong.
    let shown = request.headers().contains("Authorization") || matches!(error, Error::Certificate(_));
    let refusal = shown.then(|| error.named());
    let mut reply = Visitor::of(request)?.page(error.status(), here_or_home(&here), "", refusal)?;
    // Not `Basic`, or the browser asks in a window of its own.
    reply.headers.push(Header::new("WWW-Authenticate", "Bearer realm=\"virtapi\""));
    Ok(reply)
}

/// Only an address of ours: anything else would make this page a help for those who fish for passwords.
pub fn here_or_home(next: &str) -> &str {
    let ours = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic()) && next.len() <= LONGEST_ADDRESS;
    let elsewhere = !["/login", "/logout"].iter().any(|page| next.starts_with(page));
    if ours && plain && elsewhere { next } else { "/" }
}

/// The login page.
#[get("/login?<next>")]
fn page(next: Option<&str>, visitor: Result<Visitor<'_>>) -> Result<Reply> {
    visitor?.page(200, here_or_home(next.unwrap_or("/")), "", None)
}

/// What the login page sends.
#[derive(FromForm)]
struct Attempt<'r> {
    name: &'r str,
    password: &'r str,
    next: &'r str,
    #[field(name = "_form_token")]
    form_token: &'r str,
}

const REFUSED: &str =
    "The name or the password is wrong. After ten wrong ones a password is locked for a quarter of an hour.";
const STALE: &str = "This page was open for too long, or your browser takes no cookies. Try again.";

#[post("/login", data = "<attempt>")]
async fn log_in(attempt: Result<Form<Attempt<'_>>, Errors<'_>>, visitor: Result<Visitor<'_>>) -> Result<Reply> {
    let (visitor, attempt) = (visitor?, attempt.map_err(|_| not_the_form())?);
    let (next, name) = (here_or_home(attempt.next), attempt.name);
    if !visitor.login.as_ref().is_some_and(|secret| secret.form_token().is(attempt.form_token)) {
        return visitor.page(403, next, name, Some(STALE.into()));
    }
    let password = Password::given(attempt.password.to_owned());
    let Some(secret) = visitor.identities.log_in(name, password, &visitor.origin).await? else {
        visitor.seen.about(visitor.identities.tried(name).await?);
        return visitor.page(401, next, name, Some(REFUSED.into()));
    };
    visitor.enter(&secret, next, LOGIN).await
}

/// What the button sends.
#[derive(FromForm)]
struct Leave<'r> {
    #[field(name = "_form_token")]
    form_token: &'r str,
}

#[post("/logout", data = "<leave>")]
async fn log_out(leave: Result<Form<Leave<'_>>, Errors<'_>>, visitor: Result<Visitor<'_>>) -> Result<Reply> {
    let (visitor, leave) = (visitor?, leave.map_err(|_| not_the_form())?);
    if let Some(secret) = &visitor.session {
        if !secret.form_token().is(leave.form_token) {
            return Err(Error::Unconfirmed);
        }
        visitor.identities.log_out(secret, visitor.origin.address).await?;
    }
    let mut reply = Reply::see_other("/login");
    reply.headers.push(visitor.cookies.remove(SESSION));
    Ok(reply)
}

fn not_the_form() -> Error {
    Error::Malformed("this takes what its page's form sends, and nothing else".into())
}

/// The routes under `/`.
pub fn routes() -> Vec<Route> {
    routes![page, log_in, log_out]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_login_only_a_page_of_ours_comes() {
        for ours in ["/", "/v1/nodes?state=running&limit=5", "/v1/vms/a%2Fb"] {
            assert_eq!(here_or_home(ours), ours);
        }
        for other in [
            "",
            "//evil.example.com",
            "/\\evil.example.com",
            "https://evil.example.com",
            "/a\nb",
            "/login?next=/",
            "v1",
        ] {
            assert_eq!(here_or_home(other), "/", "{other}");
        }
    }
}
