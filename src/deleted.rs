//! VMs that were deleted: what each was is kept with its deletion, until a while after the agents of its hypervisors have seen it gone.
//! So whoever asks for it is not told that it never was. It knows the records of changes, and not who asks.

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::resource::Resource;
use crate::resources::{NewAuditEvent, Vm};
use crate::sql::{Sql, Statement};
use crate::telling;

/// Keeps those among some recorded events, and tells of those that were nowhere that they are gone.
///
/// # Errors
/// [`Error::Away`], as with all of these.
pub async fn keep(tx: &Tx, events: &[NewAuditEvent]) -> Result<()> {
    let deleted: Vec<Value> = events
        .iter()
        .filter(|event| event.collection == Some(Vm::NAME) && event.action == "delete")
        .filter_map(|event| {
            let (id, vm) = (event.object_id?, event.before.as_ref()?);
            Some(json!({"id": id, "uuid": vm["uuid"], "name": vm["name"], "environment": vm["environment"]["id"], "object": vm}))
        })
        .collect();
    if deleted.is_empty() {
        return Ok(());
    }
    let given = serde_json::to_string(&deleted).map_err(|error| Error::Internal(error.into()))?;
    let sql = Sql::new(
        "INSERT INTO deleted_vms AS d (id, uuid, name, environment_id, organization_id, object) \
         SELECT DISTINCT ON (g.uuid) g.id, g.uuid, g.name, e.id, e.organization_id, g.object FROM json_to_recordset(",
    );
    // What was made anew at once is there.
    let sql = sql.one(given, "json").text(
        ") AS g (id int8, uuid uuid, name text, environment int8, object json) LEFT JOIN environments e ON e.id = g.environment \
         WHERE NOT EXISTS (SELECT FROM vms WHERE vms.uuid = g.uuid) ORDER BY g.uuid, g.id DESC \
         ON CONFLICT (uuid) DO UPDATE SET id = excluded.id, name = excluded.name, environment_id = excluded.environment_id, \
         organization_id = excluded.organization_id, object = excluded.object, deleted_at = now(), gone_at = NULL",
    );
    Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?;
    let ids = deleted.iter().map(|vm| vm["id"].to_string()).collect();
    telling::tell_of_gone(tx, telling::Gone::Nowhere(ids)).await
}

/// For how long one that is gone is shown, if its tombstones are gone as well.
const SHOWN_FOR: &str = "1 hour";

/// Forgets those that have been gone for a while and have left nothing behind; says how many.
///
/// # Errors
/// [`Error::Away`].
pub async fn forget(tx: &Tx) -> Result<usize> {
    let sql = Sql::new(format!(
        "DELETE FROM deleted_vms d WHERE d.gone_at < now() - interval '{SHOWN_FOR}' \
         AND NOT EXISTS (SELECT FROM tombstones t WHERE t.uuid = d.uuid)"
    ));
    Ok(Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?)
}
