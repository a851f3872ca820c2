//! The command line: what can be asked of the program, and how it says that something went wrong.
//!
//! Each command is a file. They put the other modules together, and know nothing of tables and requests.

mod check_config;
mod database;
mod demo;
mod migrate;
mod openapi;
mod organization;
mod serve;
mod shell;
mod token;
mod user;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::agent::{self, AgentArgs, SettingsError};
use crate::config::{self, Flags, Loaded, Problem};
use crate::enc::EncArgs;
use crate::tls::Material;

/// What goes wrong in a command is only ever printed.
type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Source of truth and configuration-management backend for hypervisors and Ceph storage nodes.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API: starts a private Postgres if no database is given, and migrates what is its own
    Serve(serve::Args),
    /// Bring the database's schema up to date
    Migrate(Flags),
    /// Load a small demo fleet into an empty database
    Demo(Flags),
    /// Print the settings that would be used, and where each comes from
    CheckConfig(Flags),
    /// Print the description of the API in OpenAPI
    Openapi,
    /// Make organizations, and say who acts for them
    #[command(subcommand)]
    Org(organization::Command),
    /// Make users, list them, disable and enable them
    #[command(subcommand)]
    User(user::Command),
    /// Make tokens, list and revoke them
    #[command(subcommand)]
    Token(token::Command),
    /// Ask and change the inventory in a small language: at a terminal, or by a script
    Shell(Box<shell::Shell>),
    /// Print a node's ENC document: what puppetserver runs for every catalog
    Enc(EncArgs),
    /// Run a command, such as "puppet agent -t", as soon as a node's document may have changed, and by a timer
    Agent(AgentArgs),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn run() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        // Puppet expects its reasons on standard output.
        Err(error) if error.use_stderr() && std::env::args_os().nth(1).is_some_and(|word| word == "enc") => {
            return crate::enc::refuse(&error);
        }
        Err(error) => error.exit(),
    };
    let done = match command {
        Command::Serve(args) => serve::run(&args),
        Command::Migrate(flags) => migrate::run(&flags),
        Command::Demo(flags) => demo::run(&flags),
        Command::CheckConfig(flags) => check_config::run(&flags),
        Command::Openapi => openapi::run(),
        Command::Org(command) => organization::run(&command),
        Command::User(command) => user::run(&command),
        Command::Token(command) => token::run(&command),
        Command::Shell(args) => shell::run(*args),
        Command::Agent(args) => agent::run(&args),
        Command::Enc(args) => return crate::enc::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("virtapi: {}", with_causes(&*error));
            // Like a wrong argument, a wrong setting is the caller's to correct: nothing was begun.
            if error.is::<Problem>() || error.is::<SettingsError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Puts text on standard output. Whoever reads it may stop in the middle.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The settings, and a log that follows them.
fn settings(flags: &Flags) -> Result<Loaded> {
    let loaded = config::load(flags, std::env::vars_os())?;
    crate::telemetry::init(loaded.settings.log_format, loaded.settings.log_level)?;
    Ok(loaded)
}

/// What a server with these settings listens with. A wrong file is a wrong setting.
fn checked_tls(loaded: &Loaded) -> Result<Option<Material>, Problem> {
    Material::load(&loaded.settings).map_err(|wrong| loaded.problem(wrong.setting, &wrong.to_string()))
}

/// An error with all its causes, in one line; many errors repeat their cause, which is then said once.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    causes.fold(String::new(), |said, cause| match cause.to_string() {
        cause if said.is_empty() => cause,
        cause if said.contains(&cause) => said,
        cause => format!("{said}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_help() {
        for command in Cli::command().get_subcommands_mut() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Told(&'static str, #[source] Option<Box<Told>>);
        let told = Told("a", Some(Box::new(Told("b", Some(Box::new(Told("b", None)))))));
        assert_eq!(with_causes(&told), "a: b");
    }
}
