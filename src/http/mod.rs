//! HTTP: requests in, answers out. It knows kinds and documents, and no table.

pub mod account;
pub mod approvals;
pub mod ask;
pub mod audience;
pub mod body;
pub mod caller;
pub mod docs;
pub mod events;
pub mod fallback;
pub mod format;
pub mod headers;
pub mod health;
pub mod idempotency;
pub mod openid;
pub mod pages;
pub mod passwords;
pub mod proof;
pub mod reply;
pub mod report_body;
pub mod request_id;
pub mod resources;
pub mod secrets;
pub mod seen;
pub mod session;
pub mod tree;
pub mod wish;
