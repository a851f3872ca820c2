//! Somebody logs in: from a name and a password, or a token in its place, to a session. Attempts are counted before they
//! are looked at, so that many at once are no more than one after the other.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use std::net::IpAddr;

use crate::auth::failures::HELD;
use crate::auth::identify::find_by_secret;
use crate::auth::session::{self, SessionSecret};
use crate::auth::{Actor, Identities, Password, Secret};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::sql::{Sql, Statement};

/// How often a password may be wrong before it is locked.
const ATTEMPTS: u32 = 10;
/// For how long it is locked then. Who knows it can wait, or use a token; whoever guesses gets a thousand tries a day.
const LOCKED: &str = "15 minutes";

/// A user whose password was right.
pub struct Found {
    /// Its id.
    pub id: i64,
}

impl Identities {
    /// A session for who has this name and password; the secret of a token does for both. Nothing is told about why not:
    /// whether there is such a user, whether it has a password, or whether that is locked.
    ///
    /// # Errors
    /// [`Error::TooMany`] for an address that has tried too often, [`Error::Away`].
    pub async fn log_in(&self, name: &str, password: Password, from: Option<IpAddr>) -> Result<Option<SessionSecret>> {
        if self.failures.hold(from) {
            return Err(Error::TooMany(HELD.as_secs()));
        }
        let opened = match Secret::given(password.expose()) {
            Some(secret) => self.open_by_token(&secret, from).await?,
            None => match self.verify(name, password).await? {
                Some(user) => Some(self.open_session(user.id, from).await?),
                None => None,
            },
        };
        if opened.is_none() {
            self.failures.note(from);
        }
        Ok(opened)
    }

    /// A session for the user whom the provider of identities knows by this name; for nobody, if there is none.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn log_in_as(&self, openid_subject: &str, from: Option<IpAddr>) -> Result<Option<SessionSecret>> {
        let open = async |tx: &Tx| {
            let sql = Sql::new("SELECT id FROM users WHERE state = 'active' AND openid_subject = ");
            let sql = Statement::<BigInt>::from(sql.one(openid_subject, "text"));
            let ids: Vec<i64> = sql.load(&mut tx.conn()).await?;
            match ids.into_iter().next() {
                Some(id) => session::open(tx, id, None, from, self.sessions).await.map(Some),
                None => Ok(None),
            }
        };
        self.db.write(Actor::system("login"), false, open).await
    }

    async fn open_session(&self, user: i64, from: Option<IpAddr>) -> Result<SessionSecret> {
        let open = async |tx: &Tx| session::open(tx, user, None, from, self.sessions).await;
        self.db.write(Actor::system("login"), false, open).await
    }

    /// The user who has this name and this password.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn verify(&self, name: &str, password: Password) -> Result<Option<Found>> {
        let login = || Actor::system("login");
        let attempt = self.db.write(login(), false, async |tx: &Tx| attempt(tx, name).await).await?;
        let (id, kept) = attempt.map_or((0, None), |(id, kept)| (id, Some(kept)));
        if !password.is(kept).await? {
            return Ok(None);
        }
        self.db.write(login(), false, async |tx: &Tx| settle(tx, id).await).await?;
        Ok(Some(Found { id }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn log_out(&self, secret: &SessionSecret, from: Option<IpAddr>) -> Result<()> {
        self.db.write(Actor::system("logout"), false, async |tx: &Tx| session::end(tx, secret).await).await?;
        self.forget_session(secret, from);
        Ok(())
    }

    /// Only a user's: nodes and compilers have nothing to look at.
    async fn open_by_token(&self, secret: &Secret, from: Option<IpAddr>) -> Result<Option<SessionSecret>> {
        let open = async |tx: &Tx| {
            let Some(actor) = find_by_secret(tx, &secret.digest(), from).await? else { return Ok(None) };
            let Some(name) = actor.user() else { return Ok(None) };
            let sql = Sql::new("SELECT id FROM users WHERE name = ").one(name, "text");
            let ids: Vec<i64> = Statement::<BigInt>::from(sql).load(&mut tx.conn()).await?;
            let Some(id) = ids.into_iter().next() else { return Ok(None) };
            session::open(tx, id, actor.token(), from, self.sessions).await.map(Some)
        };
        self.db.write(Actor::system("login"), false, open).await
    }
}

/// What is kept of the password of the user with this name, if it may be tried: which is counted here.
async fn attempt(tx: &Tx, name: &str) -> Result<Option<(i64, String)>> {
    // What cannot be stored names nobody.
    if name.contains('\0') {
        return Ok(None);
    }
    // Durable only with what comes after it: how long it takes is not to tell whether there is such a user.
    Statement::<Text>::from(Sql::new("SET LOCAL synchronous_commit = off")).execute(&mut tx.conn()).await?;
    let sql = Sql::new(format!(
        "UPDATE user_passwords p SET attempted_at = now(),
            attempts = CASE WHEN p.attempted_at > now() - interval '{LOCKED}' THEN p.attempts + 1 ELSE 1 END
        FROM users u WHERE u.id = p.user_id AND u.state = 'active'
            AND NOT (p.attempts >= {ATTEMPTS} AND p.attempted_at > now() - interval '{LOCKED}') AND u.name = "
    ));
    let sql = Statement::<(BigInt, Text)>::from(sql.one(name, "text").text(" RETURNING u.id, p.hash"));
    let found: Vec<(i64, String)> = sql.load(&mut tx.conn()).await?;
    Ok(found.into_iter().next())
}

/// The password was right: what was wrong before does not count.
async fn settle(tx: &Tx, user: i64) -> Result<()> {
    let sql = Sql::new("UPDATE user_passwords SET attempts = 0 WHERE user_id = ").one(user.to_string(), "int8");
    Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?;
    Ok(())
}
