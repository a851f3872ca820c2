//! The words of Infrahub: what an order says in them, what a VM is in them, and what is wrong in them. It translates, and decides
//! nothing.

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value, json};

use crate::column::{Column, text};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::infrahub::HERE;
use crate::http::infrahub::target::environment_id;
use crate::kind::Kind;
use crate::query::{MAX_LIMIT, Query};
use crate::refs;
use crate::resource::Resource;
use crate::resources::{DeletedVm, FloatingIp, Vm};
use crate::row::Row;
use crate::sql::{Sql, Statement};

/// Their names of what an order says, and ours.
const FIELDS: [(&str, &str); 14] = [
    ("name", "name"),
    ("environment_name", "environment"),
    ("image_name", "image"),
    ("flavor_name", "flavor"),
    ("key_names", "keys"),
    ("volume_name", "volume"),
    ("create_bootable_volume", "lifetime"),
    ("profile", "profile"),
    ("count", "count"),
    ("labels", "labels"),
    ("user_data", "user_data"),
    ("callback_url", "callback_url"),
    ("assign_floating_ip", "assign_floating_ip"),
    ("security_rules", "security_rules"),
];

/// VMs in these words.
pub async fn show(tx: &Tx, rows: Vec<Row>) -> Result<Vec<Value>> {
    let ids: Vec<String> = rows.iter().map(|row| row.id().to_string()).collect();
    let vm = Column::named(FloatingIp::KIND.columns(), "vm").ok_or(Error::NotFound)?;
    let floating = FloatingIp::KIND.list(tx, &Query::related(vm, ids, MAX_LIMIT)).await?;
    let items = refs::with_references(tx, Vm::KIND, rows).await?;
    Ok(items
        .into_iter()
        .map(|vm| {
            let public = floating.iter().find(|ip| ip["vm"] == vm["id"]).map(|ip| ip["ip"].clone());
            instance(Vm::KIND, &vm, (&vm["lifecycle"], &vm["failure"]), public)
        })
        .collect())
}

/// One that was deleted, as it was shown last. What it had of addresses may be another's by now.
pub fn show_deleted(deleted: &Row) -> Value {
    instance(DeletedVm::KIND, &deleted["object"], (&deleted["lifecycle"], &deleted["failure"]), None)
}

/// What a VM is, where in its life it is, and of which kind that is said.
fn instance(kind: &dyn Kind, vm: &Value, (state, failure): (&Value, &Value), public: Option<Value>) -> Value {
    let environment = text(&vm["environment"]);
    let environment = environment.rsplit('/').next().unwrap_or_default();
    json!({
        "id": vm["id"], "uuid": vm["uuid"], "name": vm["name"], "environment_name": environment,
        "state": state, "failure": failure, "public_ip": public, "flavor_name": text(&vm["flavor"]),
        "labels": vm["labels"], "created_at": vm["created_at"],
        "links": {"self": format!("{HERE}/{}", vm["id"]), "vm": refs::href(kind, vm["id"].as_i64().unwrap_or_default())},
    })
}

/// What was sent, as an order.
pub async fn translated(tx: &Tx, sent: Value) -> Result<Value> {
    let Value::Object(sent) = sent else { return Err(Error::field("", "must be an object")) };
    let mut body = Map::new();
    let mut keys = Vec::new();
    for (name, value) in sent {
        let value_of_name = |value: Value| {
            if let Value::Object(mut object) = value { object.remove("name").unwrap_or_default() } else { value }
        };
        match name.as_str() {
            _ if value.is_null() => {}
            "environment_name" => {
                let id = environment_id(tx, &text(&value)).await;
                let missing = |error| {
                    if matches!(error, Error::NotFound) {
                        Error::field("environment_name", "names none of environments")
                    } else {
                        error
                    }
                };
                body.insert("environment".into(), id.map_err(missing)?.into());
            }
            "key_name" => keys.push(value),
            "key_names" => {
                keys.extend(value.as_array().cloned().ok_or_else(|| Error::field("key_names", "must be a list"))?);
            }
            "create_bootable_volume" => {
                let kept =
                    value.as_bool().ok_or_else(|| Error::field("create_bootable_volume", "must be true or false"))?;
                body.insert("lifetime".into(), if kept { "own" } else { "vm" }.into());
            }
            "profile" => {
                body.insert("profile".into(), value_of_name(value));
            }
            "security_rules" => {
                body.insert("security_rules".into(), rules(value)?);
                body.insert("firewall".into(), "on".into());
            }
            _ => match FIELDS.iter().find(|(theirs, _)| *theirs == name) {
                Some((_, ours)) => {
                    body.insert((*ours).to_owned(), value);
                }
                None => return Err(Error::field(&name, "is not known")),
            },
        }
    }
    if !keys.is_empty() {
        body.insert("keys".into(), keys.into());
    }
    if let (Some(Value::String(name)), Some(environment)) = (body.get("volume"), body.get("environment"))
        && let Some(volume) = volume_named(tx, name, environment).await?
    {
        body.insert("volume".into(), volume.into());
    }
    for (required, ours) in [("environment_name", "environment"), ("flavor_name", "flavor")] {
        if !body.contains_key(ours) && !body.contains_key("profile") {
            return Err(Error::field(required, "is required"));
        }
    }
    Ok(body.into())
}

/// The volume of this name in an environment, if it is a name: what is a UUID means that one.
async fn volume_named(tx: &Tx, name: &str, environment: &Value) -> Result<Option<i64>> {
    let sql = Sql::new("SELECT id FROM volumes WHERE environment_id = ").one(environment.to_string(), "int8");
    let sql = sql.text(" AND name = ").one(name, "text").text(" AND NOT uuid::text = ").one(name, "text");
    let found: Vec<i64> = Statement::<BigInt>::from(sql).load(&mut tx.conn()).await?;
    Ok(found.into_iter().next())
}

/// Their rules say no protocol for any.
fn rules(value: Value) -> Result<Value> {
    let Value::Array(mut rules) = value else { return Err(Error::field("security_rules", "must be a list")) };
    for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
        let protocol = rule.entry("protocol").or_insert(Value::Null);
        if protocol.is_null() {
            *protocol = "any".into();
        }
    }
    Ok(rules.into())
}

/// What is wrong, at the fields that were sent: a key by itself if there is but one.
pub fn in_these_words(error: Error, has_one_key: bool) -> Error {
    let theirs = |(path, detail): (String, String)| {
        if has_one_key && path == "keys/0" {
            return ("key_name".to_owned(), detail);
        }
        let (field, rest) = path.split_once('/').map_or((path.as_str(), ""), |(field, rest)| (field, rest));
        let name = FIELDS.iter().find(|(_, ours)| *ours == field).map_or(field, |(theirs, _)| theirs);
        (if rest.is_empty() { name.to_owned() } else { format!("{name}/{rest}") }, detail)
    };
    match error {
        Error::Invalid(fields) => Error::Invalid(fields.into_iter().map(theirs).collect()),
        Error::Conflict(fields) => Error::Conflict(fields.into_iter().map(theirs).collect()),
        error => error,
    }
}
