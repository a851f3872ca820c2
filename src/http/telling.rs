//! What is done for who is told of changes: secrets for their signatures, issued on demand and shown once; and a message that is
//! sent once more.

use rocket::http::Header;
use rocket::{Route, State, post, routes};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::db::{Db, Tx};
use crate::error::Result;
use crate::html::secret::SecretPage;
use crate::http::ask::Ask;
use crate::http::body::FormBody;
use crate::http::format::{Format, stem};
use crate::http::reply::Reply;
use crate::query::Query;
use crate::refs;
use crate::resource::Resource;
use crate::resources::{Organization, Webhook, WebhookDelivery};
use crate::telling::{self, Signer};

/// A secret for the messages to a webhook.
#[post("/webhooks/<key>/secret", data = "<body>")]
async fn issue_for_webhook(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    issue(Signer::Webhook(stem(key)), ask?, body?, db).await
}

/// A secret for the callbacks of an organization's VMs.
#[post("/organizations/<key>/callback-secret", data = "<body>")]
async fn issue_for_organization(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    issue(Signer::Organization(stem(key)), ask?, body?, db).await
}

/// A secret for the callbacks of the fleet's own VMs.
#[post("/callback-secret", data = "<body>")]
async fn issue_for_fleet(ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    issue(Signer::Fleet, ask?, body?, db).await
}

async fn issue(signer: Signer<'_>, mut ask: Ask, body: FormBody, db: &Db) -> Result<Reply> {
    if let Some(body) = body.0 {
        body.complete(&mut ask)?;
    }
    Query::none(&ask.pairs)?;
    let work = async |tx: &Tx| telling::issue(tx, signer).await;
    let secret = db.write(ask.actor.clone(), ask.dry_run, work).await?;
    let secret = secret.expose_secret();
    let mut reply = match ask.format {
        Format::Html => {
            let kind = if let Signer::Webhook(_) = signer { Webhook::KIND } else { Organization::KIND };
            Reply::page(201, &SecretPage::for_signatures(secret, kind, &ask.actor))?
        }
        format => Reply::new(201, format, json!({"secret": secret})),
    };
    reply.headers.push(Header::new("Cache-Control", "no-store"));
    Ok(reply)
}

/// A message once more.
#[post("/webhook-deliveries/<key>/resend", data = "<body>")]
async fn resend(key: &str, ask: Result<Ask>, body: Result<FormBody>, db: &State<Db>) -> Result<Reply> {
    let mut ask = ask?;
    if let Some(body) = body?.0 {
        body.complete(&mut ask)?;
    }
    Query::none(&ask.pairs)?;
    let work = async |tx: &Tx| telling::resend(tx, stem(key)).await;
    let id = db.write(ask.actor.clone(), ask.dry_run, work).await?;
    Ok(match ask.format {
        Format::Html => Reply::see_other(refs::href(WebhookDelivery::KIND, id)),
        format => Reply::new(202, format, json!({"status": "pending"})),
    })
}

/// The routes under `/v1`.
pub fn routes() -> Vec<Route> {
    routes![issue_for_webhook, issue_for_organization, issue_for_fleet, resend]
}
