//! What people write stays text: markup, scripts and addresses of every sort, put through every field of every kind
//! that takes them, and found as text, by a reader of tags for every page and by a real browser for those that show
//! most.

use rocket::http::{Method, Status};
use rocket::tokio::io::{AsyncReadExt, AsyncWriteExt};
use rocket::tokio::net::{TcpListener, TcpStream};
use rocket::tokio::task::JoinHandle;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use virtapi::{Column, KINDS, Kind, Type};

use super::browser::{ACCEPT, open, unescaped};
use super::chromium::{Served, look};
use crate::every_kind::example;
use crate::harness::App;

/// What a script of theirs would leave behind.
const DONE: &str = "<body id=\"pwned\"";

/// Each is short enough for a natural key, and says what it would do if it were no text.
const PAYLOADS: &[&str] = &[
    "<script>document.body.id='pwned'</script>",
    "</title><script>document.body.id='pwned'</script>",
    "</textarea><script>document.body.id='pwned'</script>",
    "\"><script>document.body.id='pwned'</script>",
    "'><script>document.body.id='pwned'</script>",
    "\" autofocus onfocus=document.body.id='pwned' x=\"",
    "' autofocus onfocus=document.body.id='pwned' x='",
    "x onmouseover=document.body.id='pwned' ",
    "<img src=x onerror=document.body.id='pwned'>",
    "<svg onload=document.body.id='pwned'>",
    "<body onload=document.body.id='pwned'>",
    "<iframe srcdoc=\"<script>top.document.body.id='pwned'</script>\">",
    "<details open ontoggle=document.body.id='pwned'>",
    "<a href=javascript:document.body.id='pwned'>x</a>",
    "javascript:document.body.id='pwned'",
    "data:text/html,<script>document.body.id='pwned'</script>",
    "//evil.example.com/<script src=//evil.example.com></script>",
    "<style>body{background:url(//evil.example.com)}</style>",
    "<link rel=stylesheet href=//evil.example.com>",
    "<meta http-equiv=refresh content=0;url=//evil.example.com>",
    "<base href=//evil.example.com>",
    "<form action=//evil.example.com><button formaction=x>",
    "{{7*7}}${7*7}<%= 7*7 %>#{7*7}{% raw %}",
    "--><!--<!DOCTYPE x><![CDATA[<script>document.body.id='pwned'",
    "&lt;script&gt;&#60;script&#62;&quot;&#x3c;&NewLine;&amp;lt;",
    "\u{ff1c}script\u{ff1e}\u{202e}\u{2028}\u{feff}<\u{200b}script>\u{fe64}\\u003cscript>",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "%3Cscript%3Ealert(1)%3C/script%3E%22%27",
    "`${document.body.id='pwned'}`\\\"\\'\\x3cscript\\x3e",
];

/// All elements that the pages are made of. None of these can run anything or lead elsewhere but by the attributes
/// below.
const ELEMENTS: &str = "a aside blockquote body button code dd details div dl dt fieldset footer form h1 h2 h3 head \
    header html img input label legend li link main meta nav option p pre section select span strong summary table \
    tbody td textarea th thead title tr ul time";
/// All attributes that they have.
const ATTRIBUTES: &str = "action alt aria-current aria-describedby aria-hidden aria-invalid aria-label \
    aria-labelledby aria-sort autocapitalize autocomplete autofocus charset checked class content data-label data-state \
    datetime disabled for formaction height href id inputmode lang max maxlength method min name open placeholder popover popovertarget readonly rel \
    required role rows scope selected spellcheck src step tabindex target title type value width";

/// Reads the tags of a page. Fails when there is one that no page of ours has, or one that leads elsewhere.
fn only_our_markup(at: &str, page: &str) {
    let (elements, attributes): (Vec<_>, Vec<_>) =
        (ELEMENTS.split(' ').collect(), ATTRIBUTES.split(' ').filter(|name| !name.is_empty()).collect());
    let mut rest = page.strip_prefix("<!doctype html>").unwrap_or_else(|| panic!("{at}: {page}"));
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let shown: String = rest.chars().take(200).collect();
        rest = rest.strip_prefix('/').unwrap_or(rest);
        let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).expect("an end")];
        assert!(elements.contains(&name), "{at}: <{shown}");
        rest = rest[name.len()..].trim_start();
        while !rest.starts_with('>') {
            let end = rest.find(['=', ' ', '>', '\n']).expect("an end");
            let attribute = &rest[..end];
            assert!(attributes.contains(&attribute), "{at}: {attribute:?} in <{shown}");
            rest = &rest[end..];
            if let Some(value) = rest.strip_prefix('=') {
                let (value, after) = value.strip_prefix('"').and_then(|value| value.split_once('"')).expect("quotes");
                if ["href", "src", "action", "formaction"].contains(&attribute) {
                    let ours = value.starts_with(['#', '?']) || value.starts_with('/') && !value.starts_with("//");
                    assert!(ours && !value.starts_with("/\\"), "{at}: {attribute} leads to {value:?}");
                }
                rest = after;
            }
            rest = rest.trim_start();
        }
    }
}

/// The payload, as a column takes it; nothing for one that takes no such text, whatever it is.
fn fit(column: &Column, payload: &str) -> Option<Value> {
    match column.ty {
        // A filter of nodes: what is none is refused, and within one such a text is percent-encoded.
        Type::Text if column.name == "node_filter" => None,
        Type::Text => Some(json!(payload)),
        // A natural key is shorter, and stands in addresses.
        Type::Name => {
            let key: String = payload.replace('/', "|").chars().take(64).collect();
            Some(json!(key.trim()))
        }
        Type::Lines(_) if column.name == "user_data" => Some(json!(format!("#!/bin/sh\n{payload}\n"))),
        Type::Path => Some(json!(format!("/{payload}"))),
        Type::Json => Some(json!({"value": payload, "list": [payload, {payload: payload}]})),
        _ => None,
    }
}

/// A change of all that takes the payload.
fn patch(kind: &dyn Kind, payload: &str) -> Value {
    let columns = kind.columns().iter().filter(|column| column.writable);
    columns.filter_map(|column| Some((column.name.to_owned(), fit(column, payload)?))).collect()
}

/// All texts of a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => vec![],
    }
}

/// A page that is our markup alone, and shows these as text.
async fn reads(app: &App, url: &str, shown: &[&str]) {
    let answer = open(app, url).await;
    assert_eq!(answer.status, 200, "{url} {}", answer.text());
    only_our_markup(url, answer.text());
    let text = unescaped(answer.text());
    for part in shown {
        // In an indented JSON text, what JSON escapes is escaped.
        let escaped = json!(part).to_string();
        assert!(text.contains(part) || text.contains(&escaped[1..escaped.len() - 1]), "{url} does not show {part}");
    }
}

fn query(pairs: &[(&str, &str)]) -> String {
    serde_urlencoded::to_string(pairs).expect("a query")
}

/// One object of each kind.
async fn objects(app: &App) -> Vec<(&'static dyn Kind, String)> {
    let mut found = vec![];
    for &kind in KINDS {
        let list = format!("/v1/{}", kind.name());
        let newest = format!("{list}?sort=-id&limit=1");
        // Another example may have made one.
        let mut items = app.get(&newest).await.is(Status::Ok)["items"].clone();
        if items == json!([]) {
            let mut body = example(kind);
            let mut answer = app.post(&list, body.clone()).await;
            // Or something that it gives whole: that is named then.
            while answer.status == 409 {
                let field =
                    answer.is(Status::Conflict)["errors"][0]["pointer"].as_str().expect("a field")[1..].to_owned();
                while let Some(key) = body[&field].as_object().and_then(|part| part.values().next()).cloned() {
                    body[&field] = key;
                }
                answer = app.post(&list, body.clone()).await;
            }
            answer.is(Status::Created);
            items = app.get(&newest).await.is(Status::Ok)["items"].clone();
        }
        found.push((kind, items[0]["id"].to_string()));
    }
    found
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[rocket::async_test]
async fn every_text_of_every_kind_is_shown_as_text() {
    let app = App::start().await;
    let objects = objects(&app).await;
    let mut taken = BTreeSet::new();
    for (number, payload) in PAYLOADS.iter().enumerate() {
        for (kind, id) in &objects {
            let body = patch(*kind, payload);
            if body == json!({}) {
                continue;
            }
            taken.insert(kind.name());
            let url = format!("/v1/{}/{id}", kind.name());
            let request = format!("payload-{number}");
            // Hyper takes what HTTP takes for a header: no characters beyond ASCII.
            let why = if payload.is_ascii() { payload } else { "plain" };
            let headers = [JSON, ("X-Request-Id", request.as_str()), ("X-Change-Message", why)];
            app.send(Method::Patch, &url, &headers, body.to_string().as_bytes()).await.is(Status::Ok);
        }
        // Each names others, which bear the payload as well.
        for (kind, id) in &objects {
            let (name, body) = (kind.name(), patch(*kind, payload));
            let shown = texts(&body);
            reads(&app, &format!("/v1/{name}/{id}"), &shown).await;
            if !shown.is_empty() {
                reads(&app, &format!("/forms/{name}/edit/{id}"), &shown).await;
                reads(&app, &format!("/forms/{name}/delete/{id}"), &[]).await;
                reads(&app, &format!("/v1/{name}?{}", query(&[("q", payload)])), &[]).await;
            }
        }
        reads(&app, &format!("/search?{}", query(&[("q", payload)])), &[payload]).await;
        reads(&app, &format!("/history/payload-{number}"), &[payload]).await;
    }
    assert!(taken.len() > 15, "{taken:?}");
    for (kind, id) in &objects {
        reads(&app, &format!("/v1/{}?sort=-id&limit=1000", kind.name()), &[]).await;
        if taken.contains(kind.name()) {
            reads(&app, &format!("/history/{}/{id}", kind.name()), &PAYLOADS[20..22]).await;
        }
    }
    reads(&app, "/", &[]).await;
}

#[rocket::async_test]
async fn what_is_asked_and_what_is_refused_is_shown_as_text() {
    let app = App::start().await;
    // Each column is asked for one of them, in several ways.
    let columns = KINDS.iter().flat_map(|kind| kind.columns().iter().map(|column| (kind.name(), column.name)));
    for ((name, column), payload) in columns.zip(PAYLOADS.iter().cycle()) {
        for operator in ["", "__contains", "__in", "__<b>"] {
            let url = format!("/v1/{name}?{}", query(&[(&format!("{column}{operator}"), payload)]));
            let answer = open(&app, &url).await;
            assert!([200, 400].contains(&answer.status), "{url}");
            only_our_markup(&url, answer.text());
        }
    }
    for payload in PAYLOADS {
        for pairs in [[("fields", *payload)], [("sort", *payload)], [("embed", *payload)], [("cursor", *payload)]] {
            let url = format!("/v1/vms?{}", query(&pairs));
            only_our_markup(&url, open(&app, &url).await.text());
        }
        for url in ["/v1/vms", "/forms/vms/create", "/forms/nodes/create", "/search", "/", "/history/vlans/1"] {
            let url = format!("{url}?{}", query(&[(payload, payload), ("name", payload), ("location", payload)]));
            only_our_markup(&url, open(&app, &url).await.text());
        }
        let segment = query(&[("", *payload)])[1..].replace('+', "%20");
        for url in ["/v1/", "/v1/vms/", "/forms/vms/edit/", "/history/", "/puppet/enc/", "/static/", "/"] {
            let url = format!("{url}{segment}");
            let answer = open(&app, &url).await;
            if answer.header("Content-Type").starts_with("text/html") {
                only_our_markup(&url, answer.text());
            }
        }
        // A form that is refused comes back with all that was filled in.
        for (kind, fields) in [
            ("nodes", [("fqdn", *payload), ("state", payload), ("location", payload), ("parameters", payload)]),
            ("vms", [("name", *payload), ("cores", payload), ("uuid", payload), ("_change_message", payload)]),
        ] {
            let headers = [("Accept", ACCEPT), ("Content-Type", "application/x-www-form-urlencoded")];
            let answer = app.send(Method::Post, &format!("/v1/{kind}"), &headers, query(&fields).as_bytes()).await;
            assert_eq!(answer.status, 422, "{}", answer.text());
            only_our_markup(kind, answer.text());
            assert!(unescaped(answer.text()).contains(payload), "{payload} in {}", answer.text());
        }
    }
}

/// How those begin that run as soon as a page holds them as they are: one of each sort. What waits for a frame to be
/// drawn, as `autofocus` does, is none of them: a browser without a screen may end before it draws one.
const AT_ONCE: &[&str] = &["<script>", "</title>", "\"><script>", "<img", "<svg", "<iframe", "<details"];

/// Serves a page to one browser, with these headers. Each connection is answered by itself: a browser opens some that
/// it never asks anything on.
async fn serves(page: String, headers: String) -> (String, JoinHandle<()>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", socket.local_addr().expect("an address"));
    let page = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n{headers}\r\n{page}"
    );
    let answers = rocket::tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            rocket::tokio::spawn(answer(stream, page.clone()));
        }
    });
    (url, answers)
}

/// Answers one request: with the page at the root, and that there is nothing elsewhere.
async fn answer(mut stream: TcpStream, page: String) {
    let mut request = vec![];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let nothing = "HTTP/1.1 404 None\r\nConnection: close\r\n\r\n";
    let answer = if request.starts_with(b"GET / ") { &page } else { nothing };
    // A browser that has heard enough closes the connection: that shows in what it makes of the page.
    drop(stream.write_all(answer.as_bytes()).await);
}

/// Pages of ours that forget to escape: the browser runs what they hold, and reports what the policy forbids it.
/// Without this, that it has nothing to report in the next test would mean nothing.
#[rocket::async_test]
async fn a_page_that_does_not_escape_is_found_out() {
    let app = App::start().await;
    let vm = json!({"name": "a-text", "cores": 1, "ram_bytes": 1, "virt_method": "KVM", "state": "running"});
    app.post("/v1/vms", vm).await.is(Status::Created);
    let answer = open(&app, "/forms/vms/edit/1").await;
    // In a title, in text and in an attribute.
    for place in ["<title>", "<h1>", "value=\"a-text\""] {
        let found = answer.text().split_once(place).map(|(_, rest)| rest.lines().next().unwrap_or_default());
        assert!(found.is_some_and(|line| place.contains("a-text") || line.contains("a-text")), "{place} {found:?}");
    }
    let policy = format!("Content-Security-Policy: {}\r\n", answer.header("Content-Security-Policy"));
    let forgets = |payload: &str| answer.text().replace("a-text", payload);
    let at_once = || PAYLOADS.iter().filter(|payload| AT_ONCE.iter().any(|start| payload.starts_with(start)));
    assert_eq!(at_once().count(), AT_ONCE.len());

    for payload in at_once() {
        let page = forgets(payload);
        assert!(
            std::panic::catch_unwind(|| only_our_markup(payload, &page)).is_err(),
            "{payload} is read as our markup"
        );
        let (url, served) = serves(page, String::new()).await;
        let seen = look(url).await;
        assert!(seen.page.contains(DONE), "{payload} has not run: {}", seen.page);
        served.abort();
    }
    let (url, served) = serves(forgets(&at_once().copied().collect::<String>()), policy).await;
    let seen = look(url).await;
    assert!(!seen.page.contains(DONE), "{}", seen.page);
    assert!(seen.complaints().len() >= AT_ONCE.len(), "{seen:#?}");
    served.abort();
}

#[rocket::async_test]
async fn a_browser_runs_none_of_it() {
    let app = App::start().await;
    let all: Value = PAYLOADS.iter().map(|payload| ((*payload).to_owned(), json!([payload]))).collect();
    let node =
        json!({"fqdn": "hv01.example.com", "state": "running", "location": PAYLOADS[2], "parameters": {"all": all}});
    app.post("/v1/nodes", node).await.is(Status::Created);
    for (number, payload) in PAYLOADS.iter().enumerate() {
        let state: String = payload.replace('/', "|").chars().take(64).collect();
        let state = app.post("/v1/vm-states", json!({"name": state.trim()})).await.is(Status::Created)["id"].clone();
        let vm = json!({"name": payload, "cores": 1, "ram_bytes": 1, "virt_method": "KVM", "state": state});
        let why = if payload.is_ascii() { payload } else { "plain" };
        let headers = [JSON, ("X-Change-Message", why)];
        app.send(Method::Post, "/v1/vms", &headers, vm.to_string().as_bytes()).await.is(Status::Created);
        let body = json!({"location": payload}).to_string();
        app.send(Method::Patch, "/v1/nodes/1", &headers, body.as_bytes()).await.is(Status::Ok);
        assert!(number < 50, "all are on one page");
    }
    let search = format!("/search?{}", query(&[("q", PAYLOADS[3])]));
    let form = format!("/forms/vms/create?{}", query(&[("name", PAYLOADS[5])]));
    let served = Served::start(&app).await;
    for path in [
        "/",
        "/v1/vms",
        "/v1/vms/2",
        "/v1/nodes/1",
        "/forms/nodes/edit/1",
        "/forms/vms/delete/4",
        "/history/nodes/1",
        "/v1/audit-events",
        &search,
        &form,
    ] {
        let seen = served.look(path).await;
        assert!(seen.page.contains("id=\"navigation\""), "{path}: {}", seen.page);
        assert!(!seen.page.contains(DONE), "{path}: {}", seen.page);
        assert_eq!(seen.complaints(), [""; 0], "{path}");
    }
    served.stop().await;
}
