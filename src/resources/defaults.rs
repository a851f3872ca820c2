//! What a body may leave out, or give as null, and what then holds.

use serde::{Deserialize, Deserializer};
use uuid::Uuid;

/// A number that holds when none is given.
pub fn given<const NUMBER: i32>() -> i32 {
    NUMBER
}

/// A number, or for null the one that holds when none is given.
pub fn or_given<'de, const NUMBER: i32, D: Deserializer<'de>>(value: D) -> Result<i32, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or(NUMBER))
}

/// A UUID, or for null a new one.
pub fn or_new_uuid<'de, D: Deserializer<'de>>(value: D) -> Result<Uuid, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_else(Uuid::new_v4))
}
