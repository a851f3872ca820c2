//! What a VM gets while it is there, and gives back: volumes, floating IPs, interfaces.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::harness::{App, sql};
use crate::infrahub::member;
use crate::orders::actions::ask;
use crate::orders::{assert_counted, told, with};
use crate::relations::demo;

/// An rbd volume of no VM.
const KEPT: &str = "b0000000-0000-4000-8000-000000000008";

/// A VM on a hypervisor that reaches everything.
async fn on_hv02(app: &App, name: &str) -> (Value, String) {
    let vm =
        app.post("/v1/vms", with(json!({"name": name, "hypervisor": "hv02.example.com"}))).await.is(Status::Created);
    let url = format!("/v1/vms/{}", vm["id"]);
    (vm, url)
}

/// Each is refused, and changes nothing.
async fn refused(app: &App, cases: Vec<(String, Value, u16, &str, &str)>) {
    let before = app.contents().await;
    for (url, body, status, pointer, part) in cases {
        let problem = app.post(&url, body.clone()).await.is(Status::new(status));
        let told = told(&problem);
        assert!(told.iter().any(|(at, detail)| at == pointer && detail.contains(part)), "{url} {body}: {told:?}");
        assert_eq!(app.contents().await, before, "{url} {body}");
    }
}

#[rocket::async_test]
async fn a_volume_is_attached_to_one_vm_at_a_time() {
    let app = demo().await;
    let member = member(&app).await;
    let (vm, url) = on_hv02(&app, "one").await;
    let (_, other) = on_hv02(&app, "two").await;
    let elsewhere = app.post("/v1/vms", with(json!({"name": "far", "hypervisor": "hv01.example.com"}))).await;
    let elsewhere = format!("/v1/vms/{}", elsewhere.is(Status::Created)["id"]);
    let others = json!({"ceph_clusters": [{"name": "other", "fsid": "c0000000-0000-4000-8000-000000000009"}]});
    app.json(Method::Patch, "/v1/hypervisors/hv01.example.com", others).await.is(Status::Ok);
    let boot = app.get(&format!("/v1/volumes?vm={}", vm["id"])).await.is(Status::Ok)["items"][0]["id"].clone();
    let (attach, detach) = (format!("{url}/attach"), format!("{url}/detach"));
    refused(
        &app,
        vec![
            (attach.clone(), json!({}), 422, "", "one of volume, floating_ip and network"),
            (attach.clone(), json!({"volume": KEPT, "network": "customers"}), 422, "", "and no more"),
            (attach.clone(), json!({"disk": KEPT}), 422, "/disk", "is not known"),
            (attach.clone(), json!({"volume": 999_999}), 422, "/volume", "names none of volumes"),
            (format!("{elsewhere}/attach"), json!({"volume": KEPT}), 409, "/volume", "does not fit: its hypervisor"),
            (detach.clone(), json!({"volume": KEPT}), 422, "/volume", "is not one of this VM"),
            (detach.clone(), json!({"volume": boot}), 409, "/volume", "is on the VM's hypervisor"),
        ],
    )
    .await;
    app.post(&format!("{attach}?dry_run=true"), json!({"volume": KEPT})).await.is(Status::Ok);
    let of = async || app.get(&format!("/v1/volumes/{KEPT}")).await.is(Status::Ok)["vm"]["id"].clone();
    assert_eq!(of().await, Value::Null);
    let answer = ask(&app, &member, Method::Post, &attach, &json!({"volume": KEPT})).await.is(Status::Ok);
    assert_eq!((&answer["id"], of().await), (&vm["id"], vm["id"].clone()));
    let document = app.get("/salt/pillar/hv02.example.com").await.is(Status::Ok);
    let volumes = &document["virtapi"]["hypervisor"]["vms"][vm["uuid"].as_str().unwrap()]["volumes"];
    assert!(volumes.as_array().unwrap().iter().any(|volume| volume["uuid"] == KEPT), "{volumes}");
    // What it has already changes nothing; what another one has is not taken from it.
    let before = app.contents().await;
    ask(&app, &member, Method::Post, &attach, &json!({"volume": KEPT})).await.is(Status::Ok);
    assert_eq!(app.contents().await, before);
    refused(&app, vec![(format!("{other}/attach"), json!({"volume": KEPT}), 409, "/volume", "another VM's")]).await;
    ask(&app, &member, Method::Post, &detach, &json!({"volume": KEPT})).await.is(Status::Ok);
    assert_eq!(of().await, Value::Null);
    ask(&app, &member, Method::Post, &format!("{other}/attach"), &json!({"volume": KEPT})).await.is(Status::Ok);
    assert_counted(&app).await;
}

#[rocket::async_test]
async fn what_a_vm_boots_from_is_detached_while_it_is_off() {
    let app = demo().await;
    let order = with(json!({"name": "kept", "image": null, "volume": KEPT, "hypervisor": "hv02.example.com"}));
    let vm = app.post("/v1/vms", order).await.is(Status::Created);
    let url = format!("/v1/vms/{}", vm["id"]);
    let body = json!({"volume": KEPT});
    refused(&app, vec![(format!("{url}/detach"), body.clone(), 409, "/volume", "is what the VM boots from")]).await;
    app.post(&format!("{url}/stop"), Value::Null).await.is(Status::Ok);
    app.post(&format!("{url}/detach"), body).await.is(Status::Ok);
}

#[rocket::async_test]
async fn a_volume_is_not_attached_where_its_limits_are_more_than_is_left() {
    let app = demo().await;
    let (_, url) = on_hv02(&app, "one").await;
    app.json(Method::Patch, &format!("/v1/volumes/{KEPT}"), json!({"read_iops_limit": 5000})).await.is(Status::Ok);
    sql(&app.dsn, "UPDATE hypervisors SET iops = 5000").await;
    let case =
        (format!("{url}/attach"), json!({"volume": KEPT}), 409, "/volume", "too few reads and writes per second");
    refused(&app, vec![case]).await;
}

#[rocket::async_test]
async fn a_floating_ip_goes_to_a_vm_with_an_interface() {
    let app = demo().await;
    let member = member(&app).await;
    let (vm, url) = on_hv02(&app, "one").await;
    let (_, other) = on_hv02(&app, "two").await;
    let ip = app.post("/v1/floating-ips", json!({"environment": "acme/shop"})).await.is(Status::Created);
    let body = json!({"floating_ip": ip["ip"]});
    let of = async || app.get(&format!("/v1/floating-ips/{}", ip["id"])).await.is(Status::Ok)["vm"]["id"].clone();
    refused(&app, vec![(format!("{url}/detach"), body.clone(), 422, "/floating_ip", "is not one of this VM")]).await;
    ask(&app, &member, Method::Post, &format!("{url}/attach"), &body).await.is(Status::Ok);
    assert_eq!(of().await, vm["id"]);
    let interfaces = app.get(&format!("/v1/interfaces?vm={}", vm["id"])).await.is(Status::Ok);
    let interface = interfaces["items"][0]["id"].clone();
    refused(
        &app,
        vec![
            (format!("{other}/attach"), body.clone(), 409, "/floating_ip", "another VM's"),
            (format!("{url}/detach"), json!({"interface": interface}), 409, "/interface", "has its floating IPs"),
        ],
    )
    .await;
    ask(&app, &member, Method::Post, &format!("{url}/detach"), &body).await.is(Status::Ok);
    assert_eq!(of().await, Value::Null);
    app.post(&format!("{url}/detach"), json!({"interface": interface})).await.is(Status::Ok);
    refused(&app, vec![(format!("{url}/attach"), body, 409, "/floating_ip", "the VM has no interface")]).await;
}

#[rocket::async_test]
async fn an_interface_more_gets_addresses_and_goes_with_them() {
    let app = demo().await;
    let member = member(&app).await;
    let (vm, url) = on_hv02(&app, "one").await;
    let (_, other) = on_hv02(&app, "two").await;
    let (attach, detach) = (format!("{url}/attach"), format!("{url}/detach"));
    let foreign = app.get("/v1/interfaces?node=hv01.example.com").await.is(Status::Ok)["items"][0]["id"].clone();
    refused(
        &app,
        vec![
            (attach.clone(), json!({"network": "storage"}), 422, "/network", "not one for VMs of this environment"),
            (attach.clone(), json!({"network": "mail"}), 422, "/network", "not one for VMs of this environment"),
            (attach.clone(), json!({"network": "nowhere"}), 422, "/network", "names none of networks"),
            (attach.clone(), json!({"network": "customers", "address": "10.0.0.7"}), 422, "/address", "gives away"),
            (attach.clone(), json!({"network": "customers", "address": "192.0.2.10"}), 409, "/address", "taken"),
            (
                attach.clone(),
                json!({"network": "customers", "subnet": "mail-v4"}),
                422,
                "/subnet",
                "not one for addresses",
            ),
            (detach.clone(), json!({"interface": foreign}), 422, "/interface", "is not one of this VM"),
        ],
    )
    .await;
    let body = json!({"network": "customers", "address": "192.0.2.77"});
    ask(&app, &member, Method::Post, &attach, &body).await.is(Status::Ok);
    let list =
        async || app.get(&format!("/v1/interfaces?vm={}&sort=id", vm["id"])).await.is(Status::Ok)["items"].clone();
    let [first, second] = list().await.as_array().unwrap().clone().try_into().unwrap();
    assert_eq!((&first["name"], &second["name"]), (&json!("eth0"), &json!("eth1")));
    let addresses: Vec<&str> =
        second["addresses"].as_array().unwrap().iter().map(|a| a["ip"].as_str().unwrap()).collect();
    assert!(addresses[0] == "192.0.2.77/24" && addresses[1].ends_with("/64"), "{addresses:?}");
    assert_eq!(second["vlans"][0]["name"], "customers");
    // The first name that is free.
    ask(&app, &member, Method::Post, &detach, &json!({"interface": first["mac"]})).await.is(Status::Ok);
    ask(&app, &member, Method::Post, &attach, &json!({"network": "customers"})).await.is(Status::Ok);
    assert_eq!(list().await[1]["name"], "eth0");
    // Of another VM, it is not this one's to give back.
    let case =
        (format!("{other}/detach"), json!({"interface": second["id"]}), 422, "/interface", "is not one of this VM");
    refused(&app, vec![case]).await;
}

#[rocket::async_test]
async fn a_network_that_the_hypervisor_does_not_reach_is_refused() {
    let app = demo().await;
    let (_, url) = on_hv02(&app, "one").await;
    app.json(Method::Patch, "/v1/hypervisors/hv02.example.com", json!({"networks": ["mail"]})).await.is(Status::Ok);
    let case =
        (format!("{url}/attach"), json!({"network": "customers"}), 409, "/network", "does not fit: its hypervisor");
    refused(&app, vec![case]).await;
}
