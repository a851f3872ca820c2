//! What authorities have revoked: lists (CRL, RFC 5280) as `puppetserver ca` keeps them, one of each authority in one
//! file. A list that its authority has not signed is refused as a whole.

use chrono::{DateTime, SecondsFormat};
use rocket::mtls::x509::{CertificateRevocationList, FromDer, X509Certificate};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use webpki::{CertRevocationList, EndEntityCert, OwnedCertRevocationList};

use crate::tls::authorities::algorithms;
use crate::tls::material::{Pem, Wrong};

/// Lists that were signed by those who issued them.
pub struct Lists(Vec<List>);

struct List {
    of: String,
    list: CertRevocationList<'static>,
    /// In seconds since 1970.
    next_update: i64,
}

impl Lists {
    /// Those of a file: one of each of the authorities, and of nobody else.
    pub(super) fn read(pem: &Pem, authorities: &[CertificateDer<'_>]) -> Result<Self, Wrong> {
        let found = CertificateRevocationListDer::pem_slice_iter(pem.bytes()).collect::<Result<Vec<_>, _>>();
        let found = found.map_err(|error| pem.wrong(format!("is no PEM: {error}")))?;
        let (mut lists, mut issuers) = (Vec::new(), Vec::new());
        for der in &found {
            let (list, issuer) = read_one(der, authorities).map_err(|reason| pem.wrong(reason))?;
            if issuers.contains(&issuer) {
                // Only the first would be looked at.
                return Err(pem.wrong(format!("holds two lists of {}", list.of)));
            }
            lists.push(list);
            issuers.push(issuer);
        }
        for authority in authorities {
            let parsed = parse(authority).map_err(|reason| pem.wrong(reason))?;
            if !issuers.iter().any(|issuer| issuer == parsed.subject().as_raw()) {
                return Err(pem.wrong(format!("holds no list of {}", parsed.subject())));
            }
        }
        Ok(Self(lists))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &CertRevocationList<'static>> {
        self.0.iter().map(|list| &list.list)
    }

    /// The first that is out of date, and since when.
    pub(super) fn out_of_date(&self) -> Option<String> {
        let now = chrono::Utc::now().timestamp();
        let late = self.0.iter().find(|list| list.next_update <= now)?;
        let since = DateTime::from_timestamp(late.next_update, 0)?.to_rfc3339_opts(SecondsFormat::Secs, true);
        Some(format!("the list of {} is out of date since {since}", late.of))
    }
}

/// A list and the name of its issuer, if that is one of the authorities and has signed it.
fn read_one(
    der: &CertificateRevocationListDer<'_>,
    authorities: &[CertificateDer<'_>],
) -> Result<(List, Vec<u8>), String> {
    let (_, list) = CertificateRevocationList::from_der(der).map_err(|error| format!("holds no list: {error}"))?;
    let (of, issuer) = (list.issuer().to_string(), list.issuer().as_raw().to_owned());
    let mut known = false;
    let mut signed = false;
    for authority in authorities {
        if parse(authority)?.subject().as_raw() == issuer {
            known = true;
            signed |= has_signed(authority, &list)?;
        }
    }
    match (known, signed) {
        (false, _) => return Err(format!("holds a list of {of}, which is not in tls_client_ca")),
        (true, false) => return Err(format!("holds a list that is not signed by {of}, as it says")),
        (true, true) => {}
    }
    let next_update = list.next_update().ok_or_else(|| format!("does not say until when the list of {of} is good"))?;
    let read = OwnedCertRevocationList::from_der(der).map_err(|error| format!("the list of {of}: {error}"))?;
    Ok((List { of, list: read.into(), next_update: next_update.timestamp() }, issuer))
}

/// Whether the key of this authority has made the signature, by one of the algorithms that have its name.
fn has_signed(authority: &CertificateDer<'_>, list: &CertificateRevocationList<'_>) -> Result<bool, String> {
    let authority = EndEntityCert::try_from(authority).map_err(|error| error.to_string())?;
    let name = list.signature_algorithm.algorithm.as_bytes();
    let (content, signature) = (list.tbs_cert_list.as_ref(), list.signature_value.data);
    // An algorithm's identifier begins with its name: an object identifier, tag 6.
    let named = |id: &[u8]| {
        id.strip_prefix(&[6])
            .and_then(|id| id.split_first())
            .is_some_and(|(length, id)| usize::from(*length) == name.len() && id.starts_with(name))
    };
    let fitting = algorithms().iter().filter(|algorithm| named(&algorithm.signature_alg_id()));
    Ok(fitting.into_iter().any(|algorithm| authority.verify_signature(*algorithm, content, signature).is_ok()))
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    X509Certificate::from_der(certificate).map(|(_, parsed)| parsed).map_err(|error| error.to_string())
}

/// The names of a certificate's subject and of its issuer.
pub(super) fn subject_and_issuer(certificate: &CertificateDer<'_>) -> Result<(Vec<u8>, Vec<u8>), String> {
    let parsed = parse(certificate)?;
    Ok((parsed.subject().as_raw().to_owned(), parsed.issuer().as_raw().to_owned()))
}
