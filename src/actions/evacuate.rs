//! Maintenance of a hypervisor: no VM is placed there any more, and those that can go elsewhere do.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use serde_json::json;

use crate::actions::migrate::migrate;
use crate::change::{self, Action, Change};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::natural_key;
use crate::resource::Resource;
use crate::resources::{Hypervisor, Node};
use crate::shown::lock_structure;
use crate::sql::{Sql, Statement};

/// The words of the API, and the state of the node that each stands for.
pub const STATES: [(&str, &str); 2] = [("maintenance", "maintenance"), ("resume", "running")];

/// What became of a VM.
#[derive(Serialize)]
pub struct Moved {
    /// The VM's.
    uuid: String,
    /// The VM's.
    name: String,
    /// Where it is to run now: the node's name.
    hypervisor: String,
    /// 200, or why it stays.
    status: u16,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Puts the node of a hypervisor into a state; the hypervisor's id.
///
/// # Errors
/// Not found, [`Error::Forbidden`], or [`Error::Away`].
pub async fn set_state(tx: &Tx, key: &str, state: &str) -> Result<i64> {
    tx.may_write(Hypervisor::KIND)?;
    let hypervisor = Hypervisor::KIND.find(tx, &natural_key::condition(Hypervisor::KIND, key)?).await?;
    let change = Change::of(Node::KIND, Action::Update, &hypervisor["node"].to_string(), json!({"state": state}));
    change::apply_one(tx, change).await?;
    Ok(hypervisor.id())
}

/// Puts a hypervisor into maintenance and migrates all its VMs, the largest first. Those that can go nowhere stay.
///
/// # Errors
/// Not found, [`Error::Forbidden`], or [`Error::Away`].
pub async fn evacuate(tx: &Tx, key: &str) -> Result<Vec<Moved>> {
    lock_structure(tx, true).await?;
    let hypervisor = set_state(tx, key, "maintenance").await?;
    let sql = Sql::new("SELECT id FROM vms WHERE hypervisor_id = ").one(hypervisor.to_string(), "int8");
    let vms: Vec<i64> =
        Statement::<BigInt>::from(sql.text(" ORDER BY ram_bytes DESC, id")).load(&mut tx.conn()).await?;
    let mut outcomes = Vec::with_capacity(vms.len());
    for id in &vms {
        outcomes.push(match tx.attempt(async |tx: &Tx| migrate(tx, &id.to_string(), None).await).await {
            Ok(_) => (200, None),
            Err(error @ (Error::Conflict(_) | Error::Invalid(_))) => (error.status(), Some(error.named())),
            // Nothing is wrong with this VM: none of it is done.
            Err(error) => return Err(error),
        });
    }
    let moved = |((uuid, name, hypervisor), (status, detail))| Moved { uuid, name, hypervisor, status, detail };
    Ok(places(tx, &vms).await?.into_iter().zip(outcomes).map(moved).collect())
}

/// UUID, name and node of each, in the order of these ids.
async fn places(tx: &Tx, vms: &[i64]) -> Result<Vec<(String, String, String)>> {
    let ids = vms.iter().map(ToString::to_string).collect();
    let sql = Sql::new("SELECT v.uuid::text, v.name, n.fqdn FROM unnest(").many(ids, "int8");
    let sql = sql.text(
        ") WITH ORDINALITY AS asked (id, place) JOIN vms v ON v.id = asked.id \
         JOIN hypervisors h ON h.id = v.hypervisor_id JOIN nodes n ON n.id = h.node_id ORDER BY asked.place",
    );
    Ok(Statement::<(Text, Text, Text)>::from(sql).load(&mut tx.conn()).await?)
}
