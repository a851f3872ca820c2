//! What messages are signed with. A new secret is shown once and kept, for a signature needs it; the one before stays good
//! until the next, so that receivers can change over.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use secrecy::{ExposeSecret, SecretString};

use crate::audit::Trail;
use crate::auth::random;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::resource::Resource;
use crate::resources::{Environment, Hypervisor, Organization, Webhook};
use crate::sql::{Sql, Statement};
use crate::{audit, natural_key, policy};

/// How every secret begins, so that it is known for what it is wherever it is found.
const MARK: &str = "virtapi_webhook_";

/// Whose messages are signed.
#[derive(Clone, Copy)]
pub enum Signer<'k> {
    /// Those to a webhook.
    Webhook(&'k str),
    /// Those to the callbacks of an organization's VMs.
    Organization(&'k str),
    /// Those to the callbacks of VMs that are the fleet's own.
    Fleet,
}

/// A new secret. It and the one before are live from now on, and no others.
///
/// # Errors
/// Not found, [`Error::Forbidden`] or [`Error::Away`].
pub async fn issue(tx: &Tx, signer: Signer<'_>) -> Result<SecretString> {
    let mut trail = Trail::default();
    let (column, id) = match signer {
        Signer::Webhook(key) => {
            policy::write(&tx.actor, Webhook::KIND)?;
            let id = Webhook::KIND.lock(tx, &natural_key::condition(Webhook::KIND, key)?).await?.id();
            trail.issued(Webhook::KIND, id);
            ("webhook_id", Some(id))
        }
        Signer::Organization(key) => {
            policy::write(&tx.actor, Environment::KIND)?;
            let id = Organization::KIND.find(tx, &natural_key::condition(Organization::KIND, key)?).await?.id();
            may_act_for(tx, id).await?;
            trail.issued(Organization::KIND, id);
            ("organization_id", Some(id))
        }
        Signer::Fleet => {
            policy::write(&tx.actor, Hypervisor::KIND)?;
            ("webhook_id", None)
        }
    };
    tx.as_server(async || {
        match id {
            Some(_) => drop(trail.write(tx).await?),
            None => audit::issued_for(tx, "callbacks", "fleet").await?,
        }
        let secret = new()?;
        let id = id.map_or_else(|| "NULL".to_owned(), |id| id.to_string());
        let kept = Sql::new(format!("INSERT INTO signing_secrets ({column}, secret) VALUES ({id}, "));
        let kept = kept.one(secret.expose_secret(), "text").text(")");
        Statement::<Text>::from(kept).execute(&mut tx.conn()).await?;
        let other = if column == "webhook_id" { "organization_id" } else { "webhook_id" };
        let of = format!("FROM signing_secrets WHERE {other} IS NULL AND {column} IS NOT DISTINCT FROM {id}");
        let old = format!("DELETE {of} AND id NOT IN (SELECT id {of} ORDER BY id DESC LIMIT 2)");
        Statement::<BigInt>::from(Sql::new(old)).execute(&mut tx.conn()).await?;
        Ok(secret)
    })
    .await
}

/// Who owns an organization, or writes all of them. The database knows whose it is.
async fn may_act_for(tx: &Tx, organization: i64) -> Result<()> {
    if policy::write(&tx.actor, Organization::KIND).is_ok() {
        return Ok(());
    }
    let sql = Sql::new("SELECT count(*) FROM owned_organizations WHERE organization_id = ");
    let owned = Statement::<BigInt>::from(sql.one(organization.to_string(), "int8"));
    let count: i64 = owned.get_result(&mut tx.conn()).await?;
    if count > 0 { Ok(()) } else { Err(Error::Forbidden) }
}

fn new() -> Result<SecretString> {
    let bytes = random::bytes::<32>()?;
    Ok(format!("{MARK}{}", BASE64.encode(*bytes)).into())
}
