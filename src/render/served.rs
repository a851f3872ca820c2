//! A document on its way out: bytes with their entity tag, or a 304.

use rocket::Request;
use rocket::http::{ContentType, Status};
use rocket::response::{Responder, Response, Result as Answer};
use std::io::Cursor;
use std::sync::Arc;

use crate::etag;

/// What is sent.
pub struct Served {
    /// The entity tag.
    pub tag: String,
    /// The body.
    pub bytes: Vec<u8>,
}

/// A body and its media type.
pub struct Document(pub ContentType, pub Arc<Served>);

struct Bytes(Arc<Served>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl<'r> Responder<'r, 'static> for Document {
    fn respond_to(self, request: &'r Request<'_>) -> Answer<'static> {
        let Self(content_type, served) = self;
        let mut response = Response::build();
        response.raw_header("ETag", served.tag.clone());
        let known = request.headers().get_one("If-None-Match").is_some_and(|given| etag::names(given, &served.tag));
        if known {
            return response.status(Status::NotModified).ok();
        }
        let length = served.bytes.len();
        response.header(content_type).sized_body(length, Cursor::new(Bytes(served)));
        // Rocket's default chunk of 4 kB would make several writes of one document. Each body starts with it anew, so
        // this comes after the body.
        response.max_chunk_size(length + 64).ok()
    }
}
