//! `virtapi org`: customers, and who acts for them. It needs the database and no token.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Result;
use super::database::{apply, list};
use crate::change::{Action, Change};
use crate::config::Flags;
use crate::resource::Resource;
use crate::resources::{Membership, Organization};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make an organization
    Create(Create),
    /// Show all organizations
    List(Flags),
    /// Say what a user may do in an organization, or that it may nothing any more
    Member(Member),
    /// Show who may do what in which organization
    Members(Flags),
}

#[derive(Args)]
pub(super) struct Create {
    /// Its name
    name: String,
    /// What people call it
    #[arg(long)]
    full_name: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Args)]
pub(super) struct Member {
    /// The organization's name
    organization: String,
    /// The user's name
    user: String,
    /// owner, member or viewer; without one, the membership ends
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Create(create) => {
            let body = json!({"name": create.name, "full_name": create.full_name});
            apply(&create.flags, Change::create(Organization::KIND, body))
        }
        Command::List(flags) => list(flags, Organization::KIND, &["name", "full_name"]),
        Command::Member(member) => {
            let key = format!("{}/{}", member.organization, member.user);
            let change = match &member.role {
                Some(role) => Change::of(Membership::KIND, Action::Replace, &key, json!({"role": role})),
                None => Change::of(Membership::KIND, Action::Delete, &key, Value::Null),
            };
            apply(&member.flags, change)
        }
        Command::Members(flags) => list(flags, Membership::KIND, &["organization", "user", "role"]),
    }
}
