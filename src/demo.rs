//! The demo fleet.

use crate::config::Settings;

/// What came of loading it.
pub enum Outcome {
    /// So many objects were made.
    Loaded(usize),
    /// There is something in the database: it is left alone.
    NotEmpty,
}

/// Loads.
///
/// # Errors
/// When the database is away.
pub async fn load(_: &Settings, _: &str) -> Result<Outcome, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Outcome::NotEmpty)
}
