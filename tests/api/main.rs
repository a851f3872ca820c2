//! The contract, through HTTP, and the real tools that depend on it.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says why and ends")]

mod documents;
mod enc;
mod fleet;
mod harness;
mod migrations;
mod openapi;
mod salt;
mod schema;
mod start;
