//! `virtapi check-config`

use super::{Result, print};
use crate::config::{self, Flags};

pub(super) fn run(flags: &Flags) -> Result<()> {
    let loaded = config::load(flags, std::env::vars_os())?;
    super::checked_tls(&loaded)?;
    let settings = serde_json::to_value(&loaded.settings)?;
    let line = |key: &&str| match settings.get(key) {
        Some(value) => format!("{:50} # {}\n", format!("{key} = {value}"), loaded.source(key)),
        None => format!("# {key} is not set\n"),
    };
    print(&config::KEYS.iter().map(line).collect::<String>())
}
