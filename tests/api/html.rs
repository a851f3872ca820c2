//! The pages, as a browser without scripts uses them.

#[path = "html/browser.rs"]
mod browser;
#[path = "html/chromium.rs"]
mod chromium;

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::{Column, KINDS, Kind, Type};

use crate::harness::{Answer, App, server};
use browser::{Form, open, unescaped};

/// A page that came as it should.
fn page(answer: &Answer, status: u16) -> &str {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert!(answer.header("Content-Type").starts_with("text/html"), "{text}");
    assert!(text.starts_with("<!doctype html>") && text.trim_end().ends_with("</html>"), "{text}");
    // What the policy forbids, a page does not try.
    assert!(answer.header("Content-Security-Policy").contains("default-src 'none'"));
    for forbidden in ["<script", "<style", " style=", " onclick", "href=\"javascript:"] {
        assert!(!text.contains(forbidden), "{forbidden} in {text}");
    }
    text
}

/// What a person who follows links would have seen.
async fn follow(app: &App, answer: &Answer) -> Answer {
    assert_eq!(answer.status, 303, "{}", answer.text());
    open(app, answer.header("Location")).await
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Creates what an example refers to; the form for the rest, filled in.
async fn filled(app: &App, kind: &dyn Kind, example: &Value) -> Form {
    let (mut given, mut typed) = (Vec::new(), Vec::new());
    for column in kind.columns().iter().filter(|column| column.writable && example.get(column.name).is_some()) {
        let value = &example[column.name];
        match column.ty {
            Type::Ref(target) => given.push((column.name, name(app, target, value).await)),
            Type::Many(link) => {
                for item in value.as_array().expect("a list") {
                    given.push((column.name, name(app, link.kind, item).await));
                }
            }
            Type::Owned(_) => {
                let items: Vec<String> = value.as_array().expect("a list").iter().map(text).collect();
                typed.push((column.name, items.join("\r\n")));
            }
            Type::Time => typed.push((column.name, text(value).trim_end_matches('Z').to_owned())),
            _ => typed.push((column.name, text(value))),
        }
    }
    let query = serde_urlencoded::to_string(&given).expect("pairs");
    let form = open(app, &format!("/forms/{}/create?{query}", kind.name())).await;
    typed.iter().fold(Form::of(page(&form, 200)), |form, (name, value)| form.with(name, value))
}

/// The name of what is referred to, after it has been created.
async fn name(app: &App, kind: &dyn Kind, reference: &Value) -> String {
    if !reference.is_object() {
        return text(reference);
    }
    text(&app.post(&format!("/v1/{}", kind.name()), reference.clone()).await.is(Status::Created)["id"])
}

/// What a client may set.
fn writable(kind: &dyn Kind, object: &Value) -> Value {
    let columns = kind.columns().iter().filter(|column: &&Column| column.writable);
    columns.map(|column| (column.name.to_owned(), object[column.name].clone())).collect()
}

#[rocket::async_test]
async fn every_kind_is_listed_created_shown_edited_and_deleted() {
    for kind in KINDS {
        let (app, collection) = (App::start().await, format!("/v1/{}", kind.name()));
        let example: Value = serde_json::from_str(kind.example()).expect("JSON");
        page(&open(&app, &collection).await, 200);

        let form = filled(&app, *kind, &example).await;
        let created = form.send(&app).await;
        let shown = follow(&app, &created).await;
        page(&shown, 200);
        let href = created.header("Location").to_owned();
        let object = app.get(&href).await.is(Status::Ok);
        for column in kind.columns().iter().filter(|c| c.writable && c.any_target().is_none()) {
            if let Some(given) = example.get(column.name) {
                assert_eq!(&object[column.name], given, "{} {}", kind.name(), column.name);
            }
        }

        // A form that is sent as it came changes nothing, not even what has no short text.
        let id = href.rsplit('/').next().expect("an id");
        let edit = open(&app, &format!("/forms/{}/edit/{id}", kind.name())).await;
        let edit = Form::of(page(&edit, 200));
        assert_eq!(edit.fields[0], ("_method".to_owned(), "PUT".to_owned()), "Rocket reads the first field only");
        page(&follow(&app, &edit.send(&app).await).await, 200);
        assert_eq!(writable(*kind, &app.get(&href).await.is(Status::Ok)), writable(*kind, &object));

        let listed = open(&app, &collection).await;
        assert!(page(&listed, 200).contains(&format!("href=\"{href}\"")), "{}", kind.name());
        let delete = open(&app, &format!("/forms/{}/delete/{id}", kind.name())).await;
        let gone = Form::of(page(&delete, 200)).send(&app).await;
        assert_eq!(gone.header("Location"), collection);
        page(&follow(&app, &gone).await, 200);
        page(&open(&app, &href).await, 404);
    }
}

#[rocket::async_test]
async fn a_refused_form_comes_back_as_it_was_typed() {
    let app = App::start().await;
    let before = app.contents().await;
    let form = Form::of(page(&open(&app, "/forms/vms/create").await, 200));
    let form = form.with("name", "<b>web</b> & \"co\"").with("cores", "5000").with("ram_bytes", "much");
    let refused = form.send(&app).await;
    let text = page(&refused, 422);
    let again = Form::of(text);
    assert_eq!(again.value("name"), "<b>web</b> & \"co\"");
    assert_eq!((again.value("cores"), again.value("ram_bytes")), ("5000", "much"));
    assert!(!text.contains("<b>web"), "{text}");
    for wrong in ["cores", "ram_bytes", "state", "virt_method"] {
        assert!(text.contains(&format!("<a href=\"#field-{wrong}\">")), "the summary leads to {wrong}: {text}");
        let control = text.split(&format!(" id=\"field-{wrong}\"")).nth(1).and_then(|rest| rest.split('>').next());
        assert!(control.is_some_and(|control| control.contains("aria-invalid=\"true\"")), "{wrong}");
    }
    assert!(text.contains("Cores must be between 1 and 4096") && text.contains("State is required"), "{text}");
    assert_eq!(app.contents().await, before, "nothing was written");

    let right =
        again.with("cores", "2").with("ram_bytes", "1.5 GiB").with("state", "running").with("virt_method", "KVM");
    page(&follow(&app, &right.send(&app).await).await, 200);
    assert_eq!(app.get("/v1/vms").await.is(Status::Ok)["items"][0]["ram_bytes"], 1_610_612_736);
}

#[rocket::async_test]
async fn what_is_wrong_in_the_database_stands_at_its_field_too() {
    let app = App::start().await;
    let node = json!({"fqdn": "hv01.example.com", "state": "running"});
    app.post("/v1/nodes", node).await.is(Status::Created);
    let form = Form::of(page(&open(&app, "/forms/nodes/create").await, 200));
    let form = form.with("fqdn", "hv01.example.com").with("state", "running");
    let taken = form.send(&app).await;
    assert!(page(&taken, 409).contains("FQDN is already taken"), "{}", taken.text());
    for (parameters, wrong) in [
        ("{\"a\": }", "is not JSON"),
        ("{\"a\": \"\\u0000\"}", "NUL"),
        ("[1]", "must be an object"),
        ("{\"B\": 1}", "variable name"),
    ] {
        let refused = form.clone().with("fqdn", "hv02.example.com").with("parameters", parameters).send(&app).await;
        assert!(page(&refused, 422).contains(wrong), "{parameters}: {}", refused.text());
        assert_eq!(Form::of(refused.text()).value("parameters"), parameters);
    }
    let interface = Form::of(page(&open(&app, "/forms/interfaces/create?node=hv01.example.com").await, 200));
    let refused =
        interface.with("mac", "52:54:00:12:34:56").with("addresses", "192.0.2.1/24\r\nnowhere").send(&app).await;
    assert!(page(&refused, 422).contains("Addresses item 2: must be an IP address"), "{}", refused.text());
}

#[rocket::async_test]
async fn an_edit_of_what_has_changed_explains_and_can_be_saved_then() {
    let app = App::start().await;
    let node =
        json!({"fqdn": "hv01.example.com", "state": "running", "location": "rack 1", "parameters": {"a": 1, "b": 2}});
    app.post("/v1/nodes", node).await.is(Status::Created);
    let form = Form::of(page(&open(&app, "/forms/nodes/edit/hv01.example.com").await, 200));
    app.json(Method::Patch, "/v1/nodes/1", json!({"location": "rack 2"})).await.is(Status::Ok);
    let form = form.with("environment", "testing").with("parameters", "{\"a\": 1}");
    let stale = form.send(&app).await;
    let text = page(&stale, 412);
    assert!(text.contains("Somebody else changed this") && text.contains("href=\"/forms/nodes/edit/1\""), "{text}");
    assert!(text.contains("Stored now: rack 2"), "{text}");
    let again = Form::of(text);
    assert_eq!((again.value("location"), again.value("environment")), ("rack 1", "testing"));
    // A mistake in between does not make it forget what the person has seen.
    let wrong = again.clone().with("environment", "NO").send(&app).await;
    app.json(Method::Patch, "/v1/nodes/1", json!({"location": "rack 3"})).await.is(Status::Ok);
    page(&wrong, 422);
    page(&Form::of(wrong.text()).with("environment", "testing").send(&app).await, 412);

    let form = Form::of(page(&open(&app, "/forms/nodes/edit/1").await, 200));
    let form = form.with("location", "").with("parameters", "{\"a\": 1}");
    page(&follow(&app, &form.send(&app).await).await, 200);
    let node = app.get("/v1/nodes/1").await.is(Status::Ok);
    assert_eq!(node["location"], Value::Null, "an empty field is no value");
    assert_eq!(node["parameters"], json!({"a": 1}), "what was taken out of an object is gone");
}

#[rocket::async_test]
async fn a_delete_page_lists_what_goes_along_and_what_keeps_it() {
    let app = App::start().await;
    let node = json!({"fqdn": "hv01.example.com", "state": "running"});
    let hypervisor = json!({"node": node, "cores": 4, "ram_bytes": 1024, "virt_methods": ["KVM"]});
    app.post("/v1/hypervisors", hypervisor).await.is(Status::Created);
    let interface = json!({"mac": "52:54:00:00:00:01", "node": "hv01.example.com", "addresses": ["192.0.2.1/24"]});
    app.post("/v1/interfaces", interface).await.is(Status::Created);
    let delete = open(&app, "/forms/nodes/delete/1").await;
    let text = page(&delete, 200);
    for goes in ["1 hypervisor", "1 interface", "52:54:00:00:00:01", "1 address", "192.0.2.1/24"] {
        assert!(text.contains(goes), "{goes}: {text}");
    }
    let form = Form::of(text);
    let vm = json!({"name": "web", "cores": 1, "ram_bytes": 1024, "state": "running", "virt_method": "KVM",
        "hypervisor": "hv01.example.com"});
    app.post("/v1/vms", vm).await.is(Status::Created);
    let kept = form.send(&app).await;
    let text = page(&kept, 409);
    assert!(text.contains("It is in use") && text.contains("1 VM") && text.contains(">web</a>"), "{text}");
    assert!(!text.contains("value=\"DELETE\""), "there is nothing to confirm");
    app.json(Method::Delete, "/v1/vms/1", Value::Null).await.is(Status::NoContent);

    app.json(Method::Patch, "/v1/nodes/1", json!({"location": "rack 2"})).await.is(Status::Ok);
    let stale = form.send(&app).await;
    let form = Form::of(page(&stale, 412));
    assert_eq!(form.send(&app).await.status, 303);
    app.get("/v1/nodes/1").await.is(Status::NotFound);
}

#[rocket::async_test]
async fn a_form_that_is_sent_twice_creates_one_object() {
    let app = App::start().await;
    let form =
        Form::of(page(&open(&app, "/forms/vms/create?name=web&cores=1&state=running&virt_method=KVM").await, 200));
    let form = form.with("ram_bytes", "1 GiB");
    let (first, second) = (form.send(&app).await, form.send(&app).await);
    assert_eq!((first.status, first.header("Location")), (303, second.header("Location")));
    assert_eq!(app.get("/v1/vms").await.is(Status::Ok)["total"], 1);
}

#[rocket::async_test]
async fn what_people_wrote_is_never_markup() {
    let app = App::start().await;
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> & javascript:alert(1)";
    let node = json!({"fqdn": "hv01.example.com", "state": "running", "location": evil, "parameters": {"a": evil}});
    app.post("/v1/nodes", node).await.is(Status::Created);
    let named = evil.replace('/', "|");
    let state = &named[..64];
    app.post("/v1/vm-states", json!({"name": state})).await.is(Status::Created);
    let vm = json!({"name": evil, "cores": 1, "ram_bytes": 1024, "state": state, "virt_method": "KVM"});
    let vm = app.post("/v1/vms", vm).await.is(Status::Created);
    app.post("/v1/interfaces", json!({"mac": "52:54:00:00:00:01", "vm": vm["uuid"]})).await.is(Status::Created);
    let query = serde_urlencoded::to_string([("q", evil)]).expect("a query");
    for url in [
        "/v1/nodes",
        "/v1/nodes?fields=parameters",
        "/v1/nodes/1",
        "/forms/nodes/edit/1",
        "/v1/vms",
        "/v1/vms/1",
        "/forms/vms/create",
        "/forms/vms/edit/1",
        "/forms/vms/delete/1",
        "/v1/interfaces",
        "/v1/interfaces/1",
        &format!("/search?{query}"),
        &format!("/v1/vms?{query}"),
    ] {
        let answer = open(&app, url).await;
        let text = page(&answer, 200);
        assert!(!text.contains("<img src=x") && !text.contains("<script>alert"), "{url}: {text}");
        assert!(unescaped(text).contains("<script>alert(1)<"), "{url} shows it as text");
    }
    page(&open(&app, "/v1/vms?name%22%3E%3Cscript%3E=1").await, 400);
    page(&open(&app, "/v1/%3Cscript%3E").await, 404);
    page(
        &open(&app, &format!("/forms/vms/create?{}", serde_urlencoded::to_string([("name", evil)]).expect("a query")))
            .await,
        200,
    );
}

#[rocket::async_test]
async fn a_list_is_filtered_sorted_and_paged_by_links() {
    let app = App::start().await;
    let vms: Vec<Value> = (1..=5_i32)
        .map(|i| json!({"name": format!("web-{i}"), "cores": i, "ram_bytes": i64::from(i) << 30, "state": "running", "virt_method": "KVM"}))
        .collect();
    app.post("/v1/vms", vms.into()).await.is(Status::Created);
    // What was left empty is not asked for; sizes and times are what the API understands.
    let filled = "q=&name__contains=web&cores__gte=&ram_bytes__gte=2+GiB&created_at__gte=2020-01-01T00%3A00&state=running&limit=2&sort=-cores";
    let answer =
        app.send(Method::Get, &format!("/forms/vms/filter?{filled}"), &[("Accept", browser::ACCEPT)], b"").await;
    let list = answer.header("Location").to_owned();
    for part in
        ["name__contains=web", "ram_bytes__gte=2147483648", "created_at__gte=2020-01-01T00%3A00%3A00", "limit=2"]
    {
        assert!(list.contains(part), "{part}: {list}");
    }
    assert!(!list.contains("q=") && !list.contains("cores__gte"), "{list}");
    let first = follow(&app, &answer).await;
    let text = page(&first, 200);
    assert!(text.contains("web-5") && text.contains("web-4") && !text.contains("web-3"), "{text}");
    assert!(text.contains("aria-sort=\"descending\"") && text.contains("RAM ≥ 2 GiB"), "{text}");
    let link = |text: &str, marked: &str| {
        let tag = text.split("<a ").find(|tag| tag.contains(marked)).unwrap_or_else(|| panic!("no {marked} in {text}"));
        unescaped(tag.split("href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an address"))
    };
    let second = open(&app, &link(text, "rel=\"next\"")).await;
    let text = page(&second, 200);
    assert!(text.contains("web-3") && text.contains("web-2") && !text.contains("web-4"), "{text}");
    let back = open(&app, &link(text, "First page")).await;
    assert!(page(&back, 200).contains("web-5"));
    let csv = app.get(&link(text, ">CSV<")).await;
    assert!(
        csv.text().starts_with("id,") && csv.text().contains("web-5") && !csv.text().contains("web-3"),
        "{}",
        csv.text()
    );
    let cleared = open(&app, &link(text, "Clear all")).await;
    assert!(page(&cleared, 200).contains("limit=2") || page(&cleared, 200).contains("web-5"));
    let columns = open(&app, "/v1/vms?fields=uuid").await;
    assert!(
        page(&columns, 200).contains(">UUID<") && !columns.text().contains(">Hypervisor</th>"),
        "{}",
        columns.text()
    );
    let none = open(&app, "/v1/vms?name=nobody").await;
    assert!(page(&none, 200).contains("No VMs match"));
}

#[rocket::async_test]
async fn an_object_shows_what_refers_to_it() {
    let app = App::start().await;
    let node = json!({"fqdn": "hv01.example.com", "state": "running"});
    let hypervisor = json!({"node": node, "cores": 4, "ram_bytes": 1_i64 << 36, "virt_methods": ["KVM"]});
    app.post("/v1/hypervisors", hypervisor).await.is(Status::Created);
    let vms: Vec<Value> = (1..=12)
        .map(|i| {
            json!({"name": format!("web-{i}"), "cores": 1, "ram_bytes": 1024, "state": "running", "virt_method": "KVM",
            "hypervisor": "hv01.example.com"})
        })
        .collect();
    app.post("/v1/vms", vms.into()).await.is(Status::Created);
    let shown = open(&app, "/v1/hypervisors/hv01.example.com").await;
    let text = page(&shown, 200);
    assert!(text.contains("web-10") && !text.contains("web-11"), "{text}");
    assert!(text.contains("href=\"/v1/vms?hypervisor=hv01.example.com\"") && text.contains("Show all 12"), "{text}");
    assert!(text.contains("64 GiB") && text.contains("68,719,476,736 bytes"), "{text}");
    for document in ["/puppet/enc/", "/puppet/hiera/", "/salt/pillar/", "/salt/tops/"] {
        assert!(text.contains(&format!("href=\"{document}hv01.example.com\"")), "{document}");
    }
    // Also by lists: a method shows the hypervisors that offer it.
    let method = open(&app, "/v1/virt-methods/KVM").await;
    assert!(page(&method, 200).contains("href=\"/v1/hypervisors?virt_methods=KVM\""), "{}", method.text());
    let tag = shown.header("ETag").to_owned();
    let headers = [("Accept", browser::ACCEPT), ("If-None-Match", tag.as_str())];
    assert_eq!(app.send(Method::Get, "/v1/hypervisors/1", &headers, b"").await.status, 304);
}

#[rocket::async_test]
async fn the_start_page_and_the_search_lead_everywhere() {
    let app = App::start().await;
    app.post("/v1/nodes", json!({"fqdn": "hv01.example.com", "state": "running"})).await.is(Status::Created);
    for url in ["/", "/v1/", "/v1", "/v1/nodes.html"] {
        let answer = open(&app, url).await;
        let text = page(&answer, 200);
        for kind in KINDS {
            assert!(text.contains(&format!("href=\"/v1/{}\"", kind.name())), "{url} {}", kind.name());
        }
    }
    assert_eq!(app.get("/").await.is(Status::Ok)["links"]["nodes"], "/v1/nodes", "no client is sent elsewhere");
    let found = open(&app, "/search?q=hv01").await;
    assert!(page(&found, 200).contains("href=\"/v1/nodes/1\""), "{}", found.text());
    page(&open(&app, "/search").await, 200);
    page(&open(&app, "/search?q=%00").await, 400);
}

#[rocket::async_test]
async fn problems_are_pages_too() {
    let app = App::start().await;
    for (url, status) in [
        ("/v1/nothing", 404),
        ("/v1/nodes/nobody", 404),
        ("/nowhere", 404),
        ("/v1/nodes?colour=red", 400),
        ("/forms/nothing/create", 404),
        ("/forms/nodes/edit/nobody", 404),
        ("/forms/nodes/delete/nobody", 404),
        ("/forms/nodes/create?id=1", 400),
        ("/puppet/enc/nobody", 404),
    ] {
        let answer = open(&app, url).await;
        let text = page(&answer, status);
        assert!(text.contains("urn:virtapi:request:") && text.contains("id=\"navigation\""), "{url}: {text}");
    }
    let refused = app.send(Method::Post, "/search", &[("Accept", browser::ACCEPT)], b"").await;
    page(&refused, 405);
    let nowhere =
        rocket::local::asynchronous::Client::untracked(server("host=/nonexistent user=nobody")).await.expect("ignites");
    for url in ["/", "/v1/nodes", "/v1/nodes/1", "/forms/nodes/create", "/search?q=a"] {
        let header = rocket::http::Header::new("Accept", browser::ACCEPT);
        let response = nowhere.get(url).header(header).dispatch().await;
        assert_eq!(response.status(), Status::ServiceUnavailable, "{url}");
        assert_eq!(response.headers().get_one("Retry-After"), Some("1"));
        assert!(response.into_string().await.is_some_and(|text| text.contains("The database is away")), "{url}");
    }
}

#[rocket::async_test]
async fn what_pages_load_is_kept_by_browsers_until_it_changes() {
    let app = App::start().await;
    let start = open(&app, "/").await;
    let text = page(&start, 200);
    for name in ["style.css", "icon.svg"] {
        let at = text.find(&format!("/static/{name}?v=")).expect("is loaded");
        let href = text[at..].split('"').next().expect("an address");
        let file = app.get(href).await;
        assert_eq!(file.status, 200);
        assert!(file.header("Cache-Control").contains("immutable"), "{name}");
        let tag = file.header("ETag").to_owned();
        assert_eq!(app.send(Method::Get, href, &[("If-None-Match", &tag)], b"").await.status, 304);
        let unversioned = app.get(&format!("/static/{name}")).await;
        assert_eq!(unversioned.header("Cache-Control"), "no-cache");
        assert!(!file.text().contains("http://") || name == "icon.svg", "it loads nothing from elsewhere");
    }
    app.get("/static/nothing.css").await.is(Status::NotFound);
}
