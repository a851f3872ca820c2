//! What a request leaves behind for the record, should it be refused: what it was about, and whether that was hidden. It
//! is kept with the request until its answer is there.

use rocket::Request;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::auth::{Actor, Origin};
use crate::http::request_id::RequestId;
use crate::sightings::{Object, Sighting, What};

/// What is known of a request.
#[derive(Default)]
pub struct Seen {
    object: OnceLock<Object<'static>>,
    /// Whether what was asked for was kept from whoever asked.
    is_hidden: AtomicBool,
}

impl Seen {
    /// What is known of this request.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(Self::default)
    }

    /// Keeps that the answer says that there is no such thing to hide it, and what it was, if that can be told.
    pub fn hidden(&self, object: Option<Object<'static>>) {
        self.is_hidden.store(true, Ordering::Relaxed);
        self.about(object);
    }

    /// Keeps what it is about, if that can be told.
    pub fn about(&self, object: Option<Object<'static>>) {
        if let Some(object) = object {
            self.object.get_or_init(|| object);
        }
    }

    /// Whether a request that was answered with this status was refused.
    pub fn is_refused(request: &Request<'_>, status: u16) -> bool {
        let is_hidden = || Self::of(request).is_hidden.load(Ordering::Relaxed);
        matches!(status, 401 | 403 | 429) || (status == 404 && is_hidden())
    }

    /// What is to be recorded of a request that was refused with this status.
    pub fn refusal<'r>(request: &'r Request<'_>, actor: Option<&'r Actor>, status: u16) -> Sighting<'r> {
        let method = Cow::Borrowed(request.method().as_str());
        let route = Cow::Borrowed(request.route().map_or("no route", |route| route.uri.path()));
        let what = What::Refused { method, route, status };
        let sighting = match actor {
            Some(actor) => Sighting::of(actor, address(request), what),
            None => Sighting::of_nobody(address(request), what),
        };
        let object = Self::of(request).object.get().cloned();
        Sighting { object, request: Some(Cow::Borrowed(RequestId::of(request))), ..sighting }
    }
}

/// Where it comes from. Not the address that a header claims: anybody can send that.
pub fn address(request: &Request<'_>) -> Option<IpAddr> {
    request.remote().map(|remote| remote.ip())
}

/// In which request somebody does something, and why, if that was said.
pub fn origin(request: &Request<'_>, message: Option<String>) -> Origin {
    Origin { address: address(request), request: RequestId::of(request).to_owned(), message }
}
