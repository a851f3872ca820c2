//! x
pub mod enc;
