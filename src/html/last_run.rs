//! What went wrong in the last run on a node, on the page of the node: where one looks for it first.

use serde_json::Value;

use crate::column::text;
use crate::db::Tx;
use crate::error::Result;
use crate::html::cell::Part;
use crate::html::layout::Link;
use crate::query::Query;
use crate::refs;
use crate::resource::Resource;
use crate::resources::Run;

/// How many messages are shown.
const SHOWN: usize = 10;

/// A run that failed.
pub struct LastRun {
    /// Its page.
    pub run: Link,
    /// When its report came.
    pub received_at: Part,
    /// The worst first.
    pub messages: Vec<Message>,
    /// How many there are besides.
    pub more: usize,
}

/// A line of its log.
pub struct Message {
    /// `err`, `warning`, …
    pub level: String,
    /// Which resource or state says it.
    pub source: String,
    /// What it says.
    pub text: String,
}

impl LastRun {
    /// The last run on the node with this name, if it failed, and whoever asks may know.
    ///
    /// # Errors
    /// [`Error::Away`](crate::error::Error::Away).
    pub async fn failed(tx: &Tx, node: &str) -> Result<Option<Self>> {
        if tx.may_read(Run::KIND).is_err() {
            return Ok(None);
        }
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let last = Query::parse(Run::KIND, &[pair("node", node), pair("sort", "-id"), pair("limit", "1")])?;
        let Some(row) = Run::KIND.list(tx, &last).await?.into_iter().next() else { return Ok(None) };
        if row["status"] != "failed" {
            return Ok(None);
        }
        let all = row["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let message = |message: &Value| Message {
            level: text(&message["level"]),
            source: text(&message["source"]),
            text: text(&message["message"]),
        };
        Ok(Some(Self {
            run: Link::new("The last run failed", refs::href(Run::KIND, row.id())),
            received_at: Part::time(&text(&row["received_at"])),
            messages: all.iter().take(SHOWN).map(message).collect(),
            more: all.len().saturating_sub(SHOWN),
        }))
    }
}
