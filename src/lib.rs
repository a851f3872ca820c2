//! virtapi: the source of truth for hypervisors, Ceph nodes and VMs, and the documents that Puppet and Salt read. One
//! file per resource, and everything else written once over [`resources::KINDS`]; see ARCHITECTURE.md.

mod auth;
mod byte_size;
mod change;
pub mod cli;
mod column;
pub mod config;
mod connections;
mod count;
pub mod db;
pub mod demo;
mod dependents;
mod directory;
mod embed;
pub mod enc;
mod error;
mod etag;
mod html;
mod http;
mod kind;
mod lists;
mod merge;
mod natural_key;
pub mod openapi;
pub mod postgres;
mod puppet;
mod query;
mod refs;
mod render;
mod resource;
mod resources;
mod salt;
mod schema;
mod server;
mod shown;
mod sql;
pub mod telemetry;
mod types;
mod value_type;
mod yaml_safe;

pub use column::{Column, OnDelete};
pub use kind::Kind;
pub use resources::KINDS;
pub use server::rocket;
pub use value_type::Type;
