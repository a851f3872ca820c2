//! What `fuzz/` feeds with what a stranger might send: the readers of bodies, of filters and of reports, each with what
//! must hold of whatever it takes. For `fuzz/` alone; it knows no database, so what is read is checked and not kept.

use serde_json::Value;

use crate::http::{body, tree};
use crate::kind::Kind;
use crate::puppet::report;
use crate::query::{self, Query};
use crate::resources::KINDS;

/// A body as JSON. What is taken means the same to another reader, and is the same when it is written and read again.
pub fn json(bytes: &[u8]) {
    let Ok(read) = tree::from_json(bytes) else { return };
    assert_eq!(serde_json::from_slice::<Value>(bytes).ok().as_ref(), Some(&read));
    written_again(&read);
    for &kind in KINDS {
        parsed(kind, &read);
    }
}

/// A body as `MessagePack`. What is taken can be said in JSON.
pub fn msgpack(bytes: &[u8]) {
    let Ok(read) = tree::from_msgpack(bytes) else { return };
    let packed = rmp_serde::to_vec_named(&read).unwrap_or_default();
    assert_eq!(tree::from_msgpack(&packed).as_ref(), Ok(&read));
    written_again(&read);
    for &kind in KINDS {
        parsed(kind, &read);
    }
}

/// A body as a form, and the same text as the filters of a list. What is taken can be asked of a database.
pub fn filters(text: &str) {
    let Ok(pairs) = query::pairs(text) else { return };
    for &kind in KINDS {
        if let Ok(query) = Query::parse(kind, &pairs) {
            assert!(![&query.matching, &query.after, &query.order].iter().any(|sql| sql.holds('\0')));
        }
        // A form with a NUL is refused before this.
        if !pairs.iter().any(|(name, value)| name.contains('\0') || value.contains('\0'))
            && let Ok(tree) = body::form(kind, pairs.clone())
        {
            written_again(&tree);
            parsed(kind, &tree);
        }
    }
}

/// A report of Puppet. What is taken can be stored.
pub fn puppet_report(bytes: &[u8]) {
    let Ok(report) = report::read(bytes) else { return };
    let kept = serde_json::to_value(&report).unwrap_or_default();
    assert!(kept.is_object());
    written_again(&kept);
    assert!(!kept.to_string().contains("\\u0000"));
    assert!(!report.duration_seconds.is_some_and(|seconds| !seconds.is_finite() || seconds < 0.0));
}

fn written_again(read: &Value) {
    assert_eq!(tree::from_json(read.to_string().as_bytes()).as_ref(), Ok(read));
}

/// A kind either takes it as the whole of an object, or says why not.
fn parsed(kind: &dyn Kind, read: &Value) {
    if let Err(why) = kind.check(read.clone()) {
        assert!((400..500).contains(&why.status()), "{why}");
    }
}
