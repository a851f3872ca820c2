//! What a node must be: one document, built in one snapshot, kept as bytes, served only when it is current. `puppet` and
//! `salt` show it in the shape of their tool; this module knows neither.

mod check;
pub mod classes;
mod document;
mod rows;
pub mod served;
mod statements;
mod store;

pub use store::Documents;
