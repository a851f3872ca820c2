//! Somebody logs in: from a name and a password, or a token in its place, to a session. Attempts are counted before
//! they are looked at, so that many at once are no more than one after the other.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use std::net::IpAddr;

use crate::auth::failures::HELD;
use crate::auth::identify::find_by_secret;
use crate::auth::session::{self, SessionSecret};
use crate::auth::{Actor, Authority, Identities, Origin, Password, Scope, token_digest};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::sightings::{self, Login, Object};
use crate::sql::{Sql, Statement};

/// How often a password may be wrong before it is locked.
const ATTEMPTS: u32 = 10;
/// For how long it is locked then. Who knows it can wait, or use a token; whoever guesses gets a thousand tries a day.
const LOCKED: &str = "15 minutes";

/// A user whose password was right.
pub struct Found {
    id: i64,
    name: String,
}

impl Identities {
    /// A session for who has this name and password; the secret of a token does for both. Nothing is told about why
    /// not: whether there is such a user, whether it has a password, or whether that is locked.
    ///
    /// # Errors
    /// [`Error::TooMany`] for an address that has tried too often, [`Error::Away`].
    pub async fn log_in(&self, name: &str, password: Password, origin: &Origin) -> Result<Option<SessionSecret>> {
        if self.failures.hold(origin.address) {
            return Err(Error::TooMany(
                "too many false tokens and passwords have come from this address",
                HELD.as_secs(),
            ));
        }
        let opened = match token_digest(password.expose()) {
            Some(digest) => self.open_by_token(&digest, origin).await?,
            None => match self.verify(name, password).await? {
                Some(user) => Some(self.open_by_password(&user, origin).await?),
                None => None,
            },
        };
        if opened.is_none() {
            self.failures.note(origin.address);
        }
        Ok(opened)
    }

    /// As whom somebody has tried to log in, if there is such a user.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn tried(&self, name: &str) -> Result<Option<Object<'static>>> {
        if name.contains('\0') {
            return Ok(None);
        }
        sightings::tried_user(&self.db.connect("login").await?, name).await
    }

    /// A session for the user whom the provider of identities knows by this name; for nobody, if there is none.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn log_in_as(&self, openid_subject: &str, origin: &Origin) -> Result<Option<SessionSecret>> {
        let open = async |tx: &Tx| {
            let sql = Sql::new("SELECT id, name::text FROM users WHERE state = 'active' AND openid_subject = ");
            match find(tx, sql.one(openid_subject, "text")).await? {
                Some(user) => self.open(tx, &user, None, origin, Login::OpenIdConnect).await.map(Some),
                None => Ok(None),
            }
        };
        self.db.write(Actor::system("login"), false, open).await
    }

    async fn open_by_password(&self, user: &Found, origin: &Origin) -> Result<SessionSecret> {
        let open = async |tx: &Tx| self.open(tx, user, None, origin, Login::Password).await;
        self.db.write(Actor::system("login"), false, open).await
    }

    /// A session, and the record of it.
    async fn open(
        &self,
        tx: &Tx,
        user: &Found,
        token: Option<i64>,
        origin: &Origin,
        how: Login,
    ) -> Result<SessionSecret> {
        let secret = session::open(tx, user.id, token, origin.address, self.sessions).await?;
        // What it may do is found out when it asks for something.
        let actor = Actor::new(format!("user:{}", user.name), Authority::Nothing, Scope::All, token);
        sightings::login(tx, &actor.within(origin.clone()), how).await?;
        Ok(secret)
    }

    /// The user who has this name and this password.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn verify(&self, name: &str, password: Password) -> Result<Option<Found>> {
        let login = || Actor::system("login");
        let attempt = self.db.write(login(), false, async |tx: &Tx| attempt(tx, name).await).await?;
        let (found, kept) = attempt.unzip();
        let Some(found) = found else {
            return password.is(None).await.map(|_| None);
        };
        if !password.is(kept).await? {
            return Ok(None);
        }
        self.db.write(login(), false, async |tx: &Tx| settle(tx, found.id).await).await?;
        Ok(Some(found))
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
    async fn open_by_token(&self, digest: &[u8; 32], origin: &Origin) -> Result<Option<SessionSecret>> {
        let open = async |tx: &Tx| {
            let Some(actor) = find_by_secret(tx, digest, origin.address).await? else { return Ok(None) };
            let Some(name) = actor.user() else { return Ok(None) };
            let sql = Sql::new("SELECT id, name::text FROM users WHERE name = ").one(name, "text");
            let Some(user) = find(tx, sql).await? else { return Ok(None) };
            self.open(tx, &user, actor.token(), origin, Login::Token).await.map(Some)
        };
        self.db.write(Actor::system("login"), false, open).await
    }
}

async fn find(tx: &Tx, sql: Sql) -> Result<Option<Found>> {
    let found: Vec<(i64, String)> = Statement::<(BigInt, Text)>::from(sql).load(&mut tx.conn()).await?;
    Ok(found.into_iter().next().map(|(id, name)| Found { id, name }))
}

/// What is kept of the password of the user with this name, if it may be tried: which is counted here.
async fn attempt(tx: &Tx, name: &str) -> Result<Option<(Found, String)>> {
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
    Ok(found.into_iter().next().map(|(id, kept)| (Found { id, name: name.to_owned() }, kept)))
}

/// The password was right: what was wrong before does not count.
async fn settle(tx: &Tx, user: i64) -> Result<()> {
    let sql = Sql::new("UPDATE user_passwords SET attempts = 0 WHERE user_id = ").one(user.to_string(), "int8");
    Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?;
    Ok(())
}
