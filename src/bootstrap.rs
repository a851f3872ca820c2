//! The first administrator: without one, nobody could ever make another. It goes the way of every write.

use serde_json::json;

use crate::auth::{Actor, Secret};
use crate::change::{self, Change};
use crate::credentials;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::query::Query;
use crate::resource::Resource;
use crate::resources::{Token, User};

/// Makes an administrator with a token, if there is no user at all.
///
/// # Errors
/// [`Error::Away`].
pub async fn first_administrator(db: &Db) -> Result<Option<Secret>> {
    let made = db.write(Actor::system("first start"), false, async |tx: &Tx| {
        if !User::KIND.list(tx, &Query::parse(User::KIND, &[])?).await?.is_empty() {
            return Ok(None);
        }
        let user = json!({"name": "admin", "account_type": "person", "role": "administrator", "state": "active"});
        let token = json!({"name": "made by the first start", "user": user, "scope": "all"});
        let done = change::apply_one(tx, Change::create(Token::KIND, token)).await?.done;
        credentials::issue_secret(tx, &done.id.to_string()).await.map(Some)
    });
    match made.await {
        // Another replica was faster.
        Err(Error::Conflict(_)) => Ok(None),
        made => made,
    }
}
