//! What is asked of a VM that is there: more of its hypervisor, another size, another place.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::access::issue;
use crate::harness::{Answer, App};
use crate::orders::{assert_counted, order, told};
use crate::relations::demo;

/// A member of the demo's first organization: its secret.
async fn member(app: &App) -> String {
    let user = json!({"name": "member", "account_type": "person", "state": "active"});
    let membership = json!({"organization": "acme", "user": user, "role": "member"});
    app.post("/v1/memberships", membership).await.is(Status::Created);
    issue(app, json!({"user": "member"})).await.1
}

async fn ask(app: &App, secret: &str, method: Method, url: &str, body: &Value) -> Answer {
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
    for (url, field, too_much) in
        [(&vm_url, "cores", json!(200)), (&vm_url, "ram_bytes", json!(1_i64 << 40)), (&volume_url, "size_bytes", json!(1_i64 << 41))]
    {
        let problem = ask(&app, &member, Method::Patch, url, &json!({ field: too_much })).await.is(Status::Conflict);
        assert_eq!(told(&problem), [(format!("/{field}"), "is more than its hypervisor has left".to_owned())]);
    }
    let boot = json!({"vm": vm["id"], "size_bytes": 1_i64 << 41, "storage_type": "qcow2", "cache_option": "none", "environment": "acme/shop"});
    ask(&app, &member, Method::Post, "/v1/volumes", &boot).await.is(Status::Conflict);
    assert_eq!(seen().await, before);
    for (url, some) in [(&vm_url, json!({"cores": 2, "ram_bytes": 4_i64 << 30})), (&volume_url, json!({"size_bytes": 30_i64 << 30}))] {
        ask(&app, &member, Method::Patch, url, &some).await.is(Status::Ok);
    }
    // Operators place as they say; what is too much then may shrink, and not grow.
    app.json(Method::Patch, &vm_url, json!({"cores": 200})).await.is(Status::Ok);
    ask(&app, &member, Method::Patch, &vm_url, &json!({"cores": 190})).await.is(Status::Ok);
    ask(&app, &member, Method::Patch, &vm_url, &json!({"cores": 191})).await.is(Status::Conflict);
    ask(&app, &member, Method::Patch, &vm_url, &json!({"labels": ["large"]})).await.is(Status::Ok);
    assert_counted(&app).await;
}
