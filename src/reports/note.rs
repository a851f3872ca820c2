//! What our own resources and states say in a run's log, for us: `virtapi: {"applied": {…}}` once all that virtapi
//! manages is as it should be, and `virtapi: {"observed": {…}}` with what runs there.

use serde_json::Value;

use super::Applied;

/// How a note begins.
const MARK: &str = "virtapi: ";

/// The longest list of what was observed that is kept, as JSON: thousands of VMs.
const LONGEST: usize = 1 << 20;

/// A note.
#[derive(Debug, PartialEq, Eq)]
pub enum Note {
    /// The document of this version was applied.
    Applied(Applied),
    /// This was seen.
    Observed(Value),
}

/// The note that a message is, if it is one. What is none, or is of another release, is a message like others.
pub fn read(text: &str) -> Option<Note> {
    let text = text.trim().strip_prefix(MARK).filter(|text| text.len() <= LONGEST)?;
    // What Postgres keeps as jsonb holds no NUL.
    if text.contains("\\u0000") {
        return None;
    }
    let note: Value = serde_json::from_str(text).ok()?;
    let fields = note.as_object().filter(|fields| fields.len() == 1)?;
    match fields.iter().next()? {
        (name, applied) if name == "applied" => serde_json::from_value(applied.clone()).ok().map(Note::Applied),
        (name, observed) if name == "observed" && observed.is_object() => Some(Note::Observed(observed.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_applied_and_what_was_seen_is_read() {
        let meta = r#"{"schema":1,"node_id":3,"generation":12,"clusters":{"ceph":4}}"#;
        let applied = Applied { node_id: 3, generation: 12, clusters: [("ceph".to_owned(), 4)].into() };
        assert_eq!(read(&format!("virtapi: {{\"applied\":{meta}}}\n")), Some(Note::Applied(applied)));
        let seen = read(r#"virtapi: {"observed":{"vms":{"a":"running"}}}"#);
        assert_eq!(seen, Some(Note::Observed(json!({"vms": {"a": "running"}}))));
    }

    #[test]
    fn what_is_no_note_is_a_message() {
        for text in [
            "",
            "virtapi: ",
            "virtapi: is away",
            "virtapi: {}",
            "virtapi: []",
            r#"virtapi: {"applied":{"node_id":3}}"#,
            r#"virtapi: {"applied":{"node_id":3,"generation":"12","clusters":{}}}"#,
            r#"virtapi: {"observed":7}"#,
            r#"virtapi: {"observed":{},"applied":{}}"#,
            r#"virtapi: {"observed":{"a":"\u0000"}}"#,
            r#"{"observed":{}}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&format!(r#"virtapi: {{"observed":{{"a":"{}"}}}}"#, "x".repeat(LONGEST))), None);
    }
}
