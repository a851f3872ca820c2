//! What a browser is known by after somebody has logged in: a secret in a cookie, of which a digest is kept. With it
//! goes a second word that the forms of our pages hold, and the pages of others cannot know (CSRF). It knows no cookie
//! and no request.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::time::Duration;

use crate::auth::random;
use crate::db::Tx;
use crate::error::Result;
use crate::etag::hex;
use crate::sql::{Sql, Statement};

/// How many characters a secret has: 256 bits.
const LENGTH: usize = 43;

/// For how long sessions are good.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Since somebody logged in.
    pub lifetime: Duration,
    /// Since it was last used.
    pub idle: Duration,
}

/// The secret of a session. It shows itself only when it is asked to.
#[derive(Debug)]
pub struct SessionSecret(SecretString);

impl SessionSecret {
    /// A new one.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal) when the system has no random bytes.
    pub fn random() -> Result<Self> {
        Ok(Self(BASE64.encode(*random::bytes::<32>()?).into()))
    }

    /// What a browser has sent, if it can be one.
    #[must_use]
    pub fn given(text: &str) -> Option<Self> {
        let shaped = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (text.len() == LENGTH && text.bytes().all(shaped)).then(|| Self(text.into()))
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.expose()).into()
    }

    /// What the forms of the session hold. It does not tell the secret.
    #[must_use]
    pub fn form_token(&self) -> FormToken {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.expose().as_bytes());
        FormToken(BASE64.encode(hmac::sign(&key, b"form")).into())
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What a form must hold to be one of ours.
#[derive(Clone, Debug)]
pub struct FormToken(SecretString);

impl FormToken {
    /// For a form.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether a form holds it. Digests are compared, so that how long it takes tells nothing.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        Sha256::digest(given) == Sha256::digest(self.expose())
    }
}

/// Begins a session of a user, who has shown a token or something else.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn open(
    tx: &Tx,
    user: i64,
    token: Option<i64>,
    from: Option<IpAddr>,
    limits: SessionLimits,
) -> Result<SessionSecret> {
    let secret = SessionSecret::random()?;
    let null_or = |sql: Sql, value: Option<String>, sql_type: &str| match value {
        Some(value) => sql.one(value, sql_type),
        None => sql.text("NULL"),
    };
    let sql = Sql::new("INSERT INTO sessions (digest, user_id, token_id, address, expires_at) VALUES (decode(");
    let sql = sql.one(hex(&secret.digest()), "text").text(", 'hex'), ").one(user.to_string(), "int8").text(", ");
    let sql = null_or(sql, token.map(|id| id.to_string()), "int8").text(", ");
    let sql = null_or(sql, from.map(|address| address.to_canonical().to_string()), "inet").text(", now() + ");
    let sql = sql.one(format!("{} seconds", limits.lifetime.as_secs()), "interval").text(")");
    Statement::<Text>::from(sql).execute(&mut tx.conn()).await?;
    Ok(secret)
}

/// Ends a session.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn end(tx: &Tx, secret: &SessionSecret) -> Result<()> {
    let sql = Sql::new("DELETE FROM sessions WHERE digest = decode(").one(hex(&secret.digest()), "text");
    Statement::<Text>::from(sql.text(", 'hex')")).execute(&mut tx.conn()).await?;
    Ok(())
}

/// Ends the sessions of a user, but for one.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn end_all(tx: &Tx, user: i64, but: Option<&SessionSecret>) -> Result<()> {
    let mut sql = Sql::new("DELETE FROM sessions WHERE user_id = ").one(user.to_string(), "int8");
    if let Some(secret) = but {
        sql = sql.text(" AND digest <> decode(").one(hex(&secret.digest()), "text").text(", 'hex')");
    }
    Statement::<Text>::from(sql).execute(&mut tx.conn()).await?;
    Ok(())
}

/// Ends the sessions that began with a token.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn end_all_of_token(tx: &Tx, token: i64) -> Result<()> {
    let sql = Sql::new("DELETE FROM sessions WHERE token_id = ").one(token.to_string(), "int8");
    Statement::<Text>::from(sql).execute(&mut tx.conn()).await?;
    Ok(())
}

/// Forgets the sessions that nobody can use any more; returns how many.
///
/// # Errors
/// [`Error::Away`](crate::error::Error::Away).
pub async fn forget_old(tx: &Tx, limits: SessionLimits) -> Result<usize> {
    let sql = Sql::new("DELETE FROM sessions WHERE expires_at < now() OR last_used_at < now() - ");
    let sql = sql.one(format!("{} seconds", limits.idle.as_secs()), "interval");
    Ok(Statement::<Text>::from(sql).execute(&mut tx.conn()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_secret_and_its_forms_by_another() {
        let (one, other) = (SessionSecret::random().expect("random"), SessionSecret::random().expect("random"));
        assert_eq!(one.expose().len(), LENGTH);
        let given = SessionSecret::given(one.expose()).expect("a secret");
        assert_eq!(given.digest(), one.digest());
        assert!(one.form_token().is(given.form_token().expose()));
        assert!(!one.form_token().is(other.form_token().expose()) && !one.form_token().is(""));
        assert!(!one.form_token().is(one.expose()));
        let shown = format!("{one:?} {:?}", one.form_token());
        assert!(!shown.contains(one.expose()) && !shown.contains(one.form_token().expose()), "{shown}");
        for wrong in ["", "x", &"x".repeat(LENGTH + 1), &" ".repeat(LENGTH)] {
            assert!(SessionSecret::given(wrong).is_none(), "{wrong}");
        }
    }
}
