//! A browser as far as forms need one: what a page's form holds, what is sent of it, and where a redirect leads.

use rocket::http::Method;

use crate::harness::{Answer, App};

/// What browsers send.
pub const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Opens a page.
pub async fn open(app: &App, url: &str) -> Answer {
    app.send(Method::Get, url, &[("Accept", ACCEPT)], b"").await
}

/// A form of a page, to be filled in and sent.
#[derive(Clone, Debug)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The page's form that is sent by POST.
    pub fn of(page: &str) -> Self {
        let start = page.find("method=\"post\"").unwrap_or_else(|| panic!("no form in {page}"));
        let tag = &page[page[..start].rfind('<').expect("a tag")..];
        let body = &tag[tag.find('>').expect("an end") + 1..tag.find("</form>").expect("an end")];
        let mut fields = Vec::new();
        for (i, _) in body.match_indices('<') {
            let rest = &body[i + 1..];
            let (inside, after) = rest.split_once('>').expect("an end");
            let name = || attribute(inside, "name").expect("a name");
            if inside.starts_with("input") {
                let is_box = attribute(inside, "type").as_deref() == Some("checkbox");
                if !is_box || inside.ends_with(" checked") {
                    fields.push((name(), attribute(inside, "value").expect("a value")));
                }
            } else if inside.starts_with("textarea") {
                let text = after.split_once("</textarea>").expect("an end").0;
                // A browser drops the first line break, and sends others with a carriage return.
                let text = unescaped(text.strip_prefix('\n').unwrap_or(text)).replace('\n', "\r\n");
                fields.push((name(), text));
            } else if inside.starts_with("select") {
                let options = after.split_once("</select>").expect("an end").0;
                let chosen = options.split('<').find(|option| option.contains(" selected>"));
                let chosen = chosen.or_else(|| options.split('<').find(|option| option.starts_with("option")));
                fields.push((name(), chosen.and_then(|option| attribute(option, "value")).expect("an option")));
            }
        }
        Self { action: attribute(tag.split('>').next().expect("a tag"), "action").expect("an action"), fields }
    }

    /// What stands in a field.
    pub fn value(&self, name: &str) -> &str {
        let found = self.fields.iter().rfind(|(n, _)| n == name);
        found.map_or_else(|| panic!("no field {name:?} in {self:?}"), |(_, value)| value)
    }

    /// Fills a field in; of check boxes, checks one.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let i = self.fields.iter().rposition(|(n, _)| n == name);
        let i = i.unwrap_or_else(|| panic!("no field {name:?} in {self:?}"));
        value.clone_into(&mut self.fields[i].1);
        self
    }

    /// Sends it.
    pub async fn send(&self, app: &App) -> Answer {
        let body = serde_urlencoded::to_string(&self.fields).expect("fields");
        let headers = [("Accept", ACCEPT), ("Content-Type", "application/x-www-form-urlencoded")];
        app.send(Method::Post, &self.action, &headers, body.as_bytes()).await
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    Some(unescaped(tag[start..].split('"').next()?))
}

/// Text as it was before askama escaped it.
pub fn unescaped(text: &str) -> String {
    let named = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    named.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

/// A page that came as it should.
pub fn page(answer: &Answer, status: u16) -> &str {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert!(answer.header("Content-Type").starts_with("text/html"), "{text}");
    assert!(text.starts_with("<!doctype html>") && text.trim_end().ends_with("</html>"), "{text}");
    // What the policy forbids, a page does not try.
    assert!(answer.header("Content-Security-Policy").contains("default-src 'none'"));
    for (name, value) in [
        ("Referrer-Policy", "same-origin"),
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("Permissions-Policy").contains("camera=()"));
    for forbidden in ["<script", "<style", " style=", " onclick", "href=\"javascript:"] {
        assert!(!text.contains(forbidden), "{forbidden} in {text}");
    }
    text
}

/// What a person who follows links would have seen.
pub async fn follow(app: &App, answer: &Answer) -> Answer {
    assert_eq!(answer.status, 303, "{}", answer.text());
    open(app, answer.header("Location")).await
}
