//! Forms, as a browser sends them: create, edit, delete, and what is refused.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::{Column, KINDS, Kind, Type};

use super::browser::{Form, follow, open, page};
use crate::harness::App;

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
            Type::Owned(_) | Type::Labels => {
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
async fn a_large_collection_is_typed_and_a_small_one_chosen() {
    let app = App::start().await;
    let form = open(&app, "/forms/interfaces/create").await;
    assert!(page(&form, 200).contains("<select id=\"field-node\""), "{}", form.text());
    let vlans: Vec<Value> = (1..=201).map(|tag| json!({"name": format!("vlan {tag}"), "tag": tag})).collect();
    app.post("/v1/vlans", vlans.into()).await.is(Status::Created);
    app.post("/v1/nodes", json!({"fqdn": "hv01.example.com", "state": "running"})).await.is(Status::Created);
    let form = open(&app, "/forms/interfaces/create").await;
    let text = page(&form, 200);
    assert!(text.contains("<textarea id=\"field-vlans\"") && text.contains("Look up VLANs"), "{text}");
    let form = Form::of(text).with("mac", "52:54:00:12:34:56").with("node", "hv01.example.com");
    page(&follow(&app, &form.with("vlans", "vlan 7\r\nvlan 201\r\n").send(&app).await).await, 200);
    let interface = app.get("/v1/interfaces/1").await.is(Status::Ok);
    let names: Vec<&Value> = interface["vlans"].as_array().expect("a list").iter().map(|vlan| &vlan["name"]).collect();
    assert_eq!(names, ["vlan 7", "vlan 201"]);
}
