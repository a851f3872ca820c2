//! `Idempotency-Key`: a request that is sent again gets the first answer again, and does nothing. The key is claimed in
//! the transaction that does the work, so that of two requests at the same time one waits and then repeats the answer.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::change::Action;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::ask::Ask;
use crate::schema::idempotency_keys as keys;
use crate::{etag, kind::Kind};

/// What was answered, in no format yet.
#[derive(Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The object, the list, or nothing.
    pub body: Value,
    /// The first part of the entity tag.
    pub tag: Option<String>,
    /// Where the object is.
    pub location: String,
}

/// A key, and the request that it stands for.
pub struct Claim {
    key: String,
    request_digest: String,
}

impl Claim {
    /// What a request claims.
    ///
    /// # Errors
    /// When the key cannot be one.
    pub fn of(ask: &Ask, action: Action, kind: &dyn Kind, body_digest: &str) -> Result<Option<Self>> {
        let Some(key) = ask.idempotency_key.clone().filter(|_| action == Action::Create) else { return Ok(None) };
        if !(1..=255).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Malformed("an Idempotency-Key has 1 to 255 visible ASCII characters".into()));
        }
        let request = format!("{} {:?} {} {body_digest}", kind.name(), ask.pairs, ask.dry_run);
        // It is its sender's: nobody gets the answer to somebody else.
        let key = etag::hex(&Sha256::digest(format!("{} {key}", ask.actor.name())));
        Ok(Some(Self { key, request_digest: etag::digest(request.as_bytes()) }))
    }

    /// The first answer, or the work's.
    pub async fn answer(&self, tx: &Tx, work: impl AsyncFnOnce(&Tx) -> Result<Answer>) -> Result<Answer> {
        let row = (keys::key.eq(&self.key), keys::request_digest.eq(&self.request_digest));
        // Waits for another request with this key.
        let claim = diesel::insert_into(keys::table).values(row).on_conflict_do_nothing();
        if tx.as_server(async || Ok(claim.execute(&mut tx.conn()).await?)).await? == 0 {
            return tx.as_server(async || self.first_answer(tx).await).await;
        }
        let answer = work(tx).await?;
        let stored = serde_json::to_value(&answer).map_err(|error| Error::Internal(error.into()))?;
        let row = diesel::update(keys::table.find(&self.key)).set(keys::answer.eq(stored));
        tx.as_server(async || Ok(row.execute(&mut tx.conn()).await?)).await?;
        Ok(answer)
    }

    async fn first_answer(&self, tx: &Tx) -> Result<Answer> {
        let first = keys::table.find(&self.key).select((keys::request_digest, keys::answer));
        let (digest, answer): (String, Option<Value>) = first.first(&mut tx.conn()).await?;
        if digest != self.request_digest {
            return Err(Error::field("", "was sent with this Idempotency-Key before, with other contents"));
        }
        serde_json::from_value(answer.unwrap_or_default()).map_err(|error| Error::Internal(error.into()))
    }
}

/// Forgets keys of more than a day ago.
///
/// # Errors
/// [`Error::Away`].
pub async fn forget_old(tx: &Tx) -> Result<usize> {
    let old = keys::table.filter(keys::created_at.lt(chrono::Utc::now() - chrono::TimeDelta::days(1)));
    Ok(diesel::delete(old).execute(&mut tx.conn()).await?)
}
