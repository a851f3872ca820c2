//! The body of a report: bytes that only its reader understands. A run with thousands of resources makes megabytes.

use rocket::data::{Data, FromData, Outcome, ToByteUnit};
use rocket::http::Status;
use rocket::request::Request;

use crate::error::{Error, Result};
use crate::http::caller;

/// The largest report, in bytes: 300 unchanged resources make 173 kB.
const LARGEST: u64 = 16 << 20;

/// A report.
pub struct ReportBody(pub Vec<u8>);

#[rocket::async_trait]
impl<'r> FromData<'r> for ReportBody {
    type Error = Error;
    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match Self::read(request, data).await {
            Ok(body) => Outcome::Success(body),
            Err(error) => Outcome::Error((Status::new(error.status()), error)),
        }
    }
}

impl ReportBody {
    async fn read(request: &Request<'_>, data: Data<'_>) -> Result<Self> {
        // Nobody's is not even read.
        caller::of(request).await?;
        let read = data.open(LARGEST.bytes()).into_bytes().await;
        let bytes = read.map_err(|error| Error::Malformed(error.to_string()))?;
        if bytes.is_complete() { Ok(Self(bytes.into_inner())) } else { Err(Error::TooLarge(LARGEST)) }
    }
}
