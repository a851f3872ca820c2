//! Certificate authorities as Puppet's: a root, an intermediate that issues everything, and a revocation list of each.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
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
    serial: u64,
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
        self.intermediate.pem() + self.root.pem().as_str()
    }

    /// A certificate as Puppet's CA issues it.
    pub fn issue(&self, certname: &str, serial: u64) -> Leaf {
        self.issue_until(certname, serial, 2099)
    }

    /// One that is good until the beginning of a year.
    pub fn issue_until(&self, certname: &str, serial: u64, year: i32) -> Leaf {
        let mut params = leaf(&[certname]);
        params.not_after = date_time_ymd(year, 1, 1);
        self.sign(params, serial)
    }

    /// One that no client may use.
    pub fn issue_for_servers(&self, certname: &str, serial: u64) -> Leaf {
        let mut params = leaf(&[certname]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params, serial)
    }

    /// One with these common names.
    pub fn issue_named(&self, names: &[&str], serial: u64) -> Leaf {
        self.sign(leaf(names), serial)
    }

    fn sign(&self, mut params: CertificateParams, serial: u64) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.signed_by(&key, &self.intermediate).expect("signs");
        Leaf { certificate: certificate.pem() + self.intermediate.pem().as_str(), key: key.serialize_pem(), serial }
    }

    /// As `crl.pem` of Puppet: the list of the intermediate with these certificates, then the root's.
    pub fn revoke(&self, leaves: &[&Leaf]) -> String {
        self.revoke_until(leaves, 2099)
    }

    /// Lists that are good until the beginning of a year.
    pub fn revoke_until(&self, leaves: &[&Leaf], year: i32) -> String {
        let serials: Vec<u64> = leaves.iter().map(|leaf| leaf.serial).collect();
        list(&self.intermediate, &serials, year) + list(&self.root, &[], year).as_str()
    }

    /// Lists that say that the intermediate itself is revoked.
    pub fn revoke_intermediate(&self) -> String {
        list(&self.intermediate, &[], 2099) + list(&self.root, &[2], 2099).as_str()
    }

    /// Only the list of the intermediate.
    pub fn without_list_of_root(&self) -> String {
        list(&self.intermediate, &[], 2099)
    }
}

fn leaf(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("names");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Puppet");
    for (i, name) in names.iter().enumerate() {
        // Of each type there is one; another one is written out to look the same.
        let ty = if i == 0 { DnType::CommonName } else { DnType::CustomDnType(vec![2, 5, 4, 3]) };
        params.distinguished_name.push(ty, *name);
    }
    params.not_before = date_time_ymd(2020, 1, 1);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn authority(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn list(issuer: &CertifiedIssuer<'static, KeyPair>, serials: &[u64], year: i32) -> String {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2021, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(year, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).expect("signs").pem().expect("is PEM")
}
