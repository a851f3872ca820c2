//! `virtapi migrate`

use super::Result;
use super::database::with_database;
use crate::config::Flags;

pub(super) fn run(flags: &Flags) -> Result<()> {
    let loaded = super::settings(flags)?;
    with_database(&loaded.settings, async |url| Ok(crate::db::migrate(url).await?))
}
