//! Who is told of what has changed: webhooks, the callbacks of VMs, and a broker. What is told is written by the
//! transaction of the change (`outbox`), and sent afterwards (`courier`, `broker`) at least once, until it is taken or
//! given up. It knows kinds only by their names, and no request.

mod broker;
mod courier;
mod lifecycle;
mod outbox;
mod places;
mod schedule;
mod secrets;
mod signature;
mod target;

use serde_json::Value;
use std::sync::Arc;

use crate::config::Settings;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::lifecycle::Lifecycle;
use crate::row::Row;
use crate::value_type::Type;

pub use broker::Publisher;
pub use courier::{Courier, forget_old, resend};
pub use lifecycle::{Gone, tell_of_gone, tell_of_runs};
pub use outbox::tell;
pub use secrets::{Signer, issue};
pub use target::Targets;

/// What objects are told to have done, or to have had done to them.
pub const ACTIONS: &[&str] = &[CREATE, UPDATE, DELETE, STARTED, STOPPED, FAILED, DELETED];

const CREATE: &str = "create";
const UPDATE: &str = "update";
const DELETE: &str = "delete";
const STARTED: &str = Lifecycle::Started.word();
const STOPPED: &str = Lifecycle::Stopped.word();
const FAILED: &str = Lifecycle::Failed.word();
const DELETED: &str = Lifecycle::Deleted.word();

/// What each transaction must know of telling.
#[derive(Debug, Default)]
pub struct Rules {
    /// Where messages may go.
    pub targets: Targets,
    /// Whether there is a broker.
    pub publishes: bool,
}

impl Rules {
    /// Those of a server with these settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Arc<Self> {
        let targets = Targets { networks: settings.webhook_networks.networks().to_vec(), http: settings.webhook_http };
        Arc::new(Self { targets, publishes: settings.amqp_url.is_some() })
    }
}

/// Whether messages may be sent to the addresses of an object, where they are not those that were there.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_targets(tx: &Tx, kind: &dyn Kind, before: Option<&Row>, body: &Value) -> Result<()> {
    for column in kind.columns().iter().filter(|column| column.writable && matches!(column.ty, Type::Url)) {
        let is_new = before.is_none_or(|row| row[column.name] != body[column.name]);
        // What is no address at all is refused with all else that is wrong.
        let is_url = column.check(&body[column.name]).is_ok();
        if let Some(url) = body[column.name].as_str().filter(|_| is_new && is_url) {
            tx.telling.targets.check(url).map_err(|detail| Error::field(column.name, detail))?;
        }
    }
    Ok(())
}
