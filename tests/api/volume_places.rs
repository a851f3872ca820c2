//! A volume must have a place on its hypervisor, whichever of the two is changed.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::harness::App;

#[rocket::async_test]
async fn a_volume_has_a_place_on_its_hypervisor() {
    let app = App::start().await;
    let node = json!({"fqdn": "hv01.example.com", "state": "running"});
    let hypervisor = json!({"node": node, "cores": 4, "ram_bytes": 1024, "virt_methods": ["KVM"], "vg_name": "vg0"});
    app.post("/v1/hypervisors", hypervisor).await.is(Status::Created);
    let vm = json!({"name": "a", "cores": 1, "ram_bytes": 1, "state": 1, "virt_method": "KVM"});
    let vm = app.post("/v1/vms", vm).await.is(Status::Created)["id"].clone();
    let volume = |kind: &str| json!({"vm": vm, "size_bytes": 1, "storage_type": kind, "cache_option": "none"});
    // Without a hypervisor it needs none yet; the hypervisor then has no directory for it.
    let file = app.post("/v1/volumes", volume("qcow2")).await.is(Status::Created)["id"].clone();
    let here = json!({"hypervisor": "hv01.example.com"});
    let refused = app.json(Method::Patch, &format!("/v1/vms/{vm}"), here.clone()).await;
    assert_eq!(refused.is(Status::UnprocessableEntity)["errors"][0]["pointer"], "/hypervisor");
    app.json(Method::Delete, &format!("/v1/volumes/{file}"), Value::Null).await.is(Status::NoContent);
    app.json(Method::Patch, &format!("/v1/vms/{vm}"), here).await.is(Status::Ok);
    app.post("/v1/volumes", volume("lvm")).await.is(Status::Created);
    let refused = app.post("/v1/volumes", volume("raw")).await.is(Status::UnprocessableEntity);
    assert_eq!(refused["errors"][0]["pointer"], "/storage_type");
    let gone = json!({"vg_name": null});
    app.json(Method::Patch, "/v1/hypervisors/hv01.example.com", gone).await.is(Status::UnprocessableEntity);
}
