//! `virtapi shell`: the inventory in a small language, at a terminal or by a script. It needs the database and no token.

use clap::Args;
use std::ffi::OsString;
use std::io::{IsTerminal, Read, stdin, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Result;
use super::database::{actor, with_database};
use crate::config::Flags;
use crate::db::Db;
use crate::shell::{self, Options, Source, Who};
use crate::telling::Rules;
use crate::value_type::Type;

#[derive(Args)]
pub(super) struct Shell {
    /// A file with statements; without one, they come from a terminal, or else from standard input
    script: Option<PathBuf>,
    /// Statements, in place of a file; what the last one is worth is shown
    #[arg(short, long, value_name = "STATEMENTS", conflicts_with = "script")]
    execute: Option<String>,
    /// Act as the user of this name, with its rights and no others
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// Commit without a question: a script at its end, and at a terminal each statement
    #[arg(long)]
    commit: bool,
    /// Say in the record why something is changed
    #[arg(short, long)]
    message: Option<String>,
    /// Show values as JSON
    #[arg(long)]
    json: bool,
    /// How long a statement or a script may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    time_limit: u32,
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(args: Shell) -> Result<()> {
    let source = source(args.script.as_deref(), args.execute)?;
    if let Some(message) = &args.message {
        Type::Text.check(&message.clone().into()).map_err(|rule| format!("the message {rule}"))?;
    }
    let settings = super::settings(&args.flags)?.settings;
    let options = Options {
        who: args.user.map_or_else(|| Who::Actor(actor()), Who::User),
        message: args.message,
        commit: args.commit,
        json: args.json,
        time_limit: Duration::from_secs(args.time_limit.into()),
        width: width(),
        source,
    };
    with_database(&settings, async |url| {
        shell::run(Db::serving(url, 2, &settings.terms())?.telling(Rules::of(&settings)), options).await
    })
}

fn source(script: Option<&Path>, execute: Option<String>) -> Result<Source> {
    if let Some(text) = execute {
        return Ok(Source::Script { text, shows_value: true });
    }
    if let Some(file) = script {
        let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        return Ok(Source::Script { text, shows_value: false });
    }
    if stdin().is_terminal() {
        return Ok(Source::Terminal(history(|name| std::env::var_os(name))));
    }
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    Ok(Source::Script { text, shows_value: true })
}

/// Where the lines of a person are kept (XDG Base Directory Specification): nowhere, for one without a home.
fn history(of: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| of(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("virtapi/shell_history"))
}

/// How many columns the terminal has that shows what is said.
fn width() -> Option<u16> {
    if !stdout().is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(stdout()).ok().map(|size| size.ws_col).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_in_the_state_of_their_user() {
        let of = |state: &'static str, home: &'static str| {
            history(move |name| Some(if name == "HOME" { home } else { state }.into()))
        };
        assert_eq!(of("/s", "/h"), Some("/s/virtapi/shell_history".into()));
        assert_eq!(of("", "/h"), Some("/h/.local/state/virtapi/shell_history".into()));
        assert_eq!(of("", "h"), None);
    }
}
