//! What is removed and may still be there is given to nobody: an address, the place of a volume.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::harness::sql;
use crate::orders::{SHOP, assert_counted, order, refused, with};
use crate::relations::demo;

#[rocket::async_test]
async fn an_address_that_may_still_answer_is_given_to_nobody() {
    let app = demo().await;
    app.post("/v1/networks", json!({"name": "more", "audience": "customers"})).await.is(Status::Created);
    app.post(
        "/v1/subnets",
        json!({"name": "more", "network": "more", "cidr": "198.18.0.0/30", "purpose": "addresses"}),
    )
    .await
    .is(Status::Created);
    let one = |name: &str| with(json!({"name": name, "network": "more", "hypervisor": "hv01.example.com"}));
    let first = app.post("/v1/vms", one("first")).await.is(Status::Created);
    app.post("/v1/vms", one("second")).await.is(Status::Created);
    // The agent is there, and has applied what it was given.
    let applied = "UPDATE node_observations SET last_report = now(), applied_generation = n.desired_generation FROM nodes n WHERE n.id = node_id";
    sql(&app.dsn, applied).await;
    assert_eq!(app.json(Method::Delete, &format!("/v1/vms/{}", first["id"]), Value::Null).await.status, 204);
    refused(&app, one("third"), Status::Conflict, "/networks/0", "no IPv4 address left").await;
    let by_name = with(json!({"name": "third", "network": "more", "address": "198.18.0.1"}));
    refused(&app, by_name, Status::Conflict, "/networks/0/address", "taken").await;
    sql(&app.dsn, applied).await;
    let third = app.post("/v1/vms", one("third")).await.is(Status::Created);

    // Nor when its interface goes, or loses it; a floating IP neither.
    sql(&app.dsn, applied).await;
    let interfaces = app.get(&format!("/v1/interfaces?vm={}", third["id"])).await.is(Status::Ok);
    let interface = format!("/v1/interfaces/{}", interfaces["items"][0]["id"]);
    app.json(Method::Patch, &interface, json!({"addresses": []})).await.is(Status::Ok);
    refused(&app, one("fourth"), Status::Conflict, "/networks/0", "no IPv4 address left").await;
    // Who says it gives it: here the same interface gets it back.
    app.json(Method::Patch, &interface, json!({"addresses": ["198.18.0.1/30"]})).await.is(Status::Ok);
    sql(&app.dsn, applied).await;
    assert_eq!(app.json(Method::Delete, &interface, Value::Null).await.status, 204);
    refused(&app, one("fourth"), Status::Conflict, "/networks/0", "no IPv4 address left").await;
    sql(&app.dsn, applied).await;
    app.post("/v1/vms", one("fourth")).await.is(Status::Created);

    let public = json!({"name": "few", "network": "more", "cidr": "198.19.0.0/31", "purpose": "floating"});
    app.post("/v1/subnets", public).await.is(Status::Created);
    let floating =
        async |vm: &Value| app.post("/v1/floating-ips", json!({"environment": SHOP, "subnet": "few", "vm": vm})).await;
    let (bound, _) =
        (floating(&third["id"]).await.is(Status::Created), floating(&Value::Null).await.is(Status::Created));
    let url = format!("/v1/floating-ips/{}", bound["id"]);
    sql(&app.dsn, applied).await;
    assert_eq!(app.json(Method::Delete, &url, Value::Null).await.status, 204);
    assert_eq!(floating(&Value::Null).await.status, 422);
    sql(&app.dsn, applied).await;
    assert_eq!(floating(&Value::Null).await.is(Status::Created)["ip"], bound["ip"]);
    assert_counted(&app).await;
}

#[rocket::async_test]
async fn what_is_kept_of_a_volume_takes_its_place_until_it_is_gone() {
    let app = demo().await;
    // Room for one more on the one, and for none on the other.
    sql(
        &app.dsn,
        "UPDATE hypervisors h SET local_storage_bytes = u.local_bytes + CASE h.id WHEN 1 THEN 21474836480 ELSE 0 END \
         FROM hypervisor_usage u WHERE u.hypervisor_id = h.id",
    )
    .await;
    let vm = app.post("/v1/vms", order()).await.is(Status::Created);
    assert_eq!(app.json(Method::Delete, &format!("/v1/vms/{}", vm["id"]), Value::Null).await.status, 204);
    assert_counted(&app).await;
    refused(&app, order(), Status::Conflict, "/hypervisor", "2 has too little local storage left").await;
    let left = app.get("/v1/tombstones?size_bytes=21474836480").await.is(Status::Ok);
    let tombstone = format!("/v1/tombstones/{}", left["items"][0]["id"]);
    // As somebody says that it is smaller, or as its agent has found it gone.
    app.json(Method::Patch, &tombstone, json!({"size_bytes": 1})).await.is(Status::Ok);
    assert_counted(&app).await;
    assert_eq!(app.json(Method::Delete, &tombstone, Value::Null).await.status, 204);
    assert_counted(&app).await;
    app.post("/v1/vms", order()).await.is(Status::Created);
}
