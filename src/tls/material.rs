//! What the server listens with: read from files at once, and checked before anything is done with it.

use rocket::config::TlsConfig;
use rocket::http::tls::util;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Settings;

/// What is wrong with a file, and which setting names it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Wrong {
    /// The setting.
    pub setting: &'static str,
    path: PathBuf,
    reason: String,
}

/// A file that a setting names, as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pem {
    setting: &'static str,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Pem {
    fn read(setting: &'static str, path: &Path) -> Result<Self, Wrong> {
        let path = path.to_owned();
        match fs::read(&path) {
            Ok(bytes) => Ok(Self { setting, path, bytes }),
            Err(error) => Err(Wrong { setting, path, reason: format!("cannot be read: {error}") }),
        }
    }

    /// That this is wrong with it.
    pub fn wrong(&self, reason: impl ToString) -> Wrong {
        Wrong { setting: self.setting, path: self.path.clone(), reason: reason.to_string() }
    }

    /// Its certificates, at least one.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Wrong> {
        let found = CertificateDer::pem_slice_iter(&self.bytes).collect::<Result<Vec<_>, _>>();
        match found {
            Ok(found) if found.is_empty() => Err(self.wrong("holds no certificate in PEM")),
            Ok(found) => Ok(found),
            Err(error) => Err(self.wrong(format!("is no PEM: {error}"))),
        }
    }
}

/// What the server listens with.
#[derive(Clone, Debug)]
pub struct Material {
    certificate: Pem,
    key: Pem,
}

impl Material {
    /// Reads the files that the settings name, and checks them; nothing, if there is to be no TLS.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn load(settings: &Settings) -> Result<Option<Self>, Wrong> {
        let (Some(certificate), Some(key)) = (&settings.tls_certificate, &settings.tls_key) else { return Ok(None) };
        let (certificate, key) = (Pem::read("tls_certificate", certificate)?, Pem::read("tls_key", key)?);
        check(&certificate, &key)?;
        Ok(Some(Self { certificate, key }))
    }

    /// For Rocket: the bytes that were checked, whatever the files hold by then.
    #[must_use]
    pub fn config(&self) -> TlsConfig {
        TlsConfig::from_bytes(&self.certificate.bytes, &self.key.bytes)
    }
}

/// Whether Rocket will take them, and they belong together.
fn check(certificate: &Pem, key: &Pem) -> Result<(), Wrong> {
    let chain = certificate.certificates()?;
    let secret = util::load_private_key(&mut &*key.bytes).map_err(|error| key.wrong(error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| certificate.wrong(error))?;
    match config.with_no_client_auth().with_single_cert(chain, secret) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(key.wrong("is not the key of the certificate")),
        Err(error) => Err(certificate.wrong(error)),
    }
}
