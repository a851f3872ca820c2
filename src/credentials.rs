//! What somebody is known by is set here, beside `change::apply`, for it is a field of no object: the secret of a
//! token, the password of a person. That it was set is recorded; what it is, is not.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use crate::audit::Trail;
use crate::auth::{self, Secret, SessionSecret};
use crate::column::text;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::resource::Resource;
use crate::resources::{Token, User};
use crate::row::Row;
use crate::sql::{Sql, Statement};
use crate::{kind::Kind, natural_key, policy};

/// Issues a secret for a token. It is nowhere but in what this gives; the one before is refused from now on.
///
/// # Errors
/// Not found, [`Error::Forbidden`] or [`Error::Away`].
pub async fn issue_secret(tx: &Tx, key: &str) -> Result<Secret> {
    policy::write(&tx.actor, Token::KIND)?;
    let id = lock(tx, Token::KIND, key).await?.id();
    let mut trail = Trail::default();
    trail.issued(Token::KIND, id);
    trail.write(tx).await?;
    auth::issue(tx, id).await
}

/// The id and the name of a user who may be given a password.
///
/// # Errors
/// Not found, [`Error::Forbidden`] or [`Error::Away`].
pub async fn user(tx: &Tx, key: &str) -> Result<(i64, String)> {
    policy::write(&tx.actor, User::KIND)?;
    let row = User::KIND.find(tx, &natural_key::condition(User::KIND, key)?).await?;
    Ok((row.id(), text(&row["name"])))
}

/// What is kept of a user's password is this from now on; nothing, for one who has no password any more. All its
/// sessions end but the one that is named.
///
/// # Errors
/// Not found, [`Error::Forbidden`], [`Error::Invalid`] for a program's account, or [`Error::Away`].
pub async fn set_password(tx: &Tx, name: &str, kept: Option<&str>, but: Option<&SessionSecret>) -> Result<()> {
    policy::set_password(&tx.actor, name)?;
    // Of a customer, too, who sees no user.
    tx.as_server(async || {
        let row = lock(tx, User::KIND, name).await?;
        if kept.is_some() && row["account_type"] == "service" {
            return Err(Error::field("", "is the account of a program, which shows a token and has no password"));
        }
        let id = row.id();
        let kept_there = match kept {
            Some(kept) => keep(tx, id, kept).await?,
            None => remove(tx, id).await?,
        };
        if kept_there == 0 {
            return Err(Error::NotFound);
        }
        auth::end_all(tx, id, but).await?;
        let mut trail = Trail::default();
        trail.password(User::KIND, id, kept.is_some());
        trail.write(tx).await.map(drop)
    })
    .await
}

async fn lock(tx: &Tx, kind: &'static dyn Kind, key: &str) -> Result<Row> {
    kind.lock(tx, &natural_key::condition(kind, key)?).await
}

/// A new one is not locked by what was tried before.
async fn keep(tx: &Tx, user: i64, kept: &str) -> Result<usize> {
    let sql = Sql::new("INSERT INTO user_passwords (user_id, hash) VALUES (").one(user.to_string(), "int8");
    let sql = sql.text(", ").one(kept, "text").text(
        ") ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = now(), attempts = 0, attempted_at = NULL",
    );
    Ok(Statement::<Text>::from(sql).execute(&mut tx.conn()).await?)
}

async fn remove(tx: &Tx, user: i64) -> Result<usize> {
    let sql = Sql::new("DELETE FROM user_passwords WHERE user_id = ").one(user.to_string(), "int8");
    Ok(Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?)
}
