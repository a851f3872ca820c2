//! The contract, through HTTP, and the real tools that depend on it.

mod documents;
mod enc;
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
