//! What is to be told of some changes, and to whom: written by the transaction of the changes, so that nothing is told that
//! was not done, and nothing done that is not told. It knows objects as they are recorded, and sends nothing.

use chrono::{SecondsFormat, Utc};
use diesel::sql_types::{Array, BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::places::{Place, Places};
use super::{CREATE, DELETE, UPDATE};
use crate::audit::differences;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::policy;
use crate::resources::{self, NewAuditEvent};
use crate::sql::{Sql, Statement};

/// How many rows are written by one statement.
const AT_ONCE: usize = 500;

/// What became of one object.
pub struct Change<'c> {
    /// Its collection.
    pub collection: &'c str,
    /// Its id.
    pub id: i64,
    /// Its natural key.
    pub key: &'c str,
    /// What was done.
    pub action: &'static str,
    /// As it was.
    pub before: Option<&'c Value>,
    /// As it is.
    pub after: Option<&'c Value>,
    /// Why, of what an object does by itself.
    pub reason: Option<String>,
    /// Whose it is, where what says so may be gone.
    pub organization: Option<i64>,
}

/// A webhook that is told of new things.
struct Webhook {
    id: i64,
    organization: Option<i64>,
    kinds: Vec<String>,
    actions: Vec<String>,
    labels: Vec<String>,
    url: String,
}

/// Tells of the changes among some recorded events. Where nobody listens it is one question.
///
/// # Errors
/// [`Error::Away`].
pub async fn tell(tx: &Tx, events: &[NewAuditEvent]) -> Result<()> {
    let changes: Vec<Change<'_>> = events
        .iter()
        .filter(|event| matches!(event.action, CREATE | UPDATE | DELETE))
        .filter_map(|event| {
            let (before, after) = (event.before.as_ref(), event.after.as_ref());
            let (collection, id, key) = (event.collection?, event.object_id?, event.object_key.as_deref()?);
            Some(Change { collection, id, key, action: event.action, before, after, reason: None, organization: None })
        })
        .collect();
    tell_changes(tx, &changes).await
}

/// The same of changes that are no events of the audit log.
pub async fn tell_changes(tx: &Tx, changes: &[Change<'_>]) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let webhooks = listening(tx).await?;
    if webhooks.is_empty() && !tx.telling.publishes && !changes.iter().any(|change| change.callback().is_some()) {
        return Ok(());
    }
    let places = Places::read(tx, changes).await?;
    let (mut deliveries, mut messages) = (vec![], vec![]);
    for change in changes {
        let place = |item: Option<&Value>| {
            let place = places.of(change.collection, change.id, item?);
            Some(Place { organization: place.organization.or(change.organization), ..place })
        };
        let (event, was, is) = (Uuid::new_v4(), place(change.before), place(change.after));
        deliveries.extend(webhooks.iter().filter_map(|webhook| {
            let told = change.told(event, webhook.sees(was.as_ref()), webhook.sees(is.as_ref()))?;
            webhook.wants(&told).then(|| told.delivery(Some(webhook.id), webhook.organization, &webhook.url))
        }));
        let Some(told) = change.told(event, was.is_some(), is.is_some()) else { continue };
        if let Some(url) = change.callback().filter(|_| told.action != UPDATE) {
            let organization = is.as_ref().or(was.as_ref()).and_then(|place| place.organization);
            deliveries.push(told.delivery(None, organization, url));
        }
        if tx.telling.publishes {
            let hypervisor = is.as_ref().or(was.as_ref()).and_then(|place| place.hypervisor.as_deref());
            messages.push(told.message(hypervisor));
        }
    }
    write(tx, DELIVERIES, deliveries).await?;
    write(tx, MESSAGES, messages).await
}

/// A webhook as it is read: its id, organization, kinds, actions, labels and address.
type Columns = (BigInt, Nullable<BigInt>, Array<Text>, Array<Text>, Array<Text>, Text);
type Found = (i64, Option<i64>, Vec<String>, Vec<String>, Vec<String>, String);

async fn listening(tx: &Tx) -> Result<Vec<Webhook>> {
    let sql = "SELECT id, organization_id, kinds::text[], actions::text[], labels::text[], url FROM webhooks WHERE state = 'active' ORDER BY id";
    let found: Vec<Found> = Statement::<Columns>::from(Sql::new(sql)).load(&mut tx.conn()).await?;
    let webhook =
        |(id, organization, kinds, actions, labels, url)| Webhook { id, organization, kinds, actions, labels, url };
    Ok(found.into_iter().map(webhook).collect())
}

impl Webhook {
    /// Whether what is there is the webhook's to know.
    fn sees(&self, place: Option<&Place>) -> bool {
        place.is_some_and(|place| self.organization.is_none() || self.organization == place.organization)
    }

    fn wants(&self, told: &Told<'_>) -> bool {
        let among = |words: &[String], word: &str| words.is_empty() || words.iter().any(|one| one == word);
        let kind = resources::kind(told.change.collection);
        among(&self.kinds, told.change.collection)
            && among(&self.actions, told.action)
            && (self.labels.is_empty() || self.labels.iter().any(|label| has_label(told.object, label)))
            && (self.organization.is_none() || kind.is_some_and(policy::tells_customers))
    }
}

fn has_label(object: &Value, label: &str) -> bool {
    object["labels"].as_array().is_some_and(|labels| labels.iter().any(|one| one == label))
}

/// What somebody is told of a change.
struct Told<'c> {
    change: &'c Change<'c>,
    event: Uuid,
    action: &'static str,
    object: &'c Value,
    /// The fields that are others now.
    before: Option<Value>,
}

impl Change<'_> {
    /// Where the VM that this is about wants to call back to.
    fn callback(&self) -> Option<&str> {
        if self.collection != "vms" {
            return None;
        }
        self.after.or(self.before)?["callback_url"].as_str()
    }

    /// What is told to somebody who saw it before, who sees it now: what has moved away is gone, and what came is new.
    fn told(&self, event: Uuid, saw: bool, sees: bool) -> Option<Told<'_>> {
        let (action, object, before) = match (self.before.filter(|_| saw), self.after.filter(|_| sees)) {
            (Some(before), Some(after)) => {
                let changed = differences(Some(before), Some(after)).into_iter();
                let changed: Map<String, Value> =
                    changed.map(|(name, was, _)| (name.to_owned(), was.clone())).collect();
                (self.action, after, Some(changed.into()))
            }
            (None, Some(after)) => (if self.action == UPDATE { CREATE } else { self.action }, after, None),
            (Some(before), None) => (if self.action == UPDATE { DELETE } else { self.action }, before, None),
            (None, None) => return None,
        };
        Some(Told { change: self, event, action, object, before: before.filter(|_| action == UPDATE) })
    }
}

impl Told<'_> {
    fn body(&self) -> String {
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut body = json!({"id": self.event, "kind": self.change.collection, "action": self.action, "happened_at": now,
            "object": self.object});
        if let Some(before) = &self.before {
            body["before"] = before.clone();
        }
        if let Some(reason) = &self.change.reason {
            body["reason"] = reason.as_str().into();
        }
        body.to_string()
    }

    fn delivery(&self, webhook: Option<i64>, organization: Option<i64>, url: &str) -> Value {
        json!({"webhook_id": webhook, "organization_id": organization, "event_id": self.event,
            "collection": self.change.collection, "object_id": self.change.id, "object_key": self.change.key,
            "action": self.action, "url": url, "body": self.body()})
    }

    /// What a hypervisor has is a task for its queue.
    fn message(&self, hypervisor: Option<&str>) -> Value {
        let key = hypervisor
            .map_or_else(|| format!("{}.{}", self.change.collection, self.action), |fqdn| format!("hypervisor.{fqdn}"));
        json!({"event_id": self.event, "routing_key": key, "body": self.body()})
    }
}

/// Not to who is taken away meanwhile; a webhook that is being deleted is waited for.
const DELIVERIES: (&str, &str) = (
    "WITH given AS (SELECT * FROM ROWS FROM (json_to_recordset(",
    ") AS (webhook_id int8, organization_id int8, event_id uuid, collection text, object_id int8, object_key text, action text, \
        url text, body text)) WITH ORDINALITY AS g (webhook_id, organization_id, event_id, collection, object_id, object_key, \
        action, url, body, place)), \
     there AS (SELECT id FROM webhooks WHERE id IN (SELECT webhook_id FROM given) ORDER BY id FOR KEY SHARE) \
     INSERT INTO webhook_deliveries (webhook_id, organization_id, event_id, collection, object_id, object_key, action, url, body) \
     SELECT webhook_id, organization_id, event_id, collection, object_id, object_key, action, url, body::json FROM given \
     WHERE (webhook_id IS NULL OR webhook_id IN (SELECT id FROM there)) \
         AND (organization_id IS NULL OR organization_id IN (SELECT id FROM organizations)) ORDER BY place",
);

const MESSAGES: (&str, &str) = (
    "INSERT INTO broker_messages (event_id, routing_key, body) SELECT event_id, routing_key, body \
     FROM ROWS FROM (json_to_recordset(",
    ") AS (event_id uuid, routing_key text, body text)) WITH ORDINALITY AS g (event_id, routing_key, body, place) ORDER BY place",
);

async fn write(tx: &Tx, (before, after): (&str, &str), rows: Vec<Value>) -> Result<()> {
    for rows in rows.chunks(AT_ONCE) {
        let given = serde_json::to_string(rows).map_err(|error| Error::Internal(error.into()))?;
        let sql = Sql::new(before).one(given, "json").text(after);
        Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?;
    }
    Ok(())
}
