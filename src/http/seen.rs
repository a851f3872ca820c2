//! What a request leaves behind for the record, should it be refused: who it was, as far as that is known, and what it
//! was about. It is kept with the request until its answer is there.

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
    actor: OnceLock<Actor>,
    object: OnceLock<Object<'static>>,
    /// Whether what was asked for was kept from whoever asked.
    is_hidden: AtomicBool,
}

impl Seen {
    /// What is known of this request.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(Self::default)
    }

    /// Keeps who sends it. Only the first counts: it is asked once for a request.
    pub fn by(&self, actor: &Actor) {
        self.actor.get_or_init(|| actor.clone());
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

    /// What is to be recorded of a request that was answered with this status: nothing, if it was not refused.
    pub fn refusal<'r>(request: &'r Request<'_>, status: u16) -> Option<Sighting<'r>> {
        let seen = Self::of(request);
        let is_hidden = status == 404 && seen.is_hidden.load(Ordering::Relaxed);
        if !is_hidden && !matches!(status, 401 | 403 | 429) {
            return None;
        }
        let method = Cow::Borrowed(request.method().as_str());
        let route = Cow::Borrowed(request.route().map_or("no route", |route| route.uri.path()));
        let what = What::Refused { method, route, status };
        let sighting = match seen.actor.get() {
            Some(actor) => Sighting::of(actor, address(request), what),
            None => Sighting::of_nobody(address(request), what),
        };
        let request = Some(Cow::Borrowed(RequestId::of(request)));
        Some(Sighting { object: seen.object.get().cloned(), request, ..sighting })
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
