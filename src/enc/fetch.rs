//! One question to the server, and what its answer or its silence means.
//!
//! "Away" is only what a server that works would not do: no connection, a broken one, no answer in time, 5xx. A
//! server that speaks and says something else is believed, or refused.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use reqwest::{Response, StatusCode, Url};

use super::settings::Settings;
use crate::client::chain;

/// More than any node's classes and parameters; what is longer is not what was asked for.
const LARGEST_ANSWER: usize = 16 << 20;

const USER_AGENT: &str = concat!("virtapi-enc/", env!("CARGO_PKG_VERSION"));

/// An answer about the node.
#[derive(Debug)]
pub enum Reply {
    /// The node's document.
    Changed { body: String, etag: Option<String> },
    /// What is known under the given entity tag still holds.
    Unchanged,
}

/// Why there is no answer about the node.
#[derive(Debug)]
pub enum Failure {
    /// The server is away or in trouble: what it said before still stands.
    Away(String),
    /// The server knows no such node.
    Unknown(String),
    /// The answer, or the way it came, cannot be trusted.
    Refused(String),
}

/// Ask for the document, within the timeout for everything from the name server to the last byte.
pub fn ask(settings: &Settings, url: Url, etag: Option<&str>) -> Result<Reply, Failure> {
    let client = settings.server.client(USER_AGENT).map_err(Failure::Refused)?;
    let client = client.build().map_err(|error| Failure::Refused(format!("cannot start: {}", chain(&error))))?;
    let headers = headers(settings, etag).map_err(Failure::Refused)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Refused(format!("cannot start: {error}")))?;
    let origin = url.origin().ascii_serialization();
    let question = async {
        let response = client.get(url).headers(headers).send().await.map_err(|error| no_answer(&origin, &error))?;
        read(&origin, response, etag.is_some()).await
    };
    let limit = Duration::from_secs(settings.timeout);
    let reply = runtime.block_on(async { tokio::time::timeout(limit, question).await });
    runtime.shutdown_background();
    reply.unwrap_or_else(|_| Err(Failure::Away(format!("{origin} did not answer within {} s", settings.timeout))))
}

fn headers(settings: &Settings, etag: Option<&str>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/yaml, application/json;q=0.9"));
    settings.server.authorize(&mut headers)?;
    if let Some(etag) = etag {
        headers.insert(IF_NONE_MATCH, HeaderValue::from_str(etag).map_err(|error| error.to_string())?);
    }
    Ok(headers)
}

async fn read(origin: &str, mut response: Response, conditional: bool) -> Result<Reply, Failure> {
    let status = response.status();
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if conditional => return Ok(Reply::Unchanged),
        StatusCode::NOT_FOUND => return Err(Failure::Unknown(format!("{origin} knows no such node (404)"))),
        _ if status.is_server_error() => return Err(Failure::Away(format!("{origin} answered {status}"))),
        _ => return Err(Failure::Refused(format!("{origin} answered {status}"))),
    }
    let header =
        |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
    let content_type = header(CONTENT_TYPE).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = ["application/yaml", "application/x-yaml", "text/yaml", "application/json"];
    if !known.contains(&media_type.as_str()) {
        return Err(Failure::Refused(format!("{origin} answered with content type {content_type:?}")));
    }
    let etag = header(ETAG);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(origin, &error))? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ANSWER {
            return Err(Failure::Refused(format!("{origin} answered with more than {LARGEST_ANSWER} bytes")));
        }
    }
    match String::from_utf8(body) {
        Ok(body) => Ok(Reply::Changed { body, etag }),
        Err(_) => Err(Failure::Refused(format!("{origin} answered with text that is not UTF-8"))),
    }
}

/// Tell a server that is away from one that speaks something else: a certificate that does not hold, or no HTTP.
fn no_answer(origin: &str, error: &reqwest::Error) -> Failure {
    let reason = format!("no answer from {origin}: {}", chain(error));
    let mut broken = error.is_timeout() || error.is_connect();
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<rustls::Error>() {
            return Failure::Refused(reason);
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            // It may wrap another error, which is not among its sources.
            if let Some(inner) = io.get_ref()
                && inner.is::<rustls::Error>()
            {
                return Failure::Refused(reason);
            }
            broken = true;
        }
        broken |= cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message);
        source = cause.source();
    }
    if broken { Failure::Away(reason) } else { Failure::Refused(reason) }
}
