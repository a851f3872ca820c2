//! `virtapi check-config`

use super::Result;
use crate::config::{self, Flags};

pub(super) fn run(flags: &Flags) -> Result<()> {
    let loaded = config::load(flags, std::env::vars_os())?;
    if let serde_json::Value::Object(settings) = serde_json::to_value(&loaded.settings)? {
        for (key, value) in settings {
            println!("{:50} # {}", format!("{key} = {value}"), loaded.source(&key));
        }
    }
    Ok(())
}
