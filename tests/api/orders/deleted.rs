//! The end of a VM: deleted, and still there until the agents of its hypervisors have seen it gone; by every combination of what is left
//! of it, beside an obvious model, and by what agents report.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use std::fmt::Write as _;

use crate::access::issue;
use crate::convergence::{self, Fleet, VM};
use crate::harness::{App, rows, sql};
use crate::infrahub::member;
use crate::orders::order;
use crate::orders::states::{NODES, Node};
use crate::relations::demo;

/// Where a VM was, and what is known of that. It was deleted half an hour ago.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Place {
    node: Node,
    /// Whether its agent has looked which VMs there are.
    looked: bool,
    /// The generation that has the tombstone.
    since: i64,
    /// Whether it was seen there last.
    seen: bool,
}

impl Place {
    fn all() -> Vec<Self> {
        let mut all = vec![];
        for node in NODES {
            for (looked, seen) in [(false, false), (true, false), (true, true)] {
                all.extend([2, 4].map(|since| Self { node, looked, since, seen }));
            }
        }
        all
    }

    fn hypervisor(self) -> String {
        let node = NODES.iter().position(|node| *node == self.node).expect("one of them");
        format!("gone{node}-{}.example.com", self.looked)
    }

    /// Whether its agent has said that nothing is there any more.
    fn is_done(self) -> bool {
        self.node.applied() >= self.since && self.looked && !self.seen
    }
}

/// The state, and why it is still that.
fn expected(places: &[Place], told: bool) -> (&'static str, &'static str) {
    let waits: Vec<&Place> = places.iter().filter(|place| !place.is_done()).collect();
    let is_one = |node: Node| waits.iter().any(|place| place.node == node);
    match () {
        () if told || waits.is_empty() => ("deleted", ""),
        () if is_one(Node::Silent) => ("deleting", "its hypervisor is silent"),
        () if is_one(Node::FailedSince) => ("deleting", "the last run of the agent of its hypervisor failed"),
        () => ("deleting", ""),
    }
}

#[rocket::async_test]
async fn every_combination_of_what_is_left_is_one_state() {
    let app = demo().await;
    let places = Place::all();
    let mut all: Vec<(Vec<Place>, bool)> = vec![(vec![], false), (vec![], true)];
    for place in &places {
        all.extend([(vec![*place], false), (vec![*place], true)]);
        let elsewhere = places.iter().filter(|other| other.hypervisor() > place.hypervisor());
        all.extend(elsewhere.map(|other| (vec![*place, *other], false)));
    }
    let uuid = |at: usize| format!("f0000000-0000-4000-8000-{at:012}");
    let mut names: Vec<(String, Node, bool)> =
        places.iter().map(|place| (place.hypervisor(), place.node, place.looked)).collect();
    names.dedup();
    for (fqdn, node, looked) in names {
        let body = json!({"node": {"fqdn": fqdn, "state": "running"}, "cores": 4, "ram_bytes": 1024});
        app.post("/v1/hypervisors", body).await.is(Status::Created);
        let is_seen = |(at, (of, _)): (usize, &(Vec<Place>, bool))| {
            of.iter()
                .any(|place| place.hypervisor() == fqdn && place.seen)
                .then(|| format!(r#""{}": "running""#, uuid(at)))
        };
        let seen: Vec<String> = all.iter().enumerate().filter_map(is_seen).collect();
        let observed = if looked { format!(r#"{{"vms": {{{}}}}}"#, seen.join(", ")) } else { "{}".to_owned() };
        sql(&app.dsn, &format!(
            "UPDATE node_observations o SET {}, observed = '{observed}' FROM nodes n WHERE n.id = o.node_id AND n.fqdn = '{fqdn}'",
            node.observation())).await;
    }
    let (mut vms, mut left) = (String::new(), String::new());
    for (at, (of, told)) in all.iter().enumerate() {
        let gone_at = if *told { "now()" } else { "NULL" };
        write!(vms, ", ({}, '{}', 'a', '{{}}', now() - interval '30 minutes', {gone_at})", 900_000 + at, uuid(at))
            .unwrap();
        for place in of {
            write!(left, ", ('{}', '{}'::uuid, {}, {})", place.hypervisor(), uuid(at), 900_000 + at, place.since)
                .unwrap();
        }
    }
    sql(
        &app.dsn,
        &format!("INSERT INTO deleted_vms (id, uuid, name, object, deleted_at, gone_at) VALUES {}", &vms[1..]),
    )
    .await;
    sql(
        &app.dsn,
        &format!(
            "CREATE TABLE places AS SELECT * FROM (VALUES {}) AS p (fqdn, uuid, number, since);
        INSERT INTO tombstones (hypervisor_id, uuid, number, not_before) SELECT h.id, p.uuid, p.number, now()
            FROM places p JOIN nodes n ON n.fqdn = p.fqdn JOIN hypervisors h ON h.node_id = n.id",
            &left[1..]
        ),
    )
    .await;
    sql(&app.dsn, "UPDATE tombstone_generations g SET generation = p.since FROM tombstones t, places p, nodes n, hypervisors h
        WHERE g.tombstone_id = t.id AND p.uuid = t.uuid AND n.fqdn = p.fqdn AND h.node_id = n.id AND t.hypervisor_id = h.id;
        DROP TABLE places").await;
    let found = rows(
        &app.dsn,
        "SELECT lifecycle, COALESCE(failure, '') FROM deleted_vms_with_status WHERE id >= 900000 ORDER BY id",
    )
    .await;
    assert_eq!(found.len(), all.len());
    let wrong: Vec<_> = all
        .iter()
        .zip(&found)
        .filter(|((of, told), found)| expected(of, *told) != (found[0].as_str(), found[1].as_str()))
        .collect();
    assert!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), all.len(), wrong.first());
    for word in ["deleting", "deleted"] {
        let shown = app.get(&format!("/v1/deleted-vms?lifecycle={word}&count=exact")).await.is(Status::Ok);
        assert_eq!(shown["total"], found.iter().filter(|row| row[0] == word).count());
    }
}

/// What is said of a VM that was deleted: its state, by both entrances, which agree.
async fn state(app: &App, id: &Value) -> String {
    app.get(&format!("/v1/vms/{id}")).await.is(Status::NotFound);
    let theirs = app.get(&format!("/v1/core/virtual-machines/{id}")).await;
    let ours = app.get(&format!("/v1/deleted-vms/{id}")).await;
    if ours.status == 404 {
        theirs.is(Status::NotFound);
        return "none".into();
    }
    let ours = ours.is(Status::Ok);
    let theirs = theirs.is(Status::Ok)["instance"].clone();
    assert_eq!((&theirs["state"], &theirs["failure"]), (&ours["lifecycle"], &ours["failure"]));
    assert_eq!((&theirs["uuid"], &theirs["public_ip"]), (&ours["uuid"], &Value::Null));
    theirs["state"].as_str().expect("a word").to_owned()
}

#[rocket::async_test]
async fn a_vm_is_deleting_until_its_agent_has_seen_it_gone() {
    let fleet = Fleet::of(App::start().await).await;
    convergence::hypervisor(&fleet).await;
    let app = &fleet.app;
    let observed = |vms: Value| json!({"observed": {"vms": vms}});
    let id = app.get(&format!("/v1/vms/{VM}")).await.is(Status::Ok)["id"].clone();
    let before = fleet.applied().await;
    fleet.report(&[before.clone(), observed(json!({VM: "running"}))], "changed", false).await;
    let url = format!("/v1/vms/{VM}");
    app.json(Method::Delete, &format!("{url}?dry_run=true"), Value::Null).await;
    app.get(&url).await.is(Status::Ok);
    assert_eq!(app.get("/v1/deleted-vms").await.is(Status::Ok)["total"], 0);
    app.json(Method::Delete, &url, Value::Null).await.is(Status::NoContent);
    assert_eq!(state(app, &id).await, "deleting");
    let now = fleet.applied().await;
    // Not what was seen of an older document, not of a run that failed, was a rehearsal, or did not look, not by silence.
    for (notes, status, noop) in [
        (vec![before, observed(json!({}))], "changed", false),
        (vec![now.clone(), observed(json!({}))], "failed", false),
        (vec![now.clone(), observed(json!({}))], "changed", true),
        (vec![now.clone(), observed(json!({VM: "running"}))], "changed", false),
    ] {
        fleet.report(&notes, status, noop).await;
        assert_eq!(state(app, &id).await, "deleting", "{notes:?} {status} {noop}");
    }
    sql(&app.dsn, "UPDATE node_observations SET last_report = now() - interval '1 year'").await;
    app.clear_removals().await;
    assert_eq!(state(app, &id).await, "deleting");
    let deleting = app.get(&format!("/v1/deleted-vms/{VM}")).await.is(Status::Ok);
    assert_eq!((&deleting["failure"], &deleting["gone_at"]), (&json!("its hypervisor is silent"), &Value::Null));
    assert_eq!((&deleting["object"]["name"], &deleting["name"]), (&json!("web-1"), &json!("web-1")));
    fleet.report(&[now, observed(json!({}))], "changed", false).await;
    assert_eq!(state(app, &id).await, "deleted");
    let gone = app.get(&format!("/v1/deleted-vms/{VM}")).await.is(Status::Ok);
    assert!(gone["failure"].is_null() && gone["gone_at"].is_string(), "{gone}");
    // As long as its tombstone is there, and for an hour.
    sql(&app.dsn, "UPDATE deleted_vms SET gone_at = gone_at - interval '2 hours'").await;
    app.clear_removals().await;
    assert_eq!(state(app, &id).await, "deleted");
    sql(&app.dsn, "DELETE FROM tombstones").await;
    app.clear_removals().await;
    assert_eq!(state(app, &id).await, "none");
}

#[rocket::async_test]
async fn what_was_nowhere_is_deleted_at_once_and_what_comes_back_was_not() {
    let app = demo().await;
    let vm = json!({"name": "nowhere", "cores": 1, "ram_bytes": 1, "state": "running", "virt_method": "KVM"});
    let made = app.post("/v1/vms", vm).await.is(Status::Created);
    let url = format!("/v1/vms/{}", made["id"]);
    app.json(Method::Delete, &url, Value::Null).await.is(Status::NoContent);
    assert_eq!(state(&app, &made["id"]).await, "deleted");
    app.clear_removals().await;
    assert_eq!(state(&app, &made["id"]).await, "deleted");
    sql(&app.dsn, "UPDATE deleted_vms SET gone_at = gone_at - interval '61 minutes'").await;
    app.clear_removals().await;
    assert_eq!(state(&app, &made["id"]).await, "none");
    // From two places; and again.
    let made = app.post("/v1/vms", order()).await.is(Status::Created);
    let uuid = made["uuid"].as_str().expect("a UUID").to_owned();
    let url = format!("/v1/vms/{}", made["id"]);
    sql(&app.dsn, &format!("DELETE FROM volumes WHERE vm_id = {}", made["id"])).await;
    let first = made["hypervisor"]["fqdn"].as_str().expect("a name").to_owned();
    let other = if first == "hv01.example.com" { "hv02.example.com" } else { "hv01.example.com" };
    app.json(Method::Patch, &url, json!({"hypervisor": other})).await.is(Status::Ok);
    app.json(Method::Delete, &url, Value::Null).await.is(Status::NoContent);
    let applied = async |fqdn: &str| {
        sql(&app.dsn, &format!(
            "UPDATE node_observations o SET last_report = now(), applied_generation = n.desired_generation, observed = '{{\"vms\": {{}}}}' \
             FROM nodes n WHERE n.id = o.node_id AND n.fqdn = '{fqdn}'")).await;
    };
    applied(other).await;
    assert_eq!(state(&app, &made["id"]).await, "deleting");
    applied(&first).await;
    assert_eq!(state(&app, &made["id"]).await, "deleted");
    let mut again = order();
    again["uuid"] = uuid.clone().into();
    again["hypervisor"] = first.into();
    let back = app.post("/v1/vms", again).await.is(Status::Created);
    assert_eq!(app.get("/v1/deleted-vms").await.is(Status::Ok)["total"], 0);
    assert_eq!(
        app.get(&format!("/v1/core/virtual-machines/{uuid}")).await.is(Status::Ok)["instance"]["state"],
        "scheduled"
    );
    app.json(Method::Delete, &format!("/v1/vms/{}", back["id"]), Value::Null).await.is(Status::NoContent);
    // What was seen of the first is not said of this one, though its tombstone is the same.
    assert_eq!(state(&app, &back["id"]).await, "deleting");
    // Its hypervisor is gone from the fleet: nobody can have it any more.
    sql(&app.dsn, "DELETE FROM tombstones").await;
    assert_eq!(state(&app, &back["id"]).await, "deleted");
    for (method, url) in [
        (Method::Delete, format!("/v1/deleted-vms/{}", back["id"])),
        (Method::Patch, format!("/v1/deleted-vms/{}", back["id"])),
        (Method::Post, "/v1/deleted-vms".to_owned()),
    ] {
        assert_eq!(app.json(method, &url, json!({"name": "a"})).await.status, 405, "{url}");
    }
    app.json(Method::Delete, &format!("/v1/core/virtual-machines/{}", back["id"]), Value::Null)
        .await
        .is(Status::NotFound);
}

#[rocket::async_test]
async fn a_customer_is_shown_what_was_its_own() {
    let app = demo().await;
    let ours = member(&app).await;
    let user = json!({"name": "other", "account_type": "person", "state": "active"});
    app.post("/v1/memberships", json!({"organization": "globex", "user": user, "role": "owner"}))
        .await
        .is(Status::Created);
    let theirs = issue(&app, json!({"user": "other"})).await.1;
    let owner = json!({"name": "boss", "account_type": "person", "state": "active"});
    app.post("/v1/memberships", json!({"organization": "acme", "user": owner, "role": "owner"}))
        .await
        .is(Status::Created);
    let boss = issue(&app, json!({"user": "boss"})).await.1;
    let own = app.post("/v1/environments", json!({"organization": "acme", "name": "short"})).await.is(Status::Created);
    let vm = json!({"name": "brief", "environment": own["id"], "cores": 1, "ram_bytes": 1, "state": "running", "virt_method": "KVM"});
    let vm = app.post("/v1/vms", vm).await.is(Status::Created);
    let fleets = json!({"name": "fleets", "cores": 1, "ram_bytes": 1, "state": "running", "virt_method": "KVM"});
    let fleets = app.post("/v1/vms", fleets).await.is(Status::Created);
    for id in [&vm["id"], &fleets["id"]] {
        app.json(Method::Delete, &format!("/v1/vms/{id}"), Value::Null).await.is(Status::NoContent);
    }
    let statuses = async |token: &str, vm: &Value| {
        let headers = [("Authorization", &*format!("Token {token}"))];
        let mut statuses = vec![];
        for url in ["core/virtual-machines", "deleted-vms"] {
            statuses.push(app.send(Method::Get, &format!("/v1/{url}/{}", vm["id"]), &headers, b"").await.status);
        }
        let list = app.send(Method::Get, "/v1/deleted-vms?embed=environment", &headers, b"").await.is(Status::Ok);
        (statuses, list["total"].clone())
    };
    assert_eq!(statuses(&ours, &vm).await, (vec![200, 200], json!(1)));
    assert_eq!(statuses(&ours, &fleets).await, (vec![404, 404], json!(1)));
    assert_eq!(statuses(&theirs, &vm).await, (vec![404, 404], json!(0)));
    let headers = [("Authorization", &*format!("Token {ours}"))];
    let by_name = app.send(Method::Get, "/v1/core/virtual-machines/short/brief", &headers, b"").await.is(Status::Ok);
    assert_eq!((&by_name["instance"]["id"], &by_name["instance"]["state"]), (&vm["id"], &json!("deleted")));
    assert_eq!(by_name["instance"]["links"]["vm"], format!("/v1/deleted-vms/{}", vm["id"]));
    // Where its environment is gone as well, who owns the organization is shown it.
    app.json(Method::Delete, "/v1/environments/acme/short", Value::Null).await.is(Status::NoContent);
    assert_eq!(statuses(&ours, &vm).await, (vec![404, 404], json!(0)));
    assert_eq!(statuses(&boss, &vm).await, (vec![200, 200], json!(1)));
    assert_eq!(statuses(&theirs, &vm).await, (vec![404, 404], json!(0)));
}
