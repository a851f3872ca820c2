//! TLS: from the files that the settings name to what the server listens with. It knows neither requests nor actors.

mod authorities;
pub mod cryptography;
mod lists;
mod material;
mod watch;

pub use authorities::{Authorities, ClientAuthorities};
pub use material::{Material, Wrong};
pub use watch::Watch;
