//! The pages: the same resources at the same addresses, for people. A page is a view that was read within the request's
//! transaction, plain strings, which a template then writes: templates get views, not connections. Nothing here knows
//! requests; pages that tell of problems need no database.

pub mod account;
pub mod assets;
mod cell;
pub mod delete;
pub mod detail;
pub mod filter;
pub mod foreseen;
pub mod form;
pub mod history;
mod labels;
mod last_run;
pub mod layout;
pub mod list;
pub mod login;
mod names;
mod options;
pub mod overview;
mod problem;
pub mod search;
pub mod secret;
mod table;
mod values;
mod widget;

use askama::Template;

use crate::db::Failure;
use crate::error::{Error, Result};
use crate::html::layout::Link;
use crate::http::reply::Reply;

/// A view, written.
///
/// # Errors
/// When the template fails.
pub fn render(view: &impl Template) -> Result<String> {
    view.render().map_err(|error| Error::Internal(error.into()))
}

/// The page for an answer that has none of its own: a problem, or data without a view.
///
/// # Errors
/// When the template fails.
pub fn page(reply: &Reply) -> Result<String, Failure> {
    let body = reply.body.to_value()?;
    Ok(match reply.status {
        400.. => problem::Problem::new(reply.status, &body).render()?,
        _ => problem::Data::new(&body).render()?,
    })
}

/// An address with query parameters.
#[must_use]
pub fn address(path: &str, pairs: &[(String, String)]) -> String {
    match serde_urlencoded::to_string(pairs) {
        Ok(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.to_owned(),
    }
}

/// The same in other formats.
fn formats(path: &str, pairs: &[(String, String)]) -> Vec<Link> {
    let format = |(name, suffix): &(&str, &str)| Link::new(*name, address(&format!("{path}.{suffix}"), pairs));
    [("JSON", "json"), ("CSV", "csv"), ("YAML", "yaml"), ("MessagePack", "msgpack")].iter().map(format).collect()
}
