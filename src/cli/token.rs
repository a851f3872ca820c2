//! `virtapi token`: what those who act show to be known. It needs the database and no token.

use chrono::{TimeDelta, Utc};
use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};

use super::database::{apply, list, write};
use super::{Result, print};
use crate::change::{self, Action, Change};
use crate::config::Flags;
use crate::credentials;
use crate::resource::Resource;
use crate::resources::Token;

/// What a list shows.
const COLUMNS: &[&str] =
    &["id", "prefix", "user", "node", "compiler", "scope", "source_network", "expires_at", "last_used_at", "name"];

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a token, and print its secret: this once
    Create(Create),
    /// List the tokens
    List(Flags),
    /// Revoke a token
    Revoke(Revoke),
}

#[derive(Args)]
#[command(group(ArgGroup::new("holder").required(true).args(["user", "node", "compiler"])))]
pub(super) struct Create {
    /// What it is for
    name: String,
    /// The user who holds it
    #[arg(long)]
    user: Option<String>,
    /// The node that holds it
    #[arg(long, value_name = "FQDN")]
    node: Option<String>,
    /// The compiler that holds it; made if it is not there, to serve all nodes
    #[arg(long)]
    compiler: Option<String>,
    /// What of its holder's rights it is good for: all, read or documents
    #[arg(long, default_value = "all")]
    scope: String,
    /// From where it is taken, such as 192.0.2.0/24
    #[arg(long, value_name = "CIDR")]
    source_network: Option<String>,
    /// For how many days it is taken; for ever unless given
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    days: Option<u16>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Args)]
pub(super) struct Revoke {
    /// Its id or UUID, as `virtapi token list` shows it
    token: String,
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Create(token) => create(token),
        Command::List(flags) => list(flags, Token::KIND, COLUMNS),
        Command::Revoke(token) => {
            let change = Change::of(Token::KIND, Action::Delete, &token.token, Value::Null);
            apply(&token.flags, change)
        }
    }
}

fn create(token: &Create) -> Result<()> {
    // Given whole, it is made if it is not there.
    let compiler = token.compiler.as_ref().map(|name| json!({"name": name, "serves": "all"}));
    let expires_at = token.days.map(|days| (Utc::now() + TimeDelta::days(days.into())).to_rfc3339());
    let body = json!({"name": token.name, "user": token.user, "node": token.node, "compiler": compiler, "scope": token.scope,
        "source_network": token.source_network, "expires_at": expires_at});
    let secret = write(&token.flags, async |tx| {
        let done = change::apply_one(tx, Change::create(Token::KIND, body)).await?.done;
        credentials::issue_secret(tx, &done.id.to_string()).await
    })?;
    print(&format!("{}\n", secret.expose()))
}
