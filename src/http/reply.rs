//! One answer in several formats: JSON, MessagePack, YAML, CSV, HTML.

use rocket::http::{ContentType, Header, Method, Status};
use rocket::request::Request;
use rocket::response::{Responder, Response, Result as Answer};
use serde_json::Value;
use std::borrow::Cow;
use std::io::Cursor;

use crate::column::{Column, text};
use crate::error::Error;
use crate::http::format::Format;
use crate::http::request_id::RequestId;
use crate::http::seen::Seen;
use crate::http::session;
use crate::object::Content;
use crate::sightings::Object;
use crate::{db::Failure, etag, html, kind::Kind, yaml_safe};

/// How much of a body is written at once: a buffer of this size is held per answer.
const LARGEST_CHUNK: usize = 64 * 1024;

/// An answer, not yet in any format.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// How it is to be shown.
    pub format: Format,
    /// A list with `items`, an object, a problem; null for nothing.
    pub body: Content,
    /// The kind, if it is about one.
    pub kind: Option<&'static dyn Kind>,
    /// The first part of the entity tag, if it is about one object.
    pub tag: Option<String>,
    /// The page, if it was asked for and is more than the body.
    pub page: Option<String>,
    /// More headers.
    pub headers: Vec<Header<'static>>,
}

impl Reply {
    /// An answer about nothing in particular.
    pub fn new(status: u16, format: Format, body: impl Into<Content>) -> Self {
        Self { status, format, body: body.into(), kind: None, tag: None, page: None, headers: vec![] }
    }

    /// A page, for people only.
    pub fn page(status: u16, view: &impl askama::Template) -> Result<Self, Error> {
        Ok(Self { page: Some(html::render(view)?), ..Self::new(status, Format::Html, Value::Null) })
    }

    /// On to another page.
    pub fn see_other(to: impl Into<Cow<'static, str>>) -> Self {
        Self { headers: vec![Header::new("Location", to)], ..Self::new(303, Format::Html, Value::Null) }
    }

    /// A table; of an answer that is none, the fields of one object.
    fn csv(&self) -> Result<Vec<u8>, Failure> {
        let (mut table, body) = (csv::Writer::from_writer(Vec::new()), self.body.to_value()?);
        let items = body["items"].as_array().map_or(std::slice::from_ref(&body), Vec::as_slice);
        let names: Vec<&str> = match self.kind {
            Some(kind) => columns(kind, items),
            None => body.as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str)).collect(),
        };
        if !names.is_empty() {
            table.write_record(&names)?;
        }
        for item in items {
            table.write_record(names.iter().map(|name| cell(&item[*name])))?;
        }
        Ok(table.into_inner()?)
    }

    fn encode(&mut self) -> Result<(ContentType, Vec<u8>), Failure> {
        Ok(match (self.format, self.page.take()) {
            (_, Some(page)) => (ContentType::HTML, page.into_bytes()),
            (format, None) => self.encode_body(format)?,
        })
    }

    fn encode_body(&self, format: Format) -> Result<(ContentType, Vec<u8>), Failure> {
        Ok(match format {
            Format::Html => (ContentType::HTML, html::page(self)?.into_bytes()),
            // A problem is no table.
            Format::Csv if self.status < 400 => (ContentType::CSV, self.csv()?),
            Format::MsgPack => (ContentType::new("application", "msgpack"), rmp_serde::to_vec_named(&self.body)?),
            Format::Yaml => (ContentType::new("application", "yaml"), yaml_safe::to_vec_pretty(&self.body)?),
            _ if self.status >= 400 => {
                (ContentType::new("application", "problem+json"), serde_json::to_vec(&self.body)?)
            }
            _ => (ContentType::JSON, serde_json::to_vec(&self.body)?),
        })
    }
}

/// The columns that are shown: those of every item.
fn columns(kind: &dyn Kind, items: &[Value]) -> Vec<&'static str> {
    let shown = |column: &&Column| items.iter().all(|item| item.get(column.name).is_some());
    kind.columns().iter().filter(shown).map(|column| column.name).collect()
}

/// A program that reads CSV as a spreadsheet must not take a text for a formula (OWASP, CSV injection).
fn cell(value: &Value) -> String {
    let text = text(value);
    if value.is_string() && text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

impl<'r> Responder<'r, 'static> for Reply {
    fn respond_to(mut self, request: &'r Request<'_>) -> Answer<'static> {
        let mut response = Response::build();
        response.status(Status::new(self.status)).raw_header("Vary", "Accept");
        if !self.body.is_null() || self.page.is_some() {
            let (content_type, bytes) = match self.encode() {
                Ok(encoded) => encoded,
                Err(error) => {
                    tracing::error!(error = &*error, "an answer could not be written");
                    return Err(Status::InternalServerError);
                }
            };
            if let Some(object) = &self.tag {
                let tag = format!("\"{object}.{}\"", etag::digest(&bytes));
                let known = request.headers().get_one("If-None-Match").is_some_and(|given| etag::names(given, &tag));
                let reads = matches!(request.method(), Method::Get | Method::Head);
                if self.status == 200 && reads && known {
                    return response.status(Status::NotModified).raw_header("ETag", tag).ok();
                }
                response.raw_header("ETag", tag);
            }
            let length = bytes.len();
            response.header(content_type).sized_body(length, Cursor::new(bytes));
            // Rocket's default of 4 kB would make many writes of one page. After the body, which starts with it anew.
            response.max_chunk_size(LARGEST_CHUNK.min(length + 64));
        }
        for header in self.headers {
            response.header_adjoin(header);
        }
        response.ok()
    }
}

/// An error, with what caused it: the provider's own words come last.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl<'r> Responder<'r, 'static> for Error {
    fn respond_to(self, request: &'r Request<'_>) -> Answer<'static> {
        let id = RequestId::of(request);
        match &self {
            Self::Internal(source) => tracing::error!(error = &**source, request = id, "internal error"),
            Self::Deadlock(source) => tracing::warn!(error = &**source, request = id, "a deadlock, again and again"),
            Self::Provider(source) => {
                tracing::warn!(error = chain(&**source), request = id, "nobody can log in by OpenID Connect");
            }
            Self::Away(source) => tracing::warn!(error = &**source, request = id, "the database is away"),
            Self::Hidden(name) => Seen::of(request).hidden(Object::node_named(name)),
            _ => {}
        }
        // A client that wants what nobody has still gets to know why.
        let format = Format::of(request).unwrap_or(Format::Json);
        if let (Self::Unauthorized | Self::Certificate(_), Format::Html) = (&self, format) {
            return match session::demand(request, &self) {
                Ok(page) => page.respond_to(request),
                Err(error) => {
                    tracing::error!(%error, "the login page could not be written");
                    Err(Status::InternalServerError)
                }
            };
        }
        let mut problem = self.problem();
        problem["instance"] = format!("urn:virtapi:request:{id}").into();
        let mut reply = Reply::new(self.status(), format, problem);
        match &self {
            Self::TooMany(_, seconds) => reply.headers.push(Header::new("Retry-After", seconds.to_string())),
            Self::Away(_) | Self::Deadlock(_) | Self::Overtime(_) => {
                reply.headers.push(Header::new("Retry-After", "1"));
            }
            // A browser asks for a password; other clients know what to send.
            Self::Unauthorized | Self::Certificate(_) => {
                reply.headers.push(Header::new("WWW-Authenticate", "Basic realm=\"virtapi\", charset=\"UTF-8\""));
                reply.headers.push(Header::new("WWW-Authenticate", "Bearer realm=\"virtapi\""));
            }
            Self::MethodNotAllowed(allowed) => reply.headers.push(Header::new("Allow", allowed.clone())),
            _ => {}
        }
        reply.respond_to(request)
    }
}
