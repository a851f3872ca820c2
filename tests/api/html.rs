//! The pages, as a browser without scripts uses them.

pub mod browser;
pub mod chromium;
mod forms;
mod hostile;

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::KINDS;

use crate::harness::{App, TOKEN, server};
use browser::{follow, open, page, unescaped};

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
        let secret = rocket::http::Header::new("Authorization", format!("Bearer {TOKEN}"));
        let response = nowhere.get(url).header(header).header(secret).dispatch().await;
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
