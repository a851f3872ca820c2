//! `virtapi demo`

use super::database::with_database;
use super::{Result, print};
use crate::config::Flags;
use crate::demo::{Outcome, load};

pub(super) fn run(flags: &Flags) -> Result<()> {
    let loaded = super::settings(flags)?;
    let outcome = with_database(&loaded.settings, async |url| load(url).await)?;
    match outcome {
        Outcome::Loaded(count) => print(&format!("loaded {count} objects\n")),
        Outcome::NotEmpty => print("the database is not empty: nothing was loaded\n"),
    }
}
