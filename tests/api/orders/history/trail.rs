//! The rules for what is recorded and told: each change that was acknowledged exactly once, and nothing that was not done. It looks at
//! audit events by the message that a client has sent with its request.

use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::inventory::Inventory;
use super::record::{Deed, Event, History, Outcome};

/// How many events of which collections and actions.
type Counts = BTreeMap<(String, String), usize>;

pub fn complaints(history: &History, inventory: &Inventory) -> Vec<String> {
    [recorded(history, inventory), told(history, inventory), chained(inventory)].concat()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn counts(parts: &[(&str, &str, usize)]) -> Counts {
    let some = parts.iter().filter(|(.., count)| *count > 0);
    some.map(|(collection, action, count)| (((*collection).to_owned(), (*action).to_owned()), *count)).collect()
}

/// What is written of a deed that was done.
fn expected(event: &Event, found: &Counts, history: &History, families: usize) -> Vec<Counts> {
    match &event.deed {
        Deed::Order(order) => {
            let (vms, floating) = (order.names.len(), if order.assign_floating_ip { order.names.len() } else { 0 });
            let parts = [
                ("vms", vms),
                ("interfaces", vms),
                ("addresses", vms * families),
                ("volumes", vms),
                ("floating-ips", floating),
            ];
            vec![counts(&parts.map(|(collection, count)| (collection, "create", count)))]
        }
        Deed::Delete(_) => {
            let parts = [("vms", 1), ("interfaces", 1), ("addresses", families), ("volumes", 1)];
            let parts = parts.map(|(collection, count)| (collection, "delete", count));
            // A floating IP that it had stays, and is nobody's; the VM and its volume stay where they were, until the agent has been there.
            let freed = found.get(&("floating-ips".into(), "update".into())).copied().unwrap_or_default().min(1);
            let more = [("floating-ips", "update", freed), ("tombstones", "create", 2)];
            vec![counts(&[parts.as_slice(), &more].concat())]
        }
        Deed::Power(id, word) => {
            let change = counts(&[("vms", "update", 1)]);
            // What is so already is not changed: if it may have been so.
            let same = |other: &&Event| {
                other.id != event.id && other.began < event.ended && other.may_count() && other.deed_is(*id, word)
            };
            let may_be_so = *word == "start" || (*word == "stop" && history.events.iter().any(|other| same(&other)));
            if may_be_so { vec![change, Counts::new()] } else { vec![change] }
        }
        Deed::Release(_) => vec![counts(&[("floating-ips", "delete", 1)])],
    }
}

impl Event {
    fn deed_is(&self, vm: i64, word: &str) -> bool {
        matches!(self.deed, Deed::Power(id, other) if id == vm && other == word)
    }
}

/// Each deed has its audit events once, and one that was not done has none.
fn recorded(history: &History, inventory: &Inventory) -> Vec<String> {
    let mut found: BTreeMap<String, Counts> = BTreeMap::new();
    for entry in inventory.audit.iter().filter(|entry| entry["message"].is_string() && entry["action"] != "refuse") {
        let counts = found.entry(text(&entry["message"])).or_default();
        *counts.entry((text(&entry["collection"]), text(&entry["action"]))).or_default() += 1;
    }
    let (none, families) = (Counts::new(), inventory.families());
    let mut wrong = Vec::new();
    for event in &history.events {
        let found = found.get(&event.id).unwrap_or(&none);
        let done = expected(event, found, history, families);
        let is_right = match event.outcome {
            Outcome::Done(_) | Outcome::Found(_) => done.contains(found),
            Outcome::Nothing | Outcome::Refused(..) => found.is_empty(),
            Outcome::Unknown => found.is_empty() || done.contains(found),
        };
        if !is_right {
            wrong.push(format!("of {} ({:?}, {:?}) is recorded: {found:?}", event.id, event.deed, event.outcome));
        }
    }
    wrong
}

/// Each audit event of a change has its message for the webhook once, and there is no other message.
fn told(history: &History, inventory: &Inventory) -> Vec<String> {
    let of_history = |entry: &&Value| history.events.iter().any(|event| entry["message"] == json!(event.id));
    let brief = |object: &Value, collection: &str| {
        format!("{} {} {}", text(&object[collection]), object["object_id"], text(&object["action"]))
    };
    let mut balance: BTreeMap<String, i64> = BTreeMap::new();
    let changes = inventory.audit.iter().filter(of_history);
    for entry in changes.filter(|entry| ["create", "update", "delete"].iter().any(|action| entry["action"] == *action))
    {
        *balance.entry(brief(entry, "collection")).or_default() += 1;
    }
    // That there is a webhook is the first thing that it is told; that what was deleted is gone, is no change.
    let of_changes = |message: &&Value| message["collection"] != "webhooks" && message["action"] != "deleted";
    for message in inventory.deliveries.iter().filter(of_changes) {
        *balance.entry(brief(message, "collection")).or_default() -= 1;
    }
    let uneven = balance.into_iter().filter(|(_, count)| *count != 0);
    uneven.map(|(what, count)| format!("{what} has {count} audit events more than messages")).collect()
}

/// What a VM was before a change is what the change before has made of it, and what it is now is what the last one has.
fn chained(inventory: &Inventory) -> Vec<String> {
    let mut last: BTreeMap<i64, &Value> = BTreeMap::new();
    let mut wrong = Vec::new();
    let of_vms = inventory.audit.iter().filter(|entry| entry["collection"] == "vms");
    for entry in of_vms.filter(|entry| ["create", "update", "delete"].iter().any(|action| entry["action"] == *action)) {
        let id = entry["object_id"].as_i64().expect("an id");
        let before = last.insert(id, &entry["after"]).unwrap_or(&Value::Null);
        if *before != entry["before"] {
            wrong.push(format!("VM {id} was {before}, and then {} ({})", entry["before"], entry["message"]));
        }
    }
    for vm in &inventory.vms {
        let recorded = vm["id"].as_i64().and_then(|id| last.get(&id));
        let differs = |(name, value): (&String, &Value)| vm[name] != *value;
        let fields = recorded.and_then(|item| item.as_object());
        if fields.is_none_or(|fields| fields.iter().any(differs)) {
            wrong.push(format!("VM {} is {vm}, and was recorded as {recorded:?}", vm["id"]));
        }
    }
    wrong
}
