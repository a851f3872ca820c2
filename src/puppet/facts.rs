//! The facts of a node, as Puppet keeps them or as Foreman's client uploads them. It knows neither requests nor tables.

use serde_json::Value;

/// The name of a node, and its facts: `{"name", "facts"}` as Foreman's client sends them, or `{"name", "values"}` as
/// Puppet keeps them.
///
/// # Errors
/// Why they are none.
pub fn read(tree: &Value) -> Result<(String, Value), String> {
    let name = tree["certname"].as_str().or_else(|| tree["name"].as_str()).ok_or("name is missing, or no text")?;
    let facts = tree.get("facts").or_else(|| tree.get("values")).filter(|facts| facts.is_object());
    let facts = facts.ok_or("facts is missing, or no object")?;
    // Postgres keeps no NUL.
    if facts.to_string().contains("\\u0000") {
        return Err("a fact holds a NUL".into());
    }
    Ok((name.to_owned(), facts.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn facts_are_read_in_both_shapes() {
        let expected = ("hv01".to_owned(), json!({"os": {"family": "Debian"}}));
        let facts = &expected.1;
        for tree in [
            json!({"name": "hv01", "certname": "hv01", "facts": facts}),
            json!({"name": "hv01", "values": facts, "timestamp": "2026-11-20T22:20:25Z"}),
        ] {
            assert_eq!(read(&tree), Ok(expected.clone()));
        }
        for tree in [json!({"facts": facts}), json!({"name": "hv01"}), json!({"name": "a", "facts": [1]}), json!(7)] {
            assert!(read(&tree).is_err(), "{tree}");
        }
        assert!(read(&json!({"name": "hv01", "facts": {"a": "\0"}})).is_err());
    }
}
