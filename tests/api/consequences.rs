//! What a rehearsal tells of the documents that would change: of which nodes, what, and to whom.

use rocket::http::{Method, Status};
use rocket::tokio::{join, time};
use serde_json::{Value, json};
use std::time::Duration;

use crate::access::issue;
use crate::harness::{App, rows, sql};
use crate::html::browser::{ACCEPT, Form, open, page};
use crate::writes::fleet;

const A: &str = "a.example.com";
const B: &str = "b.example.com";

async fn fleet_of(nodes: &[&str]) -> App {
    let app = App::start().await;
    let node = |fqdn: &&str| json!({"fqdn": fqdn, "state": "running", "management_network": "management"});
    app.post("/v1/networks", json!({"name": "management", "mtu": 1500})).await.is(Status::Created);
    app.post("/v1/nodes", nodes.iter().map(node).collect()).await.is(Status::Created);
    app
}

async fn rehearse(app: &App, method: Method, url: &str, body: Value) -> Value {
    let answer = app.json(method, &format!("{url}?dry_run=true"), body).await;
    assert!(answer.status < 300, "{}", answer.text());
    serde_json::from_slice::<Value>(&answer.bytes).expect("JSON")["consequences"].clone()
}

#[rocket::async_test]
async fn the_difference_of_each_document_is_told() {
    let app = fleet_of(&[A, B]).await;
    let told = rehearse(&app, Method::Patch, &format!("/v1/nodes/{A}"), json!({"location": "rack 1"})).await;
    let difference = json!({"path": "/node/location", "before": null, "after": "rack 1", "classes": ["virtapi"]});
    assert_eq!(told, json!([{"node": A, "generation": {"before": 2, "after": 3}, "differences": [difference]}]));
    assert_eq!(app.get(&format!("/v1/nodes/{A}")).await.is(Status::Ok)["location"], Value::Null);

    let told = rehearse(&app, Method::Patch, "/v1/networks/management", json!({"mtu": 9000})).await;
    let nodes: Vec<&Value> = told.as_array().expect("a list").iter().map(|one| &one["node"]).collect();
    assert_eq!(nodes, [A, B]);
    assert_eq!(told[1]["differences"][0]["path"], "/node/networks/management/mtu");

    let same = rehearse(&app, Method::Patch, "/v1/networks/management", json!({"mtu": 1500})).await;
    assert_eq!(same, json!([]), "what changes nothing has no consequence");
    let vlan = rehearse(&app, Method::Post, "/v1/vlans", json!({"name": "customers", "tag": 7})).await;
    assert_eq!(vlan, json!([]), "nobody has it yet");
}

#[rocket::async_test]
async fn a_document_begins_ends_and_changes_its_name() {
    let app = fleet_of(&[A]).await;
    let at = format!("/v1/nodes/{A}");
    let generation = |before: Value, after: Value| json!({"before": before, "after": after});
    let told = rehearse(&app, Method::Post, "/v1/nodes", json!([{"fqdn": B, "state": "running"}])).await;
    assert_eq!((&told[0]["node"], &told[0]["generation"]), (&json!(B), &generation(Value::Null, json!(2))));
    let node = &told[0]["differences"][0];
    assert_eq!((&node["path"], node.get("before"), &node["after"]["fqdn"]), (&json!("/node"), None, &json!(B)));

    let told = rehearse(&app, Method::Delete, &at, Value::Null).await;
    assert_eq!((&told[0]["node"], &told[0]["generation"]), (&json!(A), &generation(json!(2), Value::Null)));
    assert_eq!(told[0]["differences"][0].get("after"), None);

    let told = rehearse(&app, Method::Patch, &at, json!({"fqdn": B})).await;
    assert_eq!((&told[0]["node"], &told[0]["generation"]["after"]), (&json!(A), &Value::Null));
    assert_eq!((&told[1]["node"], &told[1]["generation"]["before"]), (&json!(B), &Value::Null));
    assert_eq!(rows(&app.dsn, "SELECT fqdn FROM nodes").await, [[A]]);
}

#[rocket::async_test]
async fn classes_are_those_that_read_what_changes() {
    let app = App::start().await;
    fleet::load(&app).await;
    let classes = async |url: &str, body: Value| -> Vec<String> {
        let told = rehearse(&app, Method::Patch, url, body).await;
        let differences = told.as_array().expect("a list").iter().filter_map(|one| one["differences"].as_array());
        let classes = differences.flatten().filter_map(|difference| difference["classes"].as_array()).flatten();
        let mut classes: Vec<String> = classes.filter_map(Value::as_str).map(str::to_owned).collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    };
    let vm = &app.get("/v1/vms?limit=1").await.is(Status::Ok)["items"][0]["uuid"];
    let vm = format!("/v1/vms/{}", vm.as_str().expect("a UUID"));
    assert_eq!(classes(&vm, json!({"cores": 7})).await, ["virtapi::hypervisor"]);
    let all = classes("/v1/ceph-clusters/ceph", json!({"public_network": "10.77.0.0/24"})).await;
    assert_eq!(all, ["virtapi::ceph", "virtapi::ceph::mon", "virtapi::ceph::osd", "virtapi::hypervisor"]);
}

#[rocket::async_test]
async fn of_many_nodes_the_first_are_looked_at_and_all_are_named() {
    let names: Vec<String> = (0..103).map(|n| format!("n{n:03}.example.com")).collect();
    let app = fleet_of(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let told = rehearse(&app, Method::Patch, "/v1/networks/management", json!({"mtu": 9000})).await;
    let told = told.as_array().expect("a list");
    assert_eq!(told.iter().map(|one| one["node"].as_str().expect("a name")).collect::<Vec<_>>(), names);
    let compared = told.iter().take_while(|one| one["differences"].as_array().is_some_and(|all| all.len() == 1));
    assert_eq!(compared.count(), 100);
    assert!(told[100..].iter().all(|one| one["differences"].is_null() && one["generation"]["after"] == 3));
}

#[rocket::async_test]
async fn they_are_told_to_who_may_change_the_fleet() {
    let app = fleet_of(&[A]).await;
    let customer = json!({"name": "carol", "account_type": "person", "state": "active"});
    app.post("/v1/organizations", json!({"name": "acme"})).await.is(Status::Created);
    app.post("/v1/memberships", json!({"organization": "acme", "user": customer, "role": "owner"}))
        .await
        .is(Status::Created);
    let operator = json!({"name": "oscar", "account_type": "person", "role": "operator", "state": "active"});
    app.post("/v1/users", operator).await.is(Status::Created);
    let shop = json!({"organization": "acme", "name": "shop"});
    for (user, url, body, is_told) in [
        ("oscar", format!("/v1/nodes/{A}?dry_run=true"), json!({"location": "rack 1"}), true),
        ("carol", "/v1/environments?dry_run=true".to_owned(), shop, false),
    ] {
        let bearer = format!("Bearer {}", issue(&app, json!({"user": user})).await.1);
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let method = if is_told { Method::Patch } else { Method::Post };
        let answer = app.send(method, &url, &headers, body.to_string().as_bytes()).await;
        assert!(answer.status < 300, "{}", answer.text());
        let answer: Value = serde_json::from_slice(&answer.bytes).expect("JSON");
        assert_eq!(answer.get("consequences").is_some(), is_told, "{user}");
    }
    // A customer's own change may well have some.
    let vm = json!({"name": "web", "cores": 1, "ram_bytes": 1024, "state": "running", "virt_method": "KVM",
        "environment": {"organization": "acme", "name": "shop"},
        "hypervisor": {"node": A, "cores": 1, "ram_bytes": 1024, "virt_methods": ["KVM"]}});
    let vm = app.post("/v1/vms", vm).await.is(Status::Created);
    let bearer = format!("Bearer {}", issue(&app, json!({"user": "carol"})).await.1);
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let url = format!("/v1/vms/{}?dry_run=true", vm["id"]);
    let answer = app.send(Method::Patch, &url, &headers, b"{\"name\": \"shop\"}").await.is(Status::Ok);
    assert_eq!((&answer["name"], answer.get("consequences")), (&json!("shop"), None));
    assert_eq!(app.send(Method::Delete, &url, &headers, b"").await.status, 204);
    let typed = [headers[0], ("Content-Type", "application/x-www-form-urlencoded"), ("Accept", ACCEPT)];
    let form = app.send(Method::Post, "/v1/environments?dry_run=true", &typed, b"organization=acme&name=other").await;
    let text = page(&form, 200);
    assert!(text.contains("Nothing is saved yet") && !text.contains("foreseen"), "{text}");
}

/// A rehearsal reads one moment; what somebody commits while it waits for him is another, and it begins again.
#[rocket::async_test]
async fn a_rehearsal_that_meets_a_change_is_done_again() {
    let app = fleet_of(&[A]).await;
    sql(
        &app.dsn,
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END'",
    )
    .await;
    sql(&app.dsn, "CREATE TRIGGER slowly AFTER UPDATE OF location ON nodes FOR EACH ROW WHEN (NEW.location = 'other') EXECUTE FUNCTION slowly()")
        .await;
    let other = async {
        app.json(Method::Patch, &format!("/v1/nodes/{A}"), json!({"location": "other"})).await.is(Status::Ok);
    };
    let rehearsal = async {
        let locked = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
        while rows(&app.dsn, locked).await.is_empty() {
            time::sleep(Duration::from_millis(5)).await;
        }
        rehearse(&app, Method::Patch, &format!("/v1/nodes/{A}"), json!({"location": "rack 1"})).await
    };
    let ((), told) = join!(other, rehearsal);
    assert_eq!(told[0]["generation"], json!({"before": 3, "after": 4}));
    assert_eq!(told[0]["differences"][0]["before"], "other");
}

#[rocket::async_test]
async fn a_table_has_no_column_of_them() {
    let app = fleet_of(&[A]).await;
    let headers = [("Accept", "text/csv"), ("Content-Type", "application/json")];
    let url = format!("/v1/nodes/{A}?dry_run=true&fields=fqdn");
    let answer = app.send(Method::Patch, &url, &headers, b"{\"location\": \"x\"}");
    assert_eq!(answer.await.text(), format!("fqdn\n{A}\n"));
}

#[rocket::async_test]
async fn pages_show_them_before_the_button() {
    let app = fleet_of(&[A]).await;
    let edit = Form::of(page(&open(&app, &format!("/forms/nodes/edit/{A}")).await, 200)).with("location", "rack <1>");
    let action = format!("{}?dry_run=true", edit.action);
    let tried = Form { action, ..edit }.send(&app).await;
    let text = page(&tried, 200);
    assert!(!text.contains("role=\"alert\""), "{text}");
    for part in [
        "Nothing is saved yet",
        "The document of one node would change",
        "/node/location",
        "rack &#60;1&#62;",
        "virtapi",
        ">Save<",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(app.get(&format!("/v1/nodes/{A}")).await.is(Status::Ok)["location"], Value::Null);
    // The form is as it was typed, and is saved by its own button.
    assert_eq!(Form::of(text).send(&app).await.status, 303);
    assert_eq!(app.get(&format!("/v1/nodes/{A}")).await.is(Status::Ok)["location"], "rack <1>");

    let create = Form::of(page(&open(&app, "/forms/vlans/create?name=customers&tag=7").await, 200));
    let action = format!("{}?dry_run=true", create.action);
    let tried = Form { action, ..create }.send(&app).await;
    assert!(page(&tried, 200).contains("No node's document would change"), "{}", tried.text());

    let delete = open(&app, &format!("/forms/nodes/delete/{A}")).await;
    let text = page(&delete, 200);
    assert!(text.contains("would have none any more") && text.contains("/node"), "{text}");
    assert!(text.find("would have none") < text.find("class=\"primary danger\""), "{text}");
}
