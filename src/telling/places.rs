//! Whose an object is, and which hypervisor has it: by its fields, or by those of what it belongs to. It reads what is there
//! at the end of a transaction, and what the transaction has taken away.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

use super::outbox::Change;
use crate::column::text;
use crate::db::Tx;
use crate::error::Result;
use crate::sql::{Sql, Statement};

/// Whose something is, and where.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The organization that it belongs to; none, for what is the fleet's own.
    pub organization: Option<i64>,
    /// The name of the hypervisor that has it.
    pub hypervisor: Option<String>,
}

/// What an object belongs to, by the field that says so; and how its place is read. The nearest comes first.
const OWNERS: [(&str, &str, &str); 4] = [
    ("environment", "environments", "SELECT id, organization_id, NULL FROM environments AS o WHERE o.id = "),
    (
        "vm",
        "vms",
        "SELECT o.id, e.organization_id, n.fqdn FROM vms AS o LEFT JOIN environments e ON e.id = o.environment_id \
         LEFT JOIN hypervisors h ON h.id = o.hypervisor_id LEFT JOIN nodes n ON n.id = h.node_id WHERE o.id = ",
    ),
    (
        "volume",
        "volumes",
        "SELECT o.id, e.organization_id, n.fqdn FROM volumes AS o LEFT JOIN environments e ON e.id = o.environment_id \
         LEFT JOIN vms v ON v.id = o.vm_id LEFT JOIN hypervisors h ON h.id = v.hypervisor_id \
         LEFT JOIN nodes n ON n.id = h.node_id WHERE o.id = ",
    ),
    (
        "interface",
        "interfaces",
        "SELECT o.id, e.organization_id, n.fqdn FROM interfaces AS o LEFT JOIN vms v ON v.id = o.vm_id \
         LEFT JOIN environments e ON e.id = v.environment_id LEFT JOIN hypervisors h ON h.id = v.hypervisor_id \
         LEFT JOIN nodes n ON n.id = COALESCE(h.node_id, o.node_id) WHERE o.id = ",
    ),
];

/// The places of what some changes are about.
pub struct Places<'c> {
    there: HashMap<(&'static str, i64), Place>,
    gone: HashMap<(&'c str, i64), &'c Value>,
}

impl<'c> Places<'c> {
    /// Reads what these need: at most one statement for each kind of owner.
    pub async fn read(tx: &Tx, changes: &[Change<'c>]) -> Result<Self> {
        let items = || changes.iter().flat_map(|change| [change.before, change.after]).flatten();
        let mut there = HashMap::new();
        for (field, table, statement) in OWNERS {
            let ids: BTreeSet<i64> = items().filter_map(|item| item[field]["id"].as_i64()).collect();
            if ids.is_empty() {
                continue;
            }
            let sql = Sql::new(statement).any(ids.iter().map(ToString::to_string).collect(), "int8");
            let statement: Statement<(BigInt, Nullable<BigInt>, Nullable<Text>)> = sql.into();
            let found: Vec<(i64, Option<i64>, Option<String>)> = statement.load(&mut tx.conn()).await?;
            there.extend(
                found
                    .into_iter()
                    .map(|(id, organization, hypervisor)| ((table, id), Place { organization, hypervisor })),
            );
        }
        let gone = changes.iter().filter(|change| change.after.is_none());
        let gone = gone.filter_map(|change| Some(((change.collection, change.id), change.before?))).collect();
        Ok(Self { there, gone })
    }

    /// That of an object.
    pub fn of(&self, collection: &str, id: i64, item: &Value) -> Place {
        let own = match collection {
            "organizations" => Some(id),
            _ => item["organization"]["id"].as_i64(),
        };
        let node = if collection == "hypervisors" { &item["node"] } else { &item["hypervisor"] };
        let mut place = Place { organization: own, hypervisor: Some(text(node)).filter(|name| !name.is_empty()) };
        for (field, table, _) in OWNERS {
            let Some(owner) = item[field]["id"].as_i64() else { continue };
            let found = match (self.there.get(&(table, owner)), self.gone.get(&(table, owner))) {
                (Some(there), _) => there.clone(),
                (None, Some(gone)) => self.of(table, owner, gone),
                (None, None) => Place::default(),
            };
            place.organization = place.organization.or(found.organization);
            place.hypervisor = place.hypervisor.or(found.hypervisor);
        }
        place
    }
}
