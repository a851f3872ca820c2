//! Where the agent's settings come from: flags, then the environment, then a TOML file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::client::{self, Server, Wrong};
use crate::config::{LogFormat, LogLevel};

/// What `virtapi agent` takes.
#[derive(Debug, Clone, Args)]
pub struct AgentArgs {
    /// A TOML file with these settings (names with `_`); without it /etc/virtapi/agent.toml is read if it exists
    #[arg(long, env = "VIRTAPI_AGENT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The settings that may also stand in the file.
    #[command(flatten)]
    pub options: AgentOptions,
    /// The command's words as they are, in place of --exec
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "exec")]
    pub command: Vec<String>,
}

/// The settings, one list for all three sources.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentOptions {
    /// The server's address, e.g. <https://virtapi.example.com>
    #[arg(long, env = "VIRTAPI_AGENT_URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The node's name, as the server has it
    #[arg(long, env = "VIRTAPI_AGENT_NODE", value_name = "FQDN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What to run, as words with quotes like those of a shell: "puppet agent -t". No shell is involved
    #[arg(long, env = "VIRTAPI_AGENT_EXEC", value_name = "COMMAND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<String>,
    /// After how many seconds to run whatever is heard [default: 1800]
    #[arg(long, env = "VIRTAPI_AGENT_INTERVAL", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
    /// At most how many seconds to wait before a run, by chance; may have a fraction [default: 0.5]
    #[arg(long, env = "VIRTAPI_AGENT_SPLAY", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splay: Option<f64>,
    /// The exit codes of a run that went well [default: 0,2, as Puppet has them]
    #[arg(long, env = "VIRTAPI_AGENT_SUCCESS", value_name = "CODES", value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub success: Vec<i32>,
    /// A file with a bearer token
    #[arg(long, env = "VIRTAPI_AGENT_TOKEN_FILE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// PEM file of the certificate authorities that may vouch for the server; without it the system's
    #[arg(long, env = "VIRTAPI_AGENT_CA", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate
    #[arg(long, env = "VIRTAPI_AGENT_CERT", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// PEM file of the client certificate's key
    #[arg(long, env = "VIRTAPI_AGENT_KEY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// How log lines look [default: text]
    #[arg(long, env = "VIRTAPI_AGENT_LOG_FORMAT", value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// The least important log lines to write [default: info]
    #[arg(long, env = "VIRTAPI_AGENT_LOG_LEVEL", value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
}

/// A setting that is wrong or missing, by name.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// What the file, or a flag, does not say as it should.
    #[error("{0}")]
    File(#[from] Box<figment::Error>),
    /// How to reach the server.
    #[error(transparent)]
    Server(#[from] Wrong),
    /// One that must be given.
    #[error("{0} is missing: give --{0}, VIRTAPI_AGENT_{upper} or {0} in {1}", upper = .0.to_uppercase())]
    Missing(&'static str, String),
    /// A command that is none.
    #[error("exec {0:?}: a quote is not closed, or there is no word in it")]
    Exec(String),
    /// A number of seconds.
    #[error("{0}: {1} s is not between {2} and {3}")]
    Seconds(&'static str, f64, f64, f64),
}

/// The settings as they are used.
#[derive(Debug)]
pub struct Settings {
    pub server: Server,
    pub node: String,
    pub command: Vec<String>,
    pub interval: Duration,
    pub splay: Duration,
    pub success: Vec<i32>,
    pub log_format: LogFormat,
    pub log_level: LogLevel,
}

/// The longest time that can be set: a day.
const DAY: f64 = 86_400.0;

impl Settings {
    /// Put the sources together. A file that was asked for must be there; `default_config` may be missing.
    pub fn resolve(args: &AgentArgs, default_config: &Path) -> Result<Self, SettingsError> {
        let file = args.config.as_deref().unwrap_or(default_config);
        let options = client::options(args.config.as_deref(), default_config, &args.options)?;
        let missing = |name| SettingsError::Missing(name, file.display().to_string());
        let url = options.url.ok_or_else(|| missing("url"))?;
        let command = match (args.command.is_empty(), options.exec) {
            (false, _) => args.command.clone(),
            (true, Some(text)) => words(&text).ok_or(SettingsError::Exec(text))?,
            (true, None) => return Err(missing("exec")),
        };
        Ok(Self {
            server: Server::new(&url, options.token_file, options.ca, options.cert, options.key)?,
            node: options.node.ok_or_else(|| missing("node"))?,
            command,
            interval: seconds("interval", options.interval.map_or(1800.0, whole), 1.0)?,
            splay: seconds("splay", options.splay.unwrap_or(0.5), 0.0)?,
            success: if options.success.is_empty() { vec![0, 2] } else { options.success },
            log_format: options.log_format.unwrap_or(LogFormat::Text),
            log_level: options.log_level.unwrap_or(LogLevel::Info),
        })
    }
}

/// The words of a command, as a shell would read them that knows quotes and nothing else.
fn words(text: &str) -> Option<Vec<String>> {
    shlex::split(text).filter(|words| !words.is_empty())
}

fn whole(seconds: u64) -> f64 {
    u32::try_from(seconds).map_or(f64::INFINITY, f64::from)
}

fn seconds(name: &'static str, seconds: f64, least: f64) -> Result<Duration, SettingsError> {
    if (least..=DAY).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(SettingsError::Seconds(name, seconds, least, DAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: AgentArgs,
    }

    fn read(words: &[&str]) -> Result<Settings, String> {
        let cli = Cli::try_parse_from(["agent"].iter().chain(words)).map_err(|error| error.to_string())?;
        Settings::resolve(&cli.args, Path::new("/nonexistent/agent.toml")).map_err(|error| error.to_string())
    }

    const WHERE: [&str; 4] = ["--url", "http://127.0.0.1:1", "--node", "hv01.example.com"];

    #[test]
    fn the_command_is_words_and_no_shell_reads_them() {
        let command = |more: &[&str]| read(&[&WHERE[..], more].concat()).expect("is right").command;
        assert_eq!(command(&["--exec", "puppet agent -t"]), ["puppet", "agent", "-t"]);
        assert_eq!(command(&["--exec", r#"a 'b c' "d e" $HOME ; f"#]), ["a", "b c", "d e", "$HOME", ";", "f"]);
        assert_eq!(
            command(&["--", "salt-call", "--retcode-passthrough", "a b"]),
            ["salt-call", "--retcode-passthrough", "a b"]
        );
    }

    #[test]
    fn nothing_more_set_is_the_defaults() {
        let settings = read(&[&WHERE[..], &["--exec", "true"]].concat()).expect("is right");
        assert_eq!((settings.interval.as_secs(), settings.splay.as_millis()), (1800, 500));
        assert_eq!(settings.success, [0, 2]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let exec = ["--exec", "true"];
        for (words, named) in [
            (
                &["--url", "http://127.0.0.1:1", exec[0], exec[1]][..],
                "node is missing: give --node, VIRTAPI_AGENT_NODE or node in",
            ),
            (&["--node", "a", exec[0], exec[1]], "url is missing"),
            (&WHERE, "exec is missing"),
            (&[&WHERE[..], &["--exec", "a 'b"]].concat(), "exec \"a 'b\""),
            (&[&WHERE[..], &["--exec", " "]].concat(), "exec \" \""),
            (&[&WHERE[..], &["--exec", "a", "--", "b"]].concat(), "cannot be used with"),
            (&[&WHERE[..], &exec, &["--interval", "0"]].concat(), "interval: 0 s is not between 1 and 86400"),
            (&[&WHERE[..], &exec, &["--splay", "-1"]].concat(), "-1"),
            (&[&WHERE[..], &exec, &["--splay", "nan"]].concat(), "splay: NaN s"),
            (&[&WHERE[..], &exec, &["--cert", "a"]].concat(), "cert and key belong together"),
            (&[&WHERE[..], &exec, &["--config", "/nowhere.toml"]].concat(), "/nowhere.toml"),
        ] {
            let wrong = read(words).expect_err("is wrong");
            assert!(wrong.contains(named), "{words:?}: {wrong}");
        }
    }

    #[test]
    fn a_file_says_what_no_flag_does() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("agent.toml");
        let text = "url = \"http://127.0.0.1:2\"\nnode = \"a\"\nexec = \"b c\"\nsuccess = [0]\ninterval = 60\n";
        std::fs::write(&file, text).expect("writes");
        let settings = read(&["--config", &file.display().to_string(), "--node", "d"]).expect("is right");
        assert_eq!(
            (settings.node.as_str(), &settings.command[..], &settings.success[..]),
            ("d", &["b".to_owned(), "c".to_owned()][..], &[0][..])
        );
        assert_eq!(settings.interval.as_secs(), 60);
        std::fs::write(&file, "exce = \"b\"").expect("writes");
        assert!(read(&["--config", &file.display().to_string()]).expect_err("is wrong").contains("exce"));
    }
}
