//! The contract, through HTTP, and the real tools that depend on it.

mod documents;
mod harness;
mod migrations;
mod schema;
mod start;
