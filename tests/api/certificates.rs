//! Client certificates as identities: whose each is, when it is not taken, and what it is good for.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use virtapi::config::Settings;

use crate::harness::{App, TOKEN, database, sql};
use crate::tls::Files;
use crate::tls::authority::{Authority, Leaf};

pub const NODE: &str = "hv01.example.com";
const OTHER: &str = "hv02.example.com";

/// The settings of a server that takes what this authority has issued, and not what is in these lists.
pub fn settings(authority: &Authority, lists: Option<&str>) -> (Settings, Files) {
    let files = Files::of(&authority.issue("virtapi.example.com", 10));
    files.write("ca.pem", &authority.bundle());
    files.write("crl.pem", lists.unwrap_or_default());
    let settings = Settings {
        tls_certificate: Some(files.path("server.pem")),
        tls_key: Some(files.path("server.key")),
        tls_client_ca: Some(files.path("ca.pem")),
        tls_crl: lists.map(|_| files.path("crl.pem")),
        ..Settings::default()
    };
    (settings, files)
}

/// A server with two nodes.
pub async fn app(authority: &Authority, lists: Option<&str>) -> App {
    let (settings, _files) = settings(authority, lists);
    let app = App::with(&database().await, settings).await;
    for fqdn in [NODE, OTHER] {
        app.post("/v1/nodes", json!({"fqdn": fqdn, "state": "running"})).await.is(Status::Created);
    }
    app
}

/// Asks for the document of a node.
async fn document(app: &App, leaf: &Leaf, fqdn: &str) -> (u16, String) {
    let answer = app.send_with(&leaf.certificate, Method::Get, &format!("/salt/pillar/{fqdn}"), &[]).await;
    let told = !answer.header("WWW-Authenticate").is_empty();
    assert_eq!(answer.status == 401, told, "{}", answer.text());
    (answer.status, answer.text().to_owned())
}

#[rocket::async_test]
async fn a_node_reads_its_own_document_by_its_certificate_and_nothing_else() {
    let authority = Authority::new("Puppet");
    for lists in [None, Some(authority.revoke(&[]))] {
        let app = app(&authority, lists.as_deref()).await;
        for certname in [NODE, "HV01.Example.COM"] {
            let leaf = authority.issue(certname, 20);
            assert_eq!(document(&app, &leaf, NODE).await.0, 200);
            assert_eq!(document(&app, &leaf, OTHER).await.0, 404);
            assert_eq!(document(&app, &leaf, "hv03.example.com").await.0, 404);
            for (method, url) in
                [(Method::Get, "/v1/nodes"), (Method::Delete, "/v1/nodes/hv01.example.com"), (Method::Get, "/search")]
            {
                assert_eq!(app.send_with(&leaf.certificate, method, url, &[]).await.status, 403, "{url}");
            }
        }
    }
}

#[rocket::async_test]
async fn a_certificate_that_is_not_good_is_refused_with_its_reason() {
    let (authority, another) = (Authority::new("Puppet"), Authority::new("Puppet"));
    let (good, revoked) = (authority.issue(NODE, 20), authority.issue(NODE, 21));
    let app = app(&authority, Some(&authority.revoke(&[&revoked]))).await;
    assert_eq!(document(&app, &good, NODE).await.0, 200);
    for (leaf, reason) in [
        (revoked, "is revoked"),
        (another.issue(NODE, 20), "does not trust its authority (tls_client_ca)"),
        (authority.issue_until(NODE, 22, 2025), "has expired"),
        (authority.issue_for_servers(NODE, 23), "certificate"),
        (authority.issue("hv09.example.com", 24), "\"hv09.example.com\" is the certname of no node and of no compiler"),
        (authority.issue("hv01.example.com\0", 25), "is the certname of no node"),
        (authority.issue_named(&[NODE, OTHER], 26), "no common name, or several"),
        (authority.issue_named(&[], 27), "no common name, or several"),
    ] {
        let (status, text) = document(&app, &leaf, NODE).await;
        assert_eq!(status, 401, "{reason}: {text}");
        let problem: Value = serde_json::from_str(&text).expect("JSON");
        let detail = problem["detail"].as_str().expect("text");
        assert!(detail.starts_with("the client certificate is not taken: ") && detail.contains(reason), "{detail}");
    }
    // The one before is still good.
    assert_eq!(document(&app, &good, NODE).await.0, 200);
    let garbage = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let answer = app.send_with(garbage, Method::Get, &format!("/salt/pillar/{NODE}"), &[]).await;
    assert!(answer.status == 401 && answer.text().contains("it cannot be read"), "{}", answer.text());
}

#[rocket::async_test]
async fn lists_that_cannot_tell_refuse_every_certificate_but_no_token() {
    let authority = Authority::new("Puppet");
    let leaf = authority.issue(NODE, 20);
    for (lists, reason) in [
        (authority.revoke_until(&[], 2025), "list of what is revoked (tls_crl) is out of date"),
        (authority.revoke_intermediate(), "it, or the authority that issued it, is revoked"),
    ] {
        let app = app(&authority, Some(&lists)).await;
        let (status, text) = document(&app, &leaf, NODE).await;
        assert!(status == 401 && text.contains(reason), "{status} {text}");
        app.get(&format!("/salt/pillar/{NODE}")).await.is(Status::Ok);
    }
}

#[rocket::async_test]
async fn without_an_authority_no_certificate_is_taken() {
    let authority = Authority::new("Puppet");
    let (settings, _files) = settings(&authority, None);
    let app = App::with(&database().await, Settings { tls_client_ca: None, ..settings }).await;
    app.post("/v1/nodes", json!({"fqdn": NODE, "state": "running"})).await.is(Status::Created);
    assert_eq!(document(&app, &authority.issue(NODE, 20), NODE).await.0, 401);
}

#[rocket::async_test]
async fn a_token_decides_where_there_is_a_certificate_too() {
    let authority = Authority::new("Puppet");
    let app = app(&authority, None).await;
    let leaf = authority.issue(NODE, 20);
    let url = format!("/salt/pillar/{OTHER}");
    let bearer = format!("Bearer {TOKEN}");
    for (header, status) in
        [(bearer.as_str(), 200), ("Bearer virtapi_00000000_wrong", 401), ("Basic !", 401), ("", 401)]
    {
        let answer = app.send_with(&leaf.certificate, Method::Get, &url, &[("Authorization", header)]).await;
        assert_eq!(answer.status, status, "{header:?}");
    }
    // Nor does a certificate that is refused stand in the way of a good token.
    let stranger = Authority::new("Another").issue(NODE, 20);
    let answer = app.send_with(&stranger.certificate, Method::Get, &url, &[("Authorization", &bearer)]).await;
    assert_eq!(answer.status, 200);
}

#[rocket::async_test]
async fn a_compiler_is_known_by_its_certname() {
    let authority = Authority::new("Puppet");
    let app = app(&authority, None).await;
    let puppet = authority.issue("puppet.example.com", 30);
    assert_eq!(document(&app, &puppet, NODE).await.0, 401);
    let compiler = json!({"name": "puppet", "certname": "puppet.example.com", "serves": "all"});
    app.post("/v1/compilers", compiler).await.is(Status::Created);
    assert_eq!((document(&app, &puppet, NODE).await.0, document(&app, &puppet, OTHER).await.0), (200, 200));
    assert_eq!(app.send_with(&puppet.certificate, Method::Get, "/v1/nodes", &[]).await.status, 403);
    let listed = json!({"name": "salt", "certname": "salt.example.com", "serves": "listed", "nodes": [NODE]});
    app.post("/v1/compilers", listed).await.is(Status::Created);
    let salt = authority.issue("salt.example.com", 31);
    assert_eq!((document(&app, &salt, NODE).await.0, document(&app, &salt, OTHER).await.0), (200, 404));
    // A host that is a node as well is the compiler.
    let other = json!({"name": "hv", "certname": OTHER, "serves": "listed", "nodes": [NODE]});
    app.post("/v1/compilers", other).await.is(Status::Created);
    let both = authority.issue(OTHER, 32);
    assert_eq!((document(&app, &both, NODE).await.0, document(&app, &both, OTHER).await.0), (200, 404));
    // The names of certificates are unique, and in lower case.
    for (certname, status) in [("puppet.example.com", Status::Conflict), ("P.example.com", Status::UnprocessableEntity)]
    {
        let answer = app.post("/v1/compilers", json!({"name": "x", "certname": certname, "serves": "all"})).await;
        assert!(answer.is(status).to_string().contains("certname"));
    }
}

/// Waits until a certificate is refused, which takes a second at most and some time for the test itself.
async fn refused(app: &App, leaf: &Leaf) {
    let start = Instant::now();
    while document(app, leaf, NODE).await.0 != 401 {
        assert!(start.elapsed() < Duration::from_secs(20), "it is still taken");
        rocket::tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[rocket::async_test]
async fn a_certificate_ends_with_its_node_and_its_compiler() {
    let authority = Authority::new("Puppet");
    let app = app(&authority, None).await;
    let (node, puppet) = (authority.issue(OTHER, 20), authority.issue("puppet.example.com", 30));
    assert_eq!(document(&app, &node, OTHER).await.0, 200);
    app.json(Method::Delete, &format!("/v1/nodes/{OTHER}"), Value::Null).await.is(Status::NoContent);
    refused(&app, &node).await;
    let compiler = json!({"name": "puppet", "certname": "puppet.example.com", "serves": "all"});
    for end in [(Method::Patch, json!({"certname": null})), (Method::Delete, Value::Null)] {
        app.json(Method::Put, "/v1/compilers/puppet", compiler.clone()).await;
        assert_eq!(document(&app, &puppet, NODE).await.0, 200);
        let done = app.json(end.0, "/v1/compilers/puppet", end.1).await;
        assert!(done.status < 300, "{}", done.text());
        refused(&app, &puppet).await;
    }
}

/// Waits until a document is there for a certificate no more, which takes two seconds at most.
async fn hidden(app: &App, leaf: &Leaf, fqdn: &str) {
    let start = Instant::now();
    while document(app, leaf, fqdn).await.0 != 404 {
        assert!(start.elapsed() < Duration::from_secs(20), "it is still shown");
        rocket::tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[rocket::async_test]
async fn a_compiler_serves_the_nodes_that_its_filter_matches() {
    let authority = Authority::new("Puppet");
    let app = app(&authority, None).await;
    app.json(Method::Patch, "/v1/nodes/hv01.example.com", json!({"location": "rack 12"})).await.is(Status::Ok);
    for (i, (filter, of_node, of_other)) in [
        ("location=rack%2012", 200, 404),
        ("location__isnull=true", 404, 200),
        ("fqdn__startswith=hv&fqdn__ne=hv02.example.com", 200, 404),
        ("state=running", 200, 200),
        ("state=stopped", 404, 404),
        ("state=no-such-state", 404, 404),
        ("q=rack", 200, 404),
    ]
    .into_iter()
    .enumerate()
    {
        let certname = format!("p{i}.example.com");
        let compiler = json!({"name": certname, "certname": certname, "serves": "filter", "node_filter": filter});
        app.post("/v1/compilers", compiler).await.is(Status::Created);
        let leaf = authority.issue(&certname, 40);
        let found = (document(&app, &leaf, NODE).await.0, document(&app, &leaf, OTHER).await.0);
        assert_eq!(found, (of_node, of_other), "{filter}");
        assert_eq!(document(&app, &leaf, "hv03.example.com").await.0, 404, "{filter}");
    }
    // A node that comes to match is there at once, one that no longer does is gone within a moment.
    let leaf = authority.issue("p0.example.com", 41);
    app.json(Method::Patch, "/v1/nodes/hv02.example.com", json!({"location": "rack 12"})).await.is(Status::Ok);
    assert_eq!(document(&app, &leaf, OTHER).await.0, 200);
    app.json(Method::Patch, "/v1/nodes/hv02.example.com", json!({"location": null})).await.is(Status::Ok);
    hidden(&app, &leaf, OTHER).await;
    app.json(Method::Patch, "/v1/compilers/p0.example.com", json!({"node_filter": "state=stopped"}))
        .await
        .is(Status::Ok);
    hidden(&app, &leaf, NODE).await;
}

#[rocket::async_test]
async fn a_filter_that_is_not_understood_is_refused_where_it_is_written_and_where_it_is_used() {
    let authority = Authority::new("Puppet");
    let app = app(&authority, None).await;
    let compiler = |filter: Value| json!({"name": "p", "certname": "p", "serves": "filter", "node_filter": filter});
    for filter in [
        "a=b",
        "fqdn__near=x",
        "desired_generation=many",
        "limit=1",
        "fqdn=hv01.example.com&sort=fqdn",
        "&",
        "q=",
        "fqdn=%ff",
        "?",
    ] {
        let answer = app.post("/v1/compilers", compiler(json!(filter))).await;
        let problem = answer.is(Status::UnprocessableEntity);
        assert_eq!(problem["errors"][0]["pointer"], "/node_filter", "{filter} {problem}");
    }
    let problem = app.post("/v1/compilers", compiler(Value::Null)).await.is(Status::UnprocessableEntity);
    assert_eq!(problem["errors"][0]["pointer"], "/node_filter", "{problem}");
    app.post("/v1/compilers", compiler(json!("state=running"))).await.is(Status::Created);
    let leaf = authority.issue("p", 40);
    // As another release may have written it.
    sql(&app.dsn, "UPDATE compilers SET node_filter = 'rack=12'").await;
    assert_eq!(document(&app, &leaf, NODE).await.0, 403);
}
