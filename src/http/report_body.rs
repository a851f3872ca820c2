//! The body of a report: bytes that only its reader understands. A run with thousands of resources makes megabytes.

use rocket::data::{Data, FromData, Outcome};
use rocket::http::Status;
use rocket::request::Request;

use crate::error::Error;
use crate::http::body::bytes;

/// The largest report, in bytes: 300 unchanged resources make 173 kB.
const LARGEST: u64 = 16 << 20;

/// A report.
pub struct ReportBody(pub Vec<u8>);

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
