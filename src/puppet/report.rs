//! Puppet's report of a run (`reports = http`, report format 4 and later), as far as it is kept: a summary, and what
//! went wrong. It knows neither requests nor tables.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::puppet::yaml::Yaml;
use crate::reports::{EVENTS, Event, MESSAGES, Message, Report, word};

/// How a report begins: the one tag in it.
const TAG: &str = "!ruby/object:Puppet::Transaction::Report";

/// The oldest format (Puppet 3).
const OLDEST: u32 = 4;

/// What is kept of a report.
///
/// # Errors
/// Why it is none.
pub fn read(bytes: &[u8]) -> Result<Report, String> {
    let yaml = Yaml::read(bytes, TAG)?;
    let text = |name: &str| yaml.get(name).and_then(Yaml::text);
    let needed = |name: &'static str| text(name).ok_or_else(|| format!("{name} is missing"));
    let format: u32 = needed("report_format")?.parse().map_err(|_| "report_format is no number".to_owned())?;
    if format < OLDEST {
        return Err(format!("report_format {format} is older than {OLDEST}"));
    }
    let run: Uuid = needed("transaction_uuid")?.parse().map_err(|_| "transaction_uuid is no UUID".to_owned())?;
    let counted = |name: &str| metric(&yaml, "resources", name).map_or(Ok(0), str::parse);
    let count = |name: &'static str| counted(name).map_err(|_| format!("the metric {name} is no number"));
    let seconds = metric(&yaml, "time", "total").and_then(|total| total.parse().ok());
    let mut report = Report {
        node: needed("host")?.to_owned(),
        tool: "puppet",
        run: run.to_string(),
        started_at: time(needed("time")?)?,
        duration_seconds: seconds.filter(|seconds: &f64| *seconds >= 0.0 && seconds.is_finite()),
        status: match needed("status")? {
            "changed" => "changed",
            "unchanged" => "unchanged",
            "failed" => "failed",
            other => return Err(format!("status {other:?} is none")),
        },
        mode: if text("noop") == Some("true") { "noop" } else { "apply" },
        environment: text("environment").map(word),
        version: text("puppet_version").map(word),
        total: count("total")?,
        changed: count("changed")?,
        failed: count("failed")?,
        out_of_sync: count("out_of_sync")?,
        messages: messages(&yaml),
        events: events(&yaml),
        applied: None,
        observed: None,
    };
    for log in yaml.get("logs").map(Yaml::items).unwrap_or_default() {
        report.take_note(log.get("message").and_then(Yaml::text).unwrap_or_default());
    }
    Ok(report)
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

/// The log from warnings on, the worst first: a resource that failed says so there. What it was and becomes is not in
/// it.
fn messages(report: &Yaml) -> Vec<Message> {
    let logs = report.get("logs").map(Yaml::items).unwrap_or_default();
    let ranked = logs.iter().filter_map(|log| {
        let level = log.get("level").and_then(Yaml::text)?;
        let rank = ["emerg", "alert", "crit", "err", "warning"].iter().position(|worse| *worse == level)?;
        Some((rank, level, log))
    });
    let mut found: Vec<_> = ranked.collect();
    found.sort_by_key(|(rank, ..)| *rank);
    let message = |(_, level, log): (usize, &str, &Yaml)| {
        let text = |name| log.get(name).and_then(Yaml::text);
        Some(Message::new(level, text("source"), text("message")?))
    };
    found.into_iter().filter_map(message).take(MESSAGES).collect()
}

/// What was changed, what could not be, and what would have been. What is only audited is none.
fn events(report: &Yaml) -> Vec<Event> {
    let statuses = report.get("resource_statuses").map(Yaml::fields).unwrap_or_default();
    statuses.iter().flat_map(events_of).filter_map(event).take(EVENTS).collect()
}

fn events_of((resource, status): &(String, Yaml)) -> impl Iterator<Item = (&str, &Yaml)> {
    let events = status.get("events").map(Yaml::items).unwrap_or_default();
    events.iter().map(move |event| (resource.as_str(), event))
}

fn event((resource, event): (&str, &Yaml)) -> Option<Event> {
    let text = |name| event.get(name).and_then(Yaml::text);
    let status = match text("status")? {
        "success" => "success",
        "failure" => "failure",
        "noop" => "noop",
        _ => return None,
    };
    Some(Event::new(resource, text("property"), status, text("message")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// As a real puppet has sent it.
    const REAL: &str = include_str!("../../tests/samples/puppet-report.yaml");

    #[test]
    fn a_real_report_is_read() {
        let report = read(REAL.as_bytes()).expect("a report");
        assert_eq!(report.node, "hv01.example.com");
        assert_eq!(report.run, "7a1e9308-f750-4073-a5a7-24dc9ce60c9c");
        assert_eq!(report.started_at.to_rfc3339(), "2026-11-20T22:19:29.725030036+00:00");
        assert_eq!((report.status, report.mode), ("changed", "apply"));
        assert_eq!((report.total, report.changed, report.failed, report.out_of_sync), (8, 1, 0, 1));
        assert_eq!(report.version.as_deref(), Some("7.23.0"));
        assert!(report.duration_seconds.is_some_and(|seconds| seconds > 0.0));
        let messages = json!(report.messages);
        assert_eq!(
            messages[0],
            json!({"level": "err", "source": "Facter", "message": "Permission denied @ rb_sysopen - /proc/1/environ"})
        );
        assert!(messages.as_array().is_some_and(|all| all.iter().all(|message| message["level"] != "info")));
        // What of it was changed; what stayed is no event.
        let events = json!(report.events);
        assert_eq!(events.as_array().map(Vec::len), Some(1));
        assert!(events[0]["resource"].as_str().is_some_and(|resource| resource.starts_with("Notify[")));
        assert_eq!((&events[0]["property"], &events[0]["status"]), (&json!("message"), &json!("success")));
        assert!(report.applied.is_none() && report.observed.is_none());
    }

    #[test]
    fn what_our_own_resources_say_is_read() {
        let note = |json: &str| format!("  message: 'virtapi: {json}'\n");
        let said = "  message: Retrieving plugin\n";
        let report = |json: &str| read(REAL.replacen(said, &note(json), 1).as_bytes()).expect("a report");
        let applied = report(r#"{"applied":{"schema":1,"node_id":3,"generation":12,"clusters":{"ceph":4}}}"#).applied;
        let applied = applied.expect("a version");
        assert_eq!((applied.node_id, applied.generation, applied.clusters["ceph"]), (3, 12, 4));
        let observed = report(r#"{"observed":{"vms":{"a":"running"}}}"#).observed;
        assert_eq!(observed, Some(json!({"vms": {"a": "running"}})));
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
            let refused = read(REAL.replacen(from, to, 1).as_bytes()).err();
            assert!(refused.as_ref().is_some_and(|told| told.contains(reason)), "{reason}: {refused:?}");
        }
    }
}
