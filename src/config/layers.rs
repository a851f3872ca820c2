//! The three places that override the defaults (flags, environment, file), and how a problem in one of them is told.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider, Source};
use rocket::data::ByteUnit;
use serde::{Serialize, Serializer};

use super::{AmqpUrl, DatabaseUrl, LogFormat, LogLevel, Networks};

/// The settings as flags. Each is also a key of the file, and `VIRTAPI_` with its name in capitals in the environment.
#[expect(clippy::doc_markdown, reason = "these lines are the text of --help, which knows no Markdown")]
#[derive(Clone, Debug, Default, Serialize, clap::Args)]
#[serde(default)]
#[command(next_help_heading = "Settings (flags win over the environment, the environment over the file)")]
pub struct Flags {
    /// File of settings, in TOML [env: VIRTAPI_CONFIG]
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Address to listen on [env: VIRTAPI_ADDRESS] [default: 127.0.0.1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Port to listen on, 0 for any free one [env: VIRTAPI_PORT] [default: 8000]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// PEM file of the server's certificate chain: serve https [env: VIRTAPI_TLS_CERTIFICATE]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of the certificate's key [env: VIRTAPI_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// PEM file of the authorities whose client certificates are taken [env: VIRTAPI_TLS_CLIENT_CA]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_ca: Option<PathBuf>,
    /// PEM file of the lists of what these authorities have revoked [env: VIRTAPI_TLS_CRL]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_crl: Option<PathBuf>,
    /// Where people reach the server, a scheme and a host [env: VIRTAPI_PUBLIC_URL] [default: where it listens]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Seconds after which people log in anew [env: VIRTAPI_SESSION_LIFETIME] [default: 43200]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_lifetime: Option<u32>,
    /// Seconds of doing nothing after which people log in anew [env: VIRTAPI_SESSION_IDLE] [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_idle: Option<u32>,
    /// Let people log in at this OpenID Connect issuer; needs public_url [env: VIRTAPI_OPENID_ISSUER]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openid_issuer: Option<String>,
    /// What this server is called there [env: VIRTAPI_OPENID_CLIENT_ID]
    #[arg(long, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openid_client_id: Option<String>,
    /// File of the secret by which it is known there [env: VIRTAPI_OPENID_CLIENT_SECRET_FILE]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openid_client_secret_file: Option<PathBuf>,
    /// Directory of the private Postgres [env: VIRTAPI_DATA_DIR] [default: data]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Use this database and start no private one [env: VIRTAPI_DATABASE_URL or DATABASE_URL]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    pub database_url: Option<DatabaseUrl>,
    /// Directory of the programs initdb and postgres [env: VIRTAPI_POSTGRES_BIN] [default: the newest installed]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres_bin: Option<PathBuf>,
    /// Connections to the database [env: VIRTAPI_POOL_SIZE] [default: 4 a core]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_size: Option<usize>,
    /// Threads that answer requests [env: VIRTAPI_WORKERS] [default: 1 a core]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// Seconds that a statement may take [env: VIRTAPI_QUERY_TIMEOUT] [default: 30]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_timeout: Option<u32>,
    /// Requests a second of one customer, 0 for any number [env: VIRTAPI_REQUEST_RATE] [default: 100]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_rate: Option<u32>,
    /// Longest request body, such as 500kB or 8MiB [env: VIRTAPI_REQUEST_BODY_LIMIT] [default: 8MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body_limit: Option<ByteUnit>,
    /// Memory for the documents that are kept for agents, 0 to keep none [env: VIRTAPI_DOCUMENT_CACHE] [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_cache: Option<ByteUnit>,
    /// Days for which the runs that agents report are kept [env: VIRTAPI_RUN_RETENTION] [default: 90]
    #[arg(long, value_name = "DAYS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_retention: Option<u32>,
    /// Days for which it is kept what they changed [env: VIRTAPI_RUN_EVENT_RETENTION] [default: 30]
    #[arg(long, value_name = "DAYS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_event_retention: Option<u32>,
    /// Seconds without a report after which a node is stale [env: VIRTAPI_STALE_AFTER] [default: 7200]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<u32>,
    /// Seconds for which agents keep what is removed [env: VIRTAPI_GRACE_PERIOD] [default: 604800]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_period: Option<u32>,
    /// MAC addresses for ordered VMs [env: VIRTAPI_MAC_RANGE] [default: 52:54:00:00:00:00/24]
    #[arg(long, value_name = "ADDRESS/BITS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_range: Option<String>,
    /// Tags for VLANs that are given none [env: VIRTAPI_VLAN_POOL]
    #[arg(long, value_name = "FIRST-LAST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan_pool: Option<String>,
    /// VNIs for VLANs that are given none [env: VIRTAPI_VNI_POOL]
    #[arg(long, value_name = "FIRST-LAST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vni_pool: Option<String>,
    /// Seconds for which events are kept for who has missed them [env: VIRTAPI_EVENT_RETENTION] [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_retention: Option<u32>,
    /// Networks to which webhooks may go besides the internet, with commas between them [env: VIRTAPI_WEBHOOK_NETWORKS]
    #[arg(long, value_name = "CIDR,…")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_networks: Option<Networks>,
    /// Whether webhooks may go over plain HTTP [env: VIRTAPI_WEBHOOK_HTTP] [default: false]
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_http: Option<bool>,
    /// PEM file of authorities of webhooks' receivers, besides the system's [env: VIRTAPI_WEBHOOK_CA]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_ca: Option<PathBuf>,
    /// Days for which it is kept what webhooks were told [env: VIRTAPI_WEBHOOK_RETENTION] [default: 30]
    #[arg(long, value_name = "DAYS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_retention: Option<u32>,
    /// Publish changes to this broker, amqp:// or amqps:// [env: VIRTAPI_AMQP_URL]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed_broker")]
    pub amqp_url: Option<AmqpUrl>,
    /// PEM file of authorities of that broker, besides the system's [env: VIRTAPI_AMQP_CA]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amqp_ca: Option<PathBuf>,
    /// The exchange to publish to [env: VIRTAPI_AMQP_EXCHANGE] [default: virtapi]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amqp_exchange: Option<String>,
    /// Seconds that requests under way get to finish at a stop [env: VIRTAPI_SHUTDOWN_GRACE] [default: 30]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_grace: Option<u32>,
    /// How log lines look [env: VIRTAPI_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// The least important log lines to write [env: VIRTAPI_LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
}

/// The database, with its password: here it goes where the settings are made of, and to nobody who shows them.
#[expect(clippy::ref_option, reason = "serde gives it so")]
fn exposed<S: Serializer>(url: &Option<DatabaseUrl>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_ref().map(DatabaseUrl::expose).serialize(serializer)
}

/// The same of the broker.
#[expect(clippy::ref_option, reason = "serde gives it so")]
fn exposed_broker<S: Serializer>(url: &Option<AmqpUrl>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_ref().map(AmqpUrl::expose).serialize(serializer)
}

/// A size with or without a unit.
fn size(text: &str) -> Result<ByteUnit, String> {
    text.parse().map_err(|error: <ByteUnit as std::str::FromStr>::Err| error.to_string())
}

/// Every setting's name.
pub const KEYS: [&str; 39] = [
    "address",
    "port",
    "tls_certificate",
    "tls_key",
    "tls_client_ca",
    "tls_crl",
    "public_url",
    "session_lifetime",
    "session_idle",
    "openid_issuer",
    "openid_client_id",
    "openid_client_secret_file",
    "data_dir",
    "database_url",
    "postgres_bin",
    "pool_size",
    "workers",
    "query_timeout",
    "request_rate",
    "request_body_limit",
    "document_cache",
    "run_retention",
    "run_event_retention",
    "stale_after",
    "grace_period",
    "mac_range",
    "vlan_pool",
    "vni_pool",
    "event_retention",
    "webhook_networks",
    "webhook_http",
    "webhook_ca",
    "webhook_retention",
    "amqp_url",
    "amqp_ca",
    "amqp_exchange",
    "shutdown_grace",
    "log_format",
    "log_level",
];

/// Settings whose values are taken as they stand: a directory may well be called `1e3`.
const VERBATIM: [&str; 19] = [
    "tls_certificate",
    "tls_key",
    "tls_client_ca",
    "tls_crl",
    "public_url",
    "openid_issuer",
    "openid_client_id",
    "openid_client_secret_file",
    "data_dir",
    "database_url",
    "postgres_bin",
    "webhook_networks",
    "webhook_ca",
    "amqp_url",
    "amqp_ca",
    "amqp_exchange",
    "mac_range",
    "vlan_pool",
    "vni_pool",
];

/// Variables that begin like settings, and belong to others: the ENC client, the agent that waits for events, and the
/// scripts that install Salt.
const NOT_SETTINGS: [&str; 3] = ["VIRTAPI_ENC_", "VIRTAPI_AGENT_", "VIRTAPI_SALT_"];

const FLAGS: &str = "flag";
const ENVIRONMENT: &str = "environment";

impl Provider for Flags {
    fn metadata(&self) -> Metadata {
        Metadata::named(FLAGS)
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Serialized::defaults(self).data()
    }
}

/// The settings that the environment gives.
pub(super) struct Environment {
    values: Dict,
    config_file: Option<PathBuf>,
}

impl Environment {
    /// Takes what is meant for us, and refuses what looks as if it were.
    pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, Problem> {
        let variables = ours(variables)?;
        let mut read = Self { values: Dict::new(), config_file: None };
        if let Some(url) = variables.get("DATABASE_URL").filter(|url| !url.is_empty()) {
            read.values.insert("database_url".to_owned(), Value::from(url.as_str()));
        }
        for (name, text) in &variables {
            let Some(key) = name.strip_prefix("VIRTAPI_").map(str::to_ascii_lowercase) else { continue };
            if name == "VIRTAPI_CONFIG" {
                read.config_file = Some(PathBuf::from(text));
            } else if KEYS.contains(&key.as_str()) {
                let value = if VERBATIM.contains(&key.as_str()) { Value::from(text.as_str()) } else { parse(text) };
                read.values.insert(key, value);
            } else if !NOT_SETTINGS.iter().any(|prefix| name.starts_with(prefix)) {
                return Err(Problem::unknown(&format!("environment variable {name}")));
            }
        }
        Ok(read)
    }

    /// The file of settings that the environment names.
    pub fn config_file(&self) -> Option<&Path> {
        self.config_file.as_deref()
    }
}

/// The variables that concern us, as text and in order.
fn ours(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<BTreeMap<String, String>, Problem> {
    let ours = |name: &str| name.starts_with("VIRTAPI_") || name == "DATABASE_URL";
    let named = variables.into_iter().filter_map(|(name, text)| Some((name.into_string().ok()?, text)));
    named
        .filter(|(name, _)| ours(name))
        .map(|(name, text)| match text.into_string() {
            Ok(text) => Ok((name, text)),
            Err(_) => Err(Problem(format!("wrong setting (environment variable {name}): is not UTF-8"))),
        })
        .collect()
}

/// A number where it is one: figment reads TOML's values, and never fails.
fn parse(text: &str) -> Value {
    text.parse().unwrap_or_else(|never: std::convert::Infallible| match never {})
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(ENVIRONMENT)
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// The settings of a file.
pub(super) fn file(path: &Path) -> Result<impl Provider + use<>, Problem> {
    // Figment takes a missing file for an empty one.
    let unreadable = |error| Problem(format!("the settings file {} cannot be read: {error}", path.display()));
    std::fs::metadata(path).map_err(unreadable)?;
    Ok(Toml::file_exact(path))
}

/// Where a setting was set.
pub(super) fn describe(found: &Metadata, key: &str) -> String {
    match (&found.source, found.name.as_ref()) {
        (Some(Source::File(path)), _) => path.display().to_string(),
        (_, FLAGS) => format!("flag --{}", key.replace('_', "-")),
        (_, ENVIRONMENT) if key == "database_url" => {
            "environment variable DATABASE_URL or VIRTAPI_DATABASE_URL".to_owned()
        }
        (_, ENVIRONMENT) => format!("environment variable VIRTAPI_{}", key.to_ascii_uppercase()),
        _ => "default".to_owned(),
    }
}

/// A wrong setting, in one sentence.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(String);

impl Problem {
    pub(super) fn value(key: &str, source: &str, rule: &str) -> Self {
        Self(format!("wrong setting {key} ({source}): {rule}"))
    }

    fn unknown(what: &str) -> Self {
        Self(format!("unknown setting: {what}; the settings are {}", KEYS.join(", ")))
    }

    /// Figment's first error, in our words.
    pub(super) fn from_figment(error: &figment::Error) -> Self {
        let key = error.path.join(".");
        let source = error.metadata.as_ref().map_or_else(|| "default".to_owned(), |found| describe(found, &key));
        match &error.kind {
            Kind::UnknownField(name, _) => Self::unknown(&format!("{name} ({source})")),
            _ if key.is_empty() => Self(format!("the settings cannot be read ({source}): {}", error.kind)),
            kind => Self::value(&key, &source, &kind.to_string()),
        }
    }
}
