//! The page where people log in.

use askama::Template;

use crate::html::{self, layout::Layout};

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
    /// The link to a provider of identities, if there is one.
    openid: Option<String>,
}

impl Login {
    /// Empty, or as it was refused.
    pub fn new(form_token: &str, next: &str, name: &str, refusal: Option<String>, has_openid: bool) -> Self {
        Self {
            layout: Layout::of_stranger("Log in", form_token),
            next: next.into(),
            name: name.into(),
            refusal,
            openid: has_openid.then(|| html::address("/login/openid", &[("next".into(), next.into())])),
        }
    }
}
