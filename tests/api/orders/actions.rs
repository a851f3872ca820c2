//! What is asked of a VM that is there: more of its hypervisor, another size, another place.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::harness::{Answer, App, sql};
use crate::infrahub::member;
use crate::orders::{assert_counted, order, told};
use crate::relations::demo;

pub(super) async fn ask(app: &App, secret: &str, method: Method, url: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {secret}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    app.send(method, url, &headers, body.to_string().as_bytes()).await
}

#[rocket::async_test]
async fn what_a_customer_makes_larger_still_fits() {
    let app = demo().await;
    let member = member(&app).await;
    let vm = app.post("/v1/vms", order()).await.is(Status::Created);
    let vm_url = format!("/v1/vms/{}", vm["id"]);
    let volumes = app.get(&format!("/v1/volumes?vm={}", vm["id"])).await.is(Status::Ok);
    let volume_url = format!("/v1/volumes/{}", volumes["items"][0]["id"]);
    let seen = async || [app.get(&vm_url).await.is(Status::Ok), app.get(&volume_url).await.is(Status::Ok)];
    let before = seen().await;
    for (url, field, too_much) in [
        (&vm_url, "cores", json!(200)),
        (&vm_url, "ram_bytes", json!(1_i64 << 40)),
        (&volume_url, "size_bytes", json!(1_i64 << 41)),
    ] {
        let problem = ask(&app, &member, Method::Patch, url, &json!({ field: too_much })).await.is(Status::Conflict);
        assert_eq!(told(&problem), [(format!("/{field}"), "is more than its hypervisor has left".to_owned())]);
    }
    let boot = json!({"vm": vm["id"], "size_bytes": 1_i64 << 41, "storage_type": "qcow2", "cache_option": "none", "environment": "acme/shop"});
    ask(&app, &member, Method::Post, "/v1/volumes", &boot).await.is(Status::Conflict);
    assert_eq!(seen().await, before);
    for (url, some) in
        [(&vm_url, json!({"cores": 2, "ram_bytes": 4_i64 << 30})), (&volume_url, json!({"size_bytes": 30_i64 << 30}))]
    {
        ask(&app, &member, Method::Patch, url, &some).await.is(Status::Ok);
    }
    // Operators place as they say; what is too much then may shrink, and not grow.
    app.json(Method::Patch, &vm_url, json!({"cores": 200})).await.is(Status::Ok);
    ask(&app, &member, Method::Patch, &vm_url, &json!({"cores": 190})).await.is(Status::Ok);
    ask(&app, &member, Method::Patch, &vm_url, &json!({"cores": 191})).await.is(Status::Conflict);
    ask(&app, &member, Method::Patch, &vm_url, &json!({"labels": ["large"]})).await.is(Status::Ok);
    assert_counted(&app).await;
}

/// What the agents have seen, and that all of them have applied all that there is.
pub(super) async fn applied(app: &App) {
    sql(
        &app.dsn,
        "UPDATE node_observations o SET last_report = now(), has_failed = false, amiss = '[]', applied_generation = n.desired_generation, \
         observed = (SELECT jsonb_build_object('vms', COALESCE(jsonb_object_agg(v.uuid, 'running'), '{}')) FROM vms v \
         JOIN hypervisors h ON h.id = v.hypervisor_id WHERE h.node_id = o.node_id) FROM nodes n WHERE n.id = o.node_id",
    )
    .await;
}

pub(super) async fn lifecycle(app: &App, url: &str) -> String {
    app.get(url).await.is(Status::Ok)["lifecycle"].as_str().unwrap().to_owned()
}

#[rocket::async_test]
async fn a_vm_gets_another_size_where_it_is() {
    let app = demo().await;
    let member = member(&app).await;
    let vm = app.post("/v1/vms", order()).await.is(Status::Created);
    let url = format!("/v1/vms/{}", vm["id"]);
    let volumes = format!("/v1/volumes?vm={}", vm["id"]);
    applied(&app).await;
    let larger =
        ask(&app, &member, Method::Post, &format!("{url}/resize"), &json!({"flavor": "medium"})).await.is(Status::Ok);
    let flavor = app.get("/v1/flavors/medium").await.is(Status::Ok);
    for field in ["cores", "ram_bytes"] {
        assert_eq!(larger[field], flavor[field], "{field}");
    }
    assert_eq!((&larger["flavor"]["name"], &larger["restarts"]), (&json!("medium"), &json!(1)));
    assert_eq!(larger["lifecycle"], "resizing");
    let volume = app.get(&volumes).await.is(Status::Ok)["items"][0].clone();
    assert_eq!((&volume["read_iops_limit"], &volume["write_bps_limit"]), (&flavor["iops"], &flavor["disk_bps"]));
    assert_counted(&app).await;
    applied(&app).await;
    assert_eq!(lifecycle(&app, &url).await, "started");
    // What shall not run takes on its size when it is started again.
    app.post(&format!("{url}/stop"), Value::Null).await.is(Status::Ok);
    let smaller = app.post(&format!("{url}/resize"), json!({"flavor": {"name": "small"}})).await.is(Status::Ok);
    assert_eq!((&smaller["cores"], &smaller["restarts"]), (&json!(1), &json!(1)));

    let flavor = json!({"name": "huge", "cores": 1000, "ram_bytes": 1_i64 << 41, "disk_bytes": 1 << 30, "virt_method": "KVM", "storage_type": "qcow2"});
    let with = |more: Value| {
        let mut flavor = flavor.clone();
        flavor.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        flavor
    };
    let small = json!({"cores": 1, "ram_bytes": 1 << 30});
    app.post("/v1/flavors", flavor.clone()).await.is(Status::Created);
    for (name, more) in [
        ("emulated", json!({"virt_method": "QEMU"})),
        ("labelled", json!({"labels": ["nowhere"]})),
        ("devices", json!({"gpu_model": "L40", "gpu_count": 1})),
        ("fast", json!({"iops": 1_000_000_000, "disk_bps": 1_i64 << 50})),
    ] {
        let mut body = with(small.clone());
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body["name"] = name.into();
        app.post("/v1/flavors", body).await.is(Status::Created);
    }
    sql(&app.dsn, "UPDATE hypervisors SET iops = 100000, disk_bps = 4000000000").await;
    let before = app.get(&url).await.is(Status::Ok);
    for (body, status, pointer, part) in [
        (json!({"flavor": "huge"}), 409, "/flavor", "has too few cores left; has too little memory left"),
        (json!({"flavor": "labelled"}), 409, "/flavor", "has not all labels of the flavor"),
        (json!({"flavor": "fast"}), 409, "/flavor", "has too few reads and writes per second left; has too few bytes"),
        (json!({"flavor": "emulated"}), 422, "/flavor", "another virt method"),
        (json!({"flavor": "devices"}), 422, "/flavor", "other GPUs"),
        (json!({"flavor": "none"}), 422, "/flavor", "names none of flavors"),
        (json!({}), 422, "/flavor", "is required"),
        (json!({"flavor": "small", "cores": 3}), 422, "/cores", "is not known"),
        (json!(["small"]), 422, "", "must be an object"),
    ] {
        let answer = app.post(&format!("{url}/resize"), body.clone()).await;
        assert_eq!(answer.status, status, "{body} {}", answer.text());
        let told = told(&serde_json::from_slice(&answer.bytes).unwrap());
        assert!(told.iter().any(|(at, detail)| at == pointer && detail.contains(part)), "{body} {told:?}");
    }
    // Nor what is another's, or was only rehearsed.
    for (key, status) in [("a0000000-0000-4000-8000-000000000004", 404), ("999999", 404)] {
        let answer =
            ask(&app, &member, Method::Post, &format!("/v1/vms/{key}/resize"), &json!({"flavor": "small"})).await;
        assert_eq!(answer.status, status, "{key}");
    }
    app.post(&format!("{url}/resize?dry_run=true"), json!({"flavor": "medium"})).await.is(Status::Ok);
    assert_eq!(app.get(&url).await.is(Status::Ok), before);
    assert_counted(&app).await;
}

#[rocket::async_test]
async fn a_vm_gets_its_boot_volume_anew_and_keeps_all_else() {
    let app = demo().await;
    let member = member(&app).await;
    let vm = app.post("/v1/vms", order()).await.is(Status::Created);
    let url = format!("/v1/vms/{}", vm["id"]);
    let data = json!({"vm": vm["id"], "size_bytes": 1 << 30, "storage_type": "qcow2", "cache_option": "none", "environment": "acme/shop"});
    let data = app.post("/v1/volumes", data).await.is(Status::Created);
    let volumes = async || {
        let list = app.get(&format!("/v1/volumes?vm={}&sort=id", vm["id"])).await.is(Status::Ok);
        list["items"].as_array().unwrap().clone()
    };
    let addresses = async || app.get("/v1/addresses?limit=1000").await.is(Status::Ok);
    let (old, had) = (volumes().await[0].clone(), addresses().await);
    applied(&app).await;
    let before = app.get(&url).await.is(Status::Ok);
    app.post(&format!("{url}/rebuild?dry_run=true"), json!({})).await.is(Status::Ok);
    assert_eq!((app.get(&url).await.is(Status::Ok), volumes().await[0].clone()), (before, old.clone()));

    let rebuilt = ask(&app, &member, Method::Post, &format!("{url}/rebuild"), &json!({})).await.is(Status::Ok);
    assert_eq!((&rebuilt["lifecycle"], &rebuilt["restarts"]), (&json!("rebuilding"), &json!(1)));
    let [first, second] = volumes().await.try_into().unwrap();
    assert_eq!(first["uuid"], data["uuid"]);
    assert_ne!(second["uuid"], old["uuid"]);
    for field in ["image", "size_bytes", "storage_type", "cache_option", "lifetime", "environment", "write_iops_limit"]
    {
        assert_eq!(second[field], old[field], "{field}");
    }
    assert_eq!(addresses().await, had);
    let left = app.get(&format!("/v1/tombstones?uuid={}", old["uuid"].as_str().unwrap())).await.is(Status::Ok);
    assert_eq!(left["total"], 1);
    assert_counted(&app).await;
    applied(&app).await;
    assert_eq!(lifecycle(&app, &url).await, "started");

    // One that is off is counted a restart as well: by that its agent gives the new volume the place of the old one.
    app.post(&format!("{url}/stop"), Value::Null).await.is(Status::Ok);
    let off = app.post(&format!("{url}/rebuild"), json!({})).await.is(Status::Ok);
    assert_eq!((&off["state"]["name"], &off["restarts"]), (&json!("stopped"), &json!(2)));
    // Not where there is no room for both, for the old one is kept for a while.
    sql(&app.dsn, "UPDATE hypervisors h SET local_storage_bytes = u.local_bytes FROM hypervisor_usage u WHERE u.hypervisor_id = h.id").await;
    let problem = app.post(&format!("{url}/rebuild"), json!({})).await.is(Status::Conflict);
    assert_eq!(
        told(&problem),
        [("/volume".to_owned(), "does not fit: its hypervisor has too little local storage left".to_owned())]
    );
    sql(&app.dsn, "UPDATE hypervisors SET local_storage_bytes = 2000000000000").await;
    // Again, and it is not the data volume, which is the first now.
    app.post(&format!("{url}/rebuild"), json!({"image": "debian-12"})).await.is(Status::Ok);
    let [first, second] = volumes().await.try_into().unwrap();
    assert_eq!((&first["uuid"], &second["image"]["name"]), (&data["uuid"], &json!("debian-12")));
    // The one that is said; and where it is not clear which, it must be.
    let others =
        app.get("/v1/volumes?vm=a0000000-0000-4000-8000-000000000001").await.is(Status::Ok)["items"][0]["id"].clone();
    for (body, pointer, part) in [
        (json!({"volume": data["uuid"]}), "/image", "is required: the volume was made from none"),
        (json!({"image": "none"}), "/image", "names none of images"),
        (json!({"volume": 999_999}), "/volume", "names none of volumes"),
        (json!({"volume": others}), "/volume", "is not one of this VM"),
        (json!({"flavor": "small"}), "/flavor", "is not known"),
    ] {
        let problem = app.post(&format!("{url}/rebuild"), body.clone()).await.is(Status::UnprocessableEntity);
        let told = told(&problem);
        assert!(told.iter().any(|(at, detail)| at == pointer && detail.contains(part)), "{body} {told:?}");
    }
    app.post(&format!("{url}/rebuild"), json!({"volume": data["uuid"], "image": "debian-12"})).await.is(Status::Ok);
    let problem = app.post(&format!("{url}/rebuild"), json!({})).await.is(Status::UnprocessableEntity);
    assert_eq!(told(&problem), [("/volume".to_owned(), "is required: it is not clear which".to_owned())]);
    let pooled = in_a_pool(&app).await;
    let answer = app.post(&format!("/v1/vms/{}/rebuild", pooled["id"]), json!({"image": "debian-12"})).await;
    assert!(answer.status == 422 && answer.text().contains("is not of type qcow2 or raw"), "{}", answer.text());
    assert_eq!(app.post("/v1/vms/999999/rebuild", json!({})).await.status, 404);
}

/// Two hypervisors that reach a pool, and a VM of the first with a volume in it.
pub(super) async fn in_a_pool(app: &App) -> Value {
    sql(&app.dsn, "DELETE FROM hypervisor_ceph_clusters; DELETE FROM hypervisor_networks").await;
    let flavor = json!({"name": "pooled", "cores": 1, "ram_bytes": 1 << 30, "disk_bytes": 1 << 30, "virt_method": "KVM",
        "storage_type": "rbd", "ceph_pool": "rbd", "iops": 500});
    app.post("/v1/flavors", flavor).await.is(Status::Created);
    let order = json!({"name": "moving", "environment": "acme/shop", "flavor": "pooled", "network": "customers", "hypervisor": "hv01.example.com"});
    app.post("/v1/vms", order).await.is(Status::Created)
}

#[rocket::async_test]
async fn a_vm_goes_to_another_hypervisor_with_what_is_in_its_pool() {
    let app = demo().await;
    let member = member(&app).await;
    let vm = in_a_pool(&app).await;
    let url = format!("/v1/vms/{}", vm["id"]);
    applied(&app).await;
    let before = app.get(&url).await.is(Status::Ok);
    for (body, status, part) in [
        (json!({"hypervisor": "hv01.example.com"}), 409, "1 is where it is now"),
        (json!({"hypervisor": "hv99.example.com"}), 422, "names none of hypervisors"),
        (json!({"flavor": "small"}), 422, "is not known"),
    ] {
        let answer = app.post(&format!("{url}/migrate"), body.clone()).await;
        assert_eq!(answer.status, status, "{body} {}", answer.text());
        assert!(answer.text().contains(part), "{body} {}", answer.text());
    }
    // Where it runs is not for a customer to say.
    assert_eq!(ask(&app, &member, Method::Post, &format!("{url}/migrate"), &json!({})).await.status, 403);
    app.post(&format!("{url}/migrate?dry_run=true"), json!({})).await.is(Status::Ok);
    assert_eq!(app.get(&url).await.is(Status::Ok), before);

    let moved = app.post(&format!("{url}/migrate"), json!({})).await.is(Status::Ok);
    assert_eq!((&moved["hypervisor"]["fqdn"], &moved["lifecycle"]), (&json!("hv02.example.com"), &json!("migrating")));
    let left = app.get("/v1/tombstones?hypervisor=hv01.example.com").await.is(Status::Ok);
    assert_eq!((&left["total"], &left["items"][0]["uuid"]), (&json!(1), &moved["uuid"]));
    assert_counted(&app).await;
    applied(&app).await;
    assert_eq!(lifecycle(&app, &url).await, "started");
    // There and back, to the one that is asked for.
    let back = app.post(&format!("{url}/migrate"), json!({"hypervisor": "hv01.example.com"})).await.is(Status::Ok);
    assert_eq!(back["hypervisor"]["fqdn"], "hv01.example.com");

    // What keeps it where it is: a local volume, its group, no place, no hypervisor at all.
    let local = json!({"vm": vm["id"], "size_bytes": 1 << 30, "storage_type": "qcow2", "cache_option": "none", "environment": "acme/shop"});
    let local = app.post("/v1/volumes", local).await.is(Status::Created);
    let refused = async |part: &str| {
        let problem = app.post(&format!("{url}/migrate"), json!({})).await.is(Status::Conflict);
        assert!(told(&problem)[0].1.contains(part), "{problem}");
        assert_eq!(told(&problem)[0].0, "/hypervisor");
    };
    refused("keeps a volume of the VM").await;
    assert_eq!(app.json(Method::Delete, &format!("/v1/volumes/{}", local["id"]), Value::Null).await.status, 204);
    app.json(Method::Patch, &url, json!({"group": "acme/shop/web"})).await.is(Status::Ok);
    refused("1 is apart from its group").await;
    app.json(Method::Patch, &url, json!({"group": null})).await.is(Status::Ok);
    app.json(Method::Patch, "/v1/nodes/hv02.example.com", json!({"state": "maintenance"})).await.is(Status::Ok);
    refused("1 is not in the state running").await;
    app.json(Method::Patch, &url, json!({"hypervisor": null})).await.is(Status::Ok);
    refused("has not been placed yet").await;
    assert_eq!(app.post("/v1/vms/999999/migrate", json!({})).await.status, 404);
}

#[rocket::async_test]
async fn devices_are_given_back_and_given_anew() {
    let app = demo().await;
    let vm = in_a_pool(&app).await;
    for (node, address) in [("hv01", "0000:01:00.0"), ("hv02", "0000:02:00.0")] {
        let gpu = json!({"hypervisor": format!("{node}.example.com"), "address": address, "model": "A2"});
        app.post("/v1/gpus", gpu).await.is(Status::Created);
    }
    let has =
        async |address: &str| app.get(&format!("/v1/gpus?address={address}")).await.is(Status::Ok)["items"][0].clone();
    let first = has("0000:01:00.0").await;
    app.json(Method::Patch, &format!("/v1/gpus/{}", first["id"]), json!({"vm": vm["id"]})).await.is(Status::Ok);
    let url = format!("/v1/vms/{}/migrate", vm["id"]);
    app.post(&url, json!({})).await.is(Status::Ok);
    assert_eq!((&has("0000:01:00.0").await["vm"], &has("0000:02:00.0").await["vm"]["id"]), (&Value::Null, &vm["id"]));
    // Where there is none it does not go.
    app.json(Method::Delete, &format!("/v1/gpus/{}", first["id"]), Value::Null).await;
    let problem = app.post(&url, json!({})).await.is(Status::Conflict);
    assert!(told(&problem)[0].1.contains("2 has too few such GPUs left"), "{problem}");
}

#[rocket::async_test]
async fn a_hypervisor_is_emptied_of_what_can_go() {
    let app = demo().await;
    let member = member(&app).await;
    let vm = in_a_pool(&app).await;
    let hypervisor = "/v1/hypervisors/hv01.example.com";
    let state = async || app.get("/v1/nodes/hv01.example.com").await.is(Status::Ok)["state"]["name"].clone();
    for action in ["maintenance", "resume", "evacuate"] {
        let answer = ask(&app, &member, Method::Post, &format!("{hypervisor}/{action}"), &Value::Null).await;
        assert_eq!(answer.status, 403, "{action}");
        assert_eq!(
            app.post(&format!("/v1/hypervisors/hv99.example.com/{action}"), Value::Null).await.status,
            404,
            "{action}"
        );
    }
    app.post(&format!("{hypervisor}/maintenance"), Value::Null).await.is(Status::Ok);
    assert_eq!(state().await, "maintenance");
    app.post(&format!("{hypervisor}/resume"), Value::Null).await.is(Status::Ok);
    assert_eq!(state().await, "running");

    let before = app.get("/v1/vms").await.is(Status::Ok);
    let rehearsed = app.post(&format!("{hypervisor}/evacuate?dry_run=true"), Value::Null).await.is(Status::Ok);
    assert_eq!(app.get("/v1/vms").await.is(Status::Ok), before);
    assert_eq!(state().await, "running");
    let done = app.post(&format!("{hypervisor}/evacuate"), Value::Null).await.is(Status::Ok);
    assert_eq!(done, rehearsed);
    let results = done["results"].as_array().unwrap();
    for result in results {
        let is_moving = result["uuid"] == vm["uuid"];
        assert_eq!(result["status"], if is_moving { 200 } else { 409 }, "{result}");
        assert_eq!(result["hypervisor"], if is_moving { "hv02.example.com" } else { "hv01.example.com" }, "{result}");
        assert_eq!(result["detail"].is_null(), is_moving, "{result}");
        let now = app.get(&format!("/v1/vms/{}", result["uuid"].as_str().unwrap())).await.is(Status::Ok);
        assert_eq!(now["hypervisor"]["fqdn"], result["hypervisor"]);
    }
    let there =
        before["items"].as_array().unwrap().iter().filter(|vm| vm["hypervisor"]["fqdn"] == "hv01.example.com").count();
    assert_eq!((results.len(), state().await), (there, json!("maintenance")));
    assert!(results.len() > 1, "{done}");
    assert_counted(&app).await;
}
