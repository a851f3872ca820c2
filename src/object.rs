//! An object as clients see it, in no format yet: its fields in their order, and behind its references what they lead
//! to. It is like a JSON value, but what several objects show is held once, and no name of a field is copied: on a long
//! list that would cost more than all the rest. It knows no kind.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

use crate::error::{Error, Result};

/// What stands in a field, or is a whole answer.
#[derive(Clone)]
pub enum Content {
    /// What refers to nothing.
    Plain(Value),
    /// Another object, in short.
    Reference(Arc<Reference>),
    /// Another object, whole.
    Object(Arc<Object>),
    /// Several.
    List(Vec<Self>),
}

/// An object, or a part of an answer that has fields.
#[derive(Default)]
pub struct Object(Vec<(Cow<'static, str>, Content)>);

/// `{id, key, href}`
pub struct Reference {
    /// The id of what it leads to.
    pub id: i64,
    /// What the field is called that holds the natural key.
    pub field: &'static str,
    /// The natural key.
    pub key: String,
    /// Where it is.
    pub href: String,
}

impl Object {
    /// Without a field, but with room for so many.
    pub fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    /// One more field. It has none of this name yet.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, content: impl Into<Content>) {
        self.0.push((name.into(), content.into()));
    }

    /// Only the fields with these names.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| wanted(name));
    }
}

impl Content {
    /// Whether there is nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Plain(Value::Null))
    }

    /// As a plain value, for what looks into it or keeps it.
    ///
    /// # Errors
    /// When it cannot be JSON.
    pub fn to_value(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|error| Error::Internal(error.into()))
    }
}

impl From<Value> for Content {
    fn from(value: Value) -> Self {
        Self::Plain(value)
    }
}

impl From<Object> for Content {
    fn from(object: Object) -> Self {
        Self::Object(Arc::new(object))
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(value) => value.serialize(serializer),
            Self::Reference(reference) => reference.serialize(serializer),
            Self::Object(object) => object.serialize(serializer),
            Self::List(items) => serializer.collect_seq(items),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, content)| (name, content)))
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(3))?;
        fields.serialize_entry("id", &self.id)?;
        fields.serialize_entry(self.field, &self.key)?;
        fields.serialize_entry("href", &self.href)?;
        fields.end()
    }
}
