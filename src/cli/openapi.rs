//! `virtapi openapi`

use super::Result;

pub(super) fn run() -> Result<()> {
    println!("{}", serde_json::to_string_pretty(&crate::openapi::document())?);
    Ok(())
}
