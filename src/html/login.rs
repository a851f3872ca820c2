//! The page where people log in.

use askama::Template;

use crate::html::layout::Layout;

/// The page.
#[derive(Template)]
#[template(path = "login.html")]
pub struct Login {
    layout: Layout,
    /// Where its reader wants to go.
    next: String,
    /// As it was typed.
    name: String,
    refusal: Option<String>,
}

impl Login {
    /// Empty, or as it was refused.
    pub fn new(form_token: &str, next: &str, name: &str, refusal: Option<String>) -> Self {
        Self { layout: Layout::of_stranger("Log in", form_token), next: next.into(), name: name.into(), refusal }
    }
}
