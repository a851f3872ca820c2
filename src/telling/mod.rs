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

use std::sync::Arc;

use crate::config::Settings;
use crate::db::Tx;
use crate::error::{Error, Result};

pub use broker::Publisher;
pub use courier::{Courier, forget_old, resend};
pub use lifecycle::tell_of_runs;
pub use outbox::tell;
pub use secrets::{Signer, issue};
pub use target::Targets;

/// What objects are told to have done, or to have had done to them.
pub const ACTIONS: &[&str] = &[CREATE, UPDATE, DELETE, STARTED, STOPPED, FAILED];

const CREATE: &str = "create";
const UPDATE: &str = "update";
const DELETE: &str = "delete";
const STARTED: &str = "started";
const STOPPED: &str = "stopped";
const FAILED: &str = "failed";

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

/// Whether messages may be sent there, for a field that is to be stored.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_target(tx: &Tx, field: &str, url: &str) -> Result<()> {
    tx.telling.targets.check(url).map(drop).map_err(|detail| Error::field(field, detail))
}
