//! What a node shall be and what it is: which version of its document was applied, and how it looks from outside.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::access::issue;
use crate::harness::{App, TOKEN, rows, sql};
use crate::reports::REPORT;
use crate::start::process::{DataDir, Server};

const NODE: &str = "hv01.example.com";
const RUN: &str = "7a1e9308-f750-4073-a5a7-24dc9ce60c9c";
pub const VM: &str = "6f1c2a34-0000-4000-8000-000000000001";

/// A node with a server that takes its reports.
pub struct Fleet {
    pub app: App,
    secret: String,
    runs: std::cell::Cell<u32>,
}

impl Fleet {
    async fn start() -> Self {
        Self::of(App::start().await).await
    }

    /// One on this server.
    pub async fn of(app: App) -> Self {
        app.post("/v1/nodes", json!({"fqdn": NODE, "state": "running"})).await.is(Status::Created);
        let (_, secret) = issue(&app, json!({"node": NODE, "scope": "documents"})).await;
        Self { app, secret, runs: 0.into() }
    }

    /// A report of another run, as a real puppet would have sent it, that says this.
    pub async fn report(&self, notes: &[Value], status: &str, noop: bool) {
        self.runs.set(self.runs.get() + 1);
        let said: String = notes
            .iter()
            .map(|note| format!("- level: notice\n  message: 'virtapi: {note}'\n  source: Puppet\n  time: '2026-11-20T22:19:30+00:00'\n"))
            .collect();
        let report = REPORT
            .replacen(RUN, &format!("{}{:04}", &RUN[..32], self.runs.get()), 1)
            .replacen("status: changed", &format!("status: {status}"), 1)
            .replacen("noop: false", &format!("noop: {noop}"), 1)
            .replacen("logs:\n", &format!("logs:\n{said}"), 1);
        let bearer = format!("Bearer {}", self.secret);
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/x-yaml")];
        let answer = self.app.send(Method::Post, "/puppet/reports", &headers, report.as_bytes()).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// That the document was applied as it is now.
    pub async fn applied(&self) -> Value {
        let document = self.app.get(&format!("/salt/pillar/{NODE}")).await.is(Status::Ok);
        json!({"applied": document["virtapi"]["meta"]})
    }

    async fn node(&self) -> Value {
        self.app.get(&format!("/v1/nodes/{NODE}")).await.is(Status::Ok)
    }

    async fn is(&self, status: &str) {
        let node = self.node().await;
        assert_eq!(node["status"], status, "{node}");
        // A list finds it by that.
        let found = self.app.get(&format!("/v1/nodes?status={status}&count=exact&sort=-status")).await.is(Status::Ok);
        assert_eq!((&found["total"], &found["items"][0]["fqdn"]), (&json!(1), &json!(NODE)));
        assert_eq!(self.app.get(&format!("/v1/nodes?status__ne={status}")).await.is(Status::Ok)["total"], 0);
    }

    pub async fn change(&self, url: &str, body: Value) {
        self.app.json(Method::Patch, url, body).await.is(Status::Ok);
    }
}

#[rocket::async_test]
async fn a_node_is_in_sync_when_it_has_applied_what_is_wanted() {
    let fleet = Fleet::start().await;
    fleet.is("unmanaged").await;
    let node = fleet.node().await;
    assert_eq!(
        (&node["applied_generation"], &node["last_report"], &node["observed"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    // Of what an agent without our module has applied nothing is known.
    fleet.report(&[], "changed", false).await;
    fleet.is("pending").await;
    fleet.report(&[fleet.applied().await], "unchanged", false).await;
    fleet.is("in_sync").await;
    let node = fleet.node().await;
    assert_eq!(node["applied_generation"], node["desired_generation"]);
    assert!(node["last_report"].is_string());

    fleet.change(&format!("/v1/nodes/{NODE}"), json!({"location": "rack 12"})).await;
    fleet.is("pending").await;
    let node = fleet.node().await;
    assert!(node["applied_generation"].as_i64() < node["desired_generation"].as_i64());
    // A run that failed has applied nothing, and is the first thing to see.
    fleet.report(&[fleet.applied().await], "changed", true).await;
    fleet.is("pending").await;
    fleet.report(&[fleet.applied().await, json!({"observed": {"vms": {}}})], "failed", false).await;
    fleet.is("failed").await;
    assert_eq!(fleet.node().await["applied_generation"], node["applied_generation"]);
    let page = fleet.app.get(&format!("/v1/nodes/{NODE}.html")).await;
    assert!(page.text().contains("The last run failed") && page.text().contains("rb_sysopen"), "{}", page.text());
    fleet.report(&[fleet.applied().await], "changed", false).await;
    fleet.is("in_sync").await;
    assert!(!fleet.app.get(&format!("/v1/nodes/{NODE}.html")).await.text().contains("The last run failed"));

    // Whoever is silent for too long is not believed any more.
    sql(&fleet.app.dsn, "UPDATE node_observations SET last_report = now() - interval '2 hours 1 minute'").await;
    fleet.is("stale").await;
    fleet.report(&[], "unchanged", true).await;
    fleet.is("in_sync").await;
}

#[rocket::async_test]
async fn what_a_cluster_becomes_is_pending_on_all_that_show_it() {
    let fleet = Fleet::start().await;
    let cluster =
        json!({"name": "ceph", "fsid": "6f1c2a34-0000-4000-8000-00000000000f", "public_network": "10.1.0.0/24"});
    fleet.app.post("/v1/ceph-clusters", cluster).await.is(Status::Created);
    let mon = json!({"node": NODE, "cluster": "ceph", "name": "a", "address": "10.1.0.11", "port": 6789});
    fleet.app.post("/v1/ceph-mons", mon).await.is(Status::Created);
    fleet.report(&[fleet.applied().await], "changed", false).await;
    fleet.is("in_sync").await;
    fleet.change("/v1/ceph-clusters/ceph", json!({"public_network": "10.2.0.0/24"})).await;
    let node = fleet.node().await;
    assert_eq!(node["applied_generation"], node["desired_generation"], "its own document is the same");
    fleet.is("pending").await;
    fleet.report(&[fleet.applied().await], "changed", false).await;
    fleet.is("in_sync").await;
}

#[rocket::async_test]
async fn what_another_node_has_applied_is_not_this_ones() {
    let fleet = Fleet::start().await;
    let mut applied = fleet.applied().await;
    applied["applied"]["node_id"] = json!(fleet.node().await["id"].as_i64().unwrap() + 1);
    fleet.report(&[applied], "changed", false).await;
    fleet.is("pending").await;
    assert_eq!(fleet.node().await["applied_generation"], Value::Null);
}

/// A hypervisor with a VM that shall run.
pub async fn hypervisor(fleet: &Fleet) {
    let role = json!({"node": NODE, "cores": 16, "ram_bytes": 1_i64 << 36, "virt_methods": ["KVM"]});
    fleet.app.post("/v1/hypervisors", role).await.is(Status::Created);
    let vm = json!({"uuid": VM, "name": "web-1", "cores": 2, "ram_bytes": 1 << 30, "state": "running",
        "hypervisor": NODE, "virt_method": "KVM"});
    fleet.app.post("/v1/vms", vm).await.is(Status::Created);
}

#[rocket::async_test]
async fn a_vm_is_in_sync_when_it_runs_as_it_shall() {
    let fleet = Fleet::start().await;
    hypervisor(&fleet).await;
    let vm = async || fleet.app.get(&format!("/v1/vms/{VM}")).await.is(Status::Ok);
    let observed = |state: &str| json!({"observed": {"vms": {VM: state}, "unmanaged": {"domains": ["stray"]}}});
    assert_eq!(vm().await["status"], "unmanaged");
    fleet.report(&[fleet.applied().await, observed("running")], "changed", false).await;
    let (seen, node) = (vm().await, fleet.node().await);
    assert_eq!(seen["status"], "in_sync");
    assert_eq!(seen["desired_generation"], node["desired_generation"]);
    assert_eq!(seen["applied_generation"], node["applied_generation"]);
    assert_eq!(seen["last_report"], node["last_report"]);
    assert_eq!(node["observed"]["unmanaged"]["domains"], json!(["stray"]));
    for (state, wanted, status) in [
        ("stopped", "running", "failed"),
        ("crashed", "running", "failed"),
        ("stopped", "stopped", "in_sync"),
        ("running", "stopped", "failed"),
        ("stopped", "deactivated", "in_sync"),
        ("running", "running", "in_sync"),
    ] {
        fleet.change(&format!("/v1/vms/{VM}"), json!({"state": wanted})).await;
        fleet.report(&[fleet.applied().await, observed(state)], "changed", false).await;
        assert_eq!(vm().await["status"], status, "{state}, shall be {wanted}");
        let found = fleet.app.get(&format!("/v1/vms?status={status}&count=exact")).await.is(Status::Ok);
        assert_eq!(found["total"], 1, "{status}");
    }
    fleet.change(&format!("/v1/vms/{VM}"), json!({"cores": 4})).await;
    assert_eq!(vm().await["status"], "pending");
    fleet.change(&format!("/v1/vms/{VM}"), json!({"hypervisor": null})).await;
    let seen = vm().await;
    assert_eq!((&seen["status"], &seen["desired_generation"]), (&json!("unmanaged"), &Value::Null));
    // What agents have made of it is no change that somebody made.
    let events = fleet.app.get("/v1/audit-events?collection=vms").await.is(Status::Ok);
    assert!(events["items"].as_array().unwrap().iter().all(|event| event["after"].get("status").is_none()), "{events}");
}

#[rocket::async_test]
async fn what_is_derived_is_nobodys_to_set() {
    let fleet = Fleet::start().await;
    for (field, value) in [("status", json!("in_sync")), ("applied_generation", json!(1)), ("observed", json!({}))] {
        let answer = fleet.app.json(Method::Patch, &format!("/v1/nodes/{NODE}"), json!({field: value})).await;
        assert_eq!(answer.is(Status::UnprocessableEntity)["errors"][0]["pointer"], format!("/{field}"));
    }
    fleet.is("unmanaged").await;
}

#[rocket::async_test]
async fn a_customer_sees_the_status_of_what_is_its_own() {
    let fleet = Fleet::start().await;
    hypervisor(&fleet).await;
    let user = json!({"name": "wile", "account_type": "service", "state": "active"});
    let organization = json!({"name": "acme", "full_name": "Acme"});
    let membership = json!({"organization": organization, "user": user, "role": "owner"});
    fleet.app.post("/v1/memberships", membership).await.is(Status::Created);
    fleet.app.post("/v1/environments", json!({"organization": "acme", "name": "shop"})).await.is(Status::Created);
    let (_, secret) = issue(&fleet.app, json!({"user": "wile"})).await;
    let bearer = format!("Bearer {secret}");
    let vms = async || {
        let headers = [("Authorization", bearer.as_str()), ("Accept", "application/json")];
        fleet.app.send(Method::Get, "/v1/vms?status=in_sync", &headers, b"").await.is(Status::Ok)
    };
    fleet.report(&[fleet.applied().await], "changed", false).await;
    assert_eq!(vms().await["total"], 0, "it is nobody's of theirs");
    fleet.change(&format!("/v1/vms/{VM}"), json!({"environment": "acme/shop"})).await;
    fleet.report(&[fleet.applied().await], "changed", false).await;
    let seen = vms().await;
    assert_eq!((&seen["total"], &seen["items"][0]["status"]), (&json!(1), &json!("in_sync")), "{seen}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let change = json!({"name": "web-2"}).to_string();
    let changed = fleet.app.send(Method::Patch, &format!("/v1/vms/{VM}"), &headers, change.as_bytes()).await;
    assert_eq!(changed.is(Status::Ok)["status"], "pending");
}

#[rocket::async_test]
async fn what_runs_changed_is_kept_without_its_secrets() {
    let fleet = Fleet::start().await;
    let event = "message: defined 'message' as 'port=80";
    assert!(REPORT.contains(event));
    let bearer = format!("Bearer {}", fleet.secret);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/x-yaml")];
    let report = REPORT.replace(event, "message: defined 'message' as 'db_password=hunter2 port=80");
    assert_eq!(fleet.app.send(Method::Post, "/puppet/reports", &headers, report.as_bytes()).await.status, 204);
    let run = &fleet.app.get("/v1/runs").await.is(Status::Ok)["items"][0];
    let events = fleet.app.get(&format!("/v1/run-events?run={}", run["id"])).await.is(Status::Ok);
    assert_eq!(events["total"], 1);
    let event = &events["items"][0];
    assert_eq!(
        (&event["node"], &event["property"], &event["status"]),
        (&json!(NODE), &json!("message"), &json!("success"))
    );
    assert!(event["message"].as_str().is_some_and(|message| message.contains("[masked] port=80")), "{event}");
    let kept = rows(&fleet.app.dsn, "SELECT r::text FROM runs r UNION ALL SELECT e::text FROM run_events e").await;
    assert!(kept.len() == 2 && kept.iter().all(|row| !row[0].contains("hunter2")), "{kept:?}");
    assert!(fleet.app.get(&format!("/v1/runs/{}.html", run["id"])).await.text().contains("/v1/run-events?run="));
}

#[rocket::async_test]
async fn one_report_that_comes_many_times_at_once_is_one() {
    let fleet = Fleet::start().await;
    let bearer = format!("Bearer {}", fleet.secret);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/x-yaml")];
    let send = || fleet.app.send(Method::Post, "/puppet/reports", &headers, REPORT.as_bytes());
    let answers = futures_util::future::join_all((0..20).map(|_| send())).await;
    assert!(answers.iter().all(|answer| answer.status == 204));
    assert_eq!(fleet.app.get("/v1/runs?count=exact").await.is(Status::Ok)["total"], 1);
    assert_eq!(fleet.app.get("/v1/run-events?count=exact").await.is(Status::Ok)["total"], 1);
}

#[rocket::async_test]
async fn it_is_counted_how_many_are_in_which_status() {
    let fleet = Fleet::start().await;
    hypervisor(&fleet).await;
    // A server counts when it starts, and from time to time.
    let data = DataDir::new();
    let mut server = Server::start(&data, &["--database-url", &fleet.app.dsn]);
    server.token = TOKEN.into();
    let start = std::time::Instant::now();
    let gauges = [
        r#"virtapi_nodes{status="unmanaged"} 1"#,
        r#"virtapi_vms{status="unmanaged"} 1"#,
        r#"virtapi_vms{status="stale"} 0"#,
    ];
    loop {
        let (_, metrics) = server.ask("GET /metrics", "");
        if gauges.iter().all(|gauge| metrics.contains(gauge)) {
            break;
        }
        assert!(start.elapsed().as_secs() < 20, "{metrics}");
        rocket::tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    server.stop();
}
