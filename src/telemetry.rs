//! Where log lines go: to standard error, as text or JSON. Set up once per process, before anything is logged.
//!
//! Rocket's own log costs a third of the throughput, and what a request did is logged by our own fairings: of what
//! Rocket says, only why TLS did not come about is taken, for nothing else says it.

use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;

use crate::config::{LogFormat, LogLevel};

/// Starts the log.
///
/// # Errors
/// When it was started before.
pub fn init(format: LogFormat, level: LogLevel) -> Result<(), SetGlobalDefaultError> {
    let lines = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from(level))
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr);
    // Not `init`: that would also bridge the `log` crate, and format lines that nobody reads. But without a logger
    // there Rocket would set its own, and that one speaks up whenever a listener takes the place of another.
    if log::set_logger(&Handshakes).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    match format {
        LogFormat::Text => tracing::subscriber::set_global_default(lines.finish())?,
        LogFormat::Json => tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish())?,
    }
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(
            place = panic.location().map(ToString::to_string),
            "panicked: {}",
            panic.payload_as_str().unwrap_or("?")
        );
    }));
    Ok(())
}

/// What Rocket says of connections that do not come about.
struct Handshakes;

impl log::Log for Handshakes {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("rocket_http::tls")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            tracing::info!("{}", record.args());
        }
    }

    fn flush(&self) {}
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
