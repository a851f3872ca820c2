//! Orders of containers: VMs whose flavor has the virt method LXC.

use rocket::http::Status;
use serde_json::{Value, json};

use crate::harness::App;
use crate::orders::{told, with};
use crate::relations::demo;

/// The demo fleet, in which containers can be ordered: from an image of a file system.
pub async fn fleet() -> App {
    let app = demo().await;
    let image = json!({"name": "debian-12-root", "format": "raw", "path": "/var/lib/libvirt/golden/debian-12-root.raw", "size_bytes": 1 << 30});
    app.post("/v1/images", image).await.is(Status::Created);
    app.post("/v1/flavors", flavor("container", json!({}))).await.is(Status::Created);
    app
}

/// A flavor of containers.
pub fn flavor(name: &str, more: Value) -> Value {
    let mut flavor = json!({"name": name, "cores": 1, "ram_bytes": 1 << 30, "disk_bytes": 1_i64 << 32, "virt_method": "LXC", "storage_type": "raw"});
    flavor.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    flavor
}

/// An order that fits.
pub fn container(more: Value) -> Value {
    let mut order = with(json!({"flavor": "container", "image": "debian-12-root"}));
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order
}

#[rocket::async_test]
async fn a_container_has_a_root_from_its_image_and_a_seed() {
    let app = fleet().await;
    let vm = app.post("/v1/vms", container(json!({"keys": ["laptop"], "user_data": "#!/bin/sh\n"}))).await;
    let vm = vm.is(Status::Created);
    assert_eq!((&vm["virt_method"]["name"], &vm["hypervisor"]["fqdn"]), (&json!("LXC"), &json!("hv02.example.com")));
    let volumes = app.get(&format!("/v1/volumes?vm={}", vm["id"])).await.is(Status::Ok);
    let [root] = volumes["items"].as_array().unwrap().as_slice() else { panic!("{volumes}") };
    assert_eq!((&root["storage_type"]["name"], &root["image"]["name"]), (&json!("raw"), &json!("debian-12-root")));
    assert_eq!((&root["size_bytes"], &root["write_iops_limit"]), (&json!(1_i64 << 32), &Value::Null));

    // What its hypervisor is told has all that it is made of.
    let document = app.get("/salt/pillar/hv02.example.com").await.is(Status::Ok);
    let shown = &document["virtapi"]["hypervisor"]["vms"][vm["uuid"].as_str().unwrap()];
    assert_eq!(
        (&shown["virt_method"], &shown["security_rules"], &shown["gpus"]),
        (&json!("LXC"), &Value::Null, &json!([]))
    );
    let backing = json!({"name": "debian-12-root", "format": "raw", "path": "/var/lib/libvirt/golden/debian-12-root.raw", "checksum": null});
    assert_eq!((&shown["volumes"][0]["type"], &shown["volumes"][0]["backing"]), (&json!("raw"), &backing));
    assert_eq!(shown["seed"]["user-data"], "#!/bin/sh\n");

    // It is made anew from the same image, or from another.
    let url = format!("/v1/vms/{}", vm["id"]);
    app.post(&format!("{url}/rebuild"), json!({})).await.is(Status::Ok);
    let volumes = app.get(&format!("/v1/volumes?vm={}", vm["id"])).await.is(Status::Ok);
    let [anew] = volumes["items"].as_array().unwrap().as_slice() else { panic!("{volumes}") };
    assert_ne!(anew["uuid"], root["uuid"]);
    assert_eq!((&anew["image"]["name"], &anew["storage_type"]["name"]), (&json!("debian-12-root"), &json!("raw")));
    // Snapshots are of types that hold them.
    let problem = app.post(&format!("{url}/snapshot"), json!({"name": "a"})).await.is(Status::Conflict);
    assert!(told(&problem)[0].1.contains("qcow2 and rbd"), "{problem}");
}
