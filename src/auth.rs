//! Who does something. Every operation is given an actor; this file knows neither requests nor resources.

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// Whoever talks to a server that asks nobody for a name.
    #[must_use]
    pub fn anonymous() -> Self {
        Self("anonymous".into())
    }

    /// A part of virtapi itself.
    #[must_use]
    pub fn system(part: &str) -> Self {
        Self(format!("system:{part}"))
    }

    /// The name that is shown and recorded.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}
