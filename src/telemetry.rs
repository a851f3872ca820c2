//! Where log lines go: to standard error, as text or JSON. Set up once per process, before anything is logged.
//!
//! Rocket's own log is switched off (it costs a third of the throughput), and not bridged: what a request did is logged
//! by our own fairings.

use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;

use crate::config::{LogFormat, LogLevel, Settings};

/// Starts the log.
///
/// # Errors
/// When it was started before.
pub fn init(settings: &Settings) -> Result<(), SetGlobalDefaultError> {
    let lines = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from(settings.log_level))
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr);
    // Not `init`: that would also bridge the `log` crate, and format lines that nobody reads.
    match settings.log_format {
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
