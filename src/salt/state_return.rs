//! What a Salt minion returns from a run of states, as a returner sends it (the return itself) or the master's event
//! bus has it (`salt/job/<jid>/ret/<minion>`), as far as it is kept: a summary, and what went wrong. It knows neither
//! requests nor tables.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::reports::{EVENTS, Event, MESSAGES, Message, Report};

/// A state that failed, or that warns, has no level of its own: these are Puppet's words.
const ERROR: &str = "err";
const WARNING: &str = "warning";

/// What is kept of all that stand here: a return, an event, or a list of either. What is of no run of states is left
/// out. A returner does not say when it was: then it was now.
///
/// # Errors
/// Why it is none.
pub fn read(tree: &Value, now: DateTime<Utc>) -> Result<Vec<Report>, String> {
    let all = tree.as_array().map_or(std::slice::from_ref(tree), Vec::as_slice);
    let data = |item: &'_ Value| item.get("tag").and(item.get("data")).unwrap_or(item).clone();
    all.iter().filter_map(|item| read_one(&data(item), now).transpose()).collect()
}

fn read_one(data: &Value, now: DateTime<Utc>) -> Result<Option<Report>, String> {
    let text = |name: &str| data[name].as_str();
    let needed = |name: &'static str| text(name).ok_or_else(|| format!("{name} is missing, or no text"));
    if !needed("fun")?.starts_with("state.") {
        return Ok(None);
    }
    let (id, jid) = (needed("id")?.to_owned(), needed("jid")?.to_owned());
    if !(1..=64).contains(&jid.len()) || !jid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(format!("the jid {jid:?} is none"));
    }
    let nothing = Report {
        node: id,
        tool: "salt",
        run: jid,
        started_at: text("_stamp").map_or(Ok(now), time)?,
        duration_seconds: None,
        status: "unchanged",
        mode: "apply",
        environment: None,
        version: None,
        total: 0,
        changed: 0,
        failed: 0,
        out_of_sync: 0,
        messages: vec![],
        events: vec![],
        applied: None,
        observed: None,
    };
    let mut run = match &data["return"] {
        Value::Object(states) => of_states(states.values(), nothing),
        Value::Array(lines) => of_errors(lines.iter().filter_map(Value::as_str), nothing),
        Value::String(line) => of_errors([line.as_str()].into_iter(), nothing),
        _ => return Err("return is neither states nor an error".into()),
    };
    // `success` is sometimes true after a failure; this is not.
    if data["retcode"].as_i64().is_some_and(|code| code != 0) && run.mode == "apply" {
        run.status = "failed";
    }
    Ok(Some(run))
}

fn of_states<'v>(states: impl Iterator<Item = &'v Value>, nothing: Report) -> Report {
    let mut states: Vec<&Value> = states.collect();
    states.sort_by_key(|state| state["__run_num__"].as_i64());
    let count = |wanted: &dyn Fn(&Value) -> bool| {
        i32::try_from(states.iter().filter(|state| wanted(state)).count()).unwrap_or(i32::MAX)
    };
    let does_something = |state: &Value| state["changes"].as_object().is_some_and(|changes| !changes.is_empty());
    let failed = count(&|state| state["result"] == false);
    let would = count(&|state| state["result"].is_null());
    let changed = count(&|state| state["result"] == true && does_something(state));
    let milliseconds: f64 = states.iter().filter_map(|state| state["duration"].as_f64()).sum();
    let wrong = states.iter().filter(|state| state["result"] == false);
    let wrong = wrong.map(|state| message(ERROR, state, state["comment"].as_str().unwrap_or_default()));
    let warned = states.iter().flat_map(|state| {
        let lines = state["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        lines.map(|line| message(WARNING, state, line))
    });
    let events =
        states.iter().filter(|state| state["result"] != true || does_something(state)).map(|state| event(state));
    let mut report = Report {
        duration_seconds: Some(milliseconds / 1000.0).filter(|seconds| seconds.is_finite() && *seconds >= 0.0),
        status: match (failed, changed) {
            (1.., _) => "failed",
            (_, 1..) => "changed",
            _ => "unchanged",
        },
        mode: if would > 0 { "noop" } else { "apply" },
        total: i32::try_from(states.len()).unwrap_or(i32::MAX),
        changed,
        failed,
        out_of_sync: changed.saturating_add(would),
        messages: wrong.chain(warned).take(MESSAGES).collect(),
        events: events.take(EVENTS).collect(),
        ..nothing
    };
    for state in &states {
        report.take_note(state["comment"].as_str().unwrap_or_default());
    }
    report
}

/// What a state says.
fn message(level: &str, state: &Value, text: &str) -> Message {
    let part = |name: &str| state[name].as_str().unwrap_or_default();
    Message::new(level, Some(&format!("{}: {}", part("__sls__"), part("__id__"))), text)
}

/// What a state did. Which function of which module it is, is not in it.
fn event(state: &Value) -> Event {
    let part = |name: &str| state[name].as_str().unwrap_or_default();
    let status = match &state["result"] {
        Value::Bool(true) => "success",
        Value::Null => "noop",
        _ => "failure",
    };
    let changes = state["changes"].as_object().filter(|changes| !changes.is_empty());
    let changes = changes.map(|changes| Value::Object(changes.clone()).to_string()).unwrap_or_default();
    let told = [part("comment"), &changes].join(" ");
    Event::new(&format!("{}: {}", part("__sls__"), part("__id__")), None, status, Some(told.trim()))
}

/// It did not come to states: the pillar or a file could not be rendered.
fn of_errors<'v>(lines: impl Iterator<Item = &'v str>, nothing: Report) -> Report {
    let messages = lines.take(MESSAGES).map(|line| Message::new(ERROR, None, line)).collect();
    Report { status: "failed", messages, ..nothing }
}

/// In UTC, with or without saying so.
fn time(stamp: &str) -> Result<DateTime<Utc>, String> {
    let read = DateTime::parse_from_rfc3339(stamp).or_else(|_| DateTime::parse_from_rfc3339(&format!("{stamp}Z")));
    read.map(|time| time.to_utc()).map_err(|error| format!("_stamp {stamp:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    /// As real minions and masters have sent them.
    fn sample(name: &str) -> Value {
        let samples: Value = serde_json::from_str(include_str!("../../tests/samples/salt-returns.json")).expect("JSON");
        samples[name].clone()
    }

    #[test]
    fn a_return_is_the_same_from_a_returner_and_from_the_bus() {
        let (event, own) = (sample("event_return_event"), sample("minion_returner_arg"));
        for tree in [&event, &own, &json!([event]), &json!([own])] {
            let read = read(tree, NOW).expect("a return");
            assert_eq!(read.len(), 1);
            let read = &read[0];
            assert_eq!((read.node.as_str(), read.run.as_str()), ("hv01.example.net", "20261120222024650959"));
            assert_eq!((read.status, read.mode), ("failed", "apply"));
            assert_eq!((read.total, read.changed, read.failed, read.out_of_sync), (4, 0, 2, 0));
            assert_eq!(
                json!(read.messages[0]),
                json!({"level": "err", "source": "demo: fails", "message": "Command \"exit 3\" run"})
            );
            assert!(read.duration_seconds.is_some_and(|seconds| (0.01..1.0).contains(&seconds)));
        }
        let started_at = read(&event, NOW).expect("a return")[0].started_at.to_rfc3339();
        assert_eq!(started_at, "2026-11-20T22:20:25.580868+00:00");
    }

    #[test]
    fn what_our_own_states_say_is_read_and_what_others_did_is_an_event() {
        let mut own = sample("minion_returner_arg");
        let meta = r#"virtapi: {"applied":{"schema":1,"node_id":3,"generation":12,"clusters":{}}}"#;
        own["return"] = json!({
            "a": {"result": true, "changes": {}, "comment": meta, "__sls__": "virtapi", "__id__": "document"},
            "b": {"result": true, "changes": {"diff": "+password = hunter2"}, "comment": "done", "__sls__": "x", "__id__": "y"},
        });
        let read = read(&own, NOW).expect("a return");
        assert_eq!(read[0].applied.as_ref().map(|applied| applied.generation), Some(12));
        let events = json!(read[0].events);
        assert_eq!(events.as_array().map(Vec::len), Some(1));
        assert_eq!((&events[0]["resource"], &events[0]["status"]), (&json!("x: y"), &json!("success")));
        assert!(!events.to_string().contains("hunter2") && events.to_string().contains("done"), "{events}");
    }

    #[test]
    fn a_hypervisor_tells_what_was_applied_and_what_is_there() {
        let read = read(&sample("hypervisor"), NOW).expect("a return");
        let read = &read[0];
        assert_eq!((read.status, read.mode, read.total, read.changed), ("changed", "apply", 7, 1));
        assert_eq!(read.applied.as_ref().map(|applied| applied.generation), Some(13));
        let observed = json!({
            "vms": {"a0000000-0000-4000-8000-000000000001": "running"},
            "unmanaged": {"domains": ["somebody's own"], "bridges": [], "volumes": []},
        });
        assert_eq!(read.observed, Some(observed));
        let messages = json!([{
            "level": "warning",
            "source": "virtapi.hypervisor: virtapi_vm_a0000000-0000-4000-8000-000000000001",
            "message": "vm-9001: restart needed: 1 cores become 2",
        }]);
        assert_eq!(json!(read.messages), messages);
        assert_eq!(read.events.len(), 1);
    }

    #[test]
    fn what_a_state_warns_of_is_kept_after_what_failed() {
        let mut own = sample("minion_returner_arg");
        let restart = "vm-7: restart needed: 1 cores become 2";
        own["return"] = json!({
            "a": {"result": true, "changes": {}, "comment": "vm-7 is as it should be", "warnings": [restart, 7],
                  "__sls__": "virtapi.hypervisor", "__id__": "vm", "__run_num__": 0},
            "b": {"result": false, "changes": {}, "comment": "no", "warnings": "none", "__sls__": "x", "__id__": "y",
                  "__run_num__": 1},
        });
        let read = read(&own, NOW).expect("a return");
        let expected = json!([
            {"level": "err", "source": "x: y", "message": "no"},
            {"level": "warning", "source": "virtapi.hypervisor: vm", "message": restart},
        ]);
        assert_eq!(json!(read[0].messages), expected);
    }

    #[test]
    fn what_ran_no_states_failed_and_what_only_would_change_something_was_a_rehearsal() {
        let with = |value: Value| {
            let mut own = sample("minion_returner_arg");
            own["return"] = value;
            own
        };
        for value in [json!(["Pillar failed to render"]), json!("Pillar failed to render")] {
            let read = read(&with(value), NOW).expect("a return");
            assert_eq!((read[0].status, read[0].total), ("failed", 0));
            assert_eq!(json!(read[0].messages[0])["message"], "Pillar failed to render");
        }
        let mut own = with(json!({"a": {"result": null, "changes": {"a": 1}}, "b": {"result": true, "changes": {}}}));
        own["retcode"] = json!(0);
        let read = read(&own, NOW).expect("a return");
        assert_eq!((read[0].status, read[0].mode, read[0].out_of_sync), ("unchanged", "noop", 1));
    }

    #[test]
    fn what_is_no_return_is_refused_and_what_is_of_no_states_left_out() {
        assert!(read(&json!([]), NOW).is_ok_and(|none| none.is_empty()));
        let ping = json!({"id": "a", "jid": "1", "fun": "test.ping", "return": true});
        assert!(read(&ping, NOW).is_ok_and(|none| none.is_empty()));
        for (name, value) in
            [("id", Value::Null), ("jid", json!(7)), ("jid", json!("../x")), ("fun", Value::Null), ("return", json!(7))]
        {
            let mut wrong = sample("minion_returner_arg");
            wrong[name] = value;
            assert!(read(&wrong, NOW).is_err(), "{name}");
        }
        let mut wrong = sample("event_return_event");
        wrong["data"]["_stamp"] = json!("yesterday");
        assert!(read(&wrong, NOW).is_err());
        assert!(read(&json!("x"), NOW).is_err() && read(&json!([[]]), NOW).is_err());
    }
}
