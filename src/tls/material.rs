//! What the server listens with: read from files at once, and checked before anything is done with it.

use rocket::config::{MutualTls, TlsConfig};
use rocket::http::tls::util;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Settings;
use crate::tls::authorities::Authorities;

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

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
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
#[derive(Clone)]
pub struct Material {
    certificate: Pem,
    key: Pem,
    client_ca: Option<Pem>,
    authorities: Option<Arc<Authorities>>,
}

impl Material {
    /// Reads the files that the settings name, and checks them; nothing, if there is to be no TLS.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn load(settings: &Settings) -> Result<Option<Self>, Wrong> {
        let (Some(certificate), Some(key)) = (&settings.tls_certificate, &settings.tls_key) else { return Ok(None) };
        let certificate = Pem::read("tls_certificate", certificate)?;
        let key = Pem::read("tls_key", key)?;
        let client_ca = settings.tls_client_ca.as_ref().map(|path| Pem::read("tls_client_ca", path)).transpose()?;
        let crl = settings.tls_crl.as_ref().map(|path| Pem::read("tls_crl", path)).transpose()?;
        check_pair(&certificate, &key)?;
        let authorities = client_ca.as_ref().map(|bundle| Authorities::read(bundle, crl.as_ref())).transpose()?;
        Ok(Some(Self { certificate, key, client_ca, authorities: authorities.map(Arc::new) }))
    }

    /// For Rocket: the bytes that were checked, whatever the files hold by then. A client may have a certificate, and
    /// need not.
    #[must_use]
    pub fn config(&self) -> TlsConfig {
        let config = TlsConfig::from_bytes(&self.certificate.bytes, &self.key.bytes);
        match &self.client_ca {
            Some(bundle) => config.with_mutual(MutualTls::from_bytes(&bundle.bytes)),
            None => config,
        }
    }

    /// The list that is out of date, and since when: until it is replaced, no client certificate is taken.
    #[must_use]
    pub fn out_of_date(&self) -> Option<String> {
        self.authorities.as_ref().and_then(|authorities| authorities.out_of_date())
    }

    /// Whose client certificates are taken.
    #[must_use]
    pub fn authorities(&self) -> Option<&Arc<Authorities>> {
        self.authorities.as_ref()
    }
}

/// Whether Rocket will take them, and they belong together.
fn check_pair(certificate: &Pem, key: &Pem) -> Result<(), Wrong> {
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
