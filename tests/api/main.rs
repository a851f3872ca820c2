//! The contract, through HTTP, and the real tools that depend on it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test says where")]

mod documents;
mod enc;
mod every_kind;
mod fleet;
mod generations;
mod harness;
mod migrations;
mod openapi;
mod readme;
mod salt;
mod schema;
mod start;
mod writes;
