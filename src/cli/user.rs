//! `virtapi user`: who acts. It needs the database and no token, so it is the way back in.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::database::with_database;
use super::{Result, print};
use crate::auth::Actor;
use crate::change::{self, Action, Change};
use crate::config::Flags;
use crate::db::{Db, Tx};
use crate::query::Query;
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
    /// What it may do; nothing unless given
    #[arg(long)]
    role: Option<Role>,
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

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Administrator,
    Operator,
    Auditor,
}

pub(super) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Create(create) => {
            let role = create.role.and_then(|role| role.to_possible_value()).map(|role| role.get_name().to_owned());
            let account_type = if create.service { "service" } else { "person" };
            let body = json!({"name": create.name, "role": role, "account_type": account_type, "state": "active"});
            write(&create.flags, Change::create(User::KIND, body))
        }
        Command::List(flags) => list(flags),
        Command::Disable(named) => set_state(named, "disabled"),
        Command::Enable(named) => set_state(named, "active"),
    }
}

fn set_state(named: &Named, state: &str) -> Result<()> {
    write(&named.flags, Change::of(User::KIND, Action::Update, &named.name, json!({"state": state})))
}

fn write(flags: &Flags, change: Change) -> Result<()> {
    let loaded = super::settings(flags)?;
    with_database(&loaded.settings, async |url| {
        let work = async |tx: &Tx| change::apply_one(tx, change).await;
        Ok(Db::new(url, 1)?.write(Actor::system("command line"), false, work).await.map(drop)?)
    })
}

fn list(flags: &Flags) -> Result<()> {
    let loaded = super::settings(flags)?;
    let users = with_database(&loaded.settings, async |url| {
        let all = Query::parse(User::KIND, &[("limit".into(), "1000".into()), ("sort".into(), "name".into())])?;
        Ok(Db::new(url, 1)?.read(Actor::system("command line"), async |tx| User::KIND.list(tx, &all).await).await?)
    })?;
    let field = |user: &Value, name: &str| user[name].as_str().unwrap_or("-").to_owned();
    let line = |user: &Value| ["name", "role", "account_type", "state"].map(|name| field(user, name)).join("\t") + "\n";
    print(&users.iter().map(line).collect::<String>())
}
