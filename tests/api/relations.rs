//! Relations: references in and out, lists that are replaced as a whole, what belongs to what, what is in use.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::{KINDS, OnDelete, Type};

use crate::every_kind::{by_key, example, text};
use crate::harness::{self, App};

/// The demo fleet: every kind, related in every way.
pub async fn demo() -> App {
    let app = App::start().await;
    virtapi::demo::load(&app.dsn).await.unwrap();
    app
}

const VM: &str = "a0000000-0000-4000-8000-000000000001";

#[rocket::async_test]
async fn every_reference_is_understood_in_every_form() {
    for &kind in KINDS {
        let (app, list) = (App::start().await, format!("/v1/{}", kind.name()));
        let created = app.post(&list, example(kind)).await.is(Status::Created);
        let url = format!("{list}/{}", created["id"]);
        for column in kind.columns().iter().filter(|column| column.writable) {
            let (one, name) = match column.ty {
                Type::Ref(_) if !created[column.name].is_null() => (&created[column.name], column.name.to_owned()),
                Type::Many(_) if created[column.name] != json!([]) => {
                    (&created[column.name][0], format!("{}/0", column.name))
                }
                _ => continue,
            };
            let body = |value: Value| json!({column.name: if name.contains('/') { json!([value]) } else { value }});
            let key = one.as_object().unwrap().keys().nth(1).unwrap();
            for good in [
                one.clone(),
                one["id"].clone(),
                json!(one["id"].to_string()),
                one[key].clone(),
                json!({"id": one["id"]}),
                json!({key: one[key]}),
                json!({key: one[key], "href": "/elsewhere"}),
            ] {
                let patched = app.json(Method::Patch, &url, body(good.clone())).await.is(Status::Ok);
                assert_eq!(patched[column.name], body(one.clone())[column.name], "{url} {good}");
            }
            let before = app.contents().await;
            for bad in [
                json!(999_999),
                json!(-1),
                json!(u64::MAX),
                json!("9223372036854775808"),
                json!("no such thing"),
                json!(""),
                json!(true),
                json!(1.5),
                json!([]),
                json!({}),
                json!({"id": null}),
                json!({"id": 999_999}),
                json!({"id": one["id"], key: "other"}),
                json!({"id": one["id"], "colour": "red"}),
                json!({key: "other"}),
            ] {
                let answer = app.json(Method::Patch, &url, body(bad.clone())).await;
                assert!([409, 422].contains(&answer.status), "{url} {name} {bad} {}", answer.text());
                let problem: Value = serde_json::from_slice(&answer.bytes).unwrap();
                let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
                assert!(pointer.starts_with(&format!("/{name}")), "{url} {name} {bad} {problem}");
            }
            assert_eq!(app.contents().await, before);
        }
        app.end().await;
    }
}

#[rocket::async_test]
async fn what_is_in_use_cannot_be_deleted_and_the_answer_says_by_what() {
    for &kind in KINDS {
        for column in kind.columns() {
            let app = App::start().await;
            let created = app.post(&format!("/v1/{}", kind.name()), example(kind)).await.is(Status::Created);
            let (target, used) = match column.ty {
                Type::Ref(target) if created[column.name].is_object() => (target, &created[column.name]),
                Type::Many(link) if created[column.name] != json!([]) => (link.kind, &created[column.name][0]),
                _ => {
                    app.end().await;
                    continue;
                }
            };
            let url = used["href"].as_str().unwrap();
            assert_eq!(url, format!("/v1/{}/{}", target.name(), used["id"]));
            let before = app.contents().await;
            let answer = app.json(Method::Delete, url, Value::Null).await;
            match column.on_delete {
                OnDelete::GoAlong => {
                    assert_eq!(answer.status, 204, "{url}");
                    app.get(&by_key(kind, &created)).await.is(Status::NotFound);
                }
                OnDelete::Clear => assert_eq!(answer.status, 204, "{url}"),
                OnDelete::Refuse => {
                    let problem = answer.is(Status::Conflict);
                    let detail = problem["errors"][0]["detail"].as_str().unwrap();
                    let key: Vec<_> = kind.key().iter().map(|name| text(&created[*name])).collect();
                    assert!(detail.contains(&format!("1 {}", kind.name())), "{url} {detail}");
                    assert!(detail.contains(&key[0]), "{url} {detail}");
                    assert_eq!(app.contents().await, before);
                }
            }
            app.end().await;
        }
    }
}

#[rocket::async_test]
async fn roles_and_interfaces_go_with_their_node() {
    let app = demo().await;
    let problem = app.json(Method::Delete, "/v1/nodes/hv01.example.com", Value::Null).await.is(Status::Conflict);
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("is still used by 3 vms: ") && detail.contains(VM), "{detail}");
    // The detail names the first few only.
    let problem = app.json(Method::Delete, "/v1/vm-states/running", Value::Null).await.is(Status::Conflict);
    assert!(problem["detail"].as_str().unwrap().contains("5 vms"), "{problem}");
    let problem = app.json(Method::Delete, "/v1/node-states/1", Value::Null).await.is(Status::Conflict);
    assert!(problem["detail"].as_str().unwrap().contains("5 nodes"), "{problem}");

    assert_eq!(app.json(Method::Delete, "/v1/nodes/st01.example.com", Value::Null).await.status, 204);
    for list in ["ceph-mons", "ceph-osds", "interfaces", "bonds"] {
        let left = app.get(&format!("/v1/{list}?limit=1000")).await;
        assert!(!left.text().contains("st01.example.com"), "{list}");
    }
    app.get("/v1/addresses/10.0.0.13").await.is(Status::NotFound);
    // A VM goes when its volumes are taken from it, with its interfaces.
    let url = format!("/v1/vms/{VM}");
    let problem = app.json(Method::Delete, &url, Value::Null).await.is(Status::Conflict);
    assert!(problem["detail"].as_str().unwrap().contains("1 volumes"), "{problem}");
    let volume = "/v1/volumes/b0000000-0000-4000-8000-000000000001";
    app.json(Method::Patch, volume, json!({"vm": null})).await.is(Status::Ok);
    assert_eq!(app.json(Method::Delete, &url, Value::Null).await.status, 204);
    app.get("/v1/interfaces/52:54:00:00:00:01").await.is(Status::NotFound);
    // Snapshots go with their volume, and leave the image that it was made from.
    assert_eq!(app.json(Method::Delete, volume, Value::Null).await.status, 204);
    app.get("/v1/snapshots/b0000000-0000-4000-8000-000000000001/golden").await.is(Status::NotFound);
    app.get("/v1/images/debian-12").await.is(Status::Ok);
}

#[rocket::async_test]
async fn a_list_of_references_is_replaced_as_a_whole() {
    let app = demo().await;
    let url = "/v1/interfaces/52:54:00:00:00:01";
    for (given, names) in [
        (json!(["dmz", "mgmt", "dmz", 1]), vec!["mgmt", "dmz"]),
        (json!([{"name": "new", "vni": 5}, "mgmt"]), vec!["mgmt", "new"]),
        (json!([{"name": "new"}]), vec!["new"]),
        (json!([]), vec![]),
        (json!(["dmz"]), vec!["dmz"]),
        (json!(null), vec![]),
    ] {
        let patched = app.json(Method::Patch, url, json!({"vlans": given})).await.is(Status::Ok);
        let shown: Vec<_> = patched["vlans"].as_array().unwrap().iter().map(text).collect();
        assert_eq!(shown, names, "{given}");
    }
    app.json(Method::Patch, url, json!({"vlans": ["dmz"]})).await.is(Status::Ok);
    assert_eq!(app.json(Method::Patch, url, json!({"name": "x"})).await.is(Status::Ok)["vlans"][0]["name"], "dmz");
    // A replace that does not name them takes them away.
    let replaced = app.json(Method::Put, url, json!({"vm": VM})).await.is(Status::Ok);
    assert_eq!((&replaced["vlans"], &replaced["addresses"], &replaced["name"]), (&json!([]), &json!([]), &Value::Null));
    for bad in [json!("dmz"), json!({"name": "dmz"}), json!(1), json!([["dmz"]])] {
        app.json(Method::Patch, url, json!({"vlans": bad})).await.is(Status::UnprocessableEntity);
    }
    // What a VM uses cannot be taken from its hypervisor.
    let body = json!({"virt_methods": ["QEMU"]});
    let problem = app.json(Method::Patch, "/v1/hypervisors/hv01.example.com", body).await.is(Status::Conflict);
    assert_eq!(problem["errors"][0], json!({"pointer": "/virt_methods", "detail": "is still used by vms"}));
    let body = json!({"virt_methods": ["KVM"]});
    app.json(Method::Patch, "/v1/hypervisors/hv01.example.com", body).await.is(Status::Ok);
}

#[rocket::async_test]
async fn addresses_belong_to_their_interface() {
    let app = demo().await;
    let url = "/v1/interfaces/52:54:00:00:00:01";
    let ips = |body: &Value| body["addresses"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(" ");
    let first = app.get(url).await.is(Status::Ok)["addresses"].clone();
    for (given, expected) in [
        (json!([first[0], "192.0.2.99/24"]), "192.0.2.10/24 192.0.2.99/24"),
        (json!([first[0]["id"], {"ip": "192.0.2.98/24"}]), "192.0.2.10/24 192.0.2.98/24"),
        // Another prefix length is the same address; by its reference, another address, too.
        (json!(["192.0.2.10/25"]), "192.0.2.10/25"),
        (json!([{"id": first[0]["id"], "ip": "192.0.2.10/26", "href": first[0]["href"]}]), "192.0.2.10/26"),
        (json!([{"id": first[0]["id"], "ip": "192.0.2.97/26"}]), "192.0.2.97/26"),
        (json!(["2001:DB8::0:7/64"]), "2001:db8::7/64"),
        (json!([]), ""),
    ] {
        let patched = app.json(Method::Patch, url, json!({"addresses": given})).await.is(Status::Ok);
        assert_eq!(ips(&patched), expected, "{given}");
    }
    let count = "SELECT count(*) FROM addresses WHERE host(ip) LIKE '192.0.2.9%'";
    assert_eq!(harness::rows(&app.dsn, count).await, [["0"]]);
    app.json(Method::Patch, url, json!({"addresses": ["192.0.2.10/24"]})).await.is(Status::Ok);
    let before = app.contents().await;
    let other = app.get("/v1/addresses/192.0.2.11").await.is(Status::Ok);
    for (status, pointer, given) in [
        (409, "/addresses/1/ip", json!(["192.0.2.10/24", "192.0.2.11/24"])),
        (409, "/addresses/0/ip", json!(["192.0.2.11/32"])),
        (409, "/addresses/1/ip", json!(["192.0.2.12/24", "192.0.2.12/25"])),
        (422, "/addresses/1", json!(["192.0.2.10/24", "192.0.2.10/25"])),
        (422, "/addresses/0", json!([{"id": other["id"], "ip": other["ip"]}])),
        (422, "/addresses/0", json!([other["id"]])),
        (422, "/addresses/0/ip", json!(["192.0.2.12"])),
        (422, "/addresses/0/ip", json!(["192.0.2.256/24"])),
        (422, "/addresses/0/ip", json!([{"ip": null}])),
        (422, "/addresses/0/colour", json!([{"ip": "192.0.2.12/24", "colour": "red"}])),
        (422, "/addresses/0", json!([true])),
        (422, "/addresses/0", json!([null])),
        (422, "/addresses", json!("192.0.2.12/24")),
    ] {
        let answer = app.json(Method::Patch, url, json!({"addresses": given})).await;
        let problem: Value = serde_json::from_slice(&answer.bytes).unwrap();
        assert_eq!((answer.status, &problem["errors"][0]["pointer"]), (status, &json!(pointer)), "{given} {problem}");
    }
    // An address moves by its own reference.
    assert_eq!(app.contents().await, before);
    let moved = json!({"interface": "52:54:00:00:00:01"});
    app.json(Method::Patch, "/v1/addresses/192.0.2.11", moved).await.is(Status::Ok);
    assert_eq!(ips(&app.get(url).await.is(Status::Ok)), "192.0.2.11/24 192.0.2.10/24");
}

#[rocket::async_test]
async fn an_object_given_whole_is_created_or_must_be_as_it_is() {
    let app = demo().await;
    let node = json!({"fqdn": "hv03.example.com", "state": {"name": "new state"}});
    let hypervisor = json!({"node": node, "cores": 4, "ram_bytes": 1024, "virt_methods": ["KVM", {"name": "Xen"}]});
    let vm = json!({"name": "web", "cores": 2, "ram_bytes": 1, "state": "running", "virt_method": "Xen", "hypervisor": hypervisor});
    let interface = json!({"mac": "52:54:00:99:00:01", "vm": vm, "addresses": ["192.0.2.77/24"]});
    // An object of a name alone cannot be told from a reference.
    let problem = app.post("/v1/interfaces", interface.clone()).await.is(Status::UnprocessableEntity);
    assert_eq!(problem["errors"][0]["pointer"], "/vm/hypervisor/node/state");
    let mut fixed = interface.clone();
    fixed["vm"]["hypervisor"]["node"]["state"] = json!("running");
    fixed["vm"]["hypervisor"]["virt_methods"] = json!(["KVM"]);
    fixed["vm"]["virt_method"] = json!("KVM");
    let created = app.post("/v1/interfaces?embed=vm.hypervisor.node", fixed).await.is(Status::Created);
    assert_eq!(created["vm"]["hypervisor"]["node"]["fqdn"], "hv03.example.com");
    // It is there now: as it was given, or not.
    for (status, cores) in [(201, json!(4)), (201, Value::Null), (409, json!(5))] {
        let mut hypervisor = json!({"node": "hv03.example.com", "ram_bytes": 1024, "virt_methods": ["KVM"]});
        if !cores.is_null() {
            hypervisor["cores"] = cores;
        }
        let body =
            json!({"name": "w", "cores": 1, "ram_bytes": 1, "state": 1, "virt_method": 1, "hypervisor": hypervisor});
        let answer = app.post("/v1/vms", body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.text().contains(r#""pointer":"/hypervisor""#), status == 409);
    }
    // What is wrong far below is named from the top, and nothing is left of what was right.
    let before = app.contents().await;
    let mut wrong = interface;
    wrong["mac"] = json!("52:54:00:99:00:02");
    wrong["vm"]["hypervisor"] = json!({"node": {"fqdn": "hv04.example.com", "state": 1}, "cores": 0, "ram_bytes": "x"});
    let problem = app.post("/v1/interfaces", wrong).await.is(Status::UnprocessableEntity);
    let pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/vm/hypervisor/cores", "/vm/hypervisor/ram_bytes"]);
    assert_eq!(app.contents().await, before);
}

#[rocket::async_test]
async fn rules_between_objects_hold() {
    let app = demo().await;
    let (port, vm) = ("/v1/interfaces/3c:ec:ef:00:01:01", "/v1/interfaces/52:54:00:00:00:01");
    let volume = "/v1/volumes/b0000000-0000-4000-8000-000000000001";
    let before = app.contents().await;
    for (status, pointer, url, patch) in [
        (422, "/node", port, json!({"vm": VM})),
        (422, "/node", port, json!({"node": null})),
        (422, "/bond", vm, json!({"bond": "hv01.example.com/bond0"})),
        (422, "/bond", port, json!({"bond": "hv02.example.com/bond0"})),
        (422, "/bond", port, json!({"node": "hv02.example.com"})),
        (409, "/mac", vm, json!({"mac": "3C-EC-EF-00-01-01"})),
        (409, "/ip", "/v1/addresses/192.0.2.10", json!({"ip": "192.0.2.11/30"})),
        (422, "/virt_method", &format!("/v1/vms/{VM}"), json!({"virt_method": "LXC"})),
        (
            422,
            "/virt_method",
            &format!("/v1/vms/{VM}"),
            json!({"hypervisor": "hv02.example.com", "virt_method": "QEMU"}),
        ),
        (422, "/tag", "/v1/vlans/dmz", json!({"vni": 5})),
        (422, "/tag", "/v1/vlans/dmz", json!({"tag": null})),
        (422, "/tag", "/v1/vlans/dmz", json!({"tag": 4095})),
        (422, "/tag", "/v1/vlans/dmz", json!({"tag": 0})),
        (422, "/vni", "/v1/vlans/tenant-blue", json!({"vni": 16_777_216})),
        (422, "/ceph_pool", volume, json!({"ceph_pool": "rbd"})),
        (422, "/ceph_pool", volume, json!({"storage_type": "rbd", "image": null})),
        (422, "/image", volume, json!({"storage_type": "lvm"})),
        (422, "/size_bytes", volume, json!({"size_bytes": 2_147_483_647})),
        (422, "/min_size", "/v1/ceph-pools/rbd", json!({"size": 1})),
        (422, "/name", "/v1/storage-types/qcow2", json!({"name": "zfs"})),
        (409, "/node", "/v1/hypervisors/hv01.example.com", json!({"node": "hv02.example.com"})),
        (409, "/address", "/v1/ceph-mons/st01.example.com", json!({"address": "10.1.0.14"})),
        (409, "/name", "/v1/ceph-mons/st01.example.com", json!({"name": "st02"})),
        (409, "/device", "/v1/ceph-osds/st01.example.com/dev/sdb", json!({"device": "/dev/sdc"})),
        (
            409,
            "/name",
            "/v1/snapshots/b0000000-0000-4000-8000-000000000001/golden",
            json!({"volume": "b0000000-0000-4000-8000-000000000004", "name": "before-upgrade"}),
        ),
        (
            422,
            "/keep_until",
            "/v1/snapshots/b0000000-0000-4000-8000-000000000001/golden",
            json!({"keep_until": "2026-11-01T01:00:00+01:00"}),
        ),
        (422, "/size_bytes", "/v1/images/debian-12", json!({"size_bytes": 21_474_836_481_i64})),
    ] {
        let answer = app.json(Method::Patch, url, patch.clone()).await;
        let problem: Value = serde_json::from_slice(&answer.bytes).unwrap();
        assert_eq!(
            (answer.status, &problem["errors"][0]["pointer"]),
            (status, &json!(pointer)),
            "{url} {patch} {problem}"
        );
    }
    assert_eq!(app.contents().await, before);
    app.json(Method::Patch, port, json!({"node": "hv02.example.com", "bond": null})).await.is(Status::Ok);
    app.json(Method::Patch, vm, json!({"vm": null, "node": "hv02.example.com"})).await.is(Status::Ok);
    // A bond that is deleted leaves its members.
    assert_eq!(app.json(Method::Delete, "/v1/bonds/hv01.example.com/bond0", Value::Null).await.status, 204);
    let member = app.get("/v1/interfaces/3c:ec:ef:00:01:02").await.is(Status::Ok);
    assert_eq!((&member["bond"], &member["name"]), (&Value::Null, &json!("eno2")));
}

#[rocket::async_test]
async fn bridge_names_fit_into_the_kernel_and_never_meet() {
    let app = App::start().await;
    let mut seen = std::collections::BTreeSet::new();
    let post = async |vm: i64, interface: i64| {
        for (table, id) in [("vms", vm), ("interfaces", interface)] {
            harness::sql(&app.dsn, &format!("ALTER TABLE {table} ALTER COLUMN id RESTART WITH {id}")).await;
        }
        let body = json!({"name": "w", "cores": 1, "ram_bytes": 1, "state": 1, "virt_method": 1});
        let mac = format!("52:54:00:00:00:{:02x}", interface % 256);
        app.post("/v1/interfaces", json!({"mac": mac, "vm": body})).await
    };
    for (vm, interface, bridge) in [
        (1, 11, "br-1-11"),
        (11, 1, "br-11-1"),
        (99_999, 999_999, "br-99999-999999"),
        (100_000, 999_998, "br186a0-f423e"),
        (16_777_215, 16_777_214, "brffffff-fffffe"),
        (2, 9_999_999_999, "br-2-9999999999"),
        (3, 10_000_000_000, "br3-2540be400"),
    ] {
        let created = post(vm, interface).await.is(Status::Created);
        assert_eq!(created["bridge"], bridge);
        assert!(bridge.len() <= 15 && seen.insert(bridge));
        let url = format!("/v1/interfaces/{interface}");
        app.json(Method::Patch, &url, json!({"bridge": "x"})).await.is(Status::UnprocessableEntity);
    }
    let before = app.contents().await;
    let problem = post(16_777_216, 16_777_216).await.is(Status::UnprocessableEntity);
    assert_eq!(problem["errors"][0]["pointer"], "/bridge");
    assert_eq!(app.contents().await, before);
}
