//! The documents that agents read.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::harness::App;

#[rocket::async_test]
async fn a_document_is_current_and_cacheable() {
    let app = App::start().await;
    let node = json!({"fqdn": "hv01.example.com", "state": "running"});
    let hypervisor = json!({"node": node, "cores": 4, "ram_bytes": 1024, "virt_methods": ["KVM"]});
    app.post("/v1/hypervisors", hypervisor).await.is(Status::Created);
    let url = "/salt/pillar/hv01.example.com";
    let first = app.get(url).await;
    let headers = [("If-None-Match", first.header("ETag"))];
    assert_eq!(app.send(Method::Get, url, &headers, b"").await.status, 304);
    let vm = json!({"name": "web", "cores": 2, "ram_bytes": 1024, "state": "running", "virt_method": "KVM",
        "hypervisor": "hv01.example.com"});
    let interface = app.post("/v1/interfaces", json!({"mac": "52:54:00:00:00:01", "vm": vm})).await.is(Status::Created);
    let second = app.send(Method::Get, url, &headers, b"").await.is(Status::Ok);
    let vms = &second["virtapi"]["hypervisor"]["vms"];
    let vm = &vms[interface["vm"]["uuid"].as_str().unwrap()];
    assert_eq!(vm["interfaces"][0]["mac"], "52:54:00:00:00:01");
    // The same name and generation, another node: not the old document.
    for location in ["r1", "r2"] {
        let body = json!({"state": 1, "location": location});
        app.json(Method::Put, "/v1/nodes/hv02.example.com", body).await.is(Status::Created);
        let document = app.get("/salt/pillar/hv02.example.com").await.is(Status::Ok);
        assert_eq!(document["virtapi"]["node"]["location"], location);
        app.json(Method::Delete, "/v1/nodes/hv02.example.com", Value::Null).await.is(Status::NoContent);
        app.get("/salt/pillar/hv02.example.com").await.is(Status::NotFound);
    }
}

#[rocket::async_test]
async fn a_name_that_nothing_can_have_is_an_unknown_node() {
    let app = App::start().await;
    for path in ["puppet/enc", "puppet/hiera", "node", "salt/pillar", "salt/tops"] {
        for name in ["nobody", "a%00b", "%00", "a%2Fb", "..", "%25%7B", "0"] {
            let answer = app.get(&format!("/{path}/{name}")).await;
            assert_eq!(answer.status, 404, "{path}/{name}: {}", answer.text());
        }
    }
    app.get("/puppet/hiera/a%00b/virtapi::roles").await.is(Status::NotFound);
}
