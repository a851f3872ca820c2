//! The authorities whose client certificates are taken, and what they have revoked. Rustls has verified a certificate
//! when its connection was opened; that may be long ago, so it is verified again, with the revocation lists.

use quick_cache::sync::Cache;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use webpki::{EndEntityCert, Error, ExpirationPolicy, KeyUsage, RevocationOptionsBuilder, anchor_from_trusted_cert};

use crate::tls::lists::{Lists, subject_and_issuer};
use crate::tls::material::{Material, Pem, Wrong};

/// For how long a certificate that was verified is believed.
const BELIEVED: Duration = Duration::from_secs(1);
/// How many certificates are remembered.
const CERTIFICATES: usize = 10_000;

/// Some authorities, and their lists.
pub struct Authorities {
    /// Those at which a chain may end.
    anchors: Vec<TrustAnchor<'static>>,
    /// Those that another one of them has issued.
    intermediates: Vec<CertificateDer<'static>>,
    lists: Option<Lists>,
    believed: Cache<Vec<u8>, Instant>,
}

impl Authorities {
    /// Those of a bundle. With lists, there must be one of each of them.
    pub(super) fn read(bundle: &Pem, lists: Option<&Pem>) -> Result<Self, Wrong> {
        let all = bundle.certificates()?;
        let mut names = Vec::new();
        for certificate in &all {
            names.push(subject_and_issuer(certificate).map_err(|reason| bundle.wrong(reason))?);
        }
        let (mut anchors, mut intermediates) = (Vec::new(), Vec::new());
        for (certificate, (subject, issuer)) in all.iter().zip(&names) {
            let anchor = anchor_from_trusted_cert(certificate).map_err(|error| bundle.wrong(error))?;
            // Puppet's root is there with its intermediate; who trusts an intermediate alone gives it alone.
            if subject != issuer && names.iter().any(|(other, _)| other == issuer) {
                intermediates.push(certificate.clone());
            } else {
                anchors.push(anchor.to_owned());
            }
        }
        let lists = lists.map(|lists| Lists::read(lists, &all)).transpose()?;
        Ok(Self { anchors, intermediates, lists, believed: Cache::new(CERTIFICATES) })
    }

    /// Whether a client's certificate is good now.
    ///
    /// # Errors
    /// Why it is not, in words that go on from "the certificate is not taken:".
    pub fn verify(&self, certificate: &[u8]) -> Result<(), String> {
        if self.believed.get(certificate).is_some_and(|since| since.elapsed() < BELIEVED) {
            return Ok(());
        }
        let now = Instant::now();
        self.verify_chain(certificate).map_err(|error| explain(&error))?;
        self.believed.insert(certificate.to_owned(), now);
        Ok(())
    }

    fn verify_chain(&self, certificate: &[u8]) -> Result<(), Error> {
        let certificate = CertificateDer::from(certificate);
        let lists: Vec<_> = self.lists.iter().flat_map(Lists::iter).collect();
        // Without lists nothing is said to be revoked; with them, a certificate that none of them covers is refused.
        let revocation = RevocationOptionsBuilder::new(&lists).ok();
        let revocation = revocation.map(|options| options.with_expiration_policy(ExpirationPolicy::Enforce).build());
        EndEntityCert::try_from(&certificate)?.verify_for_usage(
            algorithms(),
            &self.anchors,
            &self.intermediates,
            UnixTime::now(),
            KeyUsage::client_auth(),
            revocation,
            None,
        )?;
        Ok(())
    }

    /// Since when a list has been out of date: until it is replaced, no certificate that it covers is taken.
    #[must_use]
    pub fn out_of_date(&self) -> Option<String> {
        self.lists.as_ref().and_then(Lists::out_of_date)
    }
}

/// The algorithms of signatures that are taken.
pub(super) fn algorithms() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    ring::default_provider().signature_verification_algorithms.all
}

fn explain(error: &Error) -> String {
    match error {
        Error::CertRevoked => "it, or the authority that issued it, is revoked".into(),
        Error::CertExpired { .. } => "it, or the authority that issued it, has expired".into(),
        Error::CertNotValidYet { .. } => "it, or the authority that issued it, is not valid yet".into(),
        Error::CrlExpired { .. } => "the server's list of what is revoked (tls_crl) is out of date".into(),
        Error::UnknownRevocationStatus => "the server has no list of what its authority has revoked (tls_crl)".into(),
        // The second is that of an authority with the same name.
        Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => {
            "the server does not trust its authority (tls_client_ca)".into()
        }
        other => other.to_string(),
    }
}

/// The authorities of this moment, for requests: nothing, where no certificate is taken.
#[derive(Default)]
pub struct ClientAuthorities(watch::Sender<Option<Arc<Authorities>>>);

impl ClientAuthorities {
    /// Those of this material, from now on.
    pub fn replace(&self, material: Option<&Material>) {
        self.0.send_replace(material.and_then(Material::authorities).cloned());
    }

    /// Those of this moment.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Authorities>> {
        self.0.borrow().clone()
    }
}
