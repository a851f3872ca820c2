//! What is removed and still on a hypervisor: the tombstones that it leaves, until when they stay, and who approves of many.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::config::Settings;

use crate::access::issue;
use crate::harness::{App, database, rows, sql};
use crate::html::browser::{ACCEPT, open};

const HV01: &str = "hv01.example.com";
const HV02: &str = "hv02.example.com";
const VM: &str = "6f1c2a34-0000-4000-8000-000000000001";

/// Two hypervisors; on the first, a VM with a volume of each type.
async fn fleet(settings: Settings) -> App {
    let app = App::with(&database().await, settings).await;
    for fqdn in [HV01, HV02] {
        let hypervisor = json!({"node": {"fqdn": fqdn, "state": "running"}, "cores": 8, "ram_bytes": 8_589_934_592_u64,
            "local_storage_path": "/srv/vms/", "vg_name": "vg0", "virt_methods": ["KVM"]});
        app.post("/v1/hypervisors", hypervisor).await.is(Status::Created);
    }
    app.post("/v1/ceph-clusters", json!({"name": "ceph"})).await.is(Status::Created);
    let pool = json!({"cluster": "ceph", "name": "vms", "pg_num": 8, "size": 3, "min_size": 2});
    app.post("/v1/ceph-pools", pool).await.is(Status::Created);
    let vm = json!({"uuid": VM, "name": "web-1", "cores": 1, "ram_bytes": 1_073_741_824, "virt_method": "KVM",
        "state": "running", "hypervisor": HV01});
    app.post("/v1/vms", vm).await.is(Status::Created);
    for storage_type in ["qcow2", "raw", "lvm"] {
        let volume =
            json!({"vm": VM, "size_bytes": 1_073_741_824, "storage_type": storage_type, "cache_option": "none"});
        app.post("/v1/volumes", volume).await.is(Status::Created);
    }
    let volume = json!({"vm": VM, "size_bytes": 1_073_741_824, "storage_type": "rbd", "cache_option": "none",
        "ceph_pool": "vms"});
    app.post("/v1/volumes", volume).await.is(Status::Created);
    app
}

async fn document(app: &App, fqdn: &str) -> Value {
    app.get(&format!("/salt/pillar/{fqdn}")).await.is(Status::Ok)["virtapi"].clone()
}

async fn tombstones(app: &App, fqdn: &str) -> Value {
    document(app, fqdn).await["hypervisor"]["tombstones"].clone()
}

async fn move_to(app: &App, hypervisor: Value) {
    app.json(Method::Patch, &format!("/v1/vms/{VM}"), json!({"hypervisor": hypervisor})).await.is(Status::Ok);
}

/// Removes the VM with all that it has; the volumes as the document had them.
async fn remove_all(app: &App) -> Vec<Value> {
    let volumes = document(app, HV01).await["hypervisor"]["vms"][VM]["volumes"].as_array().expect("a list").clone();
    for volume in &volumes {
        let uuid = volume["uuid"].as_str().expect("a UUID");
        app.json(Method::Delete, &format!("/v1/volumes/{uuid}"), Value::Null).await.is(Status::NoContent);
    }
    app.json(Method::Delete, &format!("/v1/vms/{VM}"), Value::Null).await.is(Status::NoContent);
    volumes
}

fn no_tombstones() -> Value {
    json!({"vms": {}, "volumes": {}})
}

#[rocket::async_test]
async fn what_is_deleted_leaves_a_tombstone_where_it_was() {
    let app = fleet(Settings::default()).await;
    assert_eq!(tombstones(&app, HV01).await, no_tombstones());
    let domain = document(&app, HV01).await["hypervisor"]["vms"][VM]["domain"].clone();
    let volumes = remove_all(&app).await;
    assert_eq!(volumes.len(), 4);
    let document = document(&app, HV01).await;
    let found = &document["hypervisor"]["tombstones"];
    let not_before = found["vms"][VM]["not_before"].clone();
    assert_eq!(found["vms"], json!({VM: {"name": "web-1", "domain": domain, "not_before": not_before}}));
    for volume in &volumes {
        let place = ["type", "path", "vg", "lv", "cluster", "pool", "image"];
        let mut expected: serde_json::Map<String, Value> =
            place.iter().filter_map(|key| Some(((*key).to_owned(), volume.get(key)?.clone()))).collect();
        let found = &found["volumes"][volume["uuid"].as_str().expect("a UUID")];
        expected.insert("not_before".into(), found["not_before"].clone());
        assert_eq!(*found, Value::Object(expected));
    }
    assert_eq!(found["volumes"].as_object().expect("a map").len(), 4);
    assert!(document["ceph"]["clusters"]["ceph"].is_object(), "for the image that is still in a pool of it");
    let kept = "SELECT extract(epoch FROM not_before - created_at)::bigint FROM tombstones";
    assert_eq!(rows(&app.dsn, kept).await, vec![["604800"]; 5], "a week");
    assert_eq!(tombstones(&app, HV02).await, no_tombstones());

    // Each is recorded, with who did it.
    let recorded = app.get("/v1/audit-events?collection=tombstones&action=create&count=exact").await.is(Status::Ok);
    assert_eq!((&recorded["total"], &recorded["items"][0]["after"]["name"]), (&json!(5), &json!("web-1")));
}

#[rocket::async_test]
async fn it_is_kept_for_as_long_as_the_server_says() {
    let app = fleet(Settings { grace_period: 60, ..Settings::default() }).await;
    remove_all(&app).await;
    let kept = "SELECT DISTINCT extract(epoch FROM not_before - created_at)::bigint FROM tombstones";
    assert_eq!(rows(&app.dsn, kept).await, [["60"]]);
}

#[rocket::async_test]
async fn a_deletion_that_is_rehearsed_shows_it() {
    let app = fleet(Settings::default()).await;
    sql(&app.dsn, "UPDATE volumes SET vm_id = NULL").await;
    let answer = app.json(Method::Delete, &format!("/v1/vms/{VM}?dry_run=true"), Value::Null).await.is(Status::Ok);
    let differences = answer["consequences"][0]["differences"].as_array().expect("a list").clone();
    let path = format!("/hypervisor/tombstones/vms/{VM}");
    assert!(differences.iter().any(|difference| difference["path"] == path.as_str()), "{answer}");
    assert_eq!(tombstones(&app, HV01).await, no_tombstones());
}

#[rocket::async_test]
async fn a_vm_that_moves_leaves_one_and_its_volumes_none() {
    let app = fleet(Settings::default()).await;
    let generation = async |fqdn| document(&app, fqdn).await["meta"]["generation"].clone();
    let before = generation(HV01).await;
    move_to(&app, json!(HV02)).await;
    let found = tombstones(&app, HV01).await;
    assert_eq!((found["vms"][VM]["name"].as_str(), &found["volumes"]), (Some("web-1"), &json!({})));
    assert_ne!(generation(HV01).await, before);
    assert_eq!(tombstones(&app, HV02).await, no_tombstones());

    // It comes back: the tombstone is in no document, and is taken away.
    sql(&app.dsn, "UPDATE tombstones SET not_before = '2020-01-01'").await;
    move_to(&app, json!(HV01)).await;
    assert_eq!(tombstones(&app, HV01).await, no_tombstones());
    assert!(tombstones(&app, HV02).await["vms"][VM].is_object());

    // And goes again before that: it is kept for a whole period anew.
    move_to(&app, Value::Null).await;
    let kept = "SELECT extract(day FROM not_before - updated_at)::int FROM tombstones";
    assert_eq!(rows(&app.dsn, kept).await, [["7"], ["7"]]);
    move_to(&app, json!(HV01)).await;
    app.clear_removals().await;
    assert_eq!(rows(&app.dsn, "SELECT hypervisor_id FROM tombstones").await, [["2"]]);

    // A volume that is only detached is kept for later, wherever it is.
    let volume = app.get("/v1/volumes?limit=1").await.is(Status::Ok)["items"][0]["uuid"].clone();
    let volume = format!("/v1/volumes/{}", volume.as_str().expect("a UUID"));
    app.json(Method::Patch, &volume, json!({"vm": null})).await.is(Status::Ok);
    assert_eq!(tombstones(&app, HV01).await, no_tombstones());
}

#[rocket::async_test]
async fn one_of_what_is_there_is_refused() {
    let app = fleet(Settings::default()).await;
    let other = "6f1c2a34-0000-4000-8000-00000000000f";
    let volume = app.get("/v1/volumes?storage_type=qcow2").await.is(Status::Ok)["items"][0].clone();
    let one = |hypervisor: &str, uuid: &Value, number: &Value, more: Value| {
        let mut body =
            json!({"hypervisor": hypervisor, "uuid": uuid, "number": number, "not_before": "2027-01-01T00:00:00Z"});
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        body
    };
    let none = || json!({});
    for (body, field) in [
        (one(HV01, &json!(VM), &json!(77), none()), "/uuid"),
        (one(HV01, &json!(other), &json!(1), none()), "/uuid"),
        (one(HV01, &volume["uuid"], &json!(77), json!({"storage_type": "qcow2"})), "/uuid"),
        (one(HV01, &json!(other), &volume["id"], json!({"storage_type": "raw"})), "/uuid"),
        (one(HV02, &json!(other), &volume["id"], json!({"storage_type": "rbd", "ceph_pool": "vms"})), "/uuid"),
        // What looks local may be storage that both share.
        (one(HV02, &json!(other), &volume["id"], json!({"storage_type": "qcow2"})), "/uuid"),
        (one(HV02, &volume["uuid"], &json!(77), json!({"storage_type": "qcow2"})), "/uuid"),
        (one(HV01, &json!(other), &json!(77), json!({"storage_type": "rbd"})), "/ceph_pool"),
        (one(HV01, &json!(other), &json!(77), json!({"ceph_pool": "vms"})), "/ceph_pool"),
        (one(HV01, &json!(other), &json!(0), none()), "/number"),
        (one(HV01, &json!(other), &json!(77), json!({"not_before": "soon"})), "/not_before"),
    ] {
        let answer = app.post("/v1/tombstones", body.clone()).await.is(Status::UnprocessableEntity);
        assert_eq!(answer["errors"][0]["pointer"], field, "{body} {answer}");
    }
    // On the other hypervisor a VM may be a left-over, which an operator wants to go.
    app.post("/v1/tombstones", one(HV02, &json!(VM), &json!(1), none())).await.is(Status::Created);
    app.post("/v1/tombstones", one(HV02, &json!(other), &json!(77), json!({"storage_type": "qcow2"})))
        .await
        .is(Status::Created);
    let found = tombstones(&app, HV02).await;
    assert_eq!(
        (&found["vms"][VM]["domain"], &found["volumes"][other]["path"]),
        (&json!("vm-1"), &json!("/srv/vms/vol-77.qcow2"))
    );
    // A type that says where they are keeps its name.
    sql(&app.dsn, "DELETE FROM volumes").await;
    app.json(Method::Patch, "/v1/storage-types/qcow2", json!({"name": "qed"})).await.is(Status::UnprocessableEntity);
}

#[rocket::async_test]
async fn what_an_agent_finds_gone_is_cleared_when_its_time_is_over() {
    let app = fleet(Settings::default()).await;
    remove_all(&app).await;
    let observe = format!(
        "UPDATE node_observations SET observed = jsonb_build_object('removed', (SELECT jsonb_agg(uuid) FROM tombstones \
         WHERE storage_type_id IS NULL OR ceph_pool_id IS NOT NULL)) WHERE node_id = (SELECT id FROM nodes WHERE fqdn = '{HV01}')"
    );
    sql(&app.dsn, &observe).await;
    app.clear_removals().await;
    assert_eq!(rows(&app.dsn, "SELECT count(*) FROM tombstones").await, [["5"]], "its time is not over");
    sql(&app.dsn, "UPDATE tombstones SET not_before = now() WHERE storage_type_id IS NULL").await;
    let before = document(&app, HV01).await["meta"]["generation"].as_i64();
    app.clear_removals().await;
    assert_eq!(rows(&app.dsn, "SELECT count(*), count(storage_type_id) FROM tombstones").await, [["4", "4"]]);
    let after = document(&app, HV01).await;
    assert_eq!(after["hypervisor"]["tombstones"]["vms"], json!({}));
    assert_eq!(after["meta"]["generation"].as_i64(), before.map(|generation| generation + 1));
    let gone = app.get("/v1/audit-events?collection=tombstones&action=delete").await.is(Status::Ok);
    assert_eq!(gone["items"][0]["actor"], "system:tombstones");
    app.clear_removals().await;
    assert_eq!(document(&app, HV01).await["meta"], after["meta"]);

    // What was said of an earlier one, or of one that is kept for longer now, is not said of it.
    let again = json!({"hypervisor": HV01, "uuid": VM, "number": 77, "not_before": "2020-01-01T00:00:00Z"});
    app.post("/v1/tombstones", again).await.is(Status::Created);
    let postponed = "UPDATE tombstones SET not_before = now() + interval '30 days' WHERE ceph_pool_id IS NOT NULL; \
        UPDATE tombstones SET not_before = now() - interval '1 hour' WHERE ceph_pool_id IS NOT NULL";
    for statement in postponed.split("; ") {
        sql(&app.dsn, statement).await;
    }
    app.clear_removals().await;
    assert_eq!(rows(&app.dsn, "SELECT count(*) FROM tombstones").await, [["5"]]);

    // Nor does it end what somebody has approved.
    sql(&app.dsn, &observe).await;
    let generation = document(&app, HV01).await["meta"]["generation"].clone();
    app.post(&format!("/v1/nodes/{HV01}/approve"), json!({"generation": generation})).await.is(Status::Ok);
    app.clear_removals().await;
    assert_eq!(document(&app, HV01).await["meta"]["approved"], true);
    sql(&app.dsn, "UPDATE node_approvals SET approved_at = now() - interval '25 hours'").await;
    app.clear_removals().await;
    assert_eq!(document(&app, HV01).await["meta"]["approved"], false, "a day later it ends by itself");
    assert_eq!(rows(&app.dsn, "SELECT count(*) FROM tombstones").await, [["3"]]);
}

#[rocket::async_test]
async fn a_generation_is_approved_and_no_other() {
    let app = fleet(Settings::default()).await;
    let url = format!("/v1/nodes/{HV01}/approve");
    let meta = async || document(&app, HV01).await["meta"].clone();
    let before = meta().await;
    assert_eq!(before["approved"], false);
    let generation = before["generation"].as_i64().expect("a number");
    for (body, status) in [
        (json!({}), 422),
        (json!({"generation": "x"}), 422),
        (json!({"generation": 1.5}), 422),
        (json!({"generation": null}), 422),
        (json!({"generation": generation, "node": HV01}), 422),
        (json!([generation]), 422),
        (json!({"generation": generation - 1}), 409),
        (json!({"generation": generation + 1}), 409),
        (json!({"generation": i64::MIN}), 409),
    ] {
        let answer = app.post(&url, body.clone()).await;
        assert_eq!(answer.status, status, "{body} {}", answer.text());
    }
    assert_eq!(app.post("/v1/nodes/none.example.com/approve", json!({"generation": 1})).await.status, 404);
    app.post(&format!("{url}?dry_run=true"), json!({"generation": generation})).await.is(Status::Ok);
    assert_eq!(meta().await, before);

    let answer = app.post(&url, json!({"generation": generation})).await.is(Status::Ok);
    assert_eq!(answer, json!({"generation": generation + 1}));
    let after = meta().await;
    assert_eq!((&after["generation"], &after["approved"]), (&json!(generation + 1), &json!(true)));
    let recorded = app.get("/v1/audit-events?action=approve").await.is(Status::Ok);
    assert_eq!((&recorded["items"][0]["object_key"], &recorded["items"][1]), (&json!(HV01), &Value::Null));

    app.json(Method::Patch, &format!("/v1/nodes/{HV01}"), json!({"location": "rack 1"})).await.is(Status::Ok);
    assert_eq!(meta().await["approved"], false, "what has changed since nobody has approved");
}

#[rocket::async_test]
async fn operators_approve_with_a_button() {
    let app = fleet(Settings::default()).await;
    let url = format!("/v1/nodes/{HV01}/approve");
    for (role, status) in [("auditor", 403), ("operator", 200)] {
        let user = json!({"name": role, "account_type": "person", "role": role, "state": "active"});
        app.post("/v1/users", user).await.is(Status::Created);
        let (_, secret) = issue(&app, json!({"user": role})).await;
        let generation = document(&app, HV01).await["meta"]["generation"].clone();
        let headers = [("Authorization", format!("Bearer {secret}")), ("Content-Type", "application/json".to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = json!({"generation": generation}).to_string();
        assert_eq!(app.send(Method::Post, &url, &headers, body.as_bytes()).await.status, status, "{role}");
    }
    let page = open(&app, &format!("/v1/nodes/{HV01}")).await;
    let generation = document(&app, HV01).await["meta"]["generation"].clone();
    let field = format!("<input type=\"hidden\" name=\"generation\" value=\"{generation}\">");
    assert!(page.text().contains(&field) && page.text().contains("Approve what is removed"), "{}", page.text());
    let headers = [("Accept", ACCEPT), ("Content-Type", "application/x-www-form-urlencoded")];
    let answer = app.send(Method::Post, &url, &headers, format!("generation={generation}").as_bytes()).await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/v1/nodes/1"));
    assert_eq!(document(&app, HV01).await["meta"]["approved"], true);
    let history = open(&app, "/history/nodes/1").await;
    assert!(history.text().contains("approved what is removed from"), "{}", history.text());
}

/// Also of what is in no document of that node, and so changes nothing else there.
#[rocket::async_test]
async fn a_volume_that_comes_back_anywhere_takes_its_tombstone_out_of_the_document() {
    let app = fleet(Settings::default()).await;
    let volumes = remove_all(&app).await;
    let uuid = volumes[0]["uuid"].as_str().expect("a UUID");
    let told = async |when: &str, is_there: bool| {
        let document = document(&app, HV01).await;
        assert_eq!(document["hypervisor"]["tombstones"]["volumes"][uuid].is_object(), is_there, "{when}");
        document["meta"]["generation"].clone()
    };
    let mut seen = vec![told("deleted", true).await];
    let volume = json!({"uuid": uuid, "size_bytes": 1_073_741_824, "storage_type": "raw", "cache_option": "none"});
    app.post("/v1/volumes", volume).await.is(Status::Created);
    seen.push(told("made again", false).await);
    app.json(Method::Patch, &format!("/v1/volumes/{uuid}"), json!({"uuid": VM})).await.is(Status::Ok);
    seen.push(told("it was another one", true).await);
    app.json(Method::Patch, &format!("/v1/volumes/{VM}"), json!({"uuid": uuid})).await.is(Status::Ok);
    seen.push(told("no, it was this one", false).await);
    app.json(Method::Delete, &format!("/v1/volumes/{uuid}"), Value::Null).await.is(Status::NoContent);
    seen.push(told("gone once more", true).await);

    // By its number, which somebody wrote down before there was one.
    let next = &rows(&app.dsn, "SELECT 1 + nextval(pg_get_serial_sequence('volumes', 'id'))").await[0][0];
    let number: i64 = next.parse().expect("a number");
    let other = "6f1c2a34-0000-4000-8000-000000000002";
    let tombstone = json!({"hypervisor": HV01, "uuid": other, "number": number, "storage_type": "qcow2",
        "not_before": "2026-12-08T02:00:00Z"});
    app.post("/v1/tombstones", tombstone.clone()).await.is(Status::Created);
    let twice = app.post("/v1/tombstones", tombstone).await.is(Status::Conflict);
    assert_eq!(twice["errors"][0]["pointer"], "/uuid");
    let generation = document(&app, HV01).await["meta"]["generation"].clone();
    let volume = json!({"size_bytes": 1_073_741_824, "storage_type": "raw", "cache_option": "none"});
    assert_eq!(app.post("/v1/volumes", volume).await.is(Status::Created)["id"], number);
    let document = document(&app, HV01).await;
    assert_eq!(document["hypervisor"]["tombstones"]["volumes"][other], Value::Null);
    seen.extend([generation, document["meta"]["generation"].clone()]);
    for pair in seen.windows(2) {
        assert_ne!(pair[0], pair[1], "another document under the same version: {seen:?}");
    }
}
