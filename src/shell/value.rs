//! Values of the language and of the API, each as the other. An object of the API stays one, with its kind and the order
//! of its fields: it can be changed, and names itself where another object refers to it. It knows no database.

use rhai::{Array, Dynamic, Map};
use serde_json::Value;
use std::sync::Arc;

use super::request::Item;
use crate::kind::Kind;
use crate::{natural_key, resources};

/// A collection in the language: `vms`.
#[derive(Clone, Copy)]
pub struct Collection(pub &'static dyn Kind);

/// What a collection is called in the language, whose names have no hyphens.
pub fn name(kind: &dyn Kind) -> String {
    kind.name().replace('-', "_")
}

/// The kind that is called so in the language, or in the API.
pub fn kind(called: &str) -> Option<&'static dyn Kind> {
    resources::kind(&called.replace('_', "-"))
}

/// A value of the API in the language.
pub fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or_default().into(),
        },
        Value::String(text) => text.clone().into(),
        Value::Array(items) => items.iter().map(to_dynamic).collect::<Array>().into(),
        Value::Object(fields) => match item(value) {
            Some(item) => Dynamic::from(item),
            None => fields.iter().map(|(name, field)| (name.into(), to_dynamic(field))).collect::<Map>().into(),
        },
    }
}

/// An object that another one shows, whole or as a reference: it says where it is.
fn item(value: &Value) -> Option<Item> {
    let kind = resources::kind(value["href"].as_str()?.strip_prefix("/v1/")?.split('/').next()?)?;
    let field = natural_key::field(kind);
    let key = match &value[field] {
        Value::String(key) => key.clone(),
        _ => natural_key::of(kind, value),
    };
    Some(Item { kind, id: value["id"].as_i64(), key, value: Arc::new(value.clone()) })
}

/// What becomes of objects in a value of the API.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Objects {
    /// They are there, whole.
    Whole,
    /// They are referred to.
    Named,
}

/// A value of the language as the API has it.
///
/// # Errors
/// When it has none: it is a function, for example.
pub fn to_value(value: &Dynamic, objects: Objects) -> Result<Value, String> {
    let value = value.flatten_clone();
    if let Some(item) = value.read_lock::<Item>() {
        return Ok(match objects {
            Objects::Whole => Value::clone(&item.value),
            Objects::Named => item.id.map_or_else(|| item.key.clone().into(), Value::from),
        });
    }
    if let Some(collection) = value.read_lock::<Collection>() {
        return Ok(name(collection.0).into());
    }
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(items) = value.as_array_ref() {
        return items.iter().map(|item| to_value(item, objects)).collect();
    }
    if let Ok(fields) = value.as_map_ref() {
        return fields.iter().map(|(name, field)| Ok((name.to_string(), to_value(field, objects)?))).collect();
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(text.as_str().into());
    }
    let plain = value.as_bool().map(Value::from).or_else(|_| value.as_int().map(Value::from));
    plain
        .or_else(|_| value.as_char().map(|one| one.to_string().into()))
        .or_else(|_| value.as_float().map(Value::from))
        .map_err(|_| format!("{} is no value of an object", value.type_name()))
}

/// The body of a change: an object that was read is what it was, and what is in it is referred to.
///
/// # Errors
/// As [`to_value`].
pub fn body(value: &Dynamic) -> Result<Value, String> {
    let is_item = value.read_lock::<Item>().is_some();
    to_value(value, if is_item { Objects::Whole } else { Objects::Named })
}

/// The parameters of a question, as they would stand behind `?`: `#{cores__gte: 4}`. A list is divided by commas, and `()`
/// asks for what is not there.
///
/// # Errors
/// When one is no such parameter.
pub fn pairs(asked: &Map) -> Result<Vec<(String, String)>, String> {
    let one = |(name, value): (&_, &Dynamic)| {
        let name = ToString::to_string(name);
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
            _ => Err(format!("{name} must be a text, a number, a truth value, an object, or a list of such")),
        };
        match to_value(value, Objects::Named)? {
            Value::Null => Ok((format!("{name}__isnull"), "true".to_owned())),
            Value::Array(items) => Ok((name.clone(), items.iter().map(text).collect::<Result<Vec<_>, _>>()?.join(","))),
            plain => Ok((name.clone(), text(&plain)?)),
        }
    };
    asked.iter().map(one).collect()
}

/// By what an object is named in a call: its id, its natural key, or itself.
///
/// # Errors
/// When it names nothing.
pub fn key(value: &Dynamic) -> Result<String, String> {
    if let Some(item) = value.read_lock::<Item>() {
        return Ok(item.reference());
    }
    match to_value(value, Objects::Named)? {
        Value::String(text) => Ok(text),
        Value::Number(id) if id.is_i64() => Ok(id.to_string()),
        _ => Err("an object is named by its id, its natural key, or itself".into()),
    }
}
