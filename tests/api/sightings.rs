//! What is recorded of those who change nothing: refusals, reads by certificate, logins. What is due is written by hand
//! here, and the end of a window is a moment that is given.

use chrono::{DateTime, TimeDelta, Utc};
use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::auth::{Actor, Authority as Ground, Origin, Scope};
use virtapi::db::Db;
use virtapi::sightings::{Login, Sighting, Sightings, What, login, tried_user};

use crate::certificates::{NODE, app as with_certificates, settings};
use crate::harness::{App, rows, sql};
use crate::html::browser;
use crate::start::process::{DataDir, Server};
use crate::statements::Log;
use crate::tls::authority::Authority;

const OTHER: &str = "hv02.example.com";
const FALSE_TOKEN: (&str, &str) = ("Authorization", "Bearer virtapi_00000000_nobodys");

/// What is recorded of this, oldest first, once what is due then has been written.
async fn recorded(app: &App, then: DateTime<Utc>, filter: &str) -> Vec<Value> {
    // What is due already is written before any window is ended.
    app.sightings().record(Utc::now()).await.expect("records");
    app.sightings().record(then).await.expect("records");
    let list = app.get(&format!("/v1/audit-events?limit=1000&{filter}")).await.is(Status::Ok);
    list["items"].as_array().expect("a list").clone()
}

fn at_once() -> DateTime<Utc> {
    Utc::now()
}

fn later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::days(2)
}

/// A token of a user with this role.
async fn token(app: &App, name: &str, role: &str) -> (String, Value) {
    let user = json!({"name": name, "account_type": "person", "role": role, "state": "active"});
    let token = app.post("/v1/tokens", json!({"name": "a", "scope": "all", "user": user})).await.is(Status::Created);
    let secret = app.post(&format!("/v1/tokens/{}/secret", token["id"]), Value::Null).await.is(Status::Created);
    (format!("Bearer {}", secret["secret"].as_str().expect("a secret")), token["id"].clone())
}

#[rocket::async_test]
async fn the_first_refusal_is_recorded_at_once_and_the_others_together() {
    let app = App::start().await;
    for _ in 0..5 {
        assert_eq!(app.send_from("192.0.2.7", Method::Get, "/v1/nodes?q=a", &[FALSE_TOKEN]).await, 401);
    }
    let first = recorded(&app, at_once(), "action=refuse").await;
    assert_eq!(first.len(), 1, "{first:?}");
    for (name, value) in [
        ("actor", json!("nobody")),
        ("address", json!("192.0.2.7")),
        ("times", json!(1)),
        ("detail", json!("GET /v1/<kind> 401")),
        ("collection", Value::Null),
        ("object_id", Value::Null),
        ("object_key", Value::Null),
        ("token_id", Value::Null),
    ] {
        assert_eq!(first[0][name], value, "{name}");
    }
    assert!(first[0]["request"].is_string());
    let all = recorded(&app, later(), "action=refuse").await;
    assert_eq!((all.len(), &all[0]), (2, &first[0]));
    assert_eq!((&all[1]["times"], &all[1]["address"]), (&json!(4), &json!("192.0.2.7")));
    assert_eq!(all[1]["request"], Value::Null, "they were in several");
    assert!(all[1]["detail"].as_str().expect("text").starts_with("GET /v1/<kind> 401; since 20"), "{}", all[1]);
    assert_eq!(recorded(&app, later(), "action=refuse&times__gt=1").await.len(), 1);
}

#[rocket::async_test]
async fn who_is_refused_is_named_with_what_was_asked() {
    let app = App::start().await;
    let (auditor, id) = token(&app, "alice", "auditor").await;
    let headers = [("Authorization", auditor.as_str()), ("X-Request-Id", "mine"), ("Content-Type", "application/json")];
    for (method, url) in [(Method::Post, "/v1/vlans"), (Method::Get, "/salt/pillar/hv01.example.com")] {
        app.send(method, url, &headers, br#"{"name": "a", "tag": 1}"#).await.is(Status::Forbidden);
    }
    // What is wrong with a request is no refusal, nor is what is not there.
    for (url, status) in [("/v1/vlans?x=1", 400), ("/v1/vlans/none", 404), ("/v1/none", 404)] {
        assert_eq!(app.send(Method::Get, url, &headers, b"").await.status, status);
    }
    let events = recorded(&app, later(), "action=refuse&actor=user:alice").await;
    let told: Vec<&Value> = events.iter().map(|event| &event["detail"]).collect();
    assert_eq!(told, ["POST /v1/<kind> 403", "GET /salt/pillar/<minion_id..> 403"]);
    assert_eq!((&events[0]["token_id"], &events[0]["request"]), (&id, &json!("mine")));
    assert_eq!(recorded(&app, later(), "action=refuse").await.len(), 2);

    let mut status = 401;
    for _ in 0..300 {
        status = app.send_from("192.0.2.8", Method::Get, "/v1/nodes", &[FALSE_TOKEN]).await;
        if status == 429 {
            break;
        }
    }
    assert_eq!(status, 429);
    assert_eq!(recorded(&app, at_once(), "detail__contains=429&address=192.0.2.8").await.len(), 1);
}

#[rocket::async_test]
async fn nothing_that_was_sent_is_in_the_record_of_a_refusal() {
    let authority = Authority::new("Puppet");
    let app = with_certificates(&authority, None).await;
    let headers = [
        ("Authorization", "Bearer virtapi_00000000_hunter2"),
        ("Content-Type", "application/json"),
        ("Cookie", "session=hunter2"),
        ("User-Agent", "hunter2"),
    ];
    for (method, url) in [
        (Method::Post, "/v1/tokens/hunter2/secret?password=hunter2"),
        (Method::Patch, "/v1/users/hunter2?password=hunter2"),
        (Method::Get, "/salt/pillar/virtapi_00000000_hunter2?token=hunter2"),
        (Method::Get, "/node/hunter2?format=hunter2"),
        (Method::Get, "/search?q=hunter2"),
        (Method::Post, "/hunter2?hunter2=hunter2"),
    ] {
        app.send(method, url, &headers, br#"{"password": "hunter2"}"#).await;
    }
    let node = authority.issue(NODE, 20);
    for name in ["virtapi_00000000_hunter2", "Hunter2", "hunter2%00", "hunter2/hunter2"] {
        let answer =
            app.send_with(&node.certificate, Method::Get, &format!("/salt/pillar/{name}?a=hunter2"), &[]).await;
        assert_eq!(answer.status, 404, "{name}");
    }
    let events = recorded(&app, later(), "action=refuse").await;
    assert!(events.len() >= 6, "{events:?}");
    let all = rows(&app.dsn, "SELECT e::text FROM audit_events e").await;
    assert!(!all.iter().any(|row| row[0].to_lowercase().contains("hunter2")), "{all:?}");
}

#[rocket::async_test]
async fn a_read_by_certificate_is_recorded_and_one_by_token_is_not() {
    let authority = Authority::new("Puppet");
    let app = with_certificates(&authority, None).await;
    let node = authority.issue(NODE, 20);
    let read = async |url: &str, headers: &[(&str, &str)]| {
        app.send_with(&node.certificate, Method::Get, &format!("{url}/{NODE}"), headers).await
    };
    let tag = read("/salt/pillar", &[]).await.header("ETag").to_owned();
    assert_eq!(read("/salt/pillar", &[("If-None-Match", &tag)]).await.status, 304);
    read("/salt/pillar", &[]).await.is(Status::Ok);
    read("/puppet/enc", &[]).await.is(Status::Ok);
    for view in ["/puppet/hiera", "/salt/tops", "/salt/pillar"] {
        app.get(&format!("{view}/{NODE}")).await.is(Status::Ok);
    }
    let first = recorded(&app, at_once(), "action=read").await;
    let told: Vec<_> = first.iter().map(|event| (&event["detail"], &event["times"])).collect();
    assert_eq!(told, [(&json!("salt/pillar"), &json!(1)), (&json!("puppet/enc"), &json!(1))]);
    let id = app.get(&format!("/v1/nodes/{NODE}")).await.is(Status::Ok)["id"].clone();
    let event = &first[0];
    assert_eq!((&event["actor"], &event["token_id"]), (&json!(format!("node:{NODE}")), &Value::Null));
    let object = [&event["collection"], &event["object_id"], &event["object_key"]];
    assert_eq!(object, [&json!("nodes"), &id, &json!(NODE)]);
    let rest = recorded(&app, later(), "action=read").await;
    assert_eq!((rest.len(), &rest[2]["times"], &rest[2]["object_id"]), (3, &json!(2), &id));

    // They are no part of what was done to the node, but of what is recorded.
    let page = async |url: &str| app.send(Method::Get, url, &[("Accept", browser::ACCEPT)], b"").await;
    let history = page(&format!("/history/nodes/{id}")).await;
    assert!(history.status == 200 && !history.text().contains("salt/pillar"), "{}", history.text());
    let list = page("/v1/audit-events?action=read").await;
    assert!(list.status == 200 && list.text().contains("salt/pillar"), "{}", list.text());
}

#[rocket::async_test]
async fn a_document_that_somebody_may_not_read_is_refused_and_one_that_is_not_there_is_not() {
    let authority = Authority::new("Puppet");
    let app = with_certificates(&authority, None).await;
    let compiler = json!({"name": "puppet", "certname": "puppet.example.com", "serves": "all"});
    app.post("/v1/compilers", compiler).await.is(Status::Created);
    let (node, puppet) = (authority.issue(NODE, 20), authority.issue("puppet.example.com", 30));
    for (leaf, name) in [(&node, OTHER), (&node, "hv03.example.com"), (&puppet, "hv03.example.com")] {
        let answer = app.send_with(&leaf.certificate, Method::Get, &format!("/salt/pillar/{name}"), &[]).await;
        answer.is(Status::NotFound);
    }
    let events = recorded(&app, later(), "action__in=refuse,read").await;
    assert_eq!(events.len(), 2, "{events:?}");
    for event in &events {
        assert_eq!(event["actor"], json!(format!("node:{NODE}")));
        assert!(event["detail"].as_str().expect("text").starts_with("GET /salt/pillar/<minion_id..> 404"), "{event}");
    }
    let object = |event: &Value| [event["collection"].clone(), event["object_id"].clone(), event["object_key"].clone()];
    let id = app.get(&format!("/v1/nodes/{OTHER}")).await.is(Status::Ok)["id"].clone();
    assert_eq!(object(&events[0]), [json!("nodes"), id.clone(), json!(OTHER)]);
    assert_eq!(object(&events[1]), [Value::Null, Value::Null, Value::Null], "others may have been asked for");
    let history = format!("/history/nodes/{id}");
    let page = app.send(Method::Get, &history, &[("Accept", browser::ACCEPT)], b"").await;
    assert!(page.text().contains(&format!("node:{NODE}</strong> was refused node")), "{}", page.text());
}

#[rocket::async_test]
async fn a_read_asks_the_database_nothing_more() {
    let authority = Authority::new("Puppet");
    let app = with_certificates(&authority, None).await;
    let mut log = Log::start(&app.dsn).await;
    let node = authority.issue(NODE, 20);
    // A server that was started before has connections that log nothing.
    let (settings, _files) = settings(&authority, None);
    let again = App::with(&app.dsn, settings).await;
    for _ in 0..20 {
        let answer = again.send_with(&node.certificate, Method::Get, &format!("/salt/pillar/{NODE}"), &[]).await;
        answer.is(Status::Ok);
    }
    again.sightings().record_all().await.expect("records");
    let statements = log.statements().await;
    let recorded: Vec<&String> = statements.iter().filter(|text| text.contains("audit_events")).collect();
    assert!((1..=2).contains(&recorded.len()), "the first, and the others together: {recorded:?}");
    let times = rows(&app.dsn, "SELECT sum(times) FROM audit_events WHERE action = 'read'").await;
    assert_eq!(times, [["20"]]);
}

#[rocket::async_test]
async fn what_was_seen_waits_for_a_database_that_is_away() {
    let app = App::start().await;
    let (cluster, name) = app.dsn.rsplit_once(" dbname=").expect("a name");
    let administration = format!("{cluster} dbname=postgres");
    let away = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false");
    sql(&administration, &away).await;
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    sql(&administration, &end).await;
    let what = || What::Refused { method: "GET".into(), route: "/v1/<kind>".into(), status: 401 };
    for _ in 0..3 {
        app.sightings().note(&Sighting::of_nobody(None, what()));
        app.sightings().record(later()).await.expect_err("the database is away");
    }
    app.sightings().record_all().await.expect_err("the database is away");
    sql(&administration, &format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")).await;
    app.sightings().record_all().await.expect("the database is back");
    let found = rows(&app.dsn, "SELECT sum(times) FROM audit_events WHERE action = 'refuse'").await;
    assert_eq!(found, [["3"]], "all, and nothing twice");
}

#[rocket::async_test]
async fn a_server_that_stops_records_what_it_has_counted() {
    let app = App::start().await;
    let data = DataDir::new();
    let mut server = Server::start(&data, &["--database-url", &app.dsn]);
    server.token = "virtapi_00000000_nobodys".into();
    for _ in 0..7 {
        assert_eq!(server.ask("GET /v1/nodes", "").0, 401);
    }
    let (_, metrics) = server.ask("GET /metrics", "");
    assert!(metrics.contains("virtapi_audit_events_waiting "), "{metrics}");
    server.stop();
    let found = rows(&app.dsn, "SELECT sum(times), count(*) FROM audit_events WHERE action = 'refuse'").await;
    assert_eq!(found, [["7", "2"]]);
}

#[rocket::async_test]
async fn a_login_is_recorded_with_its_session_or_not_at_all() {
    let app = App::start().await;
    let db = Db::new(&app.dsn, 1).expect("a pool");
    let origin = |request: &str| Origin {
        address: Some("192.0.2.9".parse().expect("an address")),
        request: request.to_owned(),
        message: None,
    };
    let alice = |request: &str| {
        let ground = Ground::Customer(1);
        Actor::new("user:alice", ground, Scope::All, None).within(origin(request))
    };
    for (how, request) in
        [(Login::Password, "first"), (Login::OpenIdConnect, "second"), (Login::Token, "third"), (Login::Password, "no")]
    {
        let actor = alice(request);
        let work = async |tx: &virtapi::db::Tx| login(tx, &actor, how).await;
        db.write(actor.clone(), request == "no", work).await.expect("records");
    }
    let events = recorded(&app, at_once(), "action=login&actor=user:alice").await;
    let told: Vec<_> = events.iter().map(|event| (&event["request"], &event["detail"], &event["times"])).collect();
    let one = json!(1);
    assert_eq!(
        told,
        [
            (&json!("first"), &json!("password"), &one),
            (&json!("second"), &json!("OpenID Connect"), &one),
            (&json!("third"), &json!("token"), &one),
        ]
    );
    assert_eq!(events[0]["address"], "192.0.2.9");
    let page = app.send(Method::Get, "/history/first", &[("Accept", browser::ACCEPT)], b"").await;
    assert!(page.text().contains("user:alice</strong> logged in"), "{}", page.text());
}

#[rocket::async_test]
async fn a_login_that_fails_names_a_user_only_if_there_is_one() {
    let app = App::start().await;
    let db = Db::new(&app.dsn, 1).expect("a pool");
    let sightings: &Sightings = app.sightings();
    for tried in ["admin", "hunter2", "7", "hunter2\0", ""] {
        let user = db.read(Actor::system("login"), async |tx| tried_user(tx, tried).await).await.expect("asks");
        assert_eq!(user.is_some(), tried == "admin", "{tried:?}");
        let what = What::Refused { method: "POST".into(), route: "/login".into(), status: 401 };
        sightings.note(&Sighting { object: user, ..Sighting::of_nobody(None, what) });
    }
    let events = recorded(&app, later(), "action=refuse").await;
    let told: Vec<_> = events.iter().map(|event| (&event["object_key"], &event["times"])).collect();
    let (one, three) = (json!(1), json!(3));
    assert_eq!(told, [(&json!("admin"), &one), (&Value::Null, &one), (&Value::Null, &three)]);
    let user = app.get("/v1/users/admin").await.is(Status::Ok);
    assert_eq!((&events[0]["collection"], &events[0]["object_id"]), (&json!("users"), &user["id"]));
    // Whoever looks at the user sees it.
    let history = format!("/history/users/{}", user["id"]);
    let page = app.send(Method::Get, &history, &[("Accept", browser::ACCEPT)], b"").await;
    assert!(page.text().contains("nobody</strong> was refused user"), "{}", page.text());
    assert!(page.text().contains("POST /login 401"), "{}", page.text());
}
