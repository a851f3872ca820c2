//! The classifier as a program: what it tells Puppet.

use std::process::Command;

#[test]
fn a_wrong_argument_is_told_where_puppet_shows_it() {
    let run = Command::new(env!("CARGO_BIN_EXE_virtapi"))
        .args(["enc", "hv01.example.com"])
        .env("VIRTAPI_ENC_TIMEOUT", "soon")
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert_eq!((run.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("soon") && said.contains("--timeout"), "{said}");
}
