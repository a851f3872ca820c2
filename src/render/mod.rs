//! What a node must be: one document, built in one snapshot, kept as bytes, served only when it is current. `puppet` and
//! `salt` show it in the shape of their tool; this module knows neither.

mod check;
pub mod classes;
mod document;
mod hypervisor;
mod interfaces;
mod rows;
mod seed;
pub mod served;
pub mod showing;
mod statements;
mod store;
mod versions;
mod vm;

pub use document::Document;
pub use store::{Documents, Kept};

/// How long the database may take over one document, or one check. An agent that is told comes back; one that waits for
/// a database that hangs does nothing.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
