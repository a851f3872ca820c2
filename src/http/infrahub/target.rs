//! Which VMs a request means: one, by its id, its UUID, or its environment and name; or those of an environment that have a label.

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::ask::Ask;
use crate::natural_key;
use crate::query::{MAX_LIMIT, Query};
use crate::resource::Resource;
use crate::resources::{DeletedVm, Environment, Vm};
use crate::row::Row;

/// One VM, or those of an environment that have a label.
pub enum Target {
    /// Its key.
    One(String),
    /// Their environment's name, and what is to be among their labels.
    Many { environment: String, label: String },
}

/// Whether a key names an environment, and no VM: a name that is neither an id nor a UUID.
pub fn is_environment(key: &str) -> bool {
    !key.contains('/') && !natural_key::is_id(key) && uuid::Uuid::parse_str(key).is_err()
}

/// What a request is about.
pub fn target(key: String, ask: &Ask) -> Result<Target> {
    let many = is_environment(&key);
    match ask.pairs.as_slice() {
        [] if !many => Ok(Target::One(key)),
        [(name, label)] if many && name == "label" => Ok(Target::Many { environment: key, label: label.clone() }),
        [] => Err(Error::Parameter("label".into(), "is required for the VMs of an environment".into())),
        pairs => Query::none(pairs).map(|()| Target::One(key)),
    }
}

/// The VM of an id, a UUID, or an environment and a name.
pub async fn one(tx: &Tx, key: &str) -> Result<Row> {
    let Some((environment, name)) = key.rsplit_once('/') else { return by_id_or_uuid(tx, key).await };
    let pairs =
        [("environment".to_owned(), environment_id(tx, environment).await?.to_string()), ("name".into(), name.into())];
    let rows = Vm::KIND.list(tx, &Query::parse(Vm::KIND, &pairs)?).await?;
    rows.into_iter().next().ok_or(Error::NotFound)
}

/// The VM that was deleted, likewise; of several of a name the last.
pub async fn one_deleted(tx: &Tx, key: &str) -> Result<Row> {
    let kind = DeletedVm::KIND;
    let Some((environment, name)) = key.rsplit_once('/') else {
        return kind.find(tx, &natural_key::condition(kind, key)?).await;
    };
    let environment = environment_id(tx, environment).await?.to_string();
    let pairs = [("environment", environment.as_str()), ("name", name), ("sort", "-id"), ("limit", "1")];
    let pairs = pairs.map(|(field, value)| (field.to_owned(), value.to_owned()));
    let rows = kind.list(tx, &Query::parse(kind, &pairs)?).await?;
    rows.into_iter().next().ok_or(Error::NotFound)
}

pub async fn by_id(tx: &Tx, id: i64) -> Result<Row> {
    by_id_or_uuid(tx, &id.to_string()).await
}

async fn by_id_or_uuid(tx: &Tx, key: &str) -> Result<Row> {
    Vm::KIND.find(tx, &natural_key::condition(Vm::KIND, key)?).await
}

/// An environment by its name, or by that of its organization as well.
pub async fn environment_id(tx: &Tx, name: &str) -> Result<i64> {
    let kind = Environment::KIND;
    if name.contains('/') || natural_key::is_id(name) {
        return Ok(kind.find(tx, &natural_key::condition(kind, name)?).await?.id());
    }
    let rows = kind.list(tx, &Query::parse(kind, &[("name".into(), name.into())])?).await?;
    match rows.as_slice() {
        [] => Err(Error::NotFound),
        [row] => Ok(row.id()),
        _ => Err(Error::field("environment_name", "is that of several: say organization/environment")),
    }
}

/// Those that a request asks for, and where more of them are.
pub async fn labelled(
    tx: &Tx,
    environment: Option<&str>,
    label: Option<&str>,
    more: &[(String, String)],
) -> Result<(Vec<Row>, Option<String>)> {
    let mut pairs = more.to_vec();
    if let Some(environment) = environment {
        pairs.push(("environment".into(), environment_id(tx, environment).await?.to_string()));
    }
    pairs.extend(label.map(|label| ("labels".to_owned(), label.to_owned())));
    if !pairs.iter().any(|(name, _)| name == "limit") {
        pairs.push(("limit".into(), MAX_LIMIT.to_string()));
    }
    let query = Query::parse(Vm::KIND, &pairs)?;
    Ok(query.cut(Vm::KIND.list(tx, &query).await?))
}
