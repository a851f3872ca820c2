//! What every route does with methods, formats and conditions.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::KINDS;

use crate::every_kind::{by_key, example, recreatable};
use crate::harness::App;

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[rocket::async_test]
async fn the_root_links_to_everything() {
    let app = App::start().await;
    for root in ["/v1", "/v1/"] {
        let links = app.get(root).await.is(Status::Ok)["links"].clone();
        let links = links.as_object().unwrap();
        for &kind in KINDS {
            assert_eq!(links[kind.name()], format!("/v1/{}", kind.name()));
        }
        for (name, url) in links {
            assert_eq!(app.get(url.as_str().unwrap()).await.status, 200, "{name}");
        }
    }
}

#[rocket::async_test]
async fn every_route_says_which_methods_it_has() {
    let app = App::start().await;
    let all = [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete];
    for (url, allowed) in [
        ("/v1", "GET, HEAD"),
        ("/v1/nodes", "GET, HEAD, POST"),
        ("/v1/nodes/", "GET, HEAD, POST"),
        ("/v1/nodes/1", "DELETE, GET, HEAD, PATCH, PUT"),
        ("/v1/nodes/hv01.example.com", "DELETE, GET, HEAD, PATCH, PUT"),
        ("/v1/ceph-osds/st01.example.com/dev/sdb", "DELETE, GET, HEAD, PATCH, PUT"),
        ("/health", "GET, HEAD"),
        ("/ready", "GET, HEAD"),
        ("/metrics", "GET, HEAD"),
        ("/salt/pillar/hv01.example.com", "GET, HEAD"),
        ("/v1/events", "GET, HEAD"),
        ("/puppet/enc/hv01.example.com", "GET, HEAD"),
        ("/v1/core/virtual-machines", "GET, HEAD, POST"),
        ("/v1/core/virtual-machines/1", "DELETE, GET, HEAD, PATCH, POST"),
        ("/v1/core/virtual-machines/acme/shop/web", "DELETE, GET, HEAD, PATCH, POST"),
    ] {
        for method in all {
            let answer = app.send(method, url, &[JSON], b"{}").await;
            let is_allowed = allowed.split(", ").any(|one| one == method.as_str());
            assert_eq!(answer.status == 405, !is_allowed, "{method} {url} {}", answer.status);
            if answer.status == 405 {
                assert_eq!(answer.header("Allow"), allowed, "{method} {url}");
                assert_eq!(answer.header("Content-Type"), "application/problem+json", "{method} {url}");
            }
            assert!(answer.status < 500, "{method} {url} {}", answer.status);
        }
    }
    // It is not an object with the key `1/secret`.
    let answer = app.send(Method::Options, "/v1/tokens/1/secret", &[], b"").await;
    assert_eq!((answer.status, answer.header("Allow")), (405, "POST"));
    for method in [Method::Get, Method::Put, Method::Patch, Method::Delete] {
        let answer = app.send(method, "/v1/tokens/1/secret", &[], b"").await;
        assert_eq!((answer.status, answer.header("Allow")), (405, "POST"), "{method}");
    }
    for method in [Method::Get, Method::Patch] {
        let answer = app.send(method, "/v1/users/1/password", &[], b"").await;
        assert_eq!((answer.status, answer.header("Allow")), (405, "DELETE, PUT"), "{method}");
    }
    for (method, url) in [(Method::Patch, "/v1/runs/1"), (Method::Put, "/v1/runs/1"), (Method::Post, "/v1/runs")] {
        // Whatever was sent: here it is nothing that could be read.
        assert_eq!(app.send(method, url, &[], b"").await.status, 405, "{method} {url}");
    }
    let answer = app.send(Method::Options, "/v1/audit-events/1", &[], b"").await;
    assert_eq!((answer.status, answer.header("Allow")), (405, "GET, HEAD"));
    for method in all {
        for url in ["/v1/unicorns", "/v1/unicorns/1", "/v2", "/nodes", "/v1/nodes.xml"] {
            let answer = app.send(method, url, &[JSON], b"{}").await;
            assert_eq!(answer.status, 404, "{method} {url}");
        }
    }
}

#[rocket::async_test]
async fn a_method_is_refused_before_the_body_is_looked_at() {
    let app = App::start().await;
    for method in [Method::Put, Method::Patch, Method::Delete] {
        for (headers, body) in [(&[][..], &b""[..]), (&[("Content-Type", "image/png")], b"x"), (&[JSON], b"{")] {
            let answer = app.send(method, "/v1/nodes", headers, body).await;
            assert_eq!((answer.status, answer.header("Allow")), (405, "GET, HEAD, POST"), "{method} {headers:?}");
        }
    }
}

#[rocket::async_test]
async fn head_is_get_without_the_body() {
    let app = App::start().await;
    for &kind in KINDS {
        let list = format!("/v1/{}", kind.name());
        let created = app.post(&list, example(kind)).await;
        let url = if created.status == 201 { created.header("Location").to_owned() } else { list.clone() };
        for url in [list, url] {
            let (get, head) = (app.get(&url).await, app.send(Method::Head, &url, &[], b"").await);
            assert_eq!((head.status, head.bytes.len()), (get.status, 0), "{url}");
            for name in ["ETag", "Content-Type", "Link", "Vary"] {
                assert_eq!(head.header(name), get.header(name), "{url}");
            }
        }
    }
}

#[rocket::async_test]
async fn accept_chooses_and_a_suffix_overrides() {
    let app = App::start().await;
    app.post("/v1/nodes", json!({"fqdn": "hv01.example.com", "state": "running"})).await.is(Status::Created);
    for url in ["/v1/nodes", "/v1/nodes/hv01.example.com", "/v1/nodes/1"] {
        for (accept, content_type) in [
            ("", "application/json"),
            ("*/*", "application/json"),
            ("application/*", "application/json"),
            ("application/json", "application/json"),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
            ("application/json;q=0.1, application/yaml;q=0.2", "application/yaml"),
            ("image/png, application/json;q=0.1", "application/json"),
            ("APPLICATION/JSON", "application/json"),
        ] {
            let headers = [("Accept", accept)];
            let headers = if accept.is_empty() { &[][..] } else { &headers[..] };
            let answer = app.send(Method::Get, url, headers, b"").await;
            assert_eq!((answer.status, answer.header("Content-Type")), (200, content_type), "{url} {accept}");
            assert!(answer.header("Vary").contains("Accept"), "{url} {accept}");
        }
        for (suffix, content_type) in [
            (".json", "application/json"),
            (".msgpack", "application/msgpack"),
            (".yaml", "application/yaml"),
            (".csv", "text/csv; charset=utf-8"),
            (".html", "text/html; charset=utf-8"),
        ] {
            for accept in ["application/json", "text/html", "image/png"] {
                let answer = app.send(Method::Get, &format!("{url}{suffix}"), &[("Accept", accept)], b"").await;
                assert_eq!((answer.status, answer.header("Content-Type")), (200, content_type), "{url}{suffix}");
            }
        }
        for accept in ["image/png", "application/json;q=0", "text/plain", "nonsense"] {
            let answer = app.send(Method::Get, url, &[("Accept", accept)], b"").await;
            assert_eq!((answer.status, answer.header("Content-Type")), (406, "application/problem+json"), "{accept}");
        }
    }
    // Nothing is written for a client that could not read the answer.
    let before = app.contents().await;
    let headers = [JSON, ("Accept", "image/png")];
    let body = br#"{"fqdn": "hv02.example.com", "state": "running"}"#;
    assert_eq!(app.send(Method::Post, "/v1/nodes", &headers, body).await.status, 406);
    assert_eq!(app.contents().await, before);
}

#[rocket::async_test]
async fn bodies_are_json_messagepack_or_forms() {
    let app = App::start().await;
    let before = app.contents().await;
    for content_type in
        ["", "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/cbor", "json"]
    {
        let headers = [("Content-Type", content_type)];
        let headers = if content_type.is_empty() { &[][..] } else { &headers[..] };
        for (method, url) in
            [(Method::Post, "/v1/nodes"), (Method::Put, "/v1/nodes/x"), (Method::Patch, "/v1/node-states/running")]
        {
            let answer = app.send(method, url, headers, br#"{"fqdn": "x", "state": 1}"#).await;
            assert_eq!(answer.status, 415, "{method} {url} {content_type:?}");
        }
    }
    assert_eq!(app.contents().await, before);
    for (content_type, fqdn) in
        [("application/json; charset=utf-8", "a"), ("application/problem+json", ""), ("APPLICATION/JSON", "b")]
    {
        let body = json!({"fqdn": fqdn, "state": 1}).to_string();
        let answer = app.send(Method::Post, "/v1/nodes", &[("Content-Type", content_type)], body.as_bytes()).await;
        assert_eq!(answer.status, if fqdn.is_empty() { 415 } else { 201 }, "{content_type}");
    }
    let patch = [("Content-Type", "application/merge-patch+json")];
    app.send(Method::Patch, "/v1/nodes/a", &patch, br#"{"location": "r1"}"#).await.is(Status::Ok);
}

#[rocket::async_test]
async fn problems_are_written_in_the_format_that_was_asked_for() {
    let app = App::start().await;
    for (accept, content_type) in [
        ("application/json", "application/problem+json"),
        ("application/problem+json", "application/problem+json"),
        ("text/csv", "application/problem+json"),
        ("image/png", "application/problem+json"),
        ("text/html", "text/html; charset=utf-8"),
    ] {
        let answer =
            app.send(Method::Get, "/v1/nodes/none", &[("Accept", accept), ("X-Request-Id", "id-1")], b"").await;
        assert_eq!(answer.header("Content-Type"), content_type, "{accept}");
        if content_type.ends_with("json") && accept != "image/png" {
            let problem = answer.is(Status::NotFound);
            assert_eq!(problem["instance"], "urn:virtapi:request:id-1");
            assert_eq!((&problem["status"], &problem["title"]), (&json!(404), &json!("Not Found")));
            assert_eq!((&problem["type"], &problem["errors"]), (&json!("about:blank"), &json!([])));
        }
    }
    let answer = app.send(Method::Get, "/v1/nodes/none", &[("Accept", "application/msgpack")], b"").await;
    assert_eq!((answer.status, answer.header("Content-Type")), (404, "application/msgpack"));
    assert_eq!(rmp_serde::from_slice::<Value>(&answer.bytes).unwrap()["status"], 404);
}

#[rocket::async_test]
async fn every_object_has_an_etag_and_honours_conditions() {
    for &kind in KINDS {
        let (app, list) = (App::start().await, format!("/v1/{}", kind.name()));
        let answer = app.post(&list, example(kind)).await;
        let created = answer.is(Status::Created);
        let (url, tag) = (by_key(kind, &created), answer.header("ETag"));
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.contains('.'), "{url} {tag}");
        let weak = format!("W/{tag}");
        let listed = format!("\"x\", {tag}");
        for (given, status) in [(tag, 304), (&weak, 304), (&listed, 304), ("*", 304), ("\"x\"", 200), ("x", 200)] {
            for method in [Method::Get, Method::Head] {
                let answer = app.send(method, &url, &[("If-None-Match", given)], b"").await;
                assert_eq!((answer.status, answer.header("ETag")), (status, tag), "{url} {given}");
                assert!(status == 200 || answer.bytes.is_empty());
            }
        }
        // Another representation has another tag, and the same first part.
        let short = app.get(&format!("{url}?fields=id")).await;
        let first = |tag: &str| tag.split('.').next().unwrap().to_owned();
        assert_ne!(short.header("ETag"), tag);
        assert_eq!(first(short.header("ETag")), first(tag));

        let before = app.contents().await;
        let put = answer.bytes.clone();
        for (method, body) in [(Method::Patch, b"{}".as_slice()), (Method::Put, &put), (Method::Delete, b"")] {
            // A write is told what became of it: 304 is an answer to those who read.
            for there in [tag, "*", &listed, short.header("ETag")] {
                let answer = app.send(method, &url, &[JSON, ("If-None-Match", there)], body).await;
                assert_eq!(answer.status, 412, "{method} {url} {there:?}");
            }
        }
        app.send(Method::Patch, &url, &[JSON, ("If-None-Match", "\"x\"")], b"{}").await.is(Status::Ok);
        for (method, body) in [(Method::Patch, b"{}".as_slice()), (Method::Put, &put), (Method::Delete, b"")] {
            for stale in ["\"x\"", "\"x.y\", \"z\"", &weak, "", "x"] {
                let answer = app.send(method, &url, &[JSON, ("If-Match", stale)], body).await;
                assert_eq!(answer.status, 412, "{method} {url} {stale:?}");
            }
        }
        assert_eq!(app.contents().await, before);
        for fresh in [tag, "*", &listed, short.header("ETag")] {
            for (method, body) in [(Method::Patch, b"{}".as_slice()), (Method::Put, &put)] {
                app.send(method, &url, &[JSON, ("If-Match", fresh)], body).await.is(Status::Ok);
            }
        }
        let gone = app.send(Method::Delete, &url, &[("If-Match", tag)], b"").await;
        assert_eq!(gone.status, 204, "{url}");
        // What is not there matches nothing.
        let answer = app.send(Method::Put, &url, &[JSON, ("If-Match", "*")], b"{}").await;
        assert_eq!(answer.status, 412, "{url}");
        // `*` only creates.
        let body = recreatable(kind, &created).to_string();
        for status in [201, 412] {
            let answer = app.send(Method::Put, &url, &[JSON, ("If-None-Match", "*")], body.as_bytes()).await;
            assert_eq!(answer.status, status, "{url} {}", answer.text());
        }
        app.end().await;
    }
}
