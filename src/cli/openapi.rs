//! `virtapi openapi`

use super::{Result, print};

pub(super) fn run() -> Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(&crate::openapi::document())?))
}
