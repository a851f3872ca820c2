//! What answers when no route does: the same problem document as anywhere else.

use rocket::http::{Header, Method, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::{Catcher, Request, Route, catch, catchers};
use serde_json::json;
use std::convert::Infallible;

use crate::error::Error;
use crate::http::format::{Format, stem};
use crate::http::reply::Reply;
use crate::http::request_id::RequestId;
use crate::resources;

/// No route, or none for this method.
#[catch(404)]
fn no_route(request: &Request<'_>) -> Error {
    let allowed = allowed_methods(request);
    if allowed.is_empty() { Error::NotFound } else { Error::MethodNotAllowed(allowed.join(", ")) }
}

/// What Rocket itself refuses.
#[catch(default)]
fn other(status: Status, request: &Request<'_>) -> Reply {
    let id = RequestId::of(request);
    let title = status.reason_lossy();
    let body = json!({"type": "about:blank", "title": title, "status": status.code, "detail": title,
        "errors": [], "instance": format!("urn:virtapi:request:{id}")});
    let format = Format::of(request).unwrap_or(Format::Json);
    let headers = if status.code == 503 { vec![Header::new("Retry-After", "1")] } else { vec![] };
    Reply { headers, ..Reply::new(status.code, format, body) }
}

/// That the path names a collection, or an object, whose key may have several parts. Where another route has this very
/// path for its own, with other methods, there is no such object to be found: its methods are told.
pub struct PlainObject;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for PlainObject {
    type Error = Infallible;
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let path = parts(request);
        let is_own = match path.as_slice() {
            // Beside the kinds, or below what is none.
            [_, name, ..] if resources::kind(stem(name)).is_none() => covering(request, &path).next().is_some(),
            // `/v1/<kind>/<key>` and nothing after it has none.
            _ => path.len() > 3 && covering(request, &path).any(|route| !ends_anyhow(route.uri.path())),
        };
        if is_own { Outcome::Forward(Status::NotFound) } else { Outcome::Success(Self) }
    }
}

fn parts<'r>(request: &'r Request<'_>) -> Vec<&'r str> {
    request.uri().path().as_str().split('/').filter(|part| !part.is_empty()).collect()
}

/// The routes that have this path, with whichever method.
fn covering<'r>(request: &'r Request<'_>, path: &[&str]) -> impl Iterator<Item = &'r Route> {
    request.rocket().routes().filter(move |route| matches(route.uri.path(), path))
}

/// The methods that some route has for this path.
fn allowed_methods(request: &Request<'_>) -> Vec<&'static str> {
    let path = parts(request);
    let covering = || covering(request, &path);
    let is_own = covering().any(|route| !ends_anyhow(route.uri.path()));
    let is_recorded =
        path.get(1).and_then(|name| resources::kind(stem(name))).is_some_and(crate::kind::Kind::is_read_only);
    let mut found: Vec<&str> = covering()
        .filter(|route| !(is_own && ends_anyhow(route.uri.path())))
        .filter(|route| route.method == Method::Get || !(is_recorded && route.uri.path().contains("<kind>")))
        .map(|route| route.method.as_str())
        .collect();
    if found.contains(&"GET") {
        found.push("HEAD");
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a route's path takes whatever comes at its end.
fn ends_anyhow(pattern: &str) -> bool {
    pattern.ends_with("..>")
}

/// Whether a route's path (`/v1/<kind>/<key..>`) covers this one.
fn matches(pattern: &str, path: &[&str]) -> bool {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    if parts.len() == 1 && parts[0].ends_with("..>") {
        // A route for everything says nothing about this path.
        return false;
    }
    let rest = parts.last().is_some_and(|part| part.ends_with("..>"));
    let fixed = if rest { &parts[..parts.len() - 1] } else { &parts[..] };
    let fits = if rest { path.len() > fixed.len() } else { path.len() == fixed.len() };
    let covers = |part: &str, given: &str| match part {
        "<kind>" => resources::kind(stem(given)).is_some(),
        _ => part.starts_with('<') || part == given,
    };
    fits && fixed.iter().zip(path).all(|(part, given)| covers(part, given))
}

/// For the whole server.
pub fn catchers() -> Vec<Catcher> {
    catchers![no_route, other]
}
