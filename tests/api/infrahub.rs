//! The VMs in the words of Infrahub: several at once, and what goes wrong; `walk` goes the way of its users with `curl`.

mod walk;

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::access::issue;
use crate::harness::{App, sql};
use crate::orders::told;
use crate::relations::demo;

const HERE: &str = "/v1/core/virtual-machines";

fn payload() -> Value {
    json!({"name": "shop", "environment_name": "shop", "image_name": "debian-12", "flavor_name": "small", "key_name": "laptop",
        "count": 1, "create_bootable_volume": false, "user_data": "#cloud-config\npackages: [nginx]\n",
        "callback_url": "https://customer.example.com/told", "assign_floating_ip": true, "profile": {"name": "web"}, "labels": ["front"],
        "security_rules": [{"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 80, "port_range_max": 80,
            "remote_ip_prefix": "0.0.0.0/0"}, {"direction": "ingress", "ethertype": "IPv4", "protocol": null}]})
}

async fn ask(app: &App, token: &str, method: Method, url: &str, body: &Value) -> (u16, Value) {
    let authorization = format!("Token {token}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let sent = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let headers = if body.is_null() { &headers[..1] } else { &headers[..] };
    let answer = app.send(method, url, headers, &sent).await;
    (answer.status, serde_json::from_slice(&answer.bytes).unwrap_or_default())
}

/// A member of the demo's first organization: its secret.
pub async fn member(app: &App) -> String {
    let user = json!({"name": "member", "account_type": "person", "state": "active"});
    app.post("/v1/memberships", json!({"organization": "acme", "user": user, "role": "member"}))
        .await
        .is(Status::Created);
    issue(app, json!({"user": "member"})).await.1
}

#[rocket::async_test]
async fn many_are_found_by_a_label_and_each_has_a_result_of_its_own() {
    let app = demo().await;
    let token = member(&app).await;
    let order = json!({"name": "app", "environment_name": "shop", "flavor_name": "small", "image_name": "debian-12", "count": 3, "labels": ["app"]});
    let (status, made) = ask(&app, &token, Method::Post, HERE, &order).await;
    assert_eq!((status, made["instances"].as_array().map(Vec::len)), (201, Some(3)), "{made}");
    let (status, done) = ask(&app, &token, Method::Post, &format!("{HERE}/shop/app-2/stop"), &Value::Null).await;
    assert_eq!(status, 200, "{done}");
    // A request of two parts is one VM; an action on many is said after the environment.
    let (status, done) = ask(&app, &token, Method::Post, &format!("{HERE}/shop/reboot?label=app"), &Value::Null).await;
    let statuses: Vec<&Value> = done["results"].as_array().unwrap().iter().map(|result| &result["status"]).collect();
    assert_eq!((status, statuses), (200, vec![&json!(200), &json!(409), &json!(200)]), "{done}");
    let larger = json!({"flavor_name": "medium"});
    let (status, done) = ask(&app, &token, Method::Patch, &format!("{HERE}/shop?label=app"), &larger).await;
    assert_eq!((status, done["results"].as_array().map(Vec::len)), (200, Some(3)), "{done}");
    let (_, found) = ask(&app, &token, Method::Get, &format!("{HERE}/shop/app-1"), &Value::Null).await;
    assert_eq!(
        (&found["instance"]["flavor_name"], &found["instance"]["state"]),
        (&json!("medium"), &json!("resizing"))
    );
    let wrong = json!({"flavor_name": "none"});
    let (status, problem) = ask(&app, &token, Method::Patch, &format!("{HERE}/shop/app-1"), &wrong).await;
    assert_eq!((status, told(&problem)[0].0.as_str()), (422, "/flavor_name"), "{problem}");
    let (status, done) = ask(&app, &token, Method::Delete, &format!("{HERE}/shop?label=app"), &Value::Null).await;
    assert_eq!(
        (status, done["results"].as_array().map(Vec::len), &done["results"][0]["status"]),
        (200, Some(3), &json!(204)),
        "{done}"
    );
    assert_eq!(app.get("/v1/vms?labels=app").await.is(Status::Ok)["total"], 0);
}

#[rocket::async_test]
async fn what_goes_wrong_is_told_in_these_words() {
    let app = demo().await;
    let token = member(&app).await;
    let count = async |list: &str| app.get(&format!("/v1/{list}?count=exact")).await.is(Status::Ok)["total"].clone();
    let before = (count("vms").await, count("volumes").await);
    for (field, value, expected, pointer) in [
        ("environment_name", json!("none"), 422, "/environment_name"),
        ("environment_name", json!("globex/mail"), 422, "/environment_name"),
        ("environment_name", Value::Null, 422, "/environment_name"),
        ("flavor_name", json!("huge"), 422, "/flavor_name"),
        ("image_name", json!("windows"), 422, "/image_name"),
        ("key_name", json!("none"), 422, "/key_name"),
        ("key_names", json!("laptop"), 422, "/key_names"),
        ("volume_name", json!("none"), 422, "/volume_name"),
        ("create_bootable_volume", json!("yes"), 422, "/create_bootable_volume"),
        ("count", json!(0), 422, "/count"),
        ("labels", json!(["a b"]), 422, "/labels"),
        ("user_data", json!("echo"), 422, "/user_data"),
        ("security_rules", json!({}), 422, "/security_rules"),
        ("security_rules", json!([{"direction": "up", "ethertype": "IPv4"}]), 422, "/security_rules/0/direction"),
        ("assign_floating_ip", json!(1), 422, "/assign_floating_ip"),
        ("profile", json!("none"), 422, "/profile"),
        ("callback_url", json!("gopher://example.com"), 422, "/callback_url"),
        ("colour", json!("red"), 422, "/colour"),
        ("name", json!("web-1"), 409, "/name"),
    ] {
        let mut sent = payload();
        sent[field] = value;
        let (status, problem) = ask(&app, &token, Method::Post, HERE, &sent).await;
        assert_eq!(status, expected, "{field}: {problem}");
        assert!(told(&problem).iter().any(|(at, _)| at == pointer), "{field}: {problem}");
    }
    for (method, url, body, expected) in [
        (Method::Get, format!("{HERE}/none"), Value::Null, 404),
        (Method::Get, format!("{HERE}/999999"), Value::Null, 404),
        (Method::Get, format!("{HERE}/globex/mail/mail-1"), Value::Null, 404),
        (Method::Get, format!("{HERE}?colour=red"), Value::Null, 400),
        (Method::Delete, format!("{HERE}/shop"), Value::Null, 400),
        (Method::Delete, format!("{HERE}/shop/none"), Value::Null, 404),
        (Method::Post, format!("{HERE}/shop/web-1/explode"), Value::Null, 404),
        (Method::Patch, format!("{HERE}/shop/web-1"), json!({"cores": 9}), 422),
        (Method::Patch, format!("{HERE}/shop/web-1"), json!([]), 422),
    ] {
        let (status, answer) = ask(&app, &token, method, &url, &body).await;
        assert_eq!(status, expected, "{method} {url} {answer}");
    }
    assert_eq!((count("vms").await, count("volumes").await), before);
    assert_eq!(ask(&app, "virtapi_00000000_false", Method::Get, HERE, &Value::Null).await.0, 401);
}

#[rocket::async_test]
async fn a_volume_is_booted_from_by_its_name_in_the_environment() {
    let app = demo().await;
    let token = member(&app).await;
    sql(&app.dsn, "DELETE FROM hypervisor_ceph_clusters; DELETE FROM hypervisor_networks").await;
    let kept = |name: &str, environment: &str| {
        json!({"name": name, "size_bytes": 1_u64 << 30, "storage_type": "rbd", "ceph_pool": "rbd", "cache_option": "none",
            "environment": environment})
    };
    let mut volumes = vec![];
    for (name, environment) in [("data", "acme/shop"), ("other", "acme/shop"), ("data", "globex/mail")] {
        volumes.push(app.post("/v1/volumes", kept(name, environment)).await.is(Status::Created));
    }
    app.post("/v1/volumes", kept("data", "acme/shop")).await.is(Status::Conflict);
    let order = |name: &str, volume: &Value| {
        let mut sent = payload();
        let fields = sent.as_object_mut().unwrap();
        fields.retain(|field, _| ["environment_name", "flavor_name"].contains(&field.as_str()));
        fields.insert("name".into(), name.into());
        fields.insert("volume_name".into(), volume.clone());
        sent
    };
    for (name, said, volume) in
        [("by-name", json!("data"), &volumes[0]), ("by-uuid", volumes[1]["uuid"].clone(), &volumes[1])]
    {
        let (status, made) = ask(&app, &token, Method::Post, HERE, &order(name, &said)).await;
        assert_eq!(status, 201, "{made}");
        let vm = app.get(&format!("/v1/volumes/{}", volume["id"])).await.is(Status::Ok)["vm"].clone();
        let named = app.get(&format!("/v1/vms/{}", vm["id"])).await.is(Status::Ok)["name"].clone();
        assert_eq!(named, name);
    }
    // Not one of somebody else's, nor one that is taken, nor none.
    for said in [json!("none"), volumes[2]["uuid"].clone(), json!("data")] {
        let (status, problem) = ask(&app, &token, Method::Post, HERE, &order("again", &said)).await;
        assert_eq!((status, told(&problem)[0].0.as_str()), (422, "/volume_name"), "{said} {problem}");
    }
}
