//! What somebody was known by in a request, kept for as long as the answer lasts: whose it is can be asked again.

use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::{Actor, Identities, SessionSecret};
use crate::error::{Error, Result};
use crate::tls::ClientAuthorities;

/// What somebody has shown.
pub enum Proof {
    /// The secret of a token, of which its digest is enough, and from where it came.
    Secret([u8; 32], Option<IpAddr>),
    /// The same of a session.
    Session(SessionSecret, Option<IpAddr>),
    /// The certificate of the connection.
    Certificate {
        /// As it came.
        bytes: Vec<u8>,
        /// Its common name, or why it has none.
        name: Result<String, String>,
        /// By whom it must be good.
        authorities: Arc<ClientAuthorities>,
    },
}

impl Proof {
    /// Whose it is now.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] and [`Error::Certificate`] for nobody's, [`Error::Away`].
    pub async fn whose(&self, identities: &Identities) -> Result<Actor> {
        match self {
            Self::Secret(digest, from) => identities.identify(*digest, *from).await?.ok_or(Error::Unauthorized),
            Self::Session(secret, from) => identities.of_session(secret, *from).await?.ok_or(Error::Unauthorized),
            Self::Certificate { bytes, name, authorities } => {
                let authorities = authorities.current().ok_or(Error::Unauthorized)?;
                authorities.verify(bytes).map_err(Error::Certificate)?;
                let name = name.as_ref().map_err(|why| Error::Certificate(why.clone()))?;
                let unknown = || Error::Certificate(format!("{name:?} is the certname of no node and of no compiler"));
                identities.of_certificate(name).await?.ok_or_else(unknown)
            }
        }
    }
}
