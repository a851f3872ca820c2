//! virtapi.

pub mod cli;
pub mod config;
pub mod demo;
mod drain;
pub mod enc;
pub mod postgres;
pub mod telemetry;

/// The schema.
pub mod db {
    /// Stub.
    ///
    /// # Errors
    /// Never.
    pub async fn migrate(_: &str) -> Result<(), std::io::Error> {
        Ok(())
    }
}

/// Stub.
#[must_use]
pub fn rocket(settings: &config::Settings, _: &str) -> rocket::Rocket<rocket::Build> {
    rocket::custom(settings.rocket())
}

/// Stub.
#[must_use]
pub fn openapi() -> serde_json::Value {
    serde_json::Value::Null
}
