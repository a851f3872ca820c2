//! Who does something, and how that is known. It knows neither requests nor resources; who may do what is decided in
//! `policy`.

mod actor;
mod failures;
mod identify;
mod login;
mod openid;
mod password;
pub mod random;
mod rates;
mod secret;
mod session;

pub use actor::{Actor, Authority, Origin, Scope, Serves};
pub use failures::{HELD, network};
pub use identify::{Identities, user};
pub use login::Found;
pub use openid::{OpenId, Pending};
pub use password::Password;
pub use rates::Rates;
pub use secret::{Secret, issue, token_digest};
pub use session::{FormToken, SessionLimits, SessionSecret, end_all, forget_old};
