//! The contract, through HTTP, and the real tools that depend on it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test says where")]

mod access;
mod agent;
mod at_once;
mod audit;
mod bad_input;
mod certificates;
mod columns;
mod commands;
mod concurrency;
mod constraints;
mod convergence;
mod customer_role;
mod customers;
mod documents;
mod dump;
mod enc;
mod events;
mod every_kind;
mod every_route;
mod fleet;
mod formats;
mod generations;
mod harness;
mod html;
mod lists;
mod log_secrets;
mod migrations;
mod openapi;
mod openid;
mod outage;
mod rates;
mod readme;
mod relations;
mod reports;
mod salt;
mod schema;
mod server_role;
mod sessions;
mod sightings;
mod start;
mod statements;
mod tls;
mod volume_places;
mod writes;
