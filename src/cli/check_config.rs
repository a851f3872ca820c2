//! `virtapi check-config`

use super::{Result, print};
use crate::config::{self, Flags};
use crate::tls::Material;

pub(super) fn run(flags: &Flags) -> Result<()> {
    let loaded = config::load(flags, std::env::vars_os())?;
    let tls = super::checked_tls(&loaded)?;
    let settings = serde_json::to_value(&loaded.settings)?;
    let line = |key: &&str| match settings.get(key) {
        Some(value) => format!("{:50} # {}\n", format!("{key} = {value}"), loaded.source(key)),
        None => format!("# {key} is not set\n"),
    };
    // That passes by itself, so it does not stop a start; certificates are refused meanwhile.
    let late = tls.as_ref().and_then(Material::out_of_date).map(|late| format!("# tls_crl: {late}\n"));
    print(&config::KEYS.iter().map(line).chain(late).collect::<String>())
}
