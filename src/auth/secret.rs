//! The secret of a token: `virtapi_<prefix>_<43 characters>`. It has 256 random bits, so a fast digest of it is all
//! that is kept, and nobody can try secrets out. It is shown once, when it is issued.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use sha2::{Digest, Sha256};

use crate::auth::{random, session};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::etag::hex;
use crate::sql::{Sql, Statement};

/// How every secret begins, so that it is known for what it is wherever it is found.
const MARK: &str = "virtapi_";

/// A secret. It shows itself only when it is asked to, and leaves nothing in memory.
#[derive(Debug)]
pub struct Secret(SecretString);

impl Secret {
    /// A new one.
    fn random() -> Result<Self> {
        let bytes = random::bytes::<36>()?;
        let (prefix, rest) = bytes.split_at(4);
        let rest = Zeroizing::new(BASE64.encode(rest));
        Ok(Self(format!("{MARK}{}_{}", hex(prefix), *rest).into()))
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        digest(self.expose())
    }

    /// How it begins: enough to find its token, and nothing to use it with.
    fn prefix(&self) -> &str {
        self.expose().get(..MARK.len() + 8).unwrap_or_default()
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What is kept of what somebody has sent, if it can be a secret: that itself is copied nowhere.
#[must_use]
pub fn token_digest(given: &str) -> Option<[u8; 32]> {
    let shaped = given.starts_with(MARK) && given.len() < 100 && given.bytes().all(|byte| byte.is_ascii_graphic());
    shaped.then(|| digest(given))
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A new secret for a token. The one before, if there was one, is refused from now on, and sessions that began with it
/// end.
///
/// # Errors
/// Not found, or [`Error::Away`].
pub async fn issue(tx: &Tx, token: i64) -> Result<Secret> {
    let secret = Secret::random()?;
    let named = Sql::new("UPDATE tokens SET prefix = ").one(secret.prefix(), "text").text(" WHERE id = ");
    let named = Statement::<BigInt>::from(named.one(token.to_string(), "int8"));
    if named.execute(&mut tx.conn()).await? == 0 {
        return Err(Error::NotFound);
    }
    let kept = Sql::new("INSERT INTO token_secrets (token_id, digest) VALUES (").one(token.to_string(), "int8");
    let kept = kept.text(", decode(").one(hex(&secret.digest()), "text");
    let kept = kept.text(", 'hex')) ON CONFLICT (token_id) DO UPDATE SET digest = excluded.digest, issued_at = now()");
    Statement::<Text>::from(kept).execute(&mut tx.conn()).await?;
    session::end_all_of_token(tx, token).await?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_and_known_for_what_it_is_and_does_not_show_itself() {
        let (one, other) = (Secret::random().expect("random"), Secret::random().expect("random"));
        assert_eq!(one.expose().len(), "virtapi_01234567_".len() + 43);
        assert_ne!(one.expose(), other.expose());
        assert_ne!(one.digest(), other.digest());
        assert!(one.expose().starts_with(one.prefix()) && one.prefix().len() == 16);
        assert_eq!(format!("{one:?}"), "Secret(SecretBox<str>([REDACTED]))");
        assert_eq!(token_digest(one.expose()), Some(one.digest()));
        for wrong in ["", "Bearer x", "virtapi_\n", &format!("virtapi_{}", "x".repeat(100))] {
            assert!(token_digest(wrong).is_none(), "{wrong}");
        }
    }
}
