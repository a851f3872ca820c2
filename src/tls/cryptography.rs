//! Which implementation of cryptography this process uses as a client. rustls wants one to be chosen, once.

/// Chooses one, unless that is done.
pub fn choose() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        // Any will do.
        tracing::debug!("a cryptography provider is already installed");
    }
}
