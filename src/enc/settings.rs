//! Where the ENC client's settings come from: flags, then the environment, then a TOML file.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::client::{self, Server, Wrong};

/// What `virtapi enc` takes. Puppet appends the certname to the configured command.
#[derive(Debug, Clone, Args)]
pub struct EncArgs {
    /// The node's certname
    pub certname: String,
    /// A TOML file with these settings (names with `_`); without it /etc/virtapi/enc.toml is read if it exists
    #[arg(long, env = "VIRTAPI_ENC_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The settings that may also stand in the file.
    #[command(flatten)]
    pub options: EncOptions,
}

/// The settings, one list for all three sources.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncOptions {
    /// The server's address, e.g. <https://virtapi.example.com>
    #[arg(long, env = "VIRTAPI_ENC_URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How long the whole question may take, in seconds [default: 10]
    #[arg(long, env = "VIRTAPI_ENC_TIMEOUT", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Where the last good answers are kept [default: ~/.cache/virtapi/enc]
    #[arg(long, env = "VIRTAPI_ENC_CACHE_DIR", value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_dir: Option<PathBuf>,
    /// How old a kept answer may be when the server is away, in seconds; 0 uses none [default: 86400]
    #[arg(long, env = "VIRTAPI_ENC_MAX_AGE", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
    /// Leave out the node's environment, so that the agent chooses its own
    #[arg(long, env = "VIRTAPI_ENC_NO_ENVIRONMENT")]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_environment: bool,
    /// A file with a bearer token
    #[arg(long, env = "VIRTAPI_ENC_TOKEN_FILE", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// PEM file of the certificate authorities that may vouch for the server; without it the system's
    #[arg(long, env = "VIRTAPI_ENC_CA", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate
    #[arg(long, env = "VIRTAPI_ENC_CERT", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// PEM file of the client certificate's key
    #[arg(long, env = "VIRTAPI_ENC_KEY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// A setting that is wrong or missing, by name.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{0}")]
    File(#[from] Box<figment::Error>),
    #[error("no server: give --url, VIRTAPI_ENC_URL or url in {0}")]
    NoUrl(String),
    #[error(transparent)]
    Server(#[from] Wrong),
    #[error("timeout: {0} s is not between 1 and 3600")]
    Timeout(u64),
    #[error("{0:?} is not a certname")]
    Certname(String),
}

/// The settings as they are used.
#[derive(Debug)]
pub struct Settings {
    pub server: Server,
    pub timeout: u64,
    pub cache_dir: Option<PathBuf>,
    pub max_age: u64,
    pub no_environment: bool,
}

impl Settings {
    /// Put the sources together. A file that was asked for must be there; `default_config` may be missing.
    pub fn resolve(args: &EncArgs, default_config: &Path) -> Result<Self, SettingsError> {
        let file = args.config.as_deref().unwrap_or(default_config);
        let options = client::options(args.config.as_deref(), default_config, &args.options)?;
        let url = options.url.ok_or_else(|| SettingsError::NoUrl(file.display().to_string()))?;
        let timeout = options.timeout.unwrap_or(10);
        if !(1..=3600).contains(&timeout) {
            return Err(SettingsError::Timeout(timeout));
        }
        Ok(Self {
            server: Server::new(&url, options.token_file, options.ca, options.cert, options.key)?,
            timeout,
            cache_dir: options.cache_dir.or_else(default_cache_dir),
            max_age: options.max_age.unwrap_or(86_400),
            no_environment: options.no_environment,
        })
    }

    /// The address of a node's ENC document.
    pub fn document_url(&self, certname: &str) -> Result<Url, SettingsError> {
        // What Puppet itself takes as a certname: printable ASCII without a slash. A dot segment would be another path.
        let is_certname = certname.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'/');
        if certname.is_empty() || certname == "." || certname == ".." || !is_certname {
            return Err(SettingsError::Certname(certname.into()));
        }
        Ok(self.server.address(&["puppet", "enc", certname])?)
    }
}

/// `~/.cache/virtapi/enc`: puppetserver's user has a home of its own.
fn default_cache_dir() -> Option<PathBuf> {
    let home = PathBuf::from(std::env::var_os("HOME")?);
    home.is_absolute().then(|| home.join(".cache/virtapi/enc"))
}
