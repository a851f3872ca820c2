//! Input that nobody should send: each gets a clear answer that names the place, and nothing is written.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::{Column, KINDS, Type};

use crate::every_kind::{by_key, example};
use crate::harness::{Answer, App};

const JSON: &str = "application/json";
const MSGPACK: &str = "application/msgpack";
const FORM: &str = "application/x-www-form-urlencoded";

/// The status and the places of a problem.
fn problem(answer: &Answer) -> (u16, Vec<String>) {
    assert_eq!(answer.header("Content-Type"), "application/problem+json", "{} {}", answer.asked, answer.text());
    let problem: Value = serde_json::from_slice(&answer.bytes).unwrap();
    assert_eq!(problem["status"], answer.status, "{}", answer.asked);
    let detail = problem["detail"].as_str().unwrap();
    // Of the field of this name a constraint is no part.
    let told = detail.replace("public_key", "");
    assert!(!told.is_empty() && !told.contains("_check") && !told.contains("_key"), "{detail}");
    let pointers = problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap().to_owned());
    (answer.status, pointers.collect())
}

#[rocket::async_test]
async fn a_body_that_cannot_be_read_is_refused() {
    let app = App::start().await;
    app.post("/v1/nodes", json!({"fqdn": "a", "state": 1})).await.is(Status::Created);
    let before = app.contents().await;
    let deep = format!("{}1{}", r#"{"parameters":"#.repeat(100), "}".repeat(100));
    let deep_list = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_pack = [[0x91].repeat(100_000), vec![1]].concat();
    let bodies: &[(&str, &[u8])] = &[
        (JSON, b""),
        (JSON, b" "),
        (JSON, b"{"),
        (JSON, b"{\"fqdn\": \"b\", \"state\": 1"),
        (JSON, b"{\"fqdn\": \"b\", \"state\": 1}}"),
        (JSON, b"{\"fqdn\": \"b\", \"state\": 1} {}"),
        (JSON, b"{'fqdn': 'b'}"),
        (JSON, b"{\"state\": NaN}"),
        (JSON, b"{\"state\": Infinity}"),
        (JSON, b"{\"state\": 1e999}"),
        (JSON, b"{\"parameters\": {\"a\": 18446744073709551616}}"),
        (JSON, b"{\"parameters\": {\"a\": [-9223372036854775809]}}"),
        (JSON, b"{\"fqdn\": \"b\", \"fqdn\": \"c\"}"),
        (JSON, b"{\"parameters\": {\"a\": [{\"b\": 1, \"b\": 1}]}}"),
        (JSON, b"{\"fqdn\": \"a\\u0000\"}"),
        (JSON, b"{\"parameters\": {\"a\\u0000\": 1}}"),
        (JSON, b"{\"fqdn\": \"\\ud800\"}"),
        (JSON, b"{\"fqdn\": \"\xff\"}"),
        (JSON, b"{\"fqdn\": \"\xed\xa0\x80\"}"),
        (JSON, b"{\"fqdn\": \"a\nb\"}"),
        (JSON, b"\xef\xbb\xbf{}"),
        (JSON, b"\xff\xfe{\0}\0"),
        (JSON, deep.as_bytes()),
        (JSON, deep_list.as_bytes()),
        (JSON, b"[]"),
        (JSON, b"a=b"),
        (MSGPACK, b""),
        (MSGPACK, b"\xc1"),
        (MSGPACK, b"\x81\xa4fqdn"),
        (MSGPACK, b"\x82\xa4fqdn\xa1b"),
        (MSGPACK, b"\x81\xa5state\xcb\x7f\xf8\0\0\0\0\0\0"),
        (MSGPACK, b"\x81\xa5state\xca\x7f\x80\0\0"),
        (MSGPACK, b"\xdb\xff\xff\xff\xffabc"),
        (MSGPACK, b"\xc6\xff\xff\xff\xffabc"),
        (MSGPACK, b"\xdd\xff\xff\xff\xff\x01"),
        (MSGPACK, b"\xdf\xff\xff\xff\xff\xa1a\x01"),
        (MSGPACK, b"\x82\xa1a\x01\xa1a\x01"),
        (MSGPACK, b"\x81\x01\x01"),
        (MSGPACK, b"\x81\xa4fqdn\xc4\x01a"),
        (MSGPACK, b"\x81\xa4fqdn\xa1\xff"),
        (MSGPACK, b"\x81\xa4fqdn\xa1\0"),
        (MSGPACK, b"\x81\xa4fqdn\xd6\xff\0\0\0\0"),
        (MSGPACK, b"\x80\x80"),
        (MSGPACK, b"{}"),
        (MSGPACK, &deep_pack),
        (FORM, b"fqdn=%ff"),
        (FORM, b"fqdn=\xff"),
        (FORM, b"fqdn=%00"),
        (FORM, b"%00=b"),
        (FORM, b"fqdn=b&fqdn=c"),
    ];
    for (content_type, body) in bodies {
        for (method, url) in [(Method::Post, "/v1/nodes"), (Method::Put, "/v1/nodes/b"), (Method::Patch, "/v1/nodes/a")]
        {
            // An empty list is no object to a PUT, and an empty form changes nothing.
            if *body == b"[]" && method != Method::Post {
                continue;
            }
            let answer = app.send(method, url, &[("Content-Type", content_type)], body).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            assert_eq!(problem(&answer), (400, vec![]), "{method} {content_type} {shown} {}", answer.text());
        }
    }
    let long = format!(r#"{{"fqdn": "{}"}}"#, "a".repeat(10 << 20));
    for (content_type, body) in [(JSON, long.as_bytes()), (MSGPACK, long.as_bytes()), (FORM, long.as_bytes())] {
        let answer = app.send(Method::Post, "/v1/nodes", &[("Content-Type", content_type)], body).await;
        assert_eq!(problem(&answer), (413, vec![]));
    }
    assert_eq!(app.contents().await, before);
}

/// Values that a column does not take.
fn wrong(column: &Column) -> Vec<Value> {
    let mut values =
        vec![json!(true), json!([]), json!({"id": 1, "x": [1]}), json!("\u{7}"), json!("a".repeat(70_000))];
    let more = match column.ty {
        Type::Int => json!(["1", 1.5, 1.0, 9_223_372_036_854_775_808_u64, -9.3e18, 1e300, u64::MAX]),
        Type::Bool => json!([1, "", "true"]),
        Type::Float => json!(["1.5", -1, 1e300, 0.05]),
        Type::Text => json!([1, "", "a\nb", "a".repeat(256)]),
        Type::Lines(_) => json!([1, "", "a\u{1}b", "\u{7f}"]),
        Type::Labels => {
            json!(["web", [1], [""], ["a b"], ["-a"], ["a-"], ["é"], ["a", "a"], ["a".repeat(64)], vec!["a"; 65]])
        }
        Type::Url => json!([
            1,
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https:///a",
            "https://a b",
            format!("https://{}", "a".repeat(2048))
        ]),
        Type::Name => json!([1, "", "123", "a/b", ".a", " a", "a ", "..", "a\u{85}b", "é".repeat(65)]),
        Type::Fqdn => {
            json!([1, "", "123", "A", "a_-", "-a", "a..b", ".a", "a.", "a b", "é", "a/b", "..", "a".repeat(64)])
        }
        Type::Word(_) => json!([1, "", "é", "a b", "a/b\n", "'", "$(x)", "-", "a".repeat(300)]),
        Type::Path => json!([1, "", "a", "./a", "/a\nb", format!("/{}", "a".repeat(5000))]),
        Type::Choice(_) => json!([1, "", "other", "RAW"]),
        Type::Time => {
            json!([1, "", "now", "2026-12-01", "2026-12-01T02:00:00", "0000-01-01T00:00:00Z", "2026-02-30T00:00:00Z"])
        }
        Type::Ip => json!([1, "", "10.0.0.256", "10.0.0.1/32", "::g", "localhost"]),
        Type::Inet => json!([1, "", "10.0.0.1", "10.0.0.1/33", "10.0.0.1/-1", "::1/129"]),
        Type::Cidr => json!([1, "", "10.0.0.0", "10.0.0.1/24", "10.0.0.0/33"]),
        Type::Mac => json!([1, "", "52:54:00:00:00", "52:54:00:00:00:0g", "+2:54:00:00:00:00", "525400000000"]),
        Type::Uuid => json!([1, "", "0f8fad5b", "0f8fad5b-d9cb-469f-a165-70867728950g"]),
        Type::Json => json!([1, "x", [1]]),
        Type::Ref(_) => json!([1.5, "", 999_999, "no such thing", u64::MAX, "-1"]),
        Type::Many(_) | Type::Owned(_) => json!([1, "x", [true], [[]], [null], ["no such thing"], [999_999]]),
    };
    values.extend(more.as_array().unwrap().iter().cloned());
    values.extend(
        column
            .range
            .into_iter()
            .flat_map(|(low, high)| [low.checked_sub(1), high.checked_add(1)])
            .flatten()
            .map(Value::from),
    );
    match column.ty {
        Type::Many(_) | Type::Owned(_) | Type::Labels => values.retain(|value| *value != json!([])),
        Type::Json => values.retain(|value| !value.is_object()),
        _ => {}
    }
    values
}

#[rocket::async_test]
async fn a_wrong_value_is_named_whatever_the_column() {
    for &kind in KINDS {
        let (app, list) = (App::start().await, format!("/v1/{}", kind.name()));
        let created = app.post(&list, example(kind)).await.is(Status::Created);
        let url = format!("{list}/{}", created["id"]);
        let before = app.contents().await;
        for column in kind.columns() {
            if !column.writable {
                let answer = app.json(Method::Patch, &url, json!({column.name: "other"})).await;
                assert_eq!(problem(&answer), (422, vec![format!("/{}", column.name)]), "{url}");
                continue;
            }
            for value in wrong(column) {
                let answer = app.json(Method::Patch, &url, json!({column.name: value})).await;
                let shown: String = value.to_string().chars().take(80).collect();
                let (status, pointers) = problem(&answer);
                assert_eq!(status, 422, "{url} {} {shown}", column.name);
                let at = format!("/{}", column.name);
                assert!(
                    pointers.iter().all(|p| *p == at || p.starts_with(&format!("{at}/"))),
                    "{url} {shown} {pointers:?}"
                );
                assert!(!pointers.is_empty(), "{url} {shown}");
            }
        }
        for (name, pointer) in [("colour", "/colour"), ("a/b~c", "/a~1b~0c"), ("__proto__", "/__proto__")] {
            for (method, url) in [(Method::Post, &list), (Method::Patch, &url), (Method::Put, &by_key(kind, &created))]
            {
                let mut body = if method == Method::Patch { json!({}) } else { example(kind) };
                body[name] = json!(1);
                let (status, pointers) = problem(&app.json(method, url, body).await);
                assert_eq!(status, 422, "{method} {url} {name}");
                assert!(pointers.contains(&pointer.to_owned()), "{method} {url} {pointers:?}");
            }
        }
        for body in [json!(null), json!(true), json!(1), json!("x")] {
            for (method, url) in [(Method::Post, &list), (Method::Patch, &url), (Method::Put, &by_key(kind, &created))]
            {
                assert_eq!(
                    problem(&app.json(method, url, body.clone()).await),
                    (422, vec![String::new()]),
                    "{url} {body}"
                );
            }
        }
        // All that is wrong is told at once.
        let required = kind.columns().iter().filter(|column| column.writable && column.required).count();
        assert_eq!(problem(&app.post(&list, json!({})).await).1.len(), required, "{list}");
        assert_eq!(app.contents().await, before);
        app.end().await;
    }
}

#[rocket::async_test]
async fn a_character_that_postgres_sees_differently_is_no_surprise() {
    let app = App::start().await;
    let odd = ('\u{1}'..='\u{ff}').chain(['\u{ad}', '\u{34f}', '\u{61c}', '\u{1680}', '\u{180e}']);
    let odd =
        odd.chain('\u{2000}'..='\u{200f}').chain('\u{2028}'..='\u{202f}').chain(['\u{205f}', '\u{2060}', '\u{3000}']);
    for c in
        odd.chain(['\u{d7ff}', '\u{e000}', '\u{feff}', '\u{fffd}', '\u{ffff}', '\u{1d173}', '\u{e0001}', '\u{10ffff}'])
    {
        for text in [format!("a{c}b"), format!("{c}a"), format!("a{c}"), format!("/a{c}b")] {
            for (url, field, mut body) in [
                ("/v1/vlans", "name", json!({"tag": 1})),
                ("/v1/images", "path", json!({"name": "i", "format": "raw", "size_bytes": 1})),
                ("/v1/nodes", "location", json!({"fqdn": "a", "state": 1})),
                ("/v1/vms", "name", json!({"cores": 1, "ram_bytes": 1, "state": 1, "virt_method": 1})),
            ] {
                body[field] = json!(text);
                let answer = app.post(&format!("{url}?dry_run=true"), body).await;
                if answer.status == 201 {
                    assert_eq!(answer.is(Status::Created)[field], text);
                } else {
                    assert_eq!(problem(&answer), (422, vec![format!("/{field}")]), "{url} {text:?} {}", answer.text());
                }
            }
        }
    }
}

#[rocket::async_test]
async fn an_address_that_names_nothing_is_not_found() {
    let app = App::start().await;
    let before = app.contents().await;
    let long = "a".repeat(8000);
    for &kind in KINDS {
        for key in [
            "0",
            "-1",
            "999999",
            "9223372036854775807",
            "9223372036854775808",
            "99999999999999999999999",
            "no-such",
            "%20",
            "..",
            "%2e%2e",
            "../nodes",
            "%2e%2e%2fnodes",
            "a%2fb",
            "a/b",
            "a/b/c/d",
            "a//b",
            "%00",
            "a%00b",
            "%ff",
            "a%c3",
            "%ed%a0%80",
            "%",
            "%zz",
            "'",
            "\\",
            "%5c",
            ";",
            "*",
            "null",
            "true",
            "%e2%80%ae",
            "52:54:00:00:00",
            "+",
            &long,
        ] {
            let url = format!("/v1/{}/{key}", kind.name());
            for method in [Method::Get, Method::Delete, Method::Patch] {
                let answer = app.json(method, &url, json!({})).await;
                assert!([400, 404].contains(&answer.status), "{method} {url} {}", answer.status);
            }
            // A name that could be a key is one that cannot be created from nothing.
            let answer = app.json(Method::Put, &url, json!({})).await;
            let by_name =
                answer.status == 201 && kind.columns().iter().filter(|c| c.writable && c.required).count() == 1;
            assert!([400, 404, 422].contains(&answer.status) || by_name, "PUT {url} {}", answer.status);
            if by_name {
                assert_eq!(app.json(Method::Delete, &url, json!({})).await.status, 204, "{url}");
            } else {
                problem(&answer);
            }
        }
    }
    // What was created and deleted again is recorded, and told to who listens.
    let but_events = |contents: Vec<Vec<String>>| {
        let is_record = |table: &Vec<String>| ["audit_events", "events"].contains(&table[0].as_str());
        contents.into_iter().filter(|table| !is_record(table)).collect::<Vec<_>>()
    };
    assert_eq!(but_events(app.contents().await), but_events(before));
    for key in ["%ff", "a%c3", "%ed%a0%80"] {
        assert_eq!(app.json(Method::Put, &format!("/v1/vlans/{key}"), json!({"tag": 1})).await.status, 400, "{key}");
        assert_eq!(app.get(&format!("/salt/pillar/{key}")).await.status, 400, "{key}");
        assert_eq!(app.get(&format!("/v1/vlans?name={key}")).await.status, 400, "{key}");
    }
}

#[rocket::async_test]
async fn a_list_is_created_whole_or_not_at_all() {
    let app = App::start().await;
    let before = app.contents().await;
    let vm = |cores: i64| json!({"name": "w", "cores": cores, "ram_bytes": 1, "state": 1, "virt_method": 1});
    let node = |fqdn: &str| json!({"fqdn": fqdn, "state": {"name": "x"}});
    for (status, pointers, url, body) in [
        (400, vec![], "/v1/vms", json!([])),
        (400, vec![], "/v1/vms", vec![vm(1); 1001].into()),
        (422, vec!["/3/cores"], "/v1/vms", json!([vm(1), vm(1), vm(1), vm(0), vm(1)])),
        (422, vec!["/0/cores"], "/v1/vms", json!([vm(0)])),
        (422, vec!["/1"], "/v1/vms", json!([vm(1), 5])),
        (422, vec!["/1"], "/v1/vms", json!([vm(1), [vm(1)]])),
        (422, vec!["/0"], "/v1/vms", json!([null])),
        (422, vec!["/0/state"], "/v1/nodes", json!([node("a")])),
        (409, vec!["/1/fqdn"], "/v1/nodes", json!([{"fqdn": "a", "state": 1}, {"fqdn": "a", "state": 1}])),
    ] {
        let answer = app.post(url, body).await;
        assert_eq!(problem(&answer), (status, pointers.into_iter().map(str::to_owned).collect()), "{url}");
    }
    for (method, url) in [(Method::Put, "/v1/nodes/a"), (Method::Patch, "/v1/node-states/1")] {
        assert_eq!(problem(&app.json(method, url, json!([{}])).await), (422, vec![String::new()]));
    }
    assert_eq!(app.contents().await, before);
    let list = app.post(
        "/v1/nodes?fields=fqdn,desired_generation",
        json!([{"fqdn": "b", "state": 1}, {"fqdn": "a", "state": 1}]),
    );
    let list = list.await.is(Status::Created);
    assert_eq!(list["items"], json!([{"fqdn": "b", "desired_generation": 2}, {"fqdn": "a", "desired_generation": 2}]));
}

#[rocket::async_test]
async fn subnets_that_overlap_are_in_conflict() {
    let app = App::start().await;
    let network = json!({"name": "guests", "audience": "customers"});
    let subnet = |name: &str, cidr: &str, network: Value| json!({"name": name, "network": network, "cidr": cidr, "purpose": "addresses"});
    app.post("/v1/subnets", subnet("a", "10.0.0.0/16", network)).await.is(Status::Created);
    app.post("/v1/subnets", subnet("b", "10.1.0.0/16", json!("guests"))).await.is(Status::Created);
    let create = app.post("/v1/subnets", subnet("c", "10.0.3.0/24", json!("guests"))).await;
    assert_eq!(problem(&create), (409, vec!["/cidr".into()]), "{}", create.text());
    let update = app.json(Method::Patch, "/v1/subnets/b", json!({"cidr": "10.0.0.0/8"})).await;
    assert_eq!(problem(&update), (409, vec!["/cidr".into()]), "{}", update.text());
}
