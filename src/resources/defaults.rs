//! What a body may leave out, or give as null, and what then holds.

use serde::{Deserialize, Deserializer};

/// A number that holds when none is given.
pub fn given<const NUMBER: i32>() -> i32 {
    NUMBER
}

/// A number, or for null the one that holds when none is given.
pub fn or_given<'de, const NUMBER: i32, D: Deserializer<'de>>(value: D) -> Result<i32, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or(NUMBER))
}
