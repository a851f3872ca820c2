//! Snapshots of VMs: of all their volumes or of one, and back to them.

use chrono::{DateTime, Duration, Utc};
use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::harness::App;
use crate::infrahub::member;
use crate::orders::actions::{applied, ask, in_a_pool, lifecycle};
use crate::orders::{order, told};
use crate::relations::demo;

/// A VM with two volumes, and where it is.
async fn with_two_volumes(app: &App) -> (Value, String, [Value; 2]) {
    let vm = app.post("/v1/vms", order()).await.is(Status::Created);
    let data = json!({"vm": vm["id"], "size_bytes": 1 << 30, "storage_type": "qcow2", "cache_option": "none", "environment": "acme/shop"});
    app.post("/v1/volumes", data).await.is(Status::Created);
    applied(app).await;
    let list = app.get(&format!("/v1/volumes?vm={}&sort=id", vm["id"])).await.is(Status::Ok);
    let url = format!("/v1/vms/{}", vm["id"]);
    (vm, url, [list["items"][0].clone(), list["items"][1].clone()])
}

/// What the document of its hypervisor says of a VM's volumes.
async fn documented(app: &App, vm: &Value) -> Vec<Value> {
    let node = vm["hypervisor"]["fqdn"].as_str().unwrap();
    let document = app.get(&format!("/salt/pillar/{node}")).await.is(Status::Ok);
    let vm = &document["virtapi"]["hypervisor"]["vms"][vm["uuid"].as_str().unwrap()];
    vm["volumes"].as_array().unwrap().clone()
}

async fn refused(app: &App, url: &str, body: Value, status: Status, pointer: &str, part: &str) {
    let problem = app.post(url, body.clone()).await.is(status);
    let told = told(&problem);
    assert!(told.iter().any(|(at, detail)| at == pointer && detail.contains(part)), "{url} {body}: {told:?}");
}

#[rocket::async_test]
async fn a_snapshot_is_taken_of_all_volumes_or_of_one() {
    let app = demo().await;
    let member = member(&app).await;
    let (vm, url, [boot, data]) = with_two_volumes(&app).await;
    let snapshots = async || app.get("/v1/snapshots?sort=id&limit=1000").await.is(Status::Ok)["items"].clone();
    let before = snapshots().await;
    app.post(&format!("{url}/snapshot?dry_run=true"), json!({"name": "one"})).await.is(Status::Ok);
    for (body, status, pointer, part) in [
        (json!({}), 422, "/name", "is required"),
        (json!({"name": 7}), 422, "/name", "must be a string"),
        (json!({"name": "a b"}), 422, "/name", ""),
        (json!({"name": "one", "keep_until": "2020-01-01T00:00:00Z"}), 422, "/keep_until", "must be after take_at"),
        (json!({"name": "one", "keep_until": "soon"}), 422, "/keep_until", ""),
        (json!({"name": "one", "volume": 999_999}), 422, "/volume", "names none of volumes"),
        (json!({"name": "one", "take_at": "2026-12-01T00:00:00Z"}), 422, "/take_at", "is not known"),
    ] {
        refused(&app, &format!("{url}/snapshot"), body, Status::new(status), pointer, part).await;
    }
    assert_eq!(snapshots().await, before);

    let begun = Utc::now();
    ask(&app, &member, Method::Post, &format!("{url}/snapshot"), &json!({"name": "one"})).await.is(Status::Ok);
    app.post(
        &format!("{url}/snapshot"),
        json!({"name": "two", "volume": data["uuid"], "keep_until": "2036-01-01T00:00:00Z"}),
    )
    .await
    .is(Status::Ok);
    let documented = documented(&app, &vm).await;
    let names = |volume: &Value| -> Vec<(String, Value)> {
        let list = volume["snapshots"].as_array().unwrap();
        list.iter().map(|s| (s["name"].as_str().unwrap().to_owned(), s["keep_until"].clone())).collect()
    };
    assert_eq!(names(&documented[0]), [("one".to_owned(), Value::Null)]);
    assert_eq!(
        names(&documented[1]),
        [("one".to_owned(), Value::Null), ("two".to_owned(), json!("2036-01-01T00:00:00Z"))]
    );
    let taken: DateTime<Utc> = documented[0]["snapshots"][0]["take_at"].as_str().unwrap().parse().unwrap();
    assert!(taken >= begun - Duration::seconds(1) && taken <= Utc::now(), "{taken}");
    assert!(documented.iter().all(|volume| volume.get("restore").is_none()));
    // None of the same name, and not even of the one that has none of it.
    refused(&app, &format!("{url}/snapshot"), json!({"name": "two"}), Status::Conflict, "/name", "").await;
    assert_eq!(app.get(&format!("/v1/snapshots?volume={}", boot["id"])).await.is(Status::Ok)["total"], 1);
}

#[rocket::async_test]
async fn what_holds_no_snapshots_gets_none() {
    let app = demo().await;
    let (vm, url, [boot, _]) = with_two_volumes(&app).await;
    let raw = json!({"vm": vm["id"], "size_bytes": 1 << 30, "storage_type": "raw", "cache_option": "none", "environment": "acme/shop"});
    let raw = app.post("/v1/volumes", raw).await.is(Status::Created);
    let uuid = raw["uuid"].as_str().unwrap();
    refused(&app, &format!("{url}/snapshot"), json!({"name": "one"}), Status::Conflict, "/volume", uuid).await;
    let direct = json!({"volume": raw["id"], "name": "one", "take_at": "2026-12-01T00:00:00Z"});
    refused(&app, "/v1/snapshots", direct.clone(), Status::UnprocessableEntity, "/volume", "only qcow2 and rbd").await;
    assert_eq!(app.get(&format!("/v1/snapshots?volume={}", boot["id"])).await.is(Status::Ok)["total"], 0);
    app.post(&format!("{url}/snapshot"), json!({"name": "one", "volume": boot["id"]})).await.is(Status::Ok);
    // From the other side: what has some stays what it is, and none moves to what holds none.
    let boot_url = format!("/v1/volumes/{}", boot["id"]);
    let problem = app
        .json(Method::Patch, &boot_url, json!({"storage_type": "raw", "image": null}))
        .await
        .is(Status::UnprocessableEntity);
    assert!(told(&problem).iter().any(|(at, _)| at == "/storage_type"), "{problem}");
    let snapshot =
        app.get(&format!("/v1/snapshots?volume={}", boot["id"])).await.is(Status::Ok)["items"][0]["id"].clone();
    app.json(Method::Patch, &format!("/v1/snapshots/{snapshot}"), json!({"volume": raw["id"]}))
        .await
        .is(Status::UnprocessableEntity);
    let bare = app
        .post(
            "/v1/vms",
            json!({"name": "bare", "cores": 1, "ram_bytes": 1 << 30, "state": "stopped", "virt_method": "KVM"}),
        )
        .await;
    let bare = format!("/v1/vms/{}", bare.is(Status::Created)["id"]);
    refused(&app, &format!("{bare}/snapshot"), json!({"name": "one"}), Status::Conflict, "/volume", "has no volumes")
        .await;
    refused(&app, &format!("{bare}/restore"), json!({"snapshot": "one"}), Status::Conflict, "/hypervisor", "is none")
        .await;
    assert_eq!(app.post("/v1/vms/999999/snapshot", json!({"name": "one"})).await.status, 404);
    assert_eq!(app.post("/v1/vms/999999/restore", json!({"snapshot": "one"})).await.status, 404);
}

#[rocket::async_test]
async fn volumes_are_set_back_together_or_the_one_that_is_said() {
    let app = demo().await;
    let member = member(&app).await;
    let (vm, url, [boot, data]) = with_two_volumes(&app).await;
    app.post(&format!("{url}/snapshot"), json!({"name": "both"})).await.is(Status::Ok);
    app.post(&format!("{url}/snapshot"), json!({"name": "data", "volume": data["id"]})).await.is(Status::Ok);
    for (name, more) in [
        ("later", json!({"take_at": "2036-01-01T00:00:00Z"})),
        ("gone", json!({"take_at": "2020-01-01T00:00:00Z", "keep_until": "2020-02-01T00:00:00Z"})),
    ] {
        let mut snapshot = json!({"volume": data["id"], "name": name});
        snapshot.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        app.post("/v1/snapshots", snapshot).await.is(Status::Created);
    }
    applied(&app).await;
    let before = app.get(&url).await.is(Status::Ok);
    let other = boot["uuid"].as_str().unwrap();
    for (body, status, pointer, part) in [
        (json!({}), 422, "/snapshot", "is required"),
        (json!({"snapshot": 1}), 422, "/snapshot", "must be the name"),
        (json!({"snapshot": "none"}), 409, "/snapshot", other),
        (json!({"snapshot": "data"}), 409, "/snapshot", other),
        (json!({"snapshot": "later", "volume": data["id"]}), 409, "/snapshot", "is none that the volume has now"),
        (json!({"snapshot": "gone", "volume": data["id"]}), 409, "/snapshot", "is none that the volume has now"),
        (json!({"snapshot": "both", "volume": 999_999}), 422, "/volume", "names none"),
        (json!({"name": "both"}), 422, "/snapshot", "is required"),
        (json!({"snapshot": "both", "name": "both"}), 422, "/name", "is not known"),
    ] {
        let url = format!("{url}/restore");
        let problem = app.post(&url, body.clone()).await.is(Status::new(status));
        let told = told(&problem);
        let known = told.iter().any(|(at, detail)| at == pointer && detail.contains(part));
        assert!(known || body.get("snapshot").is_none(), "{body}: {told:?}");
    }
    app.post(&format!("{url}/restore?dry_run=true"), json!({"snapshot": "both"})).await.is(Status::Ok);
    assert_eq!(app.get(&url).await.is(Status::Ok), before);

    let restored = ask(&app, &member, Method::Post, &format!("{url}/restore"), &json!({"snapshot": "both"})).await;
    let restored = restored.is(Status::Ok);
    assert_eq!((&restored["lifecycle"], &restored["restarts"]), (&json!("restoring"), &json!(1)));
    let wanted =
        |volumes: Vec<Value>| -> Vec<Value> { volumes.iter().map(|volume| volume["restore"].clone()).collect() };
    let once = json!({"snapshot": "both", "number": 1});
    assert_eq!(wanted(documented(&app, &vm).await), [once.clone(), once.clone()]);
    let shown = app.get(&format!("/v1/volumes/{}", data["id"])).await.is(Status::Ok);
    assert_eq!((&shown["restores"], &shown["restored_from"]), (&json!(1), &json!("both")));
    applied(&app).await;
    assert_eq!(lifecycle(&app, &url).await, "started");
    // One alone; and of one that is off as well.
    app.post(&format!("{url}/stop"), Value::Null).await.is(Status::Ok);
    let off =
        app.post(&format!("{url}/restore"), json!({"snapshot": "data", "volume": data["uuid"]})).await.is(Status::Ok);
    assert_eq!((&off["state"]["name"], &off["restarts"]), (&json!("stopped"), &json!(2)));
    assert_eq!(wanted(documented(&app, &vm).await), [once, json!({"snapshot": "data", "number": 2})]);
    // Who did it is recorded with the volume.
    let events = app.get(&format!("/v1/audit-events?collection=volumes&object_id={}&action=update", data["id"])).await;
    assert_eq!(events.is(Status::Ok)["total"], 2);
}

#[rocket::async_test]
async fn a_vm_stays_until_its_volumes_are_restored() {
    let app = demo().await;
    let vm = in_a_pool(&app).await;
    let url = format!("/v1/vms/{}", vm["id"]);
    let volume = app.get(&format!("/v1/volumes?vm={}", vm["id"])).await.is(Status::Ok)["items"][0].clone();
    let volume_url = format!("/v1/volumes/{}", volume["id"]);
    app.post(&format!("{url}/snapshot"), json!({"name": "one"})).await.is(Status::Ok);
    applied(&app).await;
    app.post(&format!("{url}/restore"), json!({"snapshot": "one"})).await.is(Status::Ok);
    // Nor when something else is asked for in between.
    app.post(&format!("{url}/reboot"), Value::Null).await.is(Status::Ok);
    let moved = app.post(&format!("{url}/migrate"), json!({})).await;
    assert!(moved.status == 422 && moved.text().contains("until a volume of it is restored"), "{}", moved.text());
    let taken = app.json(Method::Patch, &volume_url, json!({"vm": null})).await;
    assert!(taken.status == 422 && taken.text().contains("until it is restored"), "{}", taken.text());
    app.json(Method::Patch, &url, json!({"hypervisor": null})).await.is(Status::UnprocessableEntity);
    applied(&app).await;
    let moved = app.post(&format!("{url}/migrate"), json!({})).await.is(Status::Ok);
    assert_eq!(moved["hypervisor"]["fqdn"], "hv02.example.com");
    // What is known of it is of the node where it was.
    let back = app.post(&format!("{url}/migrate"), json!({})).await.is(Status::Ok);
    assert_eq!(back["hypervisor"]["fqdn"], "hv01.example.com");
    app.json(Method::Patch, &volume_url, json!({"vm": null})).await.is(Status::Ok);
}
