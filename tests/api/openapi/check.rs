//! Hands a description and values to the validators of the OpenAPI project for Python, which scripts/setup-openapi
//! installs.

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// A value, the name of a schema, and whether the one conforms to the other.
pub struct Case {
    pub schema: String,
    pub value: Value,
    pub valid: bool,
}

/// Fails unless the document is valid OpenAPI and all cases are as they say.
pub fn check(document: &Value, cases: &[Case]) {
    let cases: Vec<Value> =
        cases.iter().map(|case| json!({"schema": case.schema, "value": case.value, "valid": case.valid})).collect();
    let mut python = Command::new("target/tools/openapi/bin/python")
        .arg("tests/api/openapi/check.py")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("scripts/setup-openapi has installed the validators");
    let input = json!({"document": document, "cases": cases}).to_string();
    python.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("is read");
    let output = python.wait_with_output().expect("ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
