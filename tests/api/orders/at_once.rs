//! Orders of many clients at once: nothing is given away twice, and nobody is refused while there is room.

use rocket::futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, App, rows};
use crate::orders::{SHOP, assert_counted};
use crate::relations::demo;

/// An environment with a network of its own with just so many addresses, and hypervisors for just so many VMs.
async fn small_fleet(hypervisors: usize, each: i64, addresses: &str) -> App {
    let app = demo().await;
    for number in 0..hypervisors {
        let node = json!({"fqdn": format!("small{number}.example.com"), "state": "running", "location": format!("rack {number}")});
        let hypervisor = json!({"node": node, "cores": each, "ram_bytes": each << 30, "local_storage_bytes": each * 10_000_000_000,
            "local_storage_path": "/srv", "labels": ["small"], "virt_methods": ["KVM"]});
        app.post("/v1/hypervisors", hypervisor).await.is(rocket::http::Status::Created);
    }
    for (list, body) in [
        (
            "flavors",
            json!({"name": "tiny", "cores": 1, "ram_bytes": 1 << 30, "disk_bytes": 10_000_000_000_i64, "virt_method": "KVM",
            "storage_type": "qcow2", "labels": ["small"]}),
        ),
        ("networks", json!({"name": "tight", "audience": "customers"})),
        ("subnets", json!({"name": "tight", "network": "tight", "cidr": addresses, "purpose": "addresses"})),
    ] {
        app.post(&format!("/v1/{list}"), body).await.is(rocket::http::Status::Created);
    }
    app
}

fn tiny(number: usize, more: Value) -> Value {
    let mut order = json!({"name": format!("t{number}"), "environment": SHOP, "flavor": "tiny", "network": "tight"});
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order
}

/// Orders as a client does: one that is told to come back comes back.
async fn ask(app: &App, order: Value) -> Answer {
    loop {
        let answer = app.post("/v1/vms", order.clone()).await;
        if answer.status != 503 {
            return answer;
        }
        assert!(!answer.header("Retry-After").is_empty(), "{}", answer.text());
    }
}

async fn assert_no_address_twice(app: &App) {
    let twice = rows(&app.dsn, "SELECT host(ip) FROM addresses GROUP BY 1 HAVING count(*) > 1").await;
    assert_eq!(twice, Vec::<Vec<String>>::new());
}

#[rocket::async_test(flavor = "multi_thread")]
async fn two_hundred_orders_fill_what_there_is_and_nothing_more() {
    // Room for 60, and 62 addresses.
    let app = small_fleet(6, 10, "198.18.0.0/26").await;
    let answers = join_all((0..200).map(|number| ask(&app, tiny(number, json!({}))))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(409)), (60, 140), "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
    assert_counted(&app).await;
    assert_no_address_twice(&app).await;
}

#[rocket::async_test(flavor = "multi_thread")]
async fn addresses_run_out_before_hypervisors_do() {
    let app = small_fleet(3, 40, "198.18.0.0/27").await;
    let answers = join_all((0..80).map(|number| ask(&app, tiny(number, json!({}))))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!((made, answers.iter().filter(|answer| answer.status == 409).count()), (30, 50));
    assert_counted(&app).await;
    assert_no_address_twice(&app).await;
}

#[rocket::async_test(flavor = "multi_thread")]
async fn those_of_a_group_that_are_ordered_at_once_stay_apart() {
    let app = small_fleet(5, 10, "198.18.0.0/26").await;
    let group = json!({"environment": SHOP, "name": "apart", "policy": "anti-affinity", "scope": "location"});
    app.post("/v1/placement-groups", group).await.is(rocket::http::Status::Created);
    let answers = join_all((0..12).map(|number| ask(&app, tiny(number, json!({"group": "apart"}))))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 5);
    let together = "SELECT v.hypervisor_id FROM vms v JOIN placement_groups g ON g.id = v.group_id WHERE g.name = 'apart' GROUP BY 1 HAVING count(*) > 1";
    assert_eq!(rows(&app.dsn, together).await, Vec::<Vec<String>>::new());
}
