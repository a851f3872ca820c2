//! What the stock Foreman client sends of a run: a report as `report.rb` of the module puppet-puppetserver_foreman makes
//! it. It knows neither requests nor tables.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::reports::{MESSAGES, Message, Report};

/// What is kept of a report: `{"config_report": {"host", "reported_at", "status", "metrics", "logs"}}`. It has no name
/// of its own: one of the same moment is the same.
///
/// # Errors
/// Why it is none.
pub fn read(tree: &Value) -> Result<Report, String> {
    let report = &tree["config_report"];
    let needed =
        |name: &str| report[name].as_str().ok_or_else(|| format!("config_report.{name} is missing, or no text"));
    let reported_at = needed("reported_at")?;
    let ended_at = time(reported_at)?;
    let counts = report["status"].as_object().ok_or("config_report.status is missing")?;
    let count = |name: &str| {
        let number = counts.get(name).map_or(Some(0), Value::as_i64).and_then(|number| i32::try_from(number).ok());
        number.filter(|number| *number >= 0).ok_or_else(|| format!("config_report.status.{name} is no count"))
    };
    let (applied, pending) = (count("applied")?, count("pending")?);
    let failed = count("failed")?.saturating_add(count("failed_restarts")?);
    let total = report["metrics"]["resources"]["total"].as_i64().and_then(|total| i32::try_from(total).ok());
    let took = report["metrics"]["time"]["total"].as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    let messages = messages(&report["logs"]);
    // A catalog that was not compiled is an error in the log, and nothing else.
    let is_failure = failed > 0 || (total.unwrap_or(0) == 0 && messages.iter().any(Message::is_error));
    let mut read = Report {
        node: needed("host")?.to_owned(),
        tool: "puppet",
        run: format!("foreman {}", ended_at.to_rfc3339()),
        started_at: ended_at,
        duration_seconds: took,
        status: match (is_failure, applied) {
            (true, _) => "failed",
            (false, 1..) => "changed",
            _ => "unchanged",
        },
        mode: if pending > 0 && applied == 0 { "noop" } else { "apply" },
        environment: None,
        version: None,
        total: total.unwrap_or(0).max(0),
        changed: applied,
        failed,
        out_of_sync: applied.saturating_add(pending),
        messages,
        // It tells no resources apart.
        events: vec![],
        applied: None,
        observed: None,
    };
    for (_, _, text) in logs(&report["logs"]) {
        read.take_note(text);
    }
    Ok(read)
}

/// Level, source and text of each line.
fn logs(logs: &Value) -> impl Iterator<Item = (&str, Option<&str>, &str)> {
    logs.as_array().into_iter().flatten().filter_map(|item| {
        let log = &item["log"];
        let text = log["messages"]["message"].as_str()?;
        Some((log["level"].as_str()?, log["sources"]["source"].as_str(), text))
    })
}

/// From warnings on, the worst first.
fn messages(all: &Value) -> Vec<Message> {
    let of = |wanted: &'static [&'static str]| logs(all).filter(move |(level, ..)| wanted.contains(level));
    of(&["emerg", "alert", "crit", "err"])
        .chain(of(&["warning"]))
        .map(|(level, source, text)| Message::new(level, source, text))
        .take(MESSAGES)
        .collect()
}

/// As Ruby writes it: `2026-11-20 22:20:25 UTC`, or by RFC 3339.
fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let read = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let read = read.or_else(|_| {
        let plain = text.trim_end_matches(" UTC");
        chrono::NaiveDateTime::parse_from_str(plain, "%Y-%m-%d %H:%M:%S%.f").map(|time| time.and_utc())
    });
    read.map_err(|error| format!("config_report.reported_at {text:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({"config_report": {"host": "hv01.example.com", "reported_at": "2026-11-20 22:20:25 UTC",
        "status": {"applied": 2, "restarted": 0, "failed": 0, "failed_restarts": 0, "skipped": 1, "pending": 0},
        "metrics": {"resources": {"total": 9}, "time": {"total": 3.5}},
        "logs": [
            {"log": {"sources": {"source": "Puppet"}, "messages": {"message": "old"}, "level": "warning"}},
            {"log": {"sources": {"source": "Exec[x]"}, "messages": {"message": "password=x"}, "level": "err"}},
            {"log": {"sources": {"source": "Puppet"}, "messages": {"message": "done"}, "level": "notice"}},
            {"log": {"sources": {"source": "Virtapi_document[a]"}, "level": "notice", "messages": {"message":
                "virtapi: {\"applied\":{\"schema\":1,\"node_id\":3,\"generation\":12,\"clusters\":{}}}"}}},
        ]}})
    }

    #[test]
    fn a_report_is_read() {
        let read = read(&report()).expect("a report");
        assert_eq!((read.node.as_str(), read.status, read.mode), ("hv01.example.com", "changed", "apply"));
        assert_eq!((read.total, read.changed, read.failed, read.out_of_sync), (9, 2, 0, 2));
        assert_eq!(read.run, "foreman 2026-11-20T22:20:25+00:00");
        assert_eq!(read.applied.map(|applied| applied.generation), Some(12));
        let messages = json!(read.messages);
        assert_eq!(messages[0], json!({"level": "err", "source": "Exec[x]", "message": "password=[masked]"}));
        assert_eq!((&messages[1]["level"], messages.as_array().map(Vec::len)), (&json!("warning"), Some(2)));
    }

    #[test]
    fn what_could_not_be_compiled_has_failed() {
        let mut own = report();
        own["config_report"]["status"] = json!({});
        own["config_report"]["metrics"] = json!({});
        assert_eq!(read(&own).expect("a report").status, "failed");
        own["config_report"]["status"] = json!({"failed_restarts": 1});
        assert_eq!(read(&own).expect("a report").status, "failed");
    }

    #[test]
    fn what_is_no_report_is_refused_with_the_reason() {
        for (field, value, reason) in [
            ("host", json!(7), "host is missing"),
            ("reported_at", json!("yesterday"), "reported_at \"yesterday\""),
            ("status", Value::Null, "status is missing"),
            ("status", json!({"failed": -1}), "failed is no count"),
            ("status", json!({"applied": "x"}), "applied is no count"),
            ("status", json!({"pending": 1_u64 << 40}), "pending is no count"),
        ] {
            let mut own = report();
            own["config_report"][field] = value;
            let refused = read(&own).err();
            assert!(refused.as_ref().is_some_and(|told| told.contains(reason)), "{reason}: {refused:?}");
        }
        assert!(read(&json!([])).is_err());
    }
}
