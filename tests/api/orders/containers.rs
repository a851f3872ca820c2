//! Orders of containers: VMs whose flavor has the virt method LXC.

use rocket::http::Status;
use serde_json::{Value, json};

use crate::harness::App;
use crate::orders::{refused, told, with};
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

#[rocket::async_test]
async fn what_a_container_cannot_have_is_refused_when_it_is_ordered() {
    let app = fleet().await;
    let root = |more: Value| flavor("other", more);
    let rule = json!([{"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp"}]);
    for (number, (of, order, pointer, part)) in [
        (json!({"storage_type": "qcow2"}), json!({}), "/flavor", "cannot have a root of type qcow2"),
        (json!({"storage_type": "lvm"}), json!({}), "/flavor", "cannot have a root of type lvm from an image"),
        (json!({"storage_type": "rbd", "ceph_pool": "rbd"}), json!({}), "/flavor", "cannot have a root of type rbd"),
        (json!({"iops": 500, "disk_bps": 1}), json!({}), "/flavor", "iops of a volume, disk_bps of a volume"),
        (
            json!({"gpu_model": "L40", "gpu_count": 1}),
            json!({}),
            "/flavor",
            "cannot have devices that are passed through",
        ),
        (json!({}), json!({"image": null}), "/image", "is required: the root of a container"),
        (json!({}), json!({"firewall": "on"}), "/firewall", "has no packet filter"),
        (json!({}), json!({"security_rules": rule}), "/security_rules", "has no packet filter"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("other-{number}");
        let mut of = root(of);
        of["name"] = name.as_str().into();
        app.post("/v1/flavors", of).await.is(Status::Created);
        let mut order = container(order);
        order["flavor"] = name.into();
        refused(&app, order.clone(), Status::UnprocessableEntity, pointer, part).await;
        let problem = app.post("/v1/placement/explain", order).await.is(Status::UnprocessableEntity);
        assert_eq!(told(&problem)[0].0, pointer);
    }
    // A volume that was kept is in a pool.
    let kept = json!({"size_bytes": 1 << 30, "storage_type": "rbd", "ceph_pool": "rbd", "cache_option": "none", "environment": "acme/shop"});
    let kept = app.post("/v1/volumes", kept).await.is(Status::Created)["id"].clone();
    let order = container(json!({"image": null, "volume": kept}));
    refused(&app, order, Status::UnprocessableEntity, "/volume", "cannot be the root of a container").await;
    // All that is wrong is said at once.
    let order = container(json!({"flavor": "other-0", "image": null, "firewall": "on"}));
    let problem = app.post("/v1/vms", order).await.is(Status::UnprocessableEntity);
    let pointers: Vec<String> = told(&problem).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(pointers, ["/flavor", "/image", "/firewall"]);
    // A list of no rules is none.
    app.post("/v1/vms", container(json!({"security_rules": []}))).await.is(Status::Created);
}
