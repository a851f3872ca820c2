//! The OpenAPI document.

use serde_json::Value;

/// The document.
#[must_use]
pub fn document() -> Value {
    Value::Null
}
