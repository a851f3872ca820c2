//! Several clients at once, and the same request again.

use rocket::futures::future::join_all;
use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::harness::{Answer, App, rows};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

async fn count(app: &App, table: &str) -> String {
    rows(&app.dsn, &format!("SELECT count(*) FROM {table}")).await[0][0].clone()
}

#[rocket::async_test]
async fn of_several_that_create_the_same_one_succeeds() {
    let app = App::start().await;
    let body = json!({"fqdn": "hv01.x", "state": 1});
    let answers = join_all((0..6).map(|_| app.post("/v1/nodes", body.clone()))).await;
    assert_eq!(statuses(&answers), [201, 409, 409, 409, 409, 409]);
    for answer in answers.iter().filter(|answer| answer.status == 409) {
        assert_eq!(answer.is(Status::Conflict)["errors"][0], json!({"pointer": "/fqdn", "detail": "is already taken"}));
    }
    assert_eq!(count(&app, "nodes").await, "1");
    let puts = join_all((0..6).map(|_| app.json(Method::Put, "/v1/nodes/hv02.x", json!({"state": 1})))).await;
    assert_eq!(statuses(&puts).iter().filter(|status| **status == 201).count(), 1);
    assert!(puts.iter().all(|answer| [200, 201, 409].contains(&answer.status)));
    assert_eq!(count(&app, "nodes").await, "2");
}

#[rocket::async_test]
async fn what_is_created_along_with_others_is_there_once() {
    let app = App::start().await;
    let node = json!({"fqdn": "hv01.x", "state": 1});
    let body = |i: usize| json!({"mac": format!("52:54:00:00:00:0{i}"), "node": node, "addresses": ["10.0.0.1/24"]});
    let answers = join_all((0..6).map(|i| app.post("/v1/interfaces", body(i)))).await;
    assert_eq!(statuses(&answers), [201, 409, 409, 409, 409, 409]);
    for answer in answers.iter().filter(|answer| answer.status == 409) {
        let pointer = answer.is(Status::Conflict)["errors"][0]["pointer"].clone();
        assert!(pointer == "/node/fqdn" || pointer == "/addresses/0/ip", "{pointer}");
    }
    for table in ["nodes", "interfaces", "addresses"] {
        assert_eq!(count(&app, table).await, "1", "{table}");
    }
}

#[rocket::async_test]
async fn writers_of_the_same_nodes_wait_and_do_not_lock_each_other_out() {
    let app = App::start().await;
    app.post("/v1/nodes", json!([{"fqdn": "a", "state": 1}, {"fqdn": "b", "state": 1}])).await.is(Status::Created);
    let interface = |i: usize, n: usize, node: &str| {
        json!({"mac": format!("52:54:00:00:0{i}:0{n}"), "node": node, "addresses": [format!("10.0.{i}.{n}/24")],
            "vlans": [{"name": format!("v{i}-{n}"), "tag": 1}]})
    };
    // Each half of the clients takes the two nodes in another order.
    let body = |i: usize| {
        let order = if i.is_multiple_of(2) { ["a", "b"] } else { ["b", "a"] };
        (0..8).map(|n| interface(i, n, order[n / 4])).collect()
    };
    let answers = join_all((0..4).map(|i| app.post("/v1/interfaces", body(i)))).await;
    assert_eq!(statuses(&answers), [201; 4]);
    // Each raised the generation of both once.
    for fqdn in ["a", "b"] {
        assert_eq!(app.get(&format!("/v1/nodes/{fqdn}")).await.is(Status::Ok)["desired_generation"], 6);
    }
}

#[rocket::async_test]
async fn of_several_that_change_what_they_saw_one_succeeds() {
    let app = App::start().await;
    let tag = app.post("/v1/nodes", json!({"fqdn": "a", "state": 1})).await.header("ETag").to_owned();
    let headers = [JSON, ("If-Match", tag.as_str())];
    let bodies: Vec<_> = (0..6).map(|i| json!({"location": format!("r{i}")}).to_string()).collect();
    let answers = join_all(bodies.iter().map(|b| app.send(Method::Patch, "/v1/nodes/a", &headers, b.as_bytes()))).await;
    assert_eq!(statuses(&answers), [200, 412, 412, 412, 412, 412]);
    // Without it, patches of different fields both count.
    let patches = [
        json!({"location": "r"}),
        json!({"environment": "e"}),
        json!({"parameters": {"a": 1}}),
        json!({"parameters": {"b": 1}}),
    ];
    join_all(patches.into_iter().map(|patch| app.json(Method::Patch, "/v1/nodes/a", patch))).await;
    let node = app.get("/v1/nodes/a").await.is(Status::Ok);
    assert_eq!((&node["location"], &node["environment"]), (&json!("r"), &json!("e")));
    assert_eq!(node["parameters"].as_object().unwrap().len(), 2);
}

#[rocket::async_test]
async fn nothing_refers_to_what_is_deleted_at_the_same_time() {
    let app = App::start().await;
    for i in 0..8 {
        let vlan = format!("v{i}");
        app.post("/v1/vlans", json!({"name": vlan, "tag": 1})).await.is(Status::Created);
        let url = format!("/v1/vlans/{vlan}");
        let body = json!({"name": vlan, "vlan": vlan});
        let (gone, created) =
            rocket::tokio::join!(app.json(Method::Delete, &url, Value::Null), app.post("/v1/networks", body));
        assert!(
            [(204, 422), (409, 201)].contains(&(gone.status, created.status)),
            "{} {}",
            gone.status,
            created.text()
        );
        if gone.status == 409 {
            assert!(gone.text().contains("networks"), "{}", gone.text());
        } else {
            assert_eq!(created.is(Status::UnprocessableEntity)["errors"][0]["pointer"], "/vlan");
        }
    }
}

async fn keyed(app: &App, key: &str, url: &str, body: &Value) -> Answer {
    app.send(Method::Post, url, &[JSON, ("Idempotency-Key", key)], body.to_string().as_bytes()).await
}

#[rocket::async_test]
async fn a_request_with_the_same_key_is_answered_once() {
    let app = App::start().await;
    let vm = json!({"name": "w", "cores": 1, "ram_bytes": 1, "state": 1, "virt_method": 1});
    let answers = join_all((0..6).map(|_| keyed(&app, "k-1", "/v1/vms", &vm))).await;
    assert_eq!(statuses(&answers), [201; 6]);
    for answer in &answers {
        assert_eq!(answer.bytes, answers[0].bytes);
        for name in ["Location", "ETag", "Content-Type"] {
            assert_eq!(answer.header(name), answers[0].header(name));
        }
    }
    assert_eq!(count(&app, "vms").await, "1");
    // It stands for that request only: not for another body, query or collection.
    let mut other = vm.clone();
    other["cores"] = json!(2);
    for (url, body) in
        [("/v1/vms", &other), ("/v1/vms?fields=id", &vm), ("/v1/vms?dry_run=true", &vm), ("/v1/nodes", &vm)]
    {
        let problem = keyed(&app, "k-1", url, body).await.is(Status::UnprocessableEntity);
        assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{url}");
    }
    // The answer stays, whatever became of the object; another key is another VM.
    let location = answers[0].header("Location");
    assert_eq!(app.json(Method::Delete, location, Value::Null).await.status, 204);
    assert_eq!(keyed(&app, "k-1", "/v1/vms", &vm).await.bytes, answers[0].bytes);
    assert_eq!(keyed(&app, "k-2", "/v1/vms", &vm).await.status, 201);
    assert_eq!(count(&app, "vms").await, "1");
    // In another format, it is the same answer.
    let headers = [JSON, ("Idempotency-Key", "k-1"), ("Accept", "application/msgpack")];
    let packed = app.send(Method::Post, "/v1/vms", &headers, vm.to_string().as_bytes()).await;
    assert_eq!(rmp_serde::from_slice::<Value>(&packed.bytes).unwrap(), answers[0].is(Status::Created));
    // Lists, too.
    let list = json!([vm, vm]);
    let first = keyed(&app, "k-3", "/v1/vms", &list).await;
    assert_eq!((first.status, keyed(&app, "k-3", "/v1/vms", &list).await.bytes), (201, first.bytes));
    assert_eq!(count(&app, "vms").await, "3");
}

#[rocket::async_test]
async fn a_key_is_not_used_up_by_what_failed_or_was_a_rehearsal() {
    let app = App::start().await;
    let body = json!({"name": "n", "vlan": "later"});
    keyed(&app, "k", "/v1/networks", &body).await.is(Status::UnprocessableEntity);
    assert_eq!(keyed(&app, "k", "/v1/vlans?dry_run=true", &json!({"name": "later", "tag": 1})).await.status, 201);
    assert_eq!(count(&app, "idempotency_keys").await, "0");
    app.post("/v1/vlans", json!({"name": "later", "tag": 1})).await.is(Status::Created);
    keyed(&app, "k", "/v1/networks", &body).await.is(Status::Created);
    let long = "k".repeat(256);
    for bad in ["", " ", "a b", "é", &long] {
        assert_eq!(keyed(&app, bad, "/v1/networks", &body).await.status, 400, "{bad:?}");
    }
}
