//! Placement beside a model that is slow and obviously right: it reads the whole inventory over HTTP before each order, adds everything
//! up, and says where the VM must go, or that there is no room.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::harness::App;
use crate::orders::assert_counted;
use crate::writes::Dice;

const GIB: i64 = 1 << 30;

async fn create(app: &App, list: &str, body: Value) {
    app.post(&format!("/v1/{list}"), body).await.is(Status::Created);
}

/// A few hypervisors that differ in everything that counts, and flavors that ask for it.
async fn fleet(app: &App, dice: &mut Dice) {
    for (name, placement) in [("wide", "spread"), ("dense", "pack")] {
        let organization = json!({"name": name, "full_name": "A customer"});
        create(app, "environments", json!({"organization": organization, "name": "all", "placement": placement})).await;
        for (group, policy, scope) in [
            ("apart", "anti-affinity", "hypervisor"),
            ("racks", "anti-affinity", "location"),
            ("near", "affinity", "location"),
        ] {
            create(
                app,
                "placement-groups",
                json!({"environment": format!("{name}/all"), "name": group, "policy": policy, "scope": scope}),
            )
            .await;
        }
    }
    for (name, first) in [("blue", "198.18.0.0/20"), ("green", "198.18.16.0/20")] {
        create(app, "networks", json!({"name": name, "audience": "customers"})).await;
        create(app, "subnets", json!({"name": name, "network": name, "cidr": first, "purpose": "addresses"})).await;
    }
    for number in 0..6 {
        let node = json!({"fqdn": format!("h{number}.example.com"), "location": format!("rack {}", dice.below(3)),
            "state": if dice.below(8) == 0 { "maintenance" } else { "running" }});
        let some = |dice: &mut Dice, value: Value| if dice.below(2) == 0 { value } else { Value::Null };
        let hypervisor = json!({
            "node": node, "cores": 4 + dice.below(12), "ram_bytes": GIB * i64::try_from(8 + dice.below(24)).unwrap(),
            "cpu_overcommit_ratio": ([1.0, 1.5, 2.0][usize::try_from(dice.below(3)).unwrap()]), "ram_overcommit_ratio": ([1.0, 1.25][usize::try_from(dice.below(2)).unwrap()]),
            "reserved_cores": dice.below(3), "reserved_ram_bytes": GIB * i64::try_from(dice.below(4)).unwrap(),
            "local_storage_path": some(dice, json!("/srv")), "vg_name": "vg0", "local_storage_bytes": 100 * GIB,
            "iops": some(dice, json!(3000)), "labels": if dice.below(2) == 0 { json!(["ssd"]) } else { json!([]) },
            "networks": if dice.below(3) == 0 { json!(["blue"]) } else { json!([]) },
            "virt_methods": if dice.below(4) == 0 { json!(["QEMU"]) } else { json!(["KVM", "QEMU"]) },
        });
        create(app, "hypervisors", hypervisor).await;
        for device in 0..dice.below(3) {
            create(app, "gpus", json!({"hypervisor": format!("h{number}.example.com"), "address": format!("0000:3b:00.{device}"), "model": "L40"})).await;
        }
    }
    for (name, more) in [
        ("plain", json!({})),
        ("fast", json!({"iops": 1000, "labels": ["ssd"]})),
        ("group", json!({"storage_type": "lvm", "virt_method": "QEMU"})),
        ("gpu", json!({"gpu_model": "L40", "gpu_count": 1})),
        ("large", json!({"cores": 6, "ram_bytes": 12 * GIB, "disk_bytes": 40 * GIB})),
    ] {
        let mut flavor = json!({"name": name, "cores": 2, "ram_bytes": 2 * GIB, "disk_bytes": 10 * GIB, "virt_method": "KVM", "storage_type": "qcow2"});
        flavor.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        create(app, "flavors", flavor).await;
    }
}

async fn all(app: &App, list: &str) -> Vec<Value> {
    app.get(&format!("/v1/{list}?limit=1000")).await.is(Status::Ok)["items"].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

fn holds(list: &Value, name: &str) -> bool {
    list.as_array().unwrap().iter().any(|item| item == name || item["name"] == name)
}

/// Where an order must go.
async fn expected(app: &App, order: &Value) -> Option<String> {
    let (hypervisors, nodes, vms) = (all(app, "hypervisors").await, all(app, "nodes").await, all(app, "vms").await);
    let (volumes, gpus, groups) =
        (all(app, "volumes").await, all(app, "gpus").await, all(app, "placement-groups").await);
    let tombstones = all(app, "tombstones").await;
    let flavor = app.get(&format!("/v1/flavors/{}", order["flavor"].as_str().unwrap())).await.is(Status::Ok);
    let packs = order["environment"] == "dense/all";
    let group = groups
        .iter()
        .find(|group| group["name"] == order["group"] && group["environment"]["key"] == order["environment"]);
    let location = |fqdn: &Value| nodes.iter().find(|node| node["fqdn"] == *fqdn).unwrap()["location"].clone();
    let mut fitting: Vec<(i64, i64, String)> = Vec::new();
    for host in &hypervisors {
        let fqdn = &host["node"]["fqdn"];
        let own: Vec<&Value> = vms.iter().filter(|vm| vm["hypervisor"]["fqdn"] == *fqdn).collect();
        let of_own = |volume: &&Value| own.iter().any(|vm| vm["uuid"] == volume["vm"]["uuid"]);
        let sum = |field: &str| own.iter().map(|vm| number(&vm[field])).sum::<f64>();
        let kept = |field: &str| volumes.iter().filter(of_own).map(|volume| number(&volume[field])).sum::<f64>();
        let left = tombstones.iter().filter(|left| left["hypervisor"]["fqdn"] == *fqdn && left["ceph_pool"].is_null());
        let left = left.map(|left| number(&left["size_bytes"])).sum::<f64>();
        let cores = ((number(&host["cores"]) - number(&host["reserved_cores"]))
            * number(&host["cpu_overcommit_ratio"]))
        .floor();
        let ram = ((number(&host["ram_bytes"]) - number(&host["reserved_ram_bytes"]))
            * number(&host["ram_overcommit_ratio"]))
        .floor();
        let free = ram - sum("ram_bytes");
        let place =
            if flavor["storage_type"]["name"] == "lvm" { &host["vg_name"] } else { &host["local_storage_path"] };
        let devices = gpus.iter().filter(|gpu| gpu["hypervisor"]["fqdn"] == *fqdn && gpu["vm"].is_null()).count();
        let beside = group.is_none_or(|group| {
            vms.iter().filter(|vm| vm["group"]["id"] == group["id"]).all(|vm| {
                let with = match group["scope"].as_str().unwrap() {
                    "hypervisor" => vm["hypervisor"]["fqdn"] == *fqdn,
                    _ => location(&vm["hypervisor"]["fqdn"]) == location(fqdn),
                };
                with == (group["policy"] == "affinity")
            })
        });
        let fits = nodes.iter().find(|node| node["fqdn"] == *fqdn).unwrap()["state"]["name"] == "running"
            && holds(&host["virt_methods"], flavor["virt_method"]["name"].as_str().unwrap())
            && sum("cores") + number(&flavor["cores"]) <= cores
            && number(&flavor["ram_bytes"]) <= free
            && !place.is_null()
            && kept("size_bytes") + left + number(&flavor["disk_bytes"]) <= number(&host["local_storage_bytes"])
            && (host["iops"].is_null()
                || flavor["iops"].is_null()
                || kept("read_iops_limit") + number(&flavor["iops"]) <= number(&host["iops"]))
            && flavor["labels"].as_array().unwrap().iter().all(|label| holds(&host["labels"], label.as_str().unwrap()))
            && (host["networks"] == json!([]) || holds(&host["networks"], order["network"].as_str().unwrap()))
            && devices >= usize::try_from(flavor["gpu_count"].as_i64().unwrap()).unwrap()
            && beside;
        if fits {
            #[expect(clippy::cast_possible_truncation, reason = "it has no fraction")]
            fitting.push((free as i64, host["id"].as_i64().unwrap(), fqdn.as_str().unwrap().to_owned()));
        }
    }
    fitting.sort();
    let chosen = if packs { fitting.first() } else { fitting.last() };
    chosen.map(|(_, _, fqdn)| fqdn.clone())
}

fn order(dice: &mut Dice, number: usize) -> Value {
    let mut word = |words: &[&'static str]| *dice.pick(words).expect("a word");
    let group = word(&["", "", "apart", "racks", "near"]);
    json!({"name": format!("vm{number}"), "environment": word(&["wide/all", "dense/all"]), "network": word(&["blue", "green"]),
        "flavor": word(&["plain", "plain", "fast", "group", "gpu", "large"]), "group": if group.is_empty() { Value::Null } else { group.into() }})
}

async fn orders_go_where_the_model_says(seed: u64) {
    let (app, mut dice) = (App::start().await, Dice(seed));
    fleet(&app, &mut dice).await;
    let mut refused = 0;
    for number in 0..30 {
        // Some go again, so that there is room in between.
        if dice.below(6) == 0 {
            let vms = all(&app, "vms").await;
            if let Some(vm) = dice.pick(&vms) {
                let gone = app.json(Method::Delete, &format!("/v1/vms/{}", vm["id"]), Value::Null).await;
                assert_eq!(gone.status, 204, "{}", gone.text());
            }
        }
        let order = order(&mut dice, number);
        let expected = expected(&app, &order).await;
        let explained = app.post("/v1/placement/explain", order.clone()).await.is(Status::Ok);
        assert_eq!(explained["chosen"].as_str(), expected.as_deref(), "seed {seed}: {order} {explained}");
        let answer = app.post("/v1/vms", order.clone()).await;
        if let Some(host) = expected {
            assert_eq!(answer.is(Status::Created)["hypervisor"]["fqdn"], host, "seed {seed}: {order}");
        } else {
            refused += 1;
            answer.is(Status::Conflict);
        }
        assert_counted(&app).await;
    }
    assert!(refused < 30, "seed {seed}: nothing ever had room");
    app.end().await;
}

/// Of other numbers it must hold as well; these are the same in each run, so that a failure is one of the program.
#[rocket::async_test]
async fn every_order_goes_where_a_slow_model_says() {
    for seed in [1, 7, 2026, 7306] {
        orders_go_where_the_model_says(seed).await;
    }
}
