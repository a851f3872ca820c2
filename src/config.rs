//! The settings of the server: where each comes from, what it may be, and what is wrong with it.
//!
//! Flags win over the environment, the environment over the file, the file over the defaults. This module knows nothing
//! of what the settings are used for, and nothing else in the program reads the environment for a setting.

mod layers;
mod pools;
mod values;

use std::collections::HashSet;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::{Figment, providers::Serialized};
use rocket::data::{ByteUnit, ToByteUnit};
use serde::{Deserialize, Serialize};

use crate::auth::SessionLimits;
use crate::db::Terms;

pub use layers::{Flags, KEYS, Problem};
pub use values::{AmqpUrl, DatabaseUrl, LogFormat, LogLevel, Networks};

/// What the server runs with. `docs/settings.md` describes each field; a test keeps the two together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub address: IpAddr,
    /// The TCP port; 0 takes any free one.
    pub port: u16,
    /// PEM file of the server's certificate, and of those between it and its root. With it, there is only TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of the key of that certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// PEM file of the authorities whose client certificates are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_client_ca: Option<PathBuf>,
    /// PEM file of the lists of what these have revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_crl: Option<PathBuf>,
    /// Where people reach the server, if that is not where it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// After how many seconds people log in anew.
    pub session_lifetime: u32,
    /// After how many seconds in which they did nothing.
    pub session_idle: u32,
    /// The issuer by which people log in (OpenID Connect).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid_issuer: Option<String>,
    /// What this server is called there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid_client_id: Option<String>,
    /// The file of the secret by which it is known there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid_client_secret_file: Option<PathBuf>,
    /// Holds the private Postgres.
    pub data_dir: PathBuf,
    /// An existing database. Without it, a private Postgres is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_url: Option<DatabaseUrl>,
    /// Where the programs of Postgres are, when they are not where they usually are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres_bin: Option<PathBuf>,
    /// How many connections to the database this process keeps.
    pub pool_size: usize,
    /// Threads that answer requests.
    pub workers: usize,
    /// How many seconds a statement may take.
    pub query_timeout: u32,
    /// How many requests a second a customer may send; 0 limits nobody.
    pub request_rate: u32,
    /// The longest request body that is read.
    pub request_body_limit: ByteUnit,
    /// How much memory the documents that are kept for agents may take; 0 keeps none.
    pub document_cache: ByteUnit,
    /// For how many days the runs that agents report are kept.
    pub run_retention: u32,
    /// For how many days it is kept what they changed.
    pub run_event_retention: u32,
    /// After how many seconds without a report a node is stale.
    pub stale_after: u32,
    /// For how many seconds agents keep what is removed.
    pub grace_period: u32,
    /// The MAC addresses that interfaces of ordered VMs get: the bits that all have, and how many these are.
    pub mac_range: String,
    /// The tags that VLANs get which are given none, as `FIRST-LAST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan_pool: Option<String>,
    /// The VNIs, likewise; they go before tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vni_pool: Option<String>,
    /// For how many seconds events are kept for those who come back to hear what they have missed.
    pub event_retention: u32,
    /// Networks to which webhooks may go besides the internet.
    #[serde(default)]
    pub webhook_networks: Networks,
    /// Whether webhooks may go over plain HTTP.
    pub webhook_http: bool,
    /// PEM file of authorities that receivers of webhooks may have their certificates from, besides those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_ca: Option<PathBuf>,
    /// For how many days it is kept what was told.
    pub webhook_retention: u32,
    /// A broker to which all that is told is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amqp_url: Option<AmqpUrl>,
    /// PEM file of authorities that it may have its certificate from, besides those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amqp_ca: Option<PathBuf>,
    /// The exchange there.
    pub amqp_exchange: String,
    /// How many seconds requests under way get to finish when the server is told to stop.
    pub shutdown_grace: u32,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The least important log lines that are written.
    pub log_level: LogLevel,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 8000,
            tls_certificate: None,
            tls_key: None,
            tls_client_ca: None,
            tls_crl: None,
            public_url: None,
            session_lifetime: 12 * 60 * 60,
            session_idle: 60 * 60,
            openid_issuer: None,
            openid_client_id: None,
            openid_client_secret_file: None,
            data_dir: Path::new("data").to_owned(),
            database_url: None,
            postgres_bin: None,
            pool_size: 4 * cores,
            workers: cores,
            query_timeout: 30,
            request_rate: 100,
            request_body_limit: 8.mebibytes(),
            document_cache: 64.mebibytes(),
            run_retention: 90,
            run_event_retention: 30,
            stale_after: 2 * 60 * 60,
            grace_period: 7 * 24 * 60 * 60,
            mac_range: "52:54:00:00:00:00/24".to_owned(),
            vlan_pool: None,
            vni_pool: None,
            event_retention: 60 * 60,
            webhook_networks: Networks::default(),
            webhook_http: false,
            webhook_ca: None,
            webhook_retention: 30,
            amqp_url: None,
            amqp_ca: None,
            amqp_exchange: "virtapi".to_owned(),
            shutdown_grace: 30,
            log_format: LogFormat::Text,
            log_level: LogLevel::Info,
        }
    }
}

impl Settings {
    /// Whether people come over TLS, ours or that of a proxy.
    #[must_use]
    pub fn is_public_over_tls(&self) -> bool {
        match &self.public_url {
            Some(url) => url.starts_with("https://"),
            None => self.tls_certificate.is_some(),
        }
    }

    /// For how long sessions are good.
    #[must_use]
    pub fn session_limits(&self) -> SessionLimits {
        let seconds = |n: u32| Duration::from_secs(n.into());
        SessionLimits { lifetime: seconds(self.session_lifetime), idle: seconds(self.session_idle) }
    }

    /// What its statements go by.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let seconds = |n: u32| Duration::from_secs(n.into());
        Terms {
            limit: seconds(self.query_timeout),
            stale_after: seconds(self.stale_after),
            grace_period: seconds(self.grace_period),
            mac_range: self.mac_range.clone(),
            vlan_pool: self.vlan_pool.clone(),
            vni_pool: self.vni_pool.clone(),
        }
    }

    /// The part that Rocket takes.
    #[must_use]
    pub fn rocket(&self) -> rocket::Config {
        rocket::Config {
            address: self.address,
            port: self.port,
            workers: self.workers,
            ident: rocket::config::Ident::none(),
            // Agents behind a proxy come back to the same connection after seconds, not at once.
            keep_alive: 60,
            log_level: rocket::config::LogLevel::Off,
            cli_colors: false,
            shutdown: rocket::config::Shutdown {
                // The command that serves watches the signals itself, from before the start.
                ctrlc: false,
                signals: HashSet::new(),
                grace: self.shutdown_grace,
                mercy: 1,
                ..rocket::config::Shutdown::default()
            },
            ..rocket::Config::release_default()
        }
    }
}

/// Settings, and where each of them comes from.
pub struct Loaded {
    /// What to run with.
    pub settings: Settings,
    figment: Figment,
}

impl Loaded {
    /// What set this setting, in words for people.
    #[must_use]
    pub fn source(&self, key: &str) -> String {
        self.figment.find_metadata(key).map_or_else(|| "default".to_owned(), |found| layers::describe(found, key))
    }
}

/// Reads all the settings.
///
/// # Errors
/// When one is unknown, of the wrong type, or out of range; the problem names it and where it was set.
pub fn load(flags: &Flags, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Loaded, Problem> {
    let environment = layers::Environment::read(environment)?;
    let mut figment = Figment::from(Serialized::defaults(Settings::default()));
    if let Some(file) = flags.config.as_deref().or(environment.config_file()) {
        figment = figment.merge(layers::file(file)?);
    }
    let figment = figment.merge(environment).merge(flags);
    let settings: Settings = figment.extract().map_err(|error| Problem::from_figment(&error))?;
    let loaded = Loaded { settings, figment };
    loaded.check()?;
    Ok(loaded)
}

impl Loaded {
    /// What types alone cannot say.
    fn check(&self) -> Result<(), Problem> {
        let s = &self.settings;
        let bodies = 1.kibibytes()..=1.gibibytes();
        let sessions = 60..=30 * 24 * 60 * 60;
        let lifetime = "must be 60 to 2592000 (30 days)";
        self.check_that(
            "public_url",
            s.public_url.as_deref().is_none_or(is_origin),
            "must be like https://virtapi.example.com",
        )?;
        let issuer = "must be an https address (or one of this machine) without a query";
        self.check_that("openid_issuer", s.openid_issuer.as_deref().is_none_or(is_issuer), issuer)?;
        self.check_that("session_lifetime", sessions.contains(&s.session_lifetime), lifetime)?;
        self.check_that("session_idle", sessions.contains(&s.session_idle), lifetime)?;
        self.check_that("pool_size", (1..=1000).contains(&s.pool_size), "must be 1 to 1000")?;
        self.check_that("workers", (1..=1024).contains(&s.workers), "must be 1 to 1024")?;
        self.check_that("query_timeout", (1..=3600).contains(&s.query_timeout), "must be 1 to 3600 (an hour)")?;
        self.check_that("request_rate", s.request_rate <= 1_000_000, "must be at most 1000000 (a second)")?;
        self.check_that("request_body_limit", bodies.contains(&s.request_body_limit), "must be 1 KiB to 1 GiB")?;
        self.check_that("document_cache", s.document_cache <= 64.gibibytes(), "must be at most 64 GiB")?;
        self.check_that("run_retention", (1..=3650).contains(&s.run_retention), "must be 1 to 3650 (ten years)")?;
        self.check_that(
            "run_event_retention",
            (1..=s.run_retention).contains(&s.run_event_retention),
            "must be 1 to run_retention",
        )?;
        self.check_that("grace_period", s.grace_period <= 31_536_000, "must be 0 to 31536000 (a year)")?;
        let range =
            "must be a unicast address and the number of its bits that are given, 8 to 40, like 52:54:00:00:00:00/24";
        self.check_that("mac_range", pools::is_mac_range(&s.mac_range), range)?;
        for (key, pool, range) in [("vlan_pool", &s.vlan_pool, 1..=4094), ("vni_pool", &s.vni_pool, 0..=16_777_215)] {
            let problem = format!("must be like {}-{}", range.start(), range.end());
            self.check_that(key, pool.as_deref().is_none_or(|pool| pools::is_within(pool, range)), &problem)?;
        }
        self.check_that("stale_after", (60..=31_536_000).contains(&s.stale_after), "must be 60 to 31536000 (a year)")?;
        let events = 60..=7 * 24 * 60 * 60;
        self.check_that("event_retention", events.contains(&s.event_retention), "must be 60 to 604800 (a week)")?;
        self.check_that(
            "webhook_retention",
            (1..=3650).contains(&s.webhook_retention),
            "must be 1 to 3650 (ten years)",
        )?;
        let exchange = (1..=255).contains(&s.amqp_exchange.len());
        self.check_that("amqp_exchange", exchange, "must have 1 to 255 characters")?;
        if let Some(problem) = s.amqp_url.as_ref().and_then(AmqpUrl::problem) {
            self.check_that("amqp_url", false, &problem)?;
        }
        self.check_that("shutdown_grace", s.shutdown_grace <= 3600, "must be at most 3600 (an hour)")?;
        for (key, is_set, needs, has_it) in [
            ("tls_certificate", s.tls_certificate.is_some(), "tls_key", s.tls_key.is_some()),
            ("tls_key", s.tls_key.is_some(), "tls_certificate", s.tls_certificate.is_some()),
            ("tls_client_ca", s.tls_client_ca.is_some(), "tls_certificate", s.tls_certificate.is_some()),
            ("tls_crl", s.tls_crl.is_some(), "tls_client_ca", s.tls_client_ca.is_some()),
            ("openid_issuer", s.openid_issuer.is_some(), "openid_client_id", s.openid_client_id.is_some()),
            (
                "openid_client_id",
                s.openid_client_id.is_some(),
                "openid_client_secret_file",
                s.openid_client_secret_file.is_some(),
            ),
            (
                "openid_client_secret_file",
                s.openid_client_secret_file.is_some(),
                "openid_issuer",
                s.openid_issuer.is_some(),
            ),
            ("openid_issuer", s.openid_issuer.is_some(), "public_url", s.public_url.is_some()),
        ] {
            self.check_that(key, has_it || !is_set, &format!("needs {needs}"))?;
        }
        self.check_that("data_dir", !s.data_dir.as_os_str().is_empty(), "must not be empty")?;
        match s.database_url.as_ref().map(DatabaseUrl::problem) {
            Some(Some(problem)) => self.check_that("database_url", false, &problem),
            _ => Ok(()),
        }
    }

    fn check_that(&self, key: &str, holds: bool, rule: &str) -> Result<(), Problem> {
        if holds { Ok(()) } else { Err(self.problem(key, rule)) }
    }

    /// That this setting is wrong, and why.
    #[must_use]
    pub fn problem(&self, key: &str, rule: &str) -> Problem {
        Problem::value(key, &self.source(key), rule)
    }
}

/// OpenID Connect Discovery 1.0, section 3. What goes over a network goes over TLS.
fn is_issuer(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        (url.scheme() == "https" || url.scheme() == "http" && is_local)
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// Whether this is a scheme, a host, perhaps a port, and nothing else.
fn is_origin(text: &str) -> bool {
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.is_some_and(|url| url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests;
