//! Puppet's report of a run (`reports = http`, report format 4 and later), as far as it is kept: a summary, and what went
//! wrong. It knows neither requests nor tables.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::puppet::yaml::Yaml;

/// How a report begins: the one tag in it.
const TAG: &str = "!ruby/object:Puppet::Transaction::Report";

/// The oldest format (Puppet 3).
const OLDEST: u32 = 4;

/// How many messages are kept, and how much of each in characters: a run can fail ten thousand times for one reason.
const MESSAGES: usize = 100;
const LONGEST: usize = 2000;

/// What is kept of a report.
#[derive(Debug)]
pub struct Report {
    /// The certname of the node.
    pub host: String,
    /// By what Puppet knows the run.
    pub run: Uuid,
    /// When it began, by the node's clock.
    pub started_at: DateTime<Utc>,
    /// How long it took, where it got so far.
    pub duration_seconds: Option<f64>,
    /// `changed`, `unchanged` or `failed`.
    pub status: &'static str,
    /// `apply`, or `noop` for a rehearsal.
    pub mode: &'static str,
    /// The Puppet environment.
    pub environment: Option<String>,
    /// Of Puppet.
    pub version: Option<String>,
    /// How many resources there were.
    pub total: i32,
    /// How many were changed.
    pub changed: i32,
    /// How many failed.
    pub failed: i32,
    /// How many were not as they should be.
    pub out_of_sync: i32,
    /// What went wrong, and warnings: level, source, message.
    pub messages: Value,
}

impl Report {
    /// Reads it.
    ///
    /// # Errors
    /// Why it is no report.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let yaml = Yaml::read(bytes, TAG)?;
        let text = |name: &str| yaml.get(name).and_then(Yaml::text);
        let needed = |name: &'static str| text(name).ok_or_else(|| format!("{name} is missing"));
        let format: u32 = needed("report_format")?.parse().map_err(|_| "report_format is no number".to_owned())?;
        if format < OLDEST {
            return Err(format!("report_format {format} is older than {OLDEST}"));
        }
        let counted = |name: &str| metric(&yaml, "resources", name).map_or(Ok(0), str::parse);
        let count = |name: &'static str| counted(name).map_err(|_| format!("the metric {name} is no number"));
        Ok(Self {
            host: needed("host")?.to_owned(),
            run: needed("transaction_uuid")?.parse().map_err(|_| "transaction_uuid is no UUID".to_owned())?,
            started_at: time(needed("time")?)?,
            duration_seconds: metric(&yaml, "time", "total")
                .and_then(|total| total.parse().ok())
                .filter(|n: &f64| *n >= 0.0 && n.is_finite()),
            status: match needed("status")? {
                "changed" => "changed",
                "unchanged" => "unchanged",
                "failed" => "failed",
                other => return Err(format!("status {other:?} is none")),
            },
            mode: if text("noop") == Some("true") { "noop" } else { "apply" },
            environment: text("environment").map(str::to_owned),
            version: text("puppet_version").map(str::to_owned),
            total: count("total")?,
            changed: count("changed")?,
            failed: count("failed")?,
            out_of_sync: count("out_of_sync")?,
            messages: messages(&yaml),
        })
    }
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    // Puppet 3 writes a space where RFC 3339 has a T.
    let read = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1));
    read.map(|time| time.to_utc()).map_err(|error| format!("time {text:?}: {error}"))
}

/// `metrics.<group>.values` holds `[name, label, number]`.
fn metric<'y>(report: &'y Yaml, group: &str, name: &str) -> Option<&'y str> {
    let values = report.get("metrics")?.get(group)?.get("values")?.items();
    let found = values.iter().find(|value| value.items().first().and_then(Yaml::text) == Some(name));
    found?.items().get(2)?.text()
}

/// The log from warnings on, and the events of resources that failed; the worst first. What a resource's content was or
/// becomes is in neither.
fn messages(report: &Yaml) -> Value {
    let logs = report.get("logs").map(Yaml::items).unwrap_or_default();
    let mut found: Vec<(usize, Value)> = logs
        .iter()
        .filter_map(|log| {
            let text = |name| log.get(name).and_then(Yaml::text);
            let level = text("level")?;
            let rank = ["emerg", "alert", "crit", "err", "warning"].iter().position(|worse| *worse == level)?;
            let source = text("source").map(short);
            Some((rank, json!({"level": level, "source": source, "message": short(text("message")?)})))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.truncate(MESSAGES);
    found.into_iter().map(|(_, message)| message).collect()
}

/// What cannot be stored is left out.
fn short(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a real puppet has sent it.
    pub const REAL: &str = include_str!("report_sample.yaml");

    #[test]
    fn a_real_report_is_read() {
        let report = Report::read(REAL.as_bytes()).expect("a report");
        assert_eq!(report.host, "hv01.example.com");
        assert_eq!(report.run.to_string(), "7a1e9308-f750-4073-a5a7-24dc9ce60c9c");
        assert_eq!(report.started_at.to_rfc3339(), "2026-11-20T22:19:29.725030036+00:00");
        assert_eq!((report.status, report.mode), ("changed", "apply"));
        assert_eq!((report.total, report.changed, report.failed, report.out_of_sync), (8, 1, 0, 1));
        assert_eq!(report.version.as_deref(), Some("7.23.0"));
        assert!(report.duration_seconds.is_some_and(|seconds| seconds > 0.0));
        let messages = report.messages.as_array().expect("a list");
        assert_eq!(
            messages[0],
            json!({"level": "err", "source": "Facter", "message": "Permission denied @ rb_sysopen - /proc/1/environ"})
        );
        assert!(messages.iter().all(|message| message["level"] != "info"));
    }

    #[test]
    fn what_is_no_report_is_refused_with_the_reason() {
        for (from, to, reason) in [
            ("host: hv01.example.com", "host:", "host is missing"),
            ("status: changed", "status: happy", "status \"happy\" is none"),
            ("7a1e9308-f750-4073-a5a7-24dc9ce60c9c", "7", "transaction_uuid is no UUID"),
            ("time: '2026-11-20T22:19:29", "time: 'yesterday", "time \"yesterday"),
            ("report_format: 12", "report_format: 3", "older than 4"),
            ("report_format: 12", "report_format: [12]", "report_format is missing"),
            ("!ruby/object:Puppet::Transaction::Report", "!ruby/object:Kernel", "does not begin with"),
        ] {
            let refused = Report::read(REAL.replacen(from, to, 1).as_bytes()).err();
            assert!(refused.as_ref().is_some_and(|told| told.contains(reason)), "{reason}: {refused:?}");
        }
    }
}
