//! Sends what is due, and writes down what became of it. A server leases what it sends, so that of several one does; what
//! one that has died had leased is sent by another. Nothing is sent within a transaction. It knows what to send and
//! where, and not what it says.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Integer, Text};
use diesel_async::RunQueryDsl;
use futures_util::future::join_all;
use reqwest::{Certificate, Client, redirect};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::target::Resolver;
use super::{Rules, schedule, signature};
use crate::auth::Actor;
use crate::client;
use crate::config::Settings;
use crate::db::{Db, Failure, Tx};
use crate::error::{Error, Result};
use crate::resource::Resource;
use crate::resources::WebhookDelivery;
use crate::sql::{Sql, Statement};
use crate::tls::cryptography;
use crate::{audit::Trail, natural_key, policy};

/// How often it is asked what is due.
const EVERY: Duration = Duration::from_secs(1);
/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long nobody else sends what one server has leased: longer than a receiver may take.
const LEASE: Duration = Duration::from_mins(1);
/// How many are sent at once by one server, and to one receiver by all.
const AT_ONCE: usize = 64;
const AT_ONCE_TO_ONE: usize = 4;
/// The longest error that is kept.
const LONGEST_ERROR: usize = 255;

/// Sends messages.
#[derive(Clone)]
pub struct Courier {
    db: Db,
    client: Client,
    rules: Arc<Rules>,
}

/// A message that nobody else sends meanwhile.
pub struct Letter {
    id: i64,
    lease: Uuid,
    event: String,
    url: String,
    body: String,
    failures: u32,
    secrets: Vec<SecretString>,
}

/// What a receiver has made of a message: the status of its answer, and what is wrong.
struct Outcome {
    answer: Option<u16>,
    error: Option<String>,
}

impl Courier {
    /// One that goes by these settings.
    ///
    /// # Errors
    /// When the file of authorities cannot be read.
    pub fn new(db: Db, settings: &Settings) -> Result<Self, Failure> {
        cryptography::choose();
        let rules = Rules::of(settings);
        // No proxy, and nobody is followed elsewhere: each could lead to what only this server reaches.
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .dns_resolver(Arc::new(Resolver(rules.clone())))
            .timeout(PATIENCE)
            .user_agent(concat!("virtapi/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.webhook_ca {
            let pem = std::fs::read(path).map_err(|error| format!("webhook_ca {}: {error}", path.display()))?;
            builder = builder.tls_certs_merge(Certificate::from_pem_bundle(&pem)?);
        }
        Ok(Self { db, client: builder.build()?, rules })
    }

    /// Sends what is due, time and again, for ever.
    pub async fn keep_sending(self) {
        let free = Arc::new(Semaphore::new(AT_ONCE));
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tick.tick().await;
            // More may be due than is leased at once.
            while self.send_some(&free).await {}
        }
    }

    /// Whether there may be more.
    async fn send_some(&self, free: &Arc<Semaphore>) -> bool {
        let letters = match self.lease(free.available_permits()).await {
            Ok(letters) => letters,
            Err(error) => {
                tracing::debug!(%error, "nobody knows which messages are due for now");
                return false;
            }
        };
        let any = !letters.is_empty();
        for letter in letters {
            let (courier, Ok(permit)) = (self.clone(), free.clone().acquire_owned().await) else { return false };
            tokio::spawn(async move {
                courier.deliver(&letter).await;
                drop(permit);
            });
        }
        any
    }

    /// Sends what is due now, and waits for what becomes of it; says how many that were.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn send_due(&self) -> Result<usize> {
        let letters = self.lease(AT_ONCE).await?;
        join_all(letters.iter().map(|letter| self.deliver(letter))).await;
        Ok(letters.len())
    }

    /// Leases what is due: of each object the earliest that one receiver has not taken, and of each receiver only some.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn lease(&self, limit: usize) -> Result<Vec<Letter>> {
        if limit == 0 {
            return Ok(vec![]);
        }
        let lease = Uuid::new_v4();
        let sql = Sql::new(LEASE_DUE.replace("{some}", &AT_ONCE_TO_ONE.to_string()))
            .text(format!(" LIMIT {limit} FOR UPDATE OF d SKIP LOCKED) UPDATE webhook_deliveries d SET lease = "))
            .one(lease.to_string(), "uuid")
            .text(format!(", leased_until = now() + interval '{} seconds'", LEASE.as_secs()))
            .text(LEASED);
        let work =
            async |tx: &Tx| -> Result<Vec<Found>> { Ok(Statement::<Leased>::from(sql).load(&mut tx.conn()).await?) };
        let mut found = self.db.write(Actor::system("webhooks"), false, work).await?;
        found.sort_by_key(|(id, ..)| *id);
        let letter = |(id, event, url, body, attempts, secrets): Found| Letter {
            id,
            lease,
            event,
            url,
            body,
            failures: u32::try_from(attempts).unwrap_or(0) + 1,
            secrets: secrets.into_iter().map(SecretString::from).collect(),
        };
        Ok(found.into_iter().map(letter).collect())
    }

    async fn deliver(&self, letter: &Letter) {
        let outcome = self.send(letter).await;
        if let Err(error) = self.record(letter, outcome).await {
            tracing::warn!(%error, delivery = letter.id, "what became of a message is not known, and it is sent again");
        }
    }

    async fn send(&self, letter: &Letter) -> Outcome {
        let failed = |error: String| Outcome { answer: None, error: Some(error) };
        // The settings may have changed since it was stored; and an address that is no name is asked for nowhere else.
        let url = match self.rules.targets.check(&letter.url) {
            Ok(url) => url,
            Err(error) => return failed(format!("the address {error}")),
        };
        if letter.secrets.is_empty() {
            return failed("no secret has been issued to sign it with".into());
        }
        let now = Utc::now().timestamp();
        let request = self
            .client
            .post(url)
            .header("Content-Type", "application/json")
            .header("X-Virtapi-Event-Id", &letter.event)
            .header("X-Virtapi-Timestamp", now)
            .header("X-Virtapi-Signature", signature::header(&letter.secrets, now, &letter.body))
            .body(letter.body.clone());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                Outcome { answer: Some(answer.status().as_u16()), error: None }
            }
            Ok(answer) => Outcome {
                answer: Some(answer.status().as_u16()),
                error: Some(format!("it answered {}", answer.status())),
            },
            Err(error) => failed(client::chain(&error.without_url())),
        }
    }

    /// Unless its lease has passed to somebody else.
    async fn record(&self, letter: &Letter, outcome: Outcome) -> Result<()> {
        let sql =
            Sql::new("UPDATE webhook_deliveries SET attempts = attempts + 1, last_attempt_at = now(), lease = NULL, ");
        let sql = sql.text("leased_until = NULL, url = ").one(&letter.url, "text").text(", answer = ");
        let sql = match outcome.answer {
            Some(answer) => sql.one(answer.to_string(), "int4"),
            None => sql.text("NULL"),
        };
        let sql = match outcome.error {
            None => sql.text(", error = NULL, status = 'delivered', next_attempt_at = NULL"),
            Some(error) => {
                let pause = schedule::pause(letter.failures, fastrand::f64()).as_secs_f64();
                let next = format!("now() + interval '{pause} seconds'");
                sql.text(", error = ").one(one_line(&error), "text").text(format!(
                    ", status = CASE WHEN {next} > give_up_at THEN 'failed' ELSE 'pending' END, \
                     next_attempt_at = CASE WHEN {next} > give_up_at THEN NULL ELSE {next} END"
                ))
            }
        };
        let sql = sql.text(" WHERE id = ").one(letter.id.to_string(), "int8");
        let sql = sql.text(" AND lease = ").one(letter.lease.to_string(), "uuid");
        let work = async |tx: &Tx| Ok(Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?);
        self.db.write(Actor::system("webhooks"), false, work).await.map(drop)
    }
}

/// What a statement tells of what it has leased: the id, the event's, the address, the body, the attempts, the secrets.
type Leased = (BigInt, Text, Text, Text, Integer, Array<Text>);
/// The same, as it is read.
type Found = (i64, String, String, String, i32, Vec<String>);

/// What is due, for each webhook and for the callbacks together. What of the same object is to go before, to the same
/// receiver, goes before.
const LEASE_DUE: &str = "
    WITH due AS (
        SELECT next.id FROM (SELECT id FROM webhooks UNION ALL SELECT NULL) AS w (id), LATERAL (
            SELECT d.id FROM webhook_deliveries d
            WHERE d.webhook_id IS NOT DISTINCT FROM w.id AND d.status = 'pending' AND d.next_attempt_at <= now()
                AND (d.leased_until IS NULL OR d.leased_until < now())
                AND NOT EXISTS (SELECT FROM webhook_deliveries e WHERE e.status = 'pending' AND e.id < d.id
                    AND e.collection = d.collection AND e.object_id = d.object_id
                    AND e.webhook_id IS NOT DISTINCT FROM d.webhook_id)
            ORDER BY d.next_attempt_at, d.id
            LIMIT {some} - (SELECT least({some}, count(*)) FROM webhook_deliveries f
                WHERE f.webhook_id IS NOT DISTINCT FROM w.id AND f.status = 'pending' AND f.leased_until > now())) AS next),
    taken AS (
        SELECT d.id FROM webhook_deliveries d WHERE d.id IN (SELECT id FROM due) AND d.status = 'pending'
            AND (d.leased_until IS NULL OR d.leased_until < now())
        ORDER BY d.next_attempt_at, d.id";

const LEASED: &str = " FROM taken WHERE d.id = taken.id
    RETURNING d.id, d.event_id::text, COALESCE((SELECT w.url FROM webhooks w WHERE w.id = d.webhook_id), d.url),
        d.body::text, d.attempts, ARRAY(SELECT s.secret FROM signing_secrets s
            WHERE s.webhook_id IS NOT DISTINCT FROM d.webhook_id AND s.organization_id IS NOT DISTINCT FROM
                CASE WHEN d.webhook_id IS NULL THEN d.organization_id END
            ORDER BY s.id DESC LIMIT 2)";

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_ERROR).collect()
}

/// Sends a message once more, for another day, whatever became of it.
///
/// # Errors
/// Not found, [`Error::Forbidden`] or [`Error::Away`].
pub async fn resend(tx: &Tx, key: &str) -> Result<i64> {
    let kind = WebhookDelivery::KIND;
    policy::write(&tx.actor, kind)?;
    // As the actor sees it: one that is not its own is not there.
    let id = kind.find(tx, &natural_key::condition(kind, key)?).await?.id();
    tx.as_server(async || {
        let sql = Sql::new(
            "UPDATE webhook_deliveries SET status = 'pending', attempts = 0, next_attempt_at = now(), \
             give_up_at = now() + interval '1 day' WHERE id = ",
        );
        let again = Statement::<BigInt>::from(sql.one(id.to_string(), "int8"));
        if again.execute(&mut tx.conn()).await? == 0 {
            return Err(Error::NotFound);
        }
        let mut trail = Trail::default();
        trail.resent(kind, id);
        trail.write(tx).await.map(drop)
    })
    .await?;
    Ok(id)
}

/// Forgets what was told before, unless it is still to be sent; says how many messages that were.
///
/// # Errors
/// [`Error::Away`].
pub async fn forget_old(tx: &Tx, before: DateTime<Utc>) -> Result<usize> {
    let old = |sql: &str| Statement::<BigInt>::from(Sql::new(sql).one(before.to_rfc3339(), "timestamptz"));
    let deliveries = old("DELETE FROM webhook_deliveries WHERE status <> 'pending' AND happened_at < ");
    // Of a broker that there is no more.
    let messages = old("DELETE FROM broker_messages WHERE happened_at < ");
    Ok(deliveries.execute(&mut tx.conn()).await? + messages.execute(&mut tx.conn()).await?)
}
