//! Every state of a VM: by each combination of what is wanted and what was seen, beside an obvious model; and what each action makes of
//! each state.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use virtapi::{Column, Type};

use crate::harness::{App, rows, sql};
use crate::orders::actions::in_a_pool;
use crate::orders::order;
use crate::relations::demo;
use crate::writes::kind;

/// What is known of a hypervisor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Node {
    None,
    NeverReported,
    Silent,
    FailedBefore,
    FailedSince,
    Pending,
    InSync,
}
pub const NODES: [Node; 6] =
    [Node::NeverReported, Node::Silent, Node::FailedBefore, Node::FailedSince, Node::Pending, Node::InSync];
const ACTIONS: [&str; 5] = ["rebooting", "resizing", "rebuilding", "restoring", "migrating"];
const SEEN: [Option<&str>; 4] = [None, Some("running"), Some("shut off"), Some("paused")];
const DESIRED: i64 = 5;

impl Node {
    pub fn applied(self) -> i64 {
        match self {
            Self::None | Self::NeverReported => 0,
            Self::InSync => DESIRED,
            _ => 3,
        }
    }

    /// The columns of `node_observations`, but for what it has seen.
    pub fn observation(self) -> String {
        let (age, failed) = match self {
            Self::None | Self::NeverReported => {
                return "last_report = NULL, has_failed = false, applied_generation = NULL".into();
            }
            Self::Silent => ("1 year", false),
            Self::FailedBefore => ("1 hour", true),
            Self::FailedSince => ("0", true),
            Self::Pending | Self::InSync => ("0", false),
        };
        format!(
            "last_report = now() - interval '{age}', has_failed = {failed}, applied_generation = {}",
            self.applied()
        )
    }
}

/// What is known of a VM. It was changed half an hour ago.
#[derive(Clone, Copy, Debug)]
struct Facts {
    node: Node,
    amiss: bool,
    /// What was asked for, and the generation that says so.
    action: Option<(&'static str, i64)>,
    seen: Option<&'static str>,
    shall_run: bool,
}

impl Facts {
    fn all() -> Vec<Self> {
        let actions: Vec<Option<(&str, i64)>> = std::iter::once(None)
            .chain(ACTIONS.iter().flat_map(|action| [2, 6].map(|at| Some((*action, at)))))
            .collect();
        let mut all = vec![];
        for node in NODES.into_iter().chain([Node::None]) {
            for amiss in [false, true] {
                for action in &actions {
                    for seen in SEEN {
                        all.extend([false, true].map(|shall_run| Self {
                            node,
                            amiss,
                            action: *action,
                            seen,
                            shall_run,
                        }));
                    }
                }
            }
        }
        all
    }

    /// The state, and why it has failed.
    fn expected(self) -> (&'static str, &'static str) {
        let waits = self.action.filter(|(_, at)| *at > self.node.applied());
        match (self.node, self.amiss, waits, self.seen) {
            (Node::None, ..) => ("requested", ""),
            (Node::Silent, ..) => ("unknown", ""),
            (Node::FailedSince, ..) => ("failed", "the last run of the agent of its hypervisor failed"),
            (Node::InSync, true, ..) if self.shall_run => {
                ("failed", "it does not run, though its agent has done its work")
            }
            (Node::InSync, true, ..) => ("failed", "it still runs, though its agent has done its work"),
            (_, _, Some((action, _)), _) => (action, ""),
            (.., None) => ("scheduled", ""),
            (.., Some("running")) => ("started", ""),
            (.., Some(_)) if self.shall_run => ("starting", ""),
            (.., Some(_)) => ("stopped", ""),
        }
    }
}

fn uuid(place: usize) -> String {
    format!("f0000000-0000-4000-8000-{place:012}")
}

#[rocket::async_test]
async fn every_combination_of_what_is_wanted_and_seen_is_one_state() {
    let app = demo().await;
    let all = Facts::all();
    for (i, node) in NODES.iter().enumerate() {
        let node_body = json!({"fqdn": format!("state{i}.example.com"), "state": "running"});
        let hypervisor = json!({"node": node_body, "cores": 4, "ram_bytes": 1024, "virt_methods": ["KVM"]});
        app.post("/v1/hypervisors", hypervisor).await.is(Status::Created);
        let of_node = || all.iter().enumerate().filter(|(_, facts)| facts.node == *node);
        let seen: Vec<String> =
            of_node().filter_map(|(place, facts)| Some(format!(r#""{}": "{}""#, uuid(place), facts.seen?))).collect();
        let amiss: Vec<String> =
            of_node().filter(|(_, facts)| facts.amiss).map(|(place, _)| format!(r#""{}""#, uuid(place))).collect();
        sql(&app.dsn, &format!(
            "UPDATE node_observations o SET {}, observed = '{{\"vms\": {{{}}}}}', amiss = '[{}]' FROM nodes n WHERE n.id = o.node_id AND n.fqdn = 'state{i}.example.com'",
            node.observation(), seen.join(", "), amiss.join(", "))).await;
    }
    let vms: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(place, facts)| {
            let at = NODES.iter().position(|node| *node == facts.node);
            let at = at.map_or("NULL".to_owned(), |i| format!("(SELECT h.id FROM hypervisors h JOIN nodes n ON n.id = h.node_id WHERE n.fqdn = 'state{i}.example.com')"));
            let state = if facts.shall_run { "running" } else { "stopped" };
            format!("('{}', 'state-{place}', 1, 1, (SELECT id FROM vm_states WHERE name = '{state}'), {at}, (SELECT id FROM virt_methods WHERE name = 'KVM'), now() - interval '30 minutes')", uuid(place))
        })
        .collect();
    let columns = "uuid, name, cores, ram_bytes, state_id, hypervisor_id, virt_method_id, updated_at";
    sql(&app.dsn, &format!("INSERT INTO vms ({columns}) VALUES {}", vms.join(", "))).await;
    for (place, (action, at)) in all.iter().enumerate().filter_map(|(place, facts)| Some((place, facts.action?))) {
        sql(
            &app.dsn,
            &format!("INSERT INTO pending_actions SELECT id, '{action}', {at} FROM vms WHERE uuid = '{}'", uuid(place)),
        )
        .await;
    }
    sql(&app.dsn, &format!("UPDATE nodes SET desired_generation = {DESIRED} WHERE fqdn LIKE 'state%'")).await;
    let found = rows(
        &app.dsn,
        "SELECT lifecycle, COALESCE(failure, '') FROM vms_with_status WHERE name LIKE 'state-%' ORDER BY uuid",
    )
    .await;
    assert_eq!(found.len(), all.len());
    let wrong: Vec<_> = all
        .iter()
        .zip(&found)
        .filter(|(facts, found)| facts.expected() != (found[0].as_str(), found[1].as_str()))
        .collect();
    assert!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), all.len(), wrong.first());
    // There is no word that nothing leads to, and no state without a word.
    let states: BTreeSet<&str> = found.iter().map(|row| row[0].as_str()).collect();
    let words = Column::named(kind("vms").columns(), "lifecycle").expect("a column");
    let Type::Choice(words) = words.ty else { panic!("is no choice") };
    assert_eq!(words.iter().copied().collect::<BTreeSet<_>>(), states);
}

/// Brings a VM into a state, whatever was done to it before.
async fn bring_into(app: &App, vm: &Value, state: &str) {
    let node = match state {
        "unknown" => Node::Silent,
        "failed" => Node::FailedSince,
        _ => Node::Pending,
    };
    let shall_run = !matches!(state, "stopped");
    let seen = match state {
        "scheduled" => "{}".to_owned(),
        "starting" | "stopped" => format!("{{{}: \"shut off\"}}", vm["uuid"]),
        _ => format!("{{{}: \"running\"}}", vm["uuid"]),
    };
    let id = &vm["id"];
    sql(&app.dsn, &format!("DELETE FROM pending_actions WHERE vm_id = {id}; DELETE FROM pending_restores")).await;
    let hypervisor = if state == "requested" { "NULL".to_owned() } else { vm["hypervisor"]["id"].to_string() };
    sql(
        &app.dsn,
        &format!(
            "UPDATE vms SET hypervisor_id = {hypervisor}, updated_at = now() - interval '30 minutes', \
         state_id = (SELECT id FROM vm_states WHERE name = '{}') WHERE id = {id}",
            if shall_run { "running" } else { "stopped" }
        ),
    )
    .await;
    sql(
        &app.dsn,
        &format!(
            "UPDATE node_observations SET {}, observed = '{{\"vms\": {seen}}}', amiss = '[]'; \
             UPDATE node_observations o SET {} FROM hypervisors h WHERE h.node_id = o.node_id AND h.id = {}",
            Node::Pending.observation(),
            node.observation(),
            vm["hypervisor"]["id"]
        ),
    )
    .await;
    sql(&app.dsn, &format!("UPDATE nodes SET desired_generation = {DESIRED}")).await;
    if ACTIONS.contains(&state) {
        sql(&app.dsn, &format!("INSERT INTO pending_actions VALUES ({id}, '{state}', 6)")).await;
    }
    let found = app.get(&format!("/v1/vms/{id}")).await.is(Status::Ok)["lifecycle"].clone();
    assert_eq!(found, state);
}

/// The status of an action and the state after it.
fn expected(state: &'static str, action: &str) -> (u16, &'static str) {
    let (shall_run, placed) = (state != "stopped", state != "requested");
    // What waits for its agent is known by that, but where nobody knows anything.
    let becomes = |word| if state == "unknown" { "unknown" } else { word };
    match action {
        "reboot" if !shall_run => (409, state),
        "restore" | "migrate" if !placed => (409, state),
        "reboot" | "resize" | "rebuild" if !placed => (200, "requested"),
        // Whether there is room is known only where somebody has been heard of lately. From where nobody is, a VM can go.
        "resize" | "rebuild" if state == "unknown" => (409, state),
        "reboot" => (200, becomes("rebooting")),
        "resize" => (200, becomes("resizing")),
        "rebuild" => (200, becomes("rebuilding")),
        "restore" => (200, becomes("restoring")),
        "migrate" => (200, "migrating"),
        // What is wanted changes; what is seen counts, and a failure is of before the change.
        "start" if state == "stopped" => (200, "starting"),
        "stop" if state == "starting" => (200, "stopped"),
        "stop" if state == "failed" => (200, "started"),
        "snapshot" | "start" | "stop" => (200, state),
        other => panic!("{other}"),
    }
}

#[rocket::async_test]
async fn every_action_makes_of_every_state_what_it_says() {
    let app = demo().await;
    let local = app.post("/v1/vms", order()).await.is(Status::Created);
    let pooled = in_a_pool(&app).await;
    let mut wrong = vec![];
    for state in [
        "requested",
        "scheduled",
        "starting",
        "started",
        "stopped",
        "rebooting",
        "resizing",
        "rebuilding",
        "restoring",
        "migrating",
        "failed",
        "unknown",
    ] {
        for (action, body) in [
            ("start", Value::Null),
            ("stop", Value::Null),
            ("reboot", Value::Null),
            ("resize", json!({"flavor": "small"})),
            ("snapshot", json!({"name": format!("at-{state}")})),
            ("restore", json!({"snapshot": "always"})),
            ("rebuild", json!({})),
            ("migrate", json!({})),
        ] {
            // Only what is in a pool goes elsewhere; only a file is made from an image.
            let vm = if action == "migrate" { &pooled } else { &local };
            bring_into(&app, vm, state).await;
            // The volume of before, where it was made anew.
            sql(
                &app.dsn,
                &format!(
                    "INSERT INTO snapshots (volume_id, name, take_at) SELECT id, 'always', now() FROM volumes \
                WHERE vm_id = {} ON CONFLICT DO NOTHING",
                    vm["id"]
                ),
            )
            .await;
            let url = format!("/v1/vms/{}", vm["id"]);
            let answer = app.post(&format!("{url}/{action}"), body).await;
            let after = app.get(&url).await.is(Status::Ok)["lifecycle"].clone();
            let (status, becomes) = expected(state, action);
            if (answer.status, &after) != (status, &json!(becomes)) {
                wrong.push(format!(
                    "{action} of {state}: {} {after}, not {status} {becomes}: {}",
                    answer.status,
                    answer.text()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // And there is an end to each.
    for state in ["requested", "started", "rebooting", "failed", "unknown"] {
        let mut another = order();
        another["name"] = json!(format!("end-{state}"));
        let vm = app.post("/v1/vms", another).await.is(Status::Created);
        bring_into(&app, &vm, state).await;
        let url = format!("/v1/vms/{}", vm["id"]);
        app.json(Method::Delete, &url, Value::Null).await.is(Status::NoContent);
        app.get(&url).await.is(Status::NotFound);
        let left = app.get(&format!("/v1/tombstones?uuid={}", vm["uuid"].as_str().unwrap())).await.is(Status::Ok);
        assert_eq!(left["total"], i64::from(state != "requested"), "{state}");
    }
}
