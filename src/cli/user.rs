//! `virtapi user`: who acts. It needs the database and no token, so it is the way back in.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Result;
use super::database::{apply, list};
use crate::change::{Action, Change};
use crate::config::Flags;
use crate::resource::Resource;
use crate::resources::User;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a user
    Create(Create),
    /// List the users
    List(Flags),
    /// Refuse a user's tokens from now on
    Disable(Named),
    /// Take a user's tokens again
    Enable(Named),
}

#[derive(Args)]
pub(super) struct Create {
    /// Its name
    name: String,
    /// administrator, operator or auditor; it may do nothing unless given
    #[arg(long)]
    role: Option<String>,
    /// It is a program's
    #[arg(long)]
    service: bool,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Args)]
pub(super) struct Named {
    /// Its name
    name: String,
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Create(create) => {
            let account_type = if create.service { "service" } else { "person" };
            let body =
                json!({"name": create.name, "role": create.role, "account_type": account_type, "state": "active"});
            apply(&create.flags, Change::create(User::KIND, body))
        }
        Command::List(flags) => list(flags, User::KIND, &["name", "role", "account_type", "state"]),
        Command::Disable(named) => set_state(named, "disabled"),
        Command::Enable(named) => set_state(named, "active"),
    }
}

fn set_state(named: &Named, state: &str) -> Result<()> {
    apply(&named.flags, Change::of(User::KIND, Action::Update, &named.name, json!({"state": state})))
}
