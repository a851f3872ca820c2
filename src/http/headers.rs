//! Headers that every answer has, the count of answers, and the record of refusals.

use metrics::Counter;
use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Header;
use rocket::{Request, Response};
use std::sync::Arc;

use crate::http::caller;
use crate::http::request_id::RequestId;
use crate::http::seen::Seen;
use crate::sightings::Sightings;

/// Adds the headers, counts, and takes note of refusals. Pages get the headers that protect a browser; documents for
/// agents stay lean.
pub struct Headers {
    /// By class of status only: a label per path would grow without bound.
    answers: [Counter; 4],
    /// Whether they go over TLS.
    secure: bool,
    sightings: Arc<Sightings>,
}

/// The classes of status, as they are counted.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// What a page may load: its own style, and nothing from elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What else keeps a page to itself (OWASP Secure Headers Project). `frame-ancestors` says the same as
/// `X-Frame-Options`, to newer browsers.
const OF_PAGES: [(&str, &str); 5] = [
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// For how long a browser asks this host for nothing but https (RFC 6797): a year.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=31536000";

impl Headers {
    /// Looks its counters up once: to do so for each answer would cost more than the counting.
    pub fn new(secure: bool, sightings: Arc<Sightings>) -> Self {
        Self {
            secure,
            sightings,
            answers: CLASSES.map(|class| metrics::counter!("virtapi_http_responses_total", "status" => class)),
        }
    }

    /// Records a refusal. Who it was is not kept with each request, but asked again: that is answered from memory.
    async fn note_refusal(&self, request: &Request<'_>, status: u16) {
        let actor = match status {
            // Of somebody who is not known: to ask again would count as another attempt.
            401 => None,
            // Nor is the page of another site known to be anybody's.
            _ => caller::of(request).await.inspect_err(|why| tracing::debug!(%why, "refused, and nobody's")).ok(),
        };
        self.sightings.note(&Seen::refusal(request, actor.as_ref(), status));
    }
}

#[rocket::async_trait]
impl Fairing for Headers {
    fn info(&self) -> Info {
        Info { name: "headers", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let status = response.status().code;
        let class = usize::from((status / 100).clamp(2, 5) - 2);
        self.answers[class].increment(1);
        response.set_header(Header::new("X-Content-Type-Options", "nosniff"));
        if self.secure {
            response.set_header(Header::new("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY));
        }
        // Looked at as it stands: to read it as a type would cost as much as all the rest here.
        if response.headers().get_one("Content-Type").is_some_and(|media| media.starts_with("text/html")) {
            response.set_header(Header::new("Content-Security-Policy", CONTENT_SECURITY_POLICY));
            for (name, value) in OF_PAGES {
                response.set_header(Header::new(name, value));
            }
            // A person who has saved something sees it.
            if !response.headers().contains("Cache-Control") {
                response.set_header(Header::new("Cache-Control", "no-cache"));
            }
        }
        if status >= 400 {
            if Seen::is_refused(request, status) {
                Box::pin(self.note_refusal(request, status)).await;
            }
            let id = RequestId::of(request).to_owned();
            tracing::info!(request = id, method = %request.method(), path = %request.uri().path(), status, "refused");
            response.set_header(Header::new("X-Request-Id", id));
        }
    }
}
