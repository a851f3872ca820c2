//! References on the way in: an id, a natural key, or an object given whole, which is created or must be as it is.

use serde_json::Value;

use crate::change::{self, Change};
use crate::column::{Column, text};
use crate::error::{Error, Result, segment};
use crate::value_type::Type;
use crate::work::Work;
use crate::{kind::Kind, natural_key};

/// Turns the references of a body into ids, its lists of owned objects aside. An object that is given whole is created.
pub async fn references(work: &mut Work<'_>, kind: &dyn Kind, body: &mut Value) -> Result<()> {
    for column in kind.columns().iter().filter(|column| column.writable) {
        let Some(given) = body.get_mut(column.name).filter(|given| !given.is_null()) else { continue };
        match column.ty {
            Type::Ref(target) => *given = resolve_one(work, target, given.take(), column.name).await?.into(),
            Type::Many(link) => {
                let mut ids = Vec::new();
                for (i, item) in list(given.take(), column.name)?.into_iter().enumerate() {
                    ids.push(resolve_one(work, link.kind, item, &format!("{}/{i}", column.name)).await?);
                }
                ids.sort_unstable();
                ids.dedup();
                *given = ids.into();
            }
            _ => {}
        }
    }
    Ok(())
}

/// The items of a list that a client sent.
pub fn list(given: Value, name: &str) -> Result<Vec<Value>> {
    match given {
        Value::Array(items) => Ok(items),
        Value::Null => Ok(vec![]),
        _ => Err(Error::field(name, "must be a list")),
    }
}

/// The name by which a client refers to an object: an id, a natural key, or one of them inside an object.
pub fn name_of(target: &dyn Kind, given: &Value) -> String {
    let field = natural_key::field(target);
    text(given.get("id").or_else(|| given.get(field)).unwrap_or(given))
}

async fn resolve_one(work: &mut Work<'_>, target: &'static dyn Kind, given: Value, name: &str) -> Result<i64> {
    let plain = match &given {
        Value::Object(object) => {
            let unknown = |field: &&String| !is_of_reference(target, field) && !is_column(target, field);
            let wrong: Vec<_> =
                object.keys().filter(unknown).map(|field| (segment(field), "is not known".into())).collect();
            if !wrong.is_empty() {
                return Err(Error::Invalid(wrong).below(name));
            }
            object.keys().all(|field| is_of_reference(target, field))
        }
        Value::String(_) => true,
        Value::Number(number) if number.is_i64() => true,
        _ => return Err(Error::field(name, "must be an id, a natural key or an object")),
    };
    let found = work.find_id(target, &given).await?;
    match found {
        Some(id) if plain => Ok(id),
        // Boxed, for a change that contains a change is a future that contains itself.
        Some(id) => match Box::pin(change::is_as_given(work, target, id, given)).await {
            Ok(true) => Ok(id),
            Ok(false) => Err(Error::conflict(name, "exists, and is not as given here")),
            Err(error) => Err(error.below(name)),
        },
        None if plain || given.get("id").is_some() => {
            Err(Error::field(name, format!("names none of {}", target.name())))
        }
        None => {
            let created = Box::pin(change::apply_nested(work, Change::create(target, given))).await;
            created.map(|done| done.id).map_err(|error| error.below(name))
        }
    }
}

/// Whether a reference has this field: others are of the object itself.
fn is_of_reference(kind: &dyn Kind, field: &str) -> bool {
    field == "id" || field == "href" || field == natural_key::field(kind)
}

fn is_column(kind: &dyn Kind, field: &str) -> bool {
    Column::named(kind.columns(), field).is_some()
}

/// Whether a reference means the object with this natural key.
pub async fn same(work: &mut Work<'_>, kind: &dyn Kind, given: &Value, key: &str) -> Result<bool> {
    if name_of(kind, given) == key {
        return Ok(true);
    }
    let found = work.find_id(kind, given).await?;
    Ok(found.is_some() && found == work.find_id(kind, &key.into()).await?)
}
