//! Who does something, and how that is known. It knows neither requests nor resources; who may do what is decided in
//! `policy`.

mod actor;
mod failures;
mod identify;
mod secret;

pub use actor::{Actor, Authority, Origin, Scope, Serves};
pub use failures::HELD;
pub use identify::Identities;
pub use secret::{Secret, issue};
