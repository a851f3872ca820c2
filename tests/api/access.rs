//! Who may do what: every route with every role, and every way in which a token is taken or refused.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use virtapi::KINDS;

use crate::certificates;
use crate::every_kind::example;
use crate::harness::{App, TOKEN, rows};
use crate::openapi::document;
use crate::reports::{REPORT, salt_return};
use crate::tls::authority::{Authority, Leaf};

const NODE: &str = "hv01.example.com";
const OTHER: &str = "hv02.example.com";

const EVENTS: &str = "/v1/events";

/// What only administrators write, and who owns an organization.
const ACCESS: [&str; 7] = ["users", "compilers", "tokens", "organizations", "environments", "memberships", "teams"];

/// A token with these fields, and its secret.
pub async fn issue(app: &App, fields: Value) -> (i64, String) {
    let mut token = json!({"name": "test", "scope": "all"});
    token.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let token = app.post("/v1/tokens", token).await.is(Status::Created);
    let answer = app.post(&format!("/v1/tokens/{}/secret", token["id"]), Value::Null).await;
    assert_eq!(answer.header("Cache-Control"), "no-store");
    let secret = answer.is(Status::Created)["secret"].as_str().unwrap().to_owned();
    (token["id"].as_i64().unwrap(), secret)
}

async fn user(app: &App, name: &str, role: Option<&str>) -> String {
    let user = json!({"name": name, "account_type": "person", "role": role, "state": "active"});
    issue(app, json!({"user": user})).await.1
}

/// The status of a request with this secret.
async fn status(app: &App, method: Method, url: &str, secret: &str) -> u16 {
    let bearer = format!("Bearer {secret}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    app.send(method, url, &headers, &body(url)).await.status
}

/// A report is of a node; everything else refuses before it looks at what was sent.
fn body(url: &str) -> Vec<u8> {
    match url {
        "/puppet/reports" => REPORT.into(),
        "/salt/returns" => salt_return().to_string().into(),
        "/puppet/facts" | "/api/hosts/facts" => json!({"name": NODE, "facts": {}}).to_string().into(),
        "/api/config_reports" => {
            let report = json!({"host": NODE, "reported_at": "2026-11-20T22:20:25Z", "status": {}});
            json!({"config_report": report}).to_string().into()
        }
        _ => b"{}".into(),
    }
}

/// The same with this client certificate.
async fn status_with(app: &App, method: Method, url: &str, leaf: &Leaf) -> u16 {
    let headers = [("Content-Type", "application/json")];
    match method {
        Method::Post => app.send_body_with(&leaf.certificate, url, &headers, &body(url)).await.status,
        _ => app.send_with(&leaf.certificate, method, url, &headers).await.status,
    }
}

async fn two_nodes() -> App {
    let app = App::start().await;
    for fqdn in [NODE, OTHER] {
        app.post("/v1/nodes", json!({"fqdn": fqdn, "state": "running"})).await.is(Status::Created);
    }
    app
}

/// A route of the description: method, address of something that is not there, and what it is about.
pub struct Route {
    pub method: Method,
    pub url: String,
    open: bool,
    documents: bool,
    pub kind: Option<&'static str>,
    /// The statuses that it is described to answer.
    answers: Vec<String>,
}

/// Every route that is described; another test sees to it that all are.
pub fn routes() -> Vec<Route> {
    let document = document();
    let mut routes = vec![];
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (name, operation) in methods.as_object().unwrap() {
            let Ok(method) = name.to_uppercase().parse::<Method>() else { continue };
            let mut url = path.replace("{key}", "999999").replace("{kind}", "nodes").replace("{file}", "index.html");
            for part in ["{certname}", "{minion_id}"] {
                url = url.replace(part, NODE);
            }
            let url = url.replace("{name}", "style.css").replace("{id}", "999999").replace("{request}", "no-such");
            assert!(!url.contains('{'), "{url}");
            let kind = KINDS
                .iter()
                .map(|kind| kind.name())
                .find(|name| path == &format!("/v1/{name}") || path.starts_with(&format!("/v1/{name}/")));
            routes.push(Route {
                method,
                open: operation["security"] == json!([]),
                documents: ["/puppet/", "/salt/", "/node/", "/api/"].iter().any(|start| path.starts_with(start)),
                url,
                kind,
                answers: operation["responses"].as_object().unwrap().keys().cloned().collect(),
            });
        }
    }
    assert!(routes.len() > 100 && routes.iter().filter(|route| route.open).count() < 13);
    routes
}

#[rocket::async_test]
async fn who_shows_too_many_false_tokens_is_not_listened_to() {
    let app = two_nodes().await;
    let (good, new) = (user(&app, "a", Some("auditor")).await, user(&app, "b", Some("auditor")).await);
    let ask = async |from: &str, secret: &str| {
        let bearer = format!("Bearer {secret}");
        app.send_from(from, Method::Get, "/v1/vlans", &[("Authorization", &bearer)]).await
    };
    assert_eq!(ask("192.0.2.1", &good).await, 200);
    let mut answers = vec![];
    for n in 0..200 {
        answers.push(ask("192.0.2.1", &format!("virtapi_00000000_false-{n}")).await);
    }
    assert!(answers[..60].iter().all(|status| *status == 401), "{answers:?}");
    assert_eq!(answers.last(), Some(&429), "{answers:?}");
    assert_eq!(ask("192.0.2.1", &new).await, 429, "it was never good there");
    assert_eq!(ask("192.0.2.1", &good).await, 200, "what was good there is not to suffer");
    assert_eq!(ask("192.0.2.2", &new).await, 200);
}

#[rocket::async_test]
async fn without_a_good_token_every_route_but_the_open_ones_is_refused() {
    let app = two_nodes().await;
    let long = format!("Bearer virtapi_{}", "x".repeat(5000));
    let wrong = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer virtapi_00000000_no-such-secret",
        &TOKEN.replace("virtapi_", "Bearer virtapi-"),
        &format!("Basic {TOKEN}"),
        "Basic !!!!",
        "Digest username=\"admin\"",
        &long,
    ];
    for route in routes() {
        for header in wrong {
            let headers = [("Authorization", header), ("Content-Type", "application/json")];
            let answer = app.send(route.method, &route.url, &headers, b"{}").await;
            assert_eq!(answer.status == 401, !route.open, "{} {header:?} {}", answer.asked, answer.text());
            assert_eq!(!answer.header("WWW-Authenticate").is_empty(), !route.open, "{}", answer.asked);
        }
    }
}

/// Whether customers have this route for their own.
fn is_customers(route: &Route, writes: bool) -> bool {
    let read = [
        "organizations",
        "interfaces",
        "addresses",
        "vlans",
        "images",
        "flavors",
        "gpus",
        "networks",
        "subnets",
        "virt-methods",
        "vm-states",
        "storage-types",
        "cache-options",
    ];
    // Where a VM runs is for the operators to say.
    if route.url.ends_with("/migrate") {
        return false;
    }
    if route.url.starts_with("/v1/core/") {
        return true;
    }
    // Who owns an organization issues it; that of the fleet is the operators'.
    if route.url.starts_with("/v1/organizations/") && route.url.ends_with("/callback-secret") {
        return true;
    }
    match route.kind {
        Some(
            "environments" | "floating-ips" | "keys" | "memberships" | "placement-groups" | "profiles"
            | "security-rules" | "snapshots" | "teams" | "vms" | "volumes" | "webhooks",
        ) => true,
        Some(kind) => !writes && read.contains(&kind),
        // The forms that are tried are those of nodes.
        None => {
            // What is told of its own objects, and what became of them.
            let told = ["/v1/webhook-deliveries", "/v1/deleted-vms"].iter().any(|url| route.url.starts_with(url));
            told || ["/", "/v1/", "/search", "/forms/nodes/filter"].contains(&route.url.as_str())
        }
    }
}

#[rocket::async_test]
async fn every_role_may_do_what_is_its_own_on_every_route() {
    let authority = Authority::new("Puppet");
    let app = certificates::app(&authority, Some(&authority.revoke(&[]))).await;
    let secrets = [
        ("administrator", user(&app, "a", Some("administrator")).await),
        ("operator", user(&app, "o", Some("operator")).await),
        ("auditor", user(&app, "r", Some("auditor")).await),
        ("nobody", user(&app, "n", None).await),
        ("node", issue(&app, json!({"node": NODE})).await.1),
        ("other node", issue(&app, json!({"node": OTHER})).await.1),
        ("compiler", issue(&app, json!({"compiler": {"name": "c", "serves": "all"}})).await.1),
        (
            "compiler of one",
            issue(&app, json!({"compiler": {"name": "l", "serves": "listed", "nodes": [NODE]}})).await.1,
        ),
        (
            "compiler of other",
            issue(&app, json!({"compiler": {"name": "m", "serves": "listed", "nodes": [OTHER]}})).await.1,
        ),
    ];
    let customer = async |name: &str, role: &str| {
        let user = json!({"name": name, "account_type": "person", "state": "active"});
        let organization = json!({"name": format!("of-{name}"), "full_name": "A customer"});
        let membership = json!({"organization": organization, "user": user, "role": role});
        app.post("/v1/memberships", membership).await.is(Status::Created);
        issue(&app, json!({"user": name})).await.1
    };
    let secrets = [
        &secrets[..],
        &[
            ("owner", customer("owner", "owner").await),
            ("member", customer("member", "member").await),
            ("viewer", customer("viewer", "viewer").await),
        ],
    ]
    .concat();
    let compiler = json!({"name": "p", "certname": "p.example.com", "serves": "listed", "nodes": [NODE]});
    app.post("/v1/compilers", compiler).await.is(Status::Created);
    let compiler = json!({"name": "q", "certname": "q.example.com", "serves": "filter", "node_filter": "fqdn__ne=hv02.example.com"});
    app.post("/v1/compilers", compiler).await.is(Status::Created);
    let leaves = [
        ("node", authority.issue(NODE, 20)),
        ("other node", authority.issue(OTHER, 21)),
        ("compiler of one", authority.issue("p.example.com", 22)),
        ("compiler of one", authority.issue("q.example.com", 23)),
    ];
    let mut wrong = vec![];
    for route in routes().iter().filter(|route| !route.open) {
        let mut found = vec![];
        for (role, secret) in &secrets {
            found.push((*role, status(&app, route.method, &route.url, secret).await));
        }
        for (role, leaf) in &leaves {
            found.push((*role, status_with(&app, route.method, &route.url, leaf).await));
        }
        for (role, status) in found {
            let writes = route.method != Method::Get;
            let access = route.kind.is_some_and(|kind| ACCESS.contains(&kind));
            let expected = match role {
                "administrator" => None,
                // One's own.
                "operator" | "auditor" | "owner" | "member" | "viewer" if route.url.starts_with("/account") => None,
                // A form that only who may send it sees.
                "operator" | "auditor" if route.url.starts_with("/forms/users/password") => Some(403),
                // Who reads documents, or the inventory.
                "operator" | "auditor" | "node" | "other node" | "compiler" | "compiler of one"
                | "compiler of other"
                    if route.url == EVENTS =>
                {
                    None
                }
                // It only says that a name is missing.
                _ if route.url == "/puppet/hiera" => None,
                "operator" if !route.documents && (!writes || !access) => None,
                "auditor" if !route.documents && !writes => None,
                "node" | "compiler" | "compiler of one" if route.documents => None,
                // What a customer's role is for is told apart by the objects: here there are none.
                "owner" | "member" | "viewer" if !route.documents && is_customers(route, writes) => None,
                "other node" | "compiler of other" if route.documents => Some(404),
                _ => Some(403),
            };
            // What may be done may still fail: nothing has this id. A key of Hiera that is not there is not found.
            let allowed = ![401, 403].contains(&status) && status < 500;
            if !expected.map_or(allowed, |expected| status == expected) {
                wrong.push(format!("{role} {} {}: {status}, not {expected:?}", route.method, route.url));
            }
            if !route.answers.contains(&status.to_string()) {
                wrong.push(format!("{role} {} {}: {status} is not described", route.method, route.url));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[rocket::async_test]
async fn a_secret_is_taken_in_every_way_that_a_client_can_send_it() {
    let app = App::start().await;
    // base64 of `any:<secret>`
    let encoded = crate::harness::base64(format!("any:{TOKEN}").as_bytes());
    for header in [
        format!("Bearer {TOKEN}"),
        format!("bearer  {TOKEN} "),
        format!("Token {TOKEN}"),
        format!("Basic {encoded}"),
        format!("basic {encoded}"),
    ] {
        let answer = app.send(Method::Get, "/v1/nodes", &[("Authorization", &header)], b"").await;
        assert_eq!(answer.status, 200, "{header}");
    }
}

/// Waits until a secret is refused, which takes a second at most and some time for the test itself.
async fn refused(app: &App, secret: &str) {
    refused_by(async || status(app, Method::Get, "/v1/nodes", secret).await).await;
}

/// The same, of anything that is asked with it.
pub async fn refused_by(mut ask: impl AsyncFnMut() -> u16) {
    let start = Instant::now();
    while ask().await != 401 {
        assert!(start.elapsed() < Duration::from_secs(20), "it is still taken");
        rocket::tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[rocket::async_test]
async fn a_token_ends_when_it_is_revoked_expired_replaced_or_its_user_disabled() {
    let app = two_nodes().await;
    let alice = json!({"user": {"name": "alice", "account_type": "person", "role": "operator", "state": "active"}});
    let (id, first) = issue(&app, alice).await;
    assert_eq!(status(&app, Method::Get, "/v1/nodes", &first).await, 200);
    let again = app.post(&format!("/v1/tokens/{id}/secret"), Value::Null).await.is(Status::Created);
    let second = again["secret"].as_str().unwrap();
    assert_eq!(status(&app, Method::Get, "/v1/nodes", second).await, 200);
    refused(&app, &first).await;
    app.json(Method::Patch, "/v1/users/alice", json!({"state": "disabled"})).await.is(Status::Ok);
    refused(&app, second).await;
    app.json(Method::Patch, "/v1/users/alice", json!({"state": "active"})).await.is(Status::Ok);
    assert_eq!(status(&app, Method::Get, "/v1/nodes", second).await, 200);
    let url = format!("/v1/tokens/{id}");
    app.json(Method::Patch, &url, json!({"expires_at": "2026-01-01T00:00:00Z"})).await.is(Status::Ok);
    refused(&app, second).await;
    app.json(Method::Patch, &url, json!({"expires_at": null})).await.is(Status::Ok);
    assert_eq!(status(&app, Method::Get, "/v1/nodes", second).await, 200);
    app.json(Method::Delete, &url, Value::Null).await.is(Status::NoContent);
    refused(&app, second).await;
    // A node's goes with the node.
    let (_, of_node) = issue(&app, json!({"node": NODE})).await;
    let document = format!("/salt/pillar/{NODE}");
    assert_eq!(status(&app, Method::Get, &document, &of_node).await, 200);
    app.json(Method::Delete, &format!("/v1/nodes/{NODE}"), Value::Null).await.is(Status::NoContent);
    refused(&app, &of_node).await;
}

#[rocket::async_test]
async fn a_token_is_good_for_its_scope_and_from_its_network_only() {
    let app = two_nodes().await;
    let document = format!("/salt/pillar/{NODE}");
    let of_admin = |more: Value| {
        let mut fields = json!({"user": "admin"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    for (scope, expected) in [("all", [200, 422, 200]), ("read", [200, 403, 200]), ("documents", [403, 403, 200])] {
        let (_, secret) = issue(&app, of_admin(json!({"scope": scope}))).await;
        let found = [
            status(&app, Method::Get, "/v1/nodes", &secret).await,
            status(&app, Method::Post, "/v1/nodes", &secret).await,
            status(&app, Method::Get, &document, &secret).await,
        ];
        assert_eq!(found, expected, "{scope}");
    }
    for (network, from, expected) in [
        ("192.0.2.0/24", "192.0.2.7", 200),
        ("192.0.2.0/24", "192.0.3.7", 401),
        ("192.0.2.0/24", "::ffff:192.0.2.7", 200),
        ("192.0.2.0/24", "2001:db8::1", 401),
        ("2001:db8::/64", "2001:db8::1", 200),
        ("2001:db8::/64", "2001:db8:1::1", 401),
    ] {
        let (_, secret) = issue(&app, of_admin(json!({"source_network": network}))).await;
        let bearer = format!("Bearer {secret}");
        // What a header claims counts for nothing.
        let headers =
            [("Authorization", bearer.as_str()), ("X-Forwarded-For", "192.0.2.7"), ("X-Real-IP", "192.0.2.7")];
        let found = app.send_from(from, Method::Get, "/v1/nodes", &headers).await;
        assert_eq!(found, expected, "{network} {from}");
    }
}

#[rocket::async_test]
async fn a_form_of_another_site_changes_nothing() {
    let app = App::start().await;
    let before = app.contents().await;
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for headers in [
        &[form, ("Sec-Fetch-Site", "cross-site")][..],
        &[form, ("Sec-Fetch-Site", "same-site")],
        &[form, ("Origin", "https://evil.example.com"), ("Host", "virtapi.example.com")],
        &[form, ("Origin", "null"), ("Host", "virtapi.example.com")],
        &[form, ("Origin", "https://virtapi.example.com")],
    ] {
        for (method, url) in [
            (Method::Post, "/v1/vlans"),
            (Method::Post, "/v1/tokens/1/secret"),
            (Method::Put, "/v1/vlans/a"),
            (Method::Delete, "/v1/node-states/4"),
        ] {
            let answer = app.send(method, url, headers, b"name=a&tag=7").await;
            assert_eq!(answer.status, 403, "{method} {url} {headers:?}");
        }
    }
    assert_eq!(app.contents().await, before);
    for (i, headers) in [
        &[form, ("Sec-Fetch-Site", "same-origin"), ("Origin", "https://virtapi.example.com")][..],
        &[form, ("Sec-Fetch-Site", "none")],
        &[form, ("Origin", "https://virtapi.example.com"), ("Host", "virtapi.example.com")],
        &[form],
    ]
    .into_iter()
    .enumerate()
    {
        let answer = app.send(Method::Post, "/v1/vlans", headers, format!("name=a{i}&tag={}", i + 1).as_bytes()).await;
        assert_eq!(answer.status, 201, "{headers:?} {}", answer.text());
    }
}

#[rocket::async_test]
async fn a_secret_is_shown_once_and_kept_nowhere() {
    let app = App::start().await;
    let (id, secret) = issue(&app, json!({"user": "admin"})).await;
    assert_eq!(status(&app, Method::Get, "/v1/nodes", &secret).await, 200);
    for url in ["/v1/tokens", &format!("/v1/tokens/{id}"), "/v1/users?embed=tokens", "/search?q=test"] {
        for accept in ["application/json", "text/html", "application/yaml"] {
            let answer = app.send(Method::Get, url, &[("Accept", accept)], b"").await;
            assert!(!answer.text().contains(&secret), "{url}");
        }
    }
    let token = app.get(&format!("/v1/tokens/{id}")).await.is(Status::Ok);
    assert_eq!(token["prefix"], secret[..16]);
    assert!(token["last_used_at"].is_string());
    let tables = rows(&app.dsn, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'").await;
    for table in tables.into_iter().flatten() {
        for row in rows(&app.dsn, &format!("SELECT t::text FROM {table} AS t")).await {
            assert!(!row[0].contains(&secret[16..]), "{table}");
        }
    }
    // A page shows it, too, and a rehearsal issues nothing that is good.
    let html = [("Accept", "text/html")];
    let page = app.send(Method::Post, &format!("/v1/tokens/{id}/secret"), &html, b"").await;
    assert_eq!((page.status, page.header("Cache-Control")), (201, "no-store"));
    assert!(page.text().contains("virtapi_"));
    let rehearsed = app.post(&format!("/v1/tokens/{id}/secret?dry_run=true"), Value::Null).await.is(Status::Created);
    assert_eq!(status(&app, Method::Get, "/v1/nodes", rehearsed["secret"].as_str().unwrap()).await, 401);
    app.post("/v1/tokens/999999/secret", Value::Null).await.is(Status::NotFound);
}

#[rocket::async_test]
async fn nobody_gets_the_first_answer_to_somebody_else() {
    let app = App::start().await;
    let secret = user(&app, "o", Some("operator")).await;
    let bearer = format!("Bearer {secret}");
    let kind = KINDS.iter().find(|kind| kind.name() == "vlans").unwrap();
    let body = example(*kind).to_string();
    let json = ("Content-Type", "application/json");
    let key = ("Idempotency-Key", "k");
    app.send(Method::Post, "/v1/vlans", &[json, key], body.as_bytes()).await.is(Status::Created);
    app.send(Method::Post, "/v1/vlans", &[json, key], body.as_bytes()).await.is(Status::Created);
    let headers = [json, key, ("Authorization", bearer.as_str())];
    app.send(Method::Post, "/v1/vlans", &headers, body.as_bytes()).await.is(Status::Conflict);
}
