//! How a receiver knows that a message is ours, and new: HMAC-SHA256 over the time and the body, with each live secret.
//! It knows neither where the secrets are kept nor who is told.

use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

use crate::etag::hex;

/// The signatures, as the header has them: `v1=…`, one for each secret, with commas between them.
#[must_use]
pub fn header(secrets: &[SecretString], timestamp: i64, body: &str) -> String {
    let signed = format!("{timestamp}.{body}");
    let one = |secret: &SecretString| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        format!("v1={}", hex(hmac::sign(&key, signed.as_bytes()).as_ref()))
    };
    secrets.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let one = header(&["secret".into()], 1_700_000_000, r#"{"a":1}"#);
        assert_eq!(one, "v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686");
        let two = header(&["secret".into(), "other".into()], 1_700_000_000, r#"{"a":1}"#);
        assert!(two.starts_with(&format!("{one},v1=")) && two.len() == 2 * one.len() + 1, "{two}");
        assert_ne!(header(&["secret".into()], 1_700_000_001, r#"{"a":1}"#), one);
        assert_eq!(header(&[], 1, ""), "");
    }
}
