//! What agents report: who may, what is taken, and what is kept of it.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::access::issue;
use crate::certificates;
use crate::harness::{Answer, App, sql};
use crate::start::process::{DataDir, Server};
use crate::statements::Log;
use crate::tls::authority::Authority;

/// As a real puppet has sent it, for `hv01.example.com`.
pub const REPORT: &str = include_str!("../samples/puppet-report.yaml");
const RUN: &str = "7a1e9308-f750-4073-a5a7-24dc9ce60c9c";
const NODE: &str = "hv01.example.com";

async fn send(app: &App, secret: &str, report: &str) -> Answer {
    let bearer = format!("Bearer {secret}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/x-yaml; charset=UTF-8")];
    app.send(Method::Post, "/puppet/reports", &headers, report.as_bytes()).await
}

async fn node(app: &App, fqdn: &str) -> String {
    app.post("/v1/nodes", json!({"fqdn": fqdn, "state": "running"})).await.is(Status::Created);
    issue(app, json!({"node": fqdn, "scope": "documents"})).await.1
}

async fn runs(app: &App) -> Vec<Value> {
    let list = app.get("/v1/runs?sort=id").await.is(Status::Ok);
    list["items"].as_array().unwrap().clone()
}

#[rocket::async_test]
async fn a_report_is_kept_once_however_often_it_comes() {
    let app = App::start().await;
    let secret = node(&app, NODE).await;
    for _ in 0..2 {
        assert_eq!(send(&app, &secret, REPORT).await.status, 204);
    }
    let second = REPORT.replacen(RUN, "7a1e9308-f750-4073-a5a7-24dc9ce60c9d", 1).replacen(
        "status: changed",
        "status: failed",
        1,
    );
    assert_eq!(send(&app, &secret, &second).await.status, 204);
    let found = runs(&app).await;
    assert_eq!(found.len(), 2, "{found:?}");
    let run = &found[0];
    assert_eq!((&run["node"], &run["tool"], &run["run"]), (&json!(NODE), &json!("puppet"), &json!(RUN)));
    assert_eq!((&run["status"], &run["mode"], &run["version"]), (&json!("changed"), &json!("apply"), &json!("7.23.0")));
    assert_eq!((&run["total"], &run["changed"], &run["failed"]), (&json!(8), &json!(1), &json!(0)));
    assert_eq!(run["started_at"], "2026-11-20T22:19:29.725030Z");
    assert_eq!(run["messages"][0]["level"], "err");
    let failed = app.get("/v1/runs?status=failed&node=hv01.example.com").await.is(Status::Ok);
    assert_eq!(failed["total"], 1);
    assert!(app.get("/v1/nodes/hv01.example.com.html").await.text().contains("/v1/runs?node=hv01.example.com"));
    // Nobody writes one otherwise.
    app.post("/v1/runs", json!({})).await.is(Status::MethodNotAllowed);
    app.json(Method::Delete, "/v1/runs/1", Value::Null).await.is(Status::MethodNotAllowed);
}

#[rocket::async_test]
async fn a_node_reports_for_itself_and_a_compiler_for_its_nodes() {
    let authority = Authority::new("Puppet");
    // It knows hv01 and hv02.
    let app = certificates::app(&authority, Some(&authority.revoke(&[]))).await;
    let secret = async |fields: Value| issue(&app, fields).await.1;
    let compiler = |name: &str, node: &str| json!({"compiler": {"name": name, "serves": "listed", "nodes": [node]}});
    let user = |role: &str| json!({"user": {"name": role, "account_type": "person", "role": role, "state": "active"}});
    for (fields, status) in [
        (json!({"node": NODE}), 204),
        (json!({"node": NODE, "scope": "documents"}), 204),
        (json!({"node": NODE, "scope": "read"}), 403),
        (json!({"node": "hv02.example.com"}), 404),
        (compiler("a", NODE), 204),
        (compiler("b", "hv02.example.com"), 404),
        (user("operator"), 403),
        (user("auditor"), 403),
    ] {
        let answer = send(&app, &secret(fields.clone()).await, REPORT).await;
        assert_eq!(answer.status, status, "{fields} {}", answer.text());
    }
    let leaf = authority.issue("hv02.example.com", 9);
    let headers = [("Content-Type", "application/x-yaml")];
    let own = REPORT.replacen(NODE, "hv02.example.com", 1);
    for (report, status) in [(REPORT, 404), (own.as_str(), 204)] {
        let answer = app.send_body_with(&leaf.certificate, "/puppet/reports", &headers, report.as_bytes()).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    assert_eq!(
        app.send_as_stranger(None, Method::Post, "/puppet/reports", &headers, REPORT.as_bytes()).await.status,
        401
    );
    let all = secret(json!({"compiler": {"name": "c", "serves": "all"}})).await;
    let unknown = REPORT.replacen(NODE, "hv99.example.com", 1);
    assert_eq!(send(&app, &all, &unknown).await.status, 404, "it is not in the inventory");
}

#[rocket::async_test]
async fn what_is_no_report_is_refused_with_the_reason_and_nothing_is_kept() {
    let app = App::start().await;
    let secret = node(&app, NODE).await;
    let large = format!("{REPORT}rest: '{}'\n", "x".repeat(17 << 20));
    for (report, status, reason) in [
        ("", 400, "it is empty"),
        ("host: hv01.example.com\n", 400, "does not begin with !ruby/object:Puppet::Transaction::Report"),
        ("{}", 400, "does not begin with"),
        (&REPORT.replacen("status: changed", "status: &a changed", 1), 400, "anchor"),
        (&REPORT.replacen("status: changed", "status: !ruby/object:Kernel changed", 1), 400, "the tag"),
        (&REPORT.replacen(RUN, "1", 1), 400, "transaction_uuid is no UUID"),
        (&REPORT.replacen("status: changed", "status: 'chan\\0ged'", 1), 400, "is none"),
        (&REPORT.replacen("host: hv01.example.com", "host: \"hv01\\0\"", 1), 404, "no such thing"),
        (&large, 413, "larger than"),
    ] {
        let answer = send(&app, &secret, report).await;
        assert_eq!(answer.status, status, "{reason} {}", answer.text());
        assert!(answer.text().contains(reason), "{reason} {}", answer.text());
    }
    assert_eq!(runs(&app).await.len(), 0);
    // What cannot be stored is left out of what can.
    let odd = REPORT.replacen("message: Using environment 'production'", "message: \"a\\0b\"", 1).replacen(
        "level: info",
        "level: err",
        1,
    );
    assert_eq!(send(&app, &secret, &odd).await.status, 204);
    let found = runs(&app).await;
    assert!(found[0]["messages"].as_array().unwrap().iter().any(|message| message["message"] == "ab"));
}

/// Whatever there is already: millions of runs of thousands of nodes.
#[rocket::async_test]
async fn a_report_is_kept_by_indexes() {
    let app = App::start().await;
    let secret = node(&app, NODE).await;
    let many = "INSERT INTO nodes (fqdn, state_id) SELECT format('n%s.example.com', n), state_id FROM nodes, generate_series(1, 2000) n;
        INSERT INTO runs (node, tool, run, started_at, status, mode, total, changed, failed, out_of_sync, messages)
            SELECT fqdn, 'puppet', format('run %s', n), now(), 'changed', 'apply', 1, 1, 0, 0, '[]'
            FROM nodes, generate_series(1, 5) n;
        ANALYZE";
    sql(&app.dsn, many).await;
    let mut log = Log::start(&app.dsn).await;
    let app = App::with_pool(&app.dsn, 1).await;
    let mut plans = vec![];
    // More often than Postgres makes a new plan for a prepared statement.
    for round in 0..8 {
        let report = REPORT.replacen(RUN, &format!("7a1e9308-f750-4073-a5a7-24dc9ce60c{round:02}"), 1);
        assert_eq!(send(&app, &secret, &report).await.status, 204);
        plans.extend(log.entries().await.into_iter().filter(|entry| entry.contains("plan:")));
    }
    let of_runs: Vec<&String> = plans.iter().filter(|plan| plan.contains("INSERT INTO runs")).collect();
    assert_eq!(of_runs.len(), 8, "{plans:#?}");
    for plan in of_runs {
        // An empty table, as that of a week to come, costs nothing to read.
        let whole = |line: &&str| {
            ["Seq Scan on runs_", "Seq Scan on node"].iter().any(|scan| line.contains(scan))
                && !line.contains("cost=0.00..0.00 ")
        };
        assert_eq!(plan.lines().find(whole), None, "{plan}");
    }
}

#[rocket::async_test]
async fn old_runs_are_forgotten() {
    let app = App::start().await;
    let secret = node(&app, NODE).await;
    assert_eq!(send(&app, &secret, REPORT).await.status, 204);
    // It came in a week of which the last day is more than 90 days ago.
    for statement in [
        "CREATE TABLE runs_20260105 PARTITION OF runs FOR VALUES FROM ('2026-01-05T00:00Z') TO ('2026-01-12T00:00Z')",
        "UPDATE runs SET received_at = '2026-01-07T00:00Z'",
    ] {
        sql(&app.dsn, statement).await;
    }
    assert_eq!(runs(&app).await.len(), 1);
    let second = REPORT.replacen(RUN, "7a1e9308-f750-4073-a5a7-24dc9ce60c9d", 1);
    assert_eq!(send(&app, &secret, &second).await.status, 204);
    // A server that runs forgets when it starts, and from time to time.
    let _running = Server::start(&DataDir::new(), &["--database-url", &app.dsn]);
    let start = std::time::Instant::now();
    while runs(&app).await.len() > 1 {
        assert!(start.elapsed().as_secs() < 20, "it is still there");
        rocket::tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(runs(&app).await[0]["run"], "7a1e9308-f750-4073-a5a7-24dc9ce60c9d");
}

/// As a real minion's returner has sent it, for this node.
pub fn salt_return() -> Value {
    let samples: Value = serde_json::from_str(include_str!("../samples/salt-returns.json")).unwrap();
    let mut own = samples["minion_returner_arg"].clone();
    own["id"] = json!(NODE);
    own
}

async fn send_returns(app: &App, secret: &str, returns: &Value) -> Answer {
    post(app, secret, "/salt/returns", returns).await
}

#[rocket::async_test]
async fn what_salt_returns_is_kept_once_and_all_of_it_or_nothing() {
    let app = App::start().await;
    let own = node(&app, NODE).await;
    node(&app, "hv02.example.com").await;
    let of_master = json!({"compiler": {"name": "salt.example.com", "serves": "all"}, "scope": "documents"});
    let (_, master) = issue(&app, of_master).await;
    for _ in 0..2 {
        let answer = send_returns(&app, &own, &salt_return()).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    let mut second = salt_return();
    second["id"] = json!("hv02.example.com");
    assert_eq!(send_returns(&app, &own, &second).await.status, 404, "it is another's");
    let mut unknown = salt_return();
    unknown["id"] = json!("hv99.example.com");
    assert_eq!(send_returns(&app, &master, &json!([second, unknown])).await.status, 404);
    assert_eq!(runs(&app).await.len(), 1, "all or nothing");
    let ping = json!({"id": NODE, "jid": "1", "fun": "test.ping", "return": true});
    assert_eq!(send_returns(&app, &master, &json!([second, ping])).await.status, 204);
    let found = runs(&app).await;
    let seen: Vec<_> = found.iter().map(|run| [&run["node"], &run["tool"], &run["status"], &run["failed"]]).collect();
    let of = |name: &str| [json!(name), json!("salt"), json!("failed"), json!(2)];
    assert_eq!(seen, [of(NODE).each_ref(), of("hv02.example.com").each_ref()]);
    for (wrong, reason) in [
        (json!(7), "is missing"),
        (json!([{"id": NODE}]), "fun is missing"),
        (json!({"id": NODE, "jid": "../..", "fun": "state.apply", "return": {}}), "is none"),
        (json!({"id": NODE, "jid": "1", "fun": "state.apply", "return": null}), "neither states nor an error"),
    ] {
        let answer = send_returns(&app, &own, &wrong).await;
        assert_eq!(answer.status, 400, "{wrong} {}", answer.text());
        assert!(answer.text().contains(reason), "{reason} {}", answer.text());
    }
}

async fn post(app: &App, secret: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {secret}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    app.send(Method::Post, path, &headers, body.to_string().as_bytes()).await
}

#[rocket::async_test]
async fn the_client_of_foreman_is_at_home() {
    let app = App::start().await;
    let own = node(&app, NODE).await;
    let other = node(&app, "hv02.example.com").await;
    let report = json!({"config_report": {"host": NODE, "reported_at": "2026-11-20 22:20:25 UTC",
        "status": {"applied": 2, "failed": 1}, "metrics": {"resources": {"total": 9}, "time": {"total": 3.5}},
        "logs": [{"log": {"sources": {"source": "Exec[x]"}, "messages": {"message": "no"}, "level": "err"}}]}});
    for _ in 0..2 {
        let answer = post(&app, &own, "/api/config_reports", &report).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    let found = runs(&app).await;
    assert_eq!((found.len(), &found[0]["status"], &found[0]["failed"]), (1, &json!("failed"), &json!(1)));
    assert_eq!(post(&app, &other, "/api/config_reports", &report).await.status, 404);
    assert_eq!(post(&app, &own, "/api/config_reports", &json!({})).await.status, 400);

    let facts = |value: &str| json!({"name": NODE, "certname": NODE, "facts": {"os": {"family": value}}});
    assert_eq!(app.get(&format!("/v1/facts/{NODE}")).await.status, 404);
    assert_eq!(post(&app, &own, "/api/hosts/facts", &facts("RedHat")).await.status, 201);
    let kept = json!({"name": NODE, "values": {"os": {"family": "Debian"}}, "timestamp": "2026-11-20T22:20:25Z"});
    assert_eq!(post(&app, &own, "/puppet/facts", &kept).await.status, 204);
    let facts_of = app.get(&format!("/v1/facts/{NODE}")).await.is(Status::Ok);
    assert_eq!((&facts_of["facts"]["os"]["family"], &facts_of["node"]["fqdn"]), (&json!("Debian"), &json!(NODE)));
    assert_eq!(post(&app, &other, "/puppet/facts", &facts("x")).await.status, 404);
    for (wrong, status) in
        [(json!({"name": NODE}), 400), (json!({"facts": {}}), 400), (json!({"name": NODE, "facts": {"a": "\0"}}), 400)]
    {
        assert_eq!(post(&app, &own, "/puppet/facts", &wrong).await.status, status, "{wrong}");
    }
    // They go with their node.
    app.json(Method::Delete, &format!("/v1/nodes/{NODE}"), Value::Null).await.is(Status::NoContent);
    assert_eq!(app.get("/v1/facts").await.is(Status::Ok)["total"], 0);
}
