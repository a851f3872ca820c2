//! TLS: from the files that the settings name to what the server listens with. It knows neither requests nor actors.

mod material;

pub use material::{Material, Wrong};
