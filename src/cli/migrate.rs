//! `virtapi migrate`

use super::Result;
use super::database::with_database;
use crate::config::Flags;

pub(super) fn run(flags: &Flags) -> Result<()> {
    let loaded = super::settings(flags)?;
    // Migrated is what every database is that is worked with.
    with_database(&loaded.settings, async |_| Ok(()))
}
