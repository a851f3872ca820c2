//! What the server listens with: read from files at once, and checked before anything is done with it.

use rocket::config::{MutualTls, TlsConfig};
use rocket::http::tls::util;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretSlice};
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
#[derive(Clone, Debug)]
pub(super) struct Pem {
    setting: &'static str,
    path: PathBuf,
    /// It may be the key.
    bytes: Arc<SecretSlice<u8>>,
}

impl PartialEq for Pem {
    fn eq(&self, other: &Self) -> bool {
        (self.setting, &self.path, self.bytes()) == (other.setting, &other.path, other.bytes())
    }
}

impl Pem {
    fn read(setting: &'static str, path: &Path) -> Result<Self, Wrong> {
        let path = path.to_owned();
        match fs::read(&path) {
            Ok(bytes) => Ok(Self { setting, path, bytes: Arc::new(bytes.into()) }),
            Err(error) => Err(Wrong { setting, path, reason: format!("cannot be read: {error}") }),
        }
    }

    /// That this is wrong with it.
    pub fn wrong(&self, reason: impl ToString) -> Wrong {
        Wrong { setting: self.setting, path: self.path.clone(), reason: reason.to_string() }
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.expose_secret()
    }

    /// Its certificates, at least one.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Wrong> {
        let found = CertificateDer::pem_slice_iter(self.bytes()).collect::<Result<Vec<_>, _>>();
        match found {
            Ok(found) if found.is_empty() => Err(self.wrong("holds no certificate in PEM")),
            Ok(found) => Ok(found),
            Err(error) => Err(self.wrong(format!("is no PEM: {error}"))),
        }
    }
}

/// The files that the settings name, as they were when they were read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Files {
    certificate: Pem,
    key: Pem,
    client_ca: Option<Pem>,
    crl: Option<Pem>,
}

impl Files {
    /// Reads them; nothing, if there is to be no TLS.
    pub fn read(settings: &Settings) -> Result<Option<Self>, Wrong> {
        let (Some(certificate), Some(key)) = (&settings.tls_certificate, &settings.tls_key) else { return Ok(None) };
        Ok(Some(Self {
            certificate: Pem::read("tls_certificate", certificate)?,
            key: Pem::read("tls_key", key)?,
            client_ca: settings.tls_client_ca.as_ref().map(|path| Pem::read("tls_client_ca", path)).transpose()?,
            crl: settings.tls_crl.as_ref().map(|path| Pem::read("tls_crl", path)).transpose()?,
        }))
    }
}

/// What the server listens with.
#[derive(Clone)]
pub struct Material {
    files: Files,
    authorities: Option<Arc<Authorities>>,
}

impl Material {
    /// Reads the files that the settings name, and checks them; nothing, if there is to be no TLS.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn load(settings: &Settings) -> Result<Option<Self>, Wrong> {
        Files::read(settings)?.map(Self::check).transpose()
    }

    /// What these files are good for.
    pub(super) fn check(files: Files) -> Result<Self, Wrong> {
        check_pair(&files.certificate, &files.key)?;
        let read = |bundle: &Pem| Authorities::read(bundle, files.crl.as_ref());
        let authorities = files.client_ca.as_ref().map(read).transpose()?.map(Arc::new);
        Ok(Self { files, authorities })
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    pub(super) fn has_lists_of(&self, other: &Self) -> bool {
        self.files.crl == other.files.crl
    }

    /// Whether a listener with the one does for the other, for they differ in what is looked at for each request only.
    #[must_use]
    pub fn listens_like(&self, other: &Self) -> bool {
        let (one, other) = (&self.files, &other.files);
        one.certificate == other.certificate && one.key == other.key && one.client_ca == other.client_ca
    }

    /// For Rocket: the bytes that were checked, whatever the files hold by then. A client may have a certificate, and
    /// need not.
    #[must_use]
    pub fn config(&self) -> TlsConfig {
        let config = TlsConfig::from_bytes(self.files.certificate.bytes(), self.files.key.bytes());
        match &self.files.client_ca {
            Some(bundle) => config.with_mutual(MutualTls::from_bytes(bundle.bytes())),
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
    let secret = util::load_private_key(&mut key.bytes()).map_err(|error| key.wrong(error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| certificate.wrong(error))?;
    match config.with_no_client_auth().with_single_cert(chain, secret) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(key.wrong("is not the key of the certificate")),
        Err(error) => Err(certificate.wrong(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_show_itself() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key.pem");
        fs::write(&path, "secret").expect("writes");
        let key = Pem::read("tls_key", &path).expect("reads");
        let shown = format!("{key:?}");
        assert!(shown.contains("key.pem"), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains(&format!("{}, {}", b's', b'e')), "{shown}");
        assert_eq!(key.bytes(), b"secret");
    }
}
