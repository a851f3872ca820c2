//! The body of a report: bytes that only its reader understands. A run with thousands of resources makes megabytes.

use rocket::data::{Data, FromData, Outcome};
use rocket::http::Status;
use rocket::request::Request;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::http::body::bytes;
use crate::http::tree;

/// The largest report, in bytes: 300 unchanged resources make 173 kB.
const LARGEST: u64 = 16 << 20;

/// A report.
pub struct ReportBody(pub Vec<u8>);

impl ReportBody {
    /// What it says, if it is JSON.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn json(&self) -> Result<Value> {
        tree::from_json(&self.0).map_err(Error::Malformed)
    }
}

#[rocket::async_trait]
impl<'r> FromData<'r> for ReportBody {
    type Error = Error;
    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match bytes(request, data, LARGEST).await {
            Ok(bytes) => Outcome::Success(Self(bytes)),
            Err(error) => Outcome::Error((Status::new(error.status()), error)),
        }
    }
}
