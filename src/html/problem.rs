//! What has no page of its own: a problem, in words for people; or data, as it is. Neither needs the database, for a
//! page must also say that it is away.

use askama::Template;
use serde_json::Value;

use crate::html::labels;
use crate::html::layout::Layout;

/// The page of a problem.
#[derive(Template)]
#[template(path = "problem.html")]
pub struct Problem {
    layout: Layout,
    status: u16,
    heading: String,
    detail: String,
    /// What can be done.
    advice: &'static str,
    mistakes: Vec<String>,
    /// The name of the request, to ask somebody about it.
    instance: String,
}

/// The page of data.
#[derive(Template)]
#[template(path = "data.html")]
pub struct Data {
    layout: Layout,
    text: String,
}

impl Problem {
    /// For a problem (RFC 9457).
    pub fn new(status: u16, body: &Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let mistake = |error: &Value| {
            let pointer = error["pointer"].as_str().unwrap_or_default().trim_start_matches('/');
            let detail = error["detail"].as_str().unwrap_or_default();
            if pointer.is_empty() { format!("It {detail}.") } else { format!("{pointer} {detail}.") }
        };
        let mistakes: Vec<String> = body["errors"].as_array().into_iter().flatten().map(mistake).collect();
        Self {
            layout: Layout::new(text("title"), None, None),
            status,
            heading: text("title"),
            detail: sentence(&text("detail")),
            advice: advice(status),
            // One mistake is the whole detail already.
            mistakes: if mistakes.len() > 1 { mistakes } else { vec![] },
            instance: text("instance"),
        }
    }
}

impl Data {
    /// For any tree.
    pub fn new(body: &Value) -> Self {
        Self { layout: Layout::new("Data", None, None), text: serde_json::to_string_pretty(body).unwrap_or_default() }
    }
}

fn sentence(text: &str) -> String {
    let text = labels::capitalized(text);
    if text.is_empty() || text.ends_with('.') { text } else { text + "." }
}

fn advice(status: u16) -> &'static str {
    match status {
        404 => "It may have been deleted, or its name is spelled in another way. The search looks everywhere.",
        405 => "Go back, and follow a link or send a form instead.",
        412 => "Load it again, and look at what has changed.",
        413 => "Send less at once.",
        503 => "Nothing is lost. Try again in a moment: this page can be reloaded.",
        500.. => "That is a fault of this server, and it is in its log. Its operators can find it by the number below.",
        _ => "",
    }
}
