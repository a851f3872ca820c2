//! What a body may leave out, or give as null, and what then holds.

use serde::{Deserialize, Deserializer};

/// A number that holds when none is given.
pub fn given<const NUMBER: i32>() -> i32 {
    NUMBER
}

/// What a type holds when nothing is said, also for null: an empty list, no number.
pub fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// A number, or for null the one that holds when none is given.
pub fn or_given<'de, const NUMBER: i32, D: Deserializer<'de>>(value: D) -> Result<i32, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or(NUMBER))
}
