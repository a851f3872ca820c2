//! Publishes what is told to a broker, over AMQP 0-9-1: to one exchange, with a key for each hypervisor, so that a queue can be
//! bound for what one of them has to do. One server publishes at a time, which keeps the order; what the broker has
//! confirmed is forgotten, and all else is published again.

use backon::{BackoffBuilder, ExponentialBuilder};
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, DefaultConnectionBuilder, ExchangeKind};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use uuid::Uuid;

use crate::auth::Actor;
use crate::config::{AmqpUrl, Settings};
use crate::db::{Db, Failure, Tx};
use crate::error::Result;
use crate::sql::{Sql, Statement};
use crate::tls::cryptography;

/// How often it is asked what is to be published.
const EVERY: Duration = Duration::from_secs(1);
/// How long the broker may take for anything.
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long no other server publishes: longer than one turn takes.
const LEASE: Duration = Duration::from_mins(1);
/// How many are published in one turn.
const AT_ONCE: usize = 100;
/// As AMQP says that a message outlives the broker.
const PERSISTENT: u8 = 2;

/// Publishes messages.
#[derive(Clone)]
pub struct Publisher {
    db: Db,
    url: AmqpUrl,
    /// Authorities that the broker may have its certificate from besides those of the system, in PEM.
    authorities: Option<String>,
    exchange: String,
    /// What holds the lease.
    name: Uuid,
    /// Nothing, until there is something to publish; and after a failure.
    open: Arc<Mutex<Option<Open>>>,
}

/// A connection, and the channel on it that confirms.
struct Open {
    connection: Connection,
    channel: Channel,
}

impl Publisher {
    /// One for the broker of the settings, if they name one. It is not connected yet.
    ///
    /// # Errors
    /// When the file of authorities cannot be read, or holds none.
    pub fn new(db: Db, settings: &Settings) -> Result<Option<Self>, Failure> {
        let Some(url) = settings.amqp_url.clone() else { return Ok(None) };
        let authorities = settings.amqp_ca.as_deref().map(authorities).transpose()?;
        let (exchange, name, open) = (settings.amqp_exchange.clone(), Uuid::new_v4(), Arc::default());
        Ok(Some(Self { db, url, authorities, exchange, name, open }))
    }

    /// Publishes what there is, time and again, for ever; after a failure less and less often, up to once a minute.
    pub async fn keep_publishing(self) {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(EVERY)
            .with_max_delay(Duration::from_mins(1))
            .without_max_times()
            .with_jitter();
        let mut failing = pauses.build();
        loop {
            let pause = match self.publish_due().await {
                Ok(AT_ONCE) => continue,
                Ok(_) => {
                    failing = pauses.build();
                    EVERY
                }
                Err(error) => {
                    tracing::warn!("messages to the broker wait: {error}");
                    failing.next().unwrap_or(PATIENCE)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Publishes the next messages, unless another server does so now; says how many the broker has confirmed.
    ///
    /// # Errors
    /// When the database or the broker is away, or the broker refuses something. What it has confirmed till then stays.
    pub async fn publish_due(&self) -> Result<usize, Failure> {
        let due = self.lease().await?;
        if due.is_empty() {
            return Ok(0);
        }
        let mut open = self.open.lock().await;
        let channel = match open.take().filter(|open| open.connection.status().connected()) {
            Some(kept) => kept,
            None => timeout(PATIENCE, self.connect()).await??,
        };
        let (confirmed, failure) = self.publish(&channel.channel, due).await;
        let count = confirmed.len();
        self.forget(confirmed).await?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        *open = Some(channel);
        Ok(count)
    }

    async fn connect(&self) -> Result<Open, Failure> {
        cryptography::choose();
        let properties = ConnectionProperties::default().with_connection_name("virtapi".into());
        let builder = DefaultConnectionBuilder::new()?.with_uri_str(self.url.expose().to_owned());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.authorities.clone() };
        let connection = builder.with_properties(properties).with_tls_config(tls).connect().await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let (name, topic) = (self.exchange.as_str().into(), ExchangeKind::Topic);
        channel.exchange_declare(name, topic, durable, FieldTable::default()).await?;
        Ok(Open { connection, channel })
    }

    /// Publishes in order; gives the ids of what was confirmed before something failed, and why it did.
    async fn publish(&self, channel: &Channel, due: Vec<Message>) -> (Vec<i64>, Option<Failure>) {
        let mut promises = Vec::with_capacity(due.len());
        let mut failure: Option<Failure> = None;
        for (id, event, key, body) in due {
            let properties = BasicProperties::default()
                .with_delivery_mode(PERSISTENT)
                .with_content_type("application/json".into())
                .with_app_id("virtapi".into())
                .with_message_id(event.into());
            let (exchange, options) = (self.exchange.as_str().into(), BasicPublishOptions::default());
            let sent = channel.basic_publish(exchange, key.into(), options, body.as_bytes(), properties);
            match timeout(PATIENCE, sent).await {
                Ok(Ok(promise)) => promises.push((id, promise)),
                Ok(Err(error)) => failure = Some(error.into()),
                Err(late) => failure = Some(late.into()),
            }
            if failure.is_some() {
                break;
            }
        }
        let mut confirmed = vec![];
        for (id, promise) in promises {
            match timeout(PATIENCE, promise).await {
                Ok(Ok(confirmation)) if confirmation.is_ack() => confirmed.push(id),
                Ok(Ok(_)) => return (confirmed, Some("the broker does not take a message".into())),
                Ok(Err(error)) => return (confirmed, Some(error.into())),
                Err(late) => return (confirmed, Some(late.into())),
            }
        }
        (confirmed, failure)
    }

    /// The next messages, if this server has the lease or gets it.
    async fn lease(&self) -> Result<Vec<Message>> {
        let lease = Sql::new("UPDATE broker_leases SET holder = ").one(self.name.to_string(), "uuid");
        let lease = lease.text(format!(", leased_until = now() + interval '{} seconds'", LEASE.as_secs()));
        let lease = lease.text(" WHERE (leased_until < now() OR holder = ").one(self.name.to_string(), "uuid");
        let lease = lease.text(") AND EXISTS (SELECT FROM broker_messages)");
        let work = async |tx: &Tx| {
            if Statement::<BigInt>::from(lease).execute(&mut tx.conn()).await? == 0 {
                return Ok(vec![]);
            }
            let next = format!(
                "SELECT id, event_id::text, routing_key, body FROM broker_messages ORDER BY id LIMIT {AT_ONCE}"
            );
            Ok(Statement::<(BigInt, Text, Text, Text)>::from(Sql::new(next)).load(&mut tx.conn()).await?)
        };
        self.db.write(Actor::system("broker"), false, work).await
    }

    async fn forget(&self, ids: Vec<i64>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let sql = Sql::new("DELETE FROM broker_messages WHERE id = ");
        let sql = sql.any(ids.iter().map(ToString::to_string).collect(), "int8");
        let work = async |tx: &Tx| Ok(Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?);
        self.db.write(Actor::system("broker"), false, work).await.map(drop)
    }
}

/// What a file of authorities says. Of one that is none the connection would only say that nobody knows who the broker is.
fn authorities(path: &Path) -> Result<String, Failure> {
    let wrong = |reason: String| Failure::from(format!("amqp_ca {}: {reason}", path.display()));
    let pem = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    match CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>() {
        Ok(found) if found.is_empty() => Err(wrong("holds no certificate in PEM".to_owned())),
        Ok(_) => Ok(pem),
        Err(error) => Err(wrong(format!("is no PEM: {error}"))),
    }
}

/// Its id and its event's, its routing key, and what it says.
type Message = (i64, String, String, String);
