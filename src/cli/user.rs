//! `virtapi user`: who acts. It needs the database and no token, so it is the way back in.

use clap::{Args, Subcommand};
use serde_json::json;
use std::io::{IsTerminal, stdin};

use super::Result;
use super::database::{apply, list, write};
use crate::auth::Password;
use crate::change::{Action, Change};
use crate::config::Flags;
use crate::credentials;
use crate::resource::Resource;
use crate::resources::User;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a user
    Create(Create),
    /// List the users
    List(Flags),
    /// Give a user a password: the first line of standard input, or typed at a terminal
    Password(Named),
    /// Refuse what a user shows from now on
    Disable(Named),
    /// Take it again
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
        Command::Password(named) => set_password(named),
        Command::Disable(named) => set_state(named, "disabled"),
        Command::Enable(named) => set_state(named, "active"),
    }
}

fn set_password(named: &Named) -> Result<()> {
    let typed = if stdin().is_terminal() {
        rpassword::prompt_password(format!("A password for {}: ", named.name))?
    } else {
        let mut line = String::new();
        stdin().read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    write(&named.flags, async |tx| {
        let (_, name) = credentials::user(tx, &named.name).await?;
        let kept = Password::given(typed).keep(&name).await?;
        credentials::set_password(tx, &name, Some(&kept), None).await
    })
}

fn set_state(named: &Named, state: &str) -> Result<()> {
    apply(&named.flags, Change::of(User::KIND, Action::Update, &named.name, json!({"state": state})))
}
