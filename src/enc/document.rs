//! What counts as an ENC document, and how it is printed.
//!
//! The server sends JSON text that every YAML 1.1 reader takes for the same values. It is printed as it came, byte by
//! byte: writing it anew would have to know all of YAML's traps a second time.

use serde::Deserialize;
use serde_json::Value;
use serde_json::map::Map;
use serde_json::value::RawValue;

/// A checked document, with the text that it was read from.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
}

#[derive(Deserialize)]
struct Shape {
    classes: Map<String, Value>,
    parameters: Map<String, Value>,
    #[serde(default)]
    environment: Option<Value>,
}

/// The document's parts in their order, as text.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    classes: &'a RawValue,
    #[serde(borrow)]
    parameters: &'a RawValue,
}

impl<'a> Document<'a> {
    /// Read a document about the node `certname`.
    pub fn parse(text: &'a str, certname: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("the server's answer is empty".into());
        }
        let shape: Shape =
            serde_json::from_str(text).map_err(|error| format!("the server's answer is no ENC document: {error}"))?;
        if let Some((class, _)) = shape.classes.iter().find(|(_, parameters)| !parameters.is_object()) {
            return Err(format!("the server's answer is no ENC document: class {class:?} has no hash of parameters"));
        }
        match &shape.environment {
            None => {}
            Some(Value::String(name)) if !name.is_empty() => {}
            Some(other) => return Err(format!("the server's answer is no ENC document: environment is {other}")),
        }
        match shape.parameters.get("fqdn").and_then(Value::as_str) {
            Some(fqdn) if fqdn.eq_ignore_ascii_case(certname) => Ok(Self { text }),
            Some(fqdn) => Err(format!("the server's answer is about another node: {fqdn}")),
            None => Err("the server's answer does not say which node it is about".into()),
        }
    }

    /// The text for Puppet, with or without the environment.
    pub fn print(&self, no_environment: bool) -> Result<String, String> {
        if !no_environment {
            return Ok(self.text.to_owned());
        }
        let parts: Parts = serde_json::from_str(self.text).map_err(|error| error.to_string())?;
        Ok(format!(r#"{{"classes":{},"parameters":{}}}"#, parts.classes, parts.parameters))
    }
}
