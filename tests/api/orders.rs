//! Orders: a VM by a flavor, an image and a network; where it goes, which addresses it gets, and what is said when it can go nowhere.

mod actions;
mod addresses;
mod at_once;
mod attach;
mod containers;
mod deleted;
mod history;
mod kept;
mod lifecycle;
mod model;
mod pools;
mod snapshots;
mod statements;
mod states;

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::access::issue;
use crate::harness::{App, rows, sql};
use crate::relations::demo;

pub const SHOP: &str = "acme/shop";

/// A server with the demo fleet, and an order that fits.
pub fn order() -> Value {
    json!({"name": "web-9", "environment": SHOP, "flavor": "small", "image": "debian-12", "network": "customers"})
}

pub fn with(more: Value) -> Value {
    let mut order = order();
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order
}

/// The pointers and details of a problem.
pub fn told(problem: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    problem["errors"].as_array().unwrap().iter().map(|e| (text(&e["pointer"]), text(&e["detail"]))).collect()
}

pub async fn refused(app: &App, order: Value, status: Status, pointer: &str, part: &str) {
    let before = app.contents().await;
    let shown = order.to_string();
    let problem = app.post("/v1/vms", order).await.is(status);
    let told = told(&problem);
    assert!(told.iter().any(|(at, detail)| at == pointer && detail.contains(part)), "{shown}: {told:?}");
    assert_eq!(app.contents().await, before, "{shown}");
}

#[rocket::async_test]
async fn an_order_gives_a_vm_with_a_place_an_interface_addresses_and_a_boot_volume() {
    let app = demo().await;
    let vm = app.post("/v1/vms", order()).await.is(Status::Created);
    assert_eq!(
        (&vm["cores"], &vm["ram_bytes"], &vm["virt_method"]["name"]),
        (&json!(1), &json!(2_147_483_648_i64), &json!("KVM"))
    );
    assert_eq!(
        (&vm["state"]["name"], &vm["flavor"]["name"], &vm["lifecycle"]),
        (&json!("running"), &json!("small"), &json!("scheduled"))
    );
    // The one with more memory left.
    assert_eq!(vm["hypervisor"]["fqdn"], "hv01.example.com");
    let interfaces = app.get(&format!("/v1/interfaces?vm={}", vm["id"])).await.is(Status::Ok);
    let [interface] = interfaces["items"].as_array().unwrap().as_slice() else { panic!("{interfaces}") };
    let mac = interface["mac"].as_str().unwrap();
    assert!(mac.starts_with("52:54:00:"), "{mac}");
    assert_eq!(interface["vlans"][0]["name"], "customers");
    let addresses: Vec<&str> =
        interface["addresses"].as_array().unwrap().iter().map(|a| a["ip"].as_str().unwrap()).collect();
    // After the highest that anybody has.
    assert_eq!(addresses, ["192.0.2.21/24", "2001:db8:0:100::12/64"]);
    let volumes = app.get(&format!("/v1/volumes?vm={}", vm["id"])).await.is(Status::Ok);
    let [volume] = volumes["items"].as_array().unwrap().as_slice() else { panic!("{volumes}") };
    assert_eq!((&volume["size_bytes"], &volume["storage_type"]["name"]), (&json!(21_474_836_480_i64), &json!("qcow2")));
    assert_eq!(
        (&volume["image"]["name"], &volume["lifetime"], &volume["write_iops_limit"]),
        (&json!("debian-12"), &json!("vm"), &json!(500))
    );
    assert_eq!(volume["environment"]["key"], SHOP);
    // It goes with all that was made for it.
    assert_eq!(app.json(Method::Delete, &format!("/v1/vms/{}", vm["id"]), Value::Null).await.status, 204);
    for (list, id) in [("volumes", &volume["id"]), ("interfaces", &interface["id"])] {
        app.get(&format!("/v1/{list}/{id}")).await.is(Status::NotFound);
    }
}

#[rocket::async_test]
async fn an_order_says_as_little_or_as_much_as_it_likes() {
    let app = demo().await;
    // A name is made, and a profile says the rest; what the order says counts more, and labels add up.
    let vm = app
        .post("/v1/vms", json!({"environment": SHOP, "profile": "web", "labels": ["blue"]}))
        .await
        .is(Status::Created);
    let name = vm["name"].as_str().unwrap();
    assert_eq!(name.split('-').count(), 3, "{name}");
    assert_eq!((&vm["flavor"]["name"], &vm["labels"]), (&json!("small"), &json!(["blue", "web"])));
    assert!(vm["user_data"].as_str().unwrap().contains("nginx"));
    let vm = app
        .post("/v1/vms", json!({"environment": SHOP, "profile": "web", "flavor": "medium", "user_data": "#!/bin/sh\n"}))
        .await;
    let vm = vm.is(Status::Created);
    assert_eq!((&vm["flavor"]["name"], &vm["user_data"]), (&json!("medium"), &json!("#!/bin/sh\n")));

    // Several, each with addresses of its own; names are counted.
    let many = with(
        json!({"name": "app", "count": 3, "labels": ["app"], "keys": ["laptop"], "assign_floating_ip": true,
        "security_rules": [{"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}]}),
    );
    let made = app.post("/v1/vms", many).await.is(Status::Created);
    let names: Vec<&str> = made["items"].as_array().unwrap().iter().map(|vm| vm["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["app-1", "app-2", "app-3"]);
    assert_eq!(made["items"][2]["keys"][0]["key"], "acme/shop/laptop");
    assert_eq!(made["items"][2]["security_rules"].as_array().unwrap().len(), 1);
    let found = app.get("/v1/vms?labels=app").await.is(Status::Ok);
    assert_eq!(found["total"], 3);
    let floating = app.get(&format!("/v1/floating-ips?vm={}", made["items"][0]["id"])).await.is(Status::Ok);
    assert_eq!(floating["items"][0]["subnet"]["name"], "public");

    // Two networks; an address that is asked for; one of several subnets.
    let networks =
        json!([{"network": "customers", "address": "192.0.2.99"}, {"network": "customers", "subnet": "customers-v6"}]);
    let mut order = with(json!({"name": "two", "networks": networks}));
    order.as_object_mut().unwrap().remove("network");
    let vm = app.post("/v1/vms", order).await.is(Status::Created);
    let interfaces = app.get(&format!("/v1/interfaces?vm={}&sort=id", vm["id"])).await.is(Status::Ok);
    assert_eq!(interfaces["items"][0]["addresses"][0]["ip"], "192.0.2.99/24");
    assert_eq!(interfaces["items"].as_array().unwrap().len(), 2);

    // A larger disk; an operator's own choice of a place; a GPU, which only one hypervisor has.
    let vm = app
        .post("/v1/vms", with(json!({"name": "big", "disk_bytes": 1_u64 << 36, "hypervisor": "hv02.example.com"})))
        .await;
    let vm = vm.is(Status::Created);
    assert_eq!(vm["hypervisor"]["fqdn"], "hv02.example.com");
    let volumes = app.get(&format!("/v1/volumes?vm={}", vm["id"])).await.is(Status::Ok);
    assert_eq!(volumes["items"][0]["size_bytes"], 1_u64 << 36);
    // A volume that was kept, where its cluster is reached.
    let kept = "b0000000-0000-4000-8000-000000000008";
    let boot = json!({"name": "again", "image": null, "volume": kept, "hypervisor": "hv02.example.com"});
    let vm = app.post("/v1/vms", with(boot)).await.is(Status::Created);
    let volume = app.get(&format!("/v1/volumes/{kept}")).await.is(Status::Ok);
    assert_eq!((&volume["vm"]["id"], &volume["lifetime"]), (&vm["id"], &json!("own")));
    let vm = app.post("/v1/vms", with(json!({"name": "gpu", "flavor": "render"}))).await.is(Status::Created);
    let gpus = app.get(&format!("/v1/gpus?vm={}", vm["id"])).await.is(Status::Ok);
    assert_eq!(gpus["items"][0]["address"], "0000:3b:00.0");
    refused(
        &app,
        with(json!({"name": "gpu2", "flavor": "render"})),
        Status::Conflict,
        "/hypervisor",
        "1 has too few cores left",
    )
    .await;
}

#[rocket::async_test]
async fn what_cannot_be_ordered_is_named_and_leaves_nothing() {
    let app = demo().await;
    for (more, status, pointer, part) in [
        (json!({"flavor": "huge"}), Status::UnprocessableEntity, "/flavor", "names none"),
        (json!({"flavor": null}), Status::UnprocessableEntity, "/flavor", "required"),
        (json!({"image": "windows"}), Status::UnprocessableEntity, "/image", "names none"),
        (json!({"network": "storage"}), Status::UnprocessableEntity, "/network", "not one for VMs"),
        (json!({"network": "mail"}), Status::UnprocessableEntity, "/network", "not one for VMs of this environment"),
        (json!({"subnet": "mail-v4"}), Status::UnprocessableEntity, "/subnet", "not one for addresses of this network"),
        (json!({"address": "192.0.2.1"}), Status::UnprocessableEntity, "/networks/0/address", "gives away"),
        // Beyond the last that is given away, and before the first.
        (json!({"address": "192.0.2.251"}), Status::UnprocessableEntity, "/networks/0/address", "gives away"),
        (json!({"address": "192.0.2.9"}), Status::UnprocessableEntity, "/networks/0/address", "gives away"),
        (json!({"address": "10.0.0.7"}), Status::UnprocessableEntity, "/networks/0/address", "gives away"),
        (json!({"address": "192.0.2.10"}), Status::Conflict, "/networks/0/address", "taken"),
        (json!({"address": "nowhere"}), Status::UnprocessableEntity, "/address", "IP address"),
        (json!({"keys": ["other"]}), Status::UnprocessableEntity, "/keys/0", "names none"),
        (json!({"keys": ["globex/mail/admin"]}), Status::UnprocessableEntity, "/keys", "not of its environment"),
        (json!({"group": "globex/mail/mail"}), Status::UnprocessableEntity, "/group", "not of its environment"),
        (json!({"profile": "globex/mail/mail"}), Status::UnprocessableEntity, "/profile", "not of its environment"),
        (json!({"environment": "acme/none"}), Status::UnprocessableEntity, "/environment", "names none"),
        (json!({"user_data": "packages: [nginx]"}), Status::UnprocessableEntity, "/user_data", "#cloud-config"),
        (json!({"user_data": "#cloud-config\na: ["}), Status::UnprocessableEntity, "/user_data", "YAML"),
        (json!({"disk_bytes": 0}), Status::UnprocessableEntity, "/disk_bytes", "at least 1"),
        (json!({"count": 0}), Status::UnprocessableEntity, "/count", "between 1 and 100"),
        (json!({"count": "2"}), Status::UnprocessableEntity, "/count", "between 1 and 100"),
        (json!({"count": 2, "address": "192.0.2.99"}), Status::UnprocessableEntity, "/address", "for one VM"),
        (json!({"assign_floating_ip": "yes"}), Status::UnprocessableEntity, "/assign_floating_ip", "true or false"),
        (json!({"volume": "b0000000-0000-4000-8000-000000000001"}), Status::UnprocessableEntity, "/volume", "type rbd"),
        (
            json!({"volume": "b0000000-0000-4000-8000-000000000008", "image": null, "environment": "globex/mail", "network": "mail"}),
            Status::UnprocessableEntity,
            "/volume",
            "environment",
        ),
        (json!({"ram_bytes": 1}), Status::UnprocessableEntity, "/ram_bytes", "follows from the flavor"),
        (json!({"colour": "red"}), Status::UnprocessableEntity, "/colour", "not known"),
        (
            json!({"networks": [{"network": "customers", "colour": 1}], "network": null}),
            Status::UnprocessableEntity,
            "/networks/0/colour",
            "not known",
        ),
        (json!({"networks": "customers", "network": null}), Status::UnprocessableEntity, "/networks", "must be a list"),
        (json!({"flavor": "database"}), Status::UnprocessableEntity, "/image", "type qcow2 or raw"),
        (json!({"name": "web-1"}), Status::Conflict, "/name", "taken"),
        (json!({"disk_bytes": 1_u64 << 50}), Status::Conflict, "/hypervisor", "2 has too little local storage left"),
        (
            json!({"callback_url": "ftp://example.com"}),
            Status::UnprocessableEntity,
            "/callback_url",
            "address of the web",
        ),
    ] {
        refused(&app, with(more), status, pointer, part).await;
    }
    // Nothing left to choose a network by.
    let mut order = order();
    order.as_object_mut().unwrap().remove("network");
    app.post("/v1/vms", order.clone()).await.is(Status::Created);
    app.post("/v1/networks", json!({"name": "more", "audience": "customers"})).await.is(Status::Created);
    app.post(
        "/v1/subnets",
        json!({"name": "more", "network": "more", "cidr": "198.18.0.0/29", "purpose": "addresses"}),
    )
    .await
    .is(Status::Created);
    order["name"] = "other".into();
    refused(&app, order.clone(), Status::UnprocessableEntity, "/network", "several").await;
    // The environment's own comes first, unless it has several of those.
    order["environment"] = "globex/mail".into();
    app.post("/v1/vms", order.clone()).await.is(Status::Created);
    let own = json!({"name": "mail-2", "audience": "customers", "environment": "globex/mail"});
    app.post("/v1/networks", own).await.is(Status::Created);
    let subnet = json!({"name": "mail-2", "network": "mail-2", "cidr": "198.18.1.0/29", "purpose": "addresses"});
    app.post("/v1/subnets", subnet).await.is(Status::Created);
    order["name"] = "another".into();
    refused(&app, order, Status::UnprocessableEntity, "/network", "several").await;
    // Until no address is left: a /29 has six.
    let some = with(json!({"name": "some", "network": "more", "count": 6}));
    let made = app.post("/v1/vms", some).await.is(Status::Created);
    refused(
        &app,
        with(json!({"name": "seventh", "network": "more"})),
        Status::Conflict,
        "/networks/0",
        "no IPv4 address left",
    )
    .await;
    // One that is given back is given again, once no agent can still answer by it.
    let url = format!("/v1/vms/{}", made["items"][2]["id"]);
    assert_eq!(app.json(Method::Delete, &url, Value::Null).await.status, 204);
    app.post("/v1/vms", with(json!({"name": "seventh", "network": "more"}))).await.is(Status::Created);
}

#[rocket::async_test]
async fn a_customer_orders_in_its_own_environment_and_sees_no_fleet() {
    let app = demo().await;
    let user = |name: &str, role: &str| {
        let user = json!({"name": name, "account_type": "person", "state": "active"});
        json!({"organization": "acme", "user": user, "role": role})
    };
    for (name, role) in [("member", "member"), ("viewer", "viewer")] {
        app.post("/v1/memberships", user(name, role)).await.is(Status::Created);
    }
    let (member, viewer) =
        (issue(&app, json!({"user": "member"})).await.1, issue(&app, json!({"user": "viewer"})).await.1);
    let post = async |secret: &str, order: Value| {
        let bearer = format!("Bearer {secret}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        app.send(Method::Post, "/v1/vms", &headers, order.to_string().as_bytes()).await
    };
    let made = post(&member, with(json!({"assign_floating_ip": true, "keys": ["laptop"], "group": "web"}))).await;
    let made = made.is(Status::Created);
    // web-2 is of the same group, on the other one.
    assert_eq!(made["hypervisor"]["fqdn"], "hv01.example.com");
    for (secret, more, status, pointer) in [
        (&member, json!({"name": "a", "hypervisor": "hv01.example.com"}), 422, Some("/hypervisor")),
        (&member, json!({"name": "a", "uuid": "a0000000-0000-4000-8000-00000000000a"}), 422, Some("/uuid")),
        (&member, json!({"name": "a", "cputime_limit": 10}), 422, Some("/cputime_limit")),
        (&member, json!({"name": "a", "environment": "globex/mail"}), 422, Some("/environment")),
        (&member, json!({"name": "a", "environment": null}), 422, Some("/environment")),
        (&member, json!({"name": "a", "network": "mail"}), 422, Some("/network")),
        (&member, json!({"name": "a", "group": "web"}), 409, Some("/hypervisor")),
        (&viewer, json!({"name": "a"}), 403, None),
    ] {
        let shown = more.to_string();
        let answer = post(secret, with(more)).await;
        assert_eq!(answer.status, status, "{shown} {}", answer.text());
        if let Some(pointer) = pointer {
            let problem: Value = serde_json::from_slice(&answer.bytes).unwrap();
            let told = told(&problem);
            assert!(told.iter().any(|(at, _)| at == pointer), "{shown} {told:?}");
            assert!(!answer.text().contains("hv02"), "{}", answer.text());
        }
    }
    let (bearer, asked) = (format!("Bearer {member}"), order().to_string());
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    assert_eq!(app.send(Method::Post, "/v1/placement/explain", &headers, asked.as_bytes()).await.status, 403);
}

#[rocket::async_test]
async fn every_candidate_is_shown_with_its_reasons() {
    let app = demo().await;
    // A rehearsal says the same, to who may change the fleet.
    let explained = app.post("/v1/placement/explain", order()).await.is(Status::Ok);
    let rehearsed = app.post("/v1/vms?dry_run=true", order()).await.is(Status::Created);
    assert_eq!(rehearsed["candidates"], explained["candidates"]);
    assert_eq!(rehearsed["candidates"][0]["hypervisor"], rehearsed["hypervisor"]["fqdn"]);
    assert!(app.post("/v1/vms", order()).await.is(Status::Created).get("candidates").is_none());
    let before = app.contents().await;
    let explain = async |more: Value| app.post("/v1/placement/explain", with(more)).await.is(Status::Ok);
    let shown = explain(json!({})).await;
    assert_eq!(shown["chosen"], "hv01.example.com");
    let weights: Vec<i64> =
        shown["candidates"].as_array().unwrap().iter().map(|c| c["weight"].as_i64().unwrap()).collect();
    assert!(weights[0] > weights[1], "{weights:?}");
    let reasons = async |more: Value, host: &str| {
        let shown = explain(more).await;
        let found = shown["candidates"].as_array().unwrap().iter().find(|c| c["hypervisor"] == host).unwrap().clone();
        found["refused"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| reason.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        reasons(json!({"flavor": "render"}), "hv02.example.com").await,
        ["has too few such GPUs left", "has not all labels of the flavor"]
    );
    assert_eq!(reasons(json!({"group": "web"}), "hv02.example.com").await, ["is apart from its group, or beside it"]);
    assert_eq!(
        reasons(json!({"hypervisor": "hv02.example.com"}), "hv01.example.com").await,
        ["is not the one that was asked for"]
    );
    assert_eq!(app.contents().await, before);
    for (change, expected) in [
        (
            "UPDATE nodes SET state_id = (SELECT id FROM node_states WHERE name = 'maintenance')",
            "is not in the state running",
        ),
        ("UPDATE node_observations SET last_report = now() - interval '1 year'", "has not been heard of for too long"),
        (
            "DELETE FROM hypervisor_virt_methods m USING hypervisors h WHERE m.hypervisor_id = h.id AND NOT EXISTS (SELECT FROM vms v WHERE v.hypervisor_id = h.id AND v.virt_method_id = m.virt_method_id); UPDATE flavors SET virt_method_id = (SELECT id FROM virt_methods WHERE name = 'QEMU')",
            "does not run VMs by this method",
        ),
        ("UPDATE hypervisors SET cores = 1, reserved_cores = 0", "has too few cores left"),
        ("UPDATE hypervisors SET reserved_ram_bytes = ram_bytes", "has too little memory left"),
        ("UPDATE hypervisors SET local_storage_bytes = NULL", "has too little local storage left"),
        ("UPDATE hypervisors SET iops = 1", "has too few reads and writes per second left"),
        (
            "UPDATE hypervisors SET disk_bps = 1; UPDATE flavors SET disk_bps = 1000000",
            "has too few bytes per second of its disks left",
        ),
        ("UPDATE flavors SET labels = '{ssd}'", "has not all labels of the flavor"),
        (
            "DELETE FROM hypervisor_networks; INSERT INTO hypervisor_networks SELECT h.id, n.id FROM hypervisors h, networks n WHERE n.name = 'public'",
            "does not reach the network",
        ),
    ] {
        let app = demo().await;
        sql(&app.dsn, change).await;
        let shown = app.post("/v1/placement/explain", order()).await.is(Status::Ok);
        assert_eq!(shown["chosen"], Value::Null, "{change}");
        for candidate in shown["candidates"].as_array().unwrap() {
            assert!(candidate["refused"].as_array().unwrap().contains(&json!(expected)), "{change} {candidate}");
        }
        app.end().await;
    }
    for (url, body, status) in [
        ("/v1/placement/explain", json!({"environment": SHOP}), 422),
        ("/v1/placement/explain", json!([]), 422),
        ("/v1/placement/explain?x=1", order(), 400),
    ] {
        assert_eq!(app.post(url, body).await.status, status, "{url}");
    }
}

/// What is counted beside the hypervisors is what their VMs add up to.
pub async fn assert_counted(app: &App) {
    let wrong = rows(
        &app.dsn,
        "SELECT u.*, r.* FROM hypervisor_usage u JOIN hypervisors h ON h.id = u.hypervisor_id, LATERAL (
            SELECT count(*) AS vms, COALESCE(sum(v.cores), 0) AS cores, COALESCE(sum(v.ram_bytes), 0) AS ram,
                (SELECT COALESCE(sum(c.local_bytes), 0) FROM volume_claims c JOIN vms o ON o.id = c.vm_id WHERE o.hypervisor_id = h.id)
                    + (SELECT COALESCE(sum(s.local_bytes), 0) FROM tombstone_claims s WHERE s.hypervisor_id = h.id) AS local,
                (SELECT COALESCE(sum(c.iops), 0) FROM volume_claims c JOIN vms o ON o.id = c.vm_id WHERE o.hypervisor_id = h.id) AS iops,
                (SELECT COALESCE(sum(c.disk_bps), 0) FROM volume_claims c JOIN vms o ON o.id = c.vm_id WHERE o.hypervisor_id = h.id) AS bps
            FROM vms v WHERE v.hypervisor_id = h.id) AS r
        WHERE (u.vms, u.cores, u.ram_bytes, u.local_bytes, u.iops, u.disk_bps, u.free_ram_bytes)
            IS DISTINCT FROM (r.vms, r.cores, r.ram, r.local, r.iops, r.bps, ram_for_vms(h) - r.ram)",
    )
    .await;
    assert_eq!(wrong, Vec::<Vec<String>>::new());
    let claims = rows(
        &app.dsn,
        "SELECT ip FROM ip_claims WHERE held_node_id IS NULL EXCEPT (SELECT bare(ip) FROM addresses UNION SELECT ip FROM floating_ips)
         UNION ALL ((SELECT bare(ip) FROM addresses UNION SELECT ip FROM floating_ips) EXCEPT SELECT ip FROM ip_claims)",
    )
    .await;
    assert_eq!(claims, Vec::<Vec<String>>::new());
}
