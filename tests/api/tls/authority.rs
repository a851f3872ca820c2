//! Certificate authorities as Puppet's: a root and an intermediate that issues everything.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};

/// A root and its intermediate.
pub struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Leaf {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = || KeyPair::generate().expect("a key");
        let root = CertifiedIssuer::self_signed(authority(&format!("{name} root"), 1), key()).expect("signs");
        let params = authority(&format!("{name} intermediate"), 2);
        let intermediate = CertifiedIssuer::signed_by(params, key(), &root).expect("signs");
        Self { root, intermediate }
    }

    /// As `ca.pem` of Puppet: the intermediate, then the root.
    pub fn bundle(&self) -> String {
        self.intermediate.pem() + &self.root.pem()
    }

    /// A certificate as Puppet's CA issues it.
    pub fn issue(&self, certname: &str, serial: u64) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([certname.to_owned(), "127.0.0.1".to_owned()]).expect("names");
        params.distinguished_name.push(DnType::CommonName, certname);
        params.serial_number = Some(SerialNumber::from(serial));
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2099, 1, 1));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.intermediate).expect("signs");
        Leaf { certificate: certificate.pem() + &self.intermediate.pem(), key: key.serialize_pem() }
    }
}

fn authority(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
