//! What a VM was ordered with, as the agent of its hypervisor is told.

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::harness::{App, sql};

const VM: &str = "6f1c2a34-0000-4000-8000-000000000001";

/// A hypervisor with a customer's VM that has all that one can order, and its two interfaces.
async fn ordered(app: &App) -> Vec<Value> {
    let post =
        async |collection: &str, body: Value| app.post(&format!("/v1/{collection}"), body).await.is(Status::Created);
    let node = json!({"fqdn": "hv01.example.com", "state": "running"});
    let hypervisor = json!({"node": node, "cores": 4, "ram_bytes": 1024, "virt_methods": ["KVM"]});
    post("hypervisors", hypervisor).await;
    post("environments", json!({"organization": {"name": "acme", "full_name": "Acme"}, "name": "shop"})).await;
    for name in ["work", "laptop"] {
        let key = json!({"environment": "acme/shop", "name": name, "public_key": format!("ssh-rsa AAAA {name}")});
        post("keys", key).await;
    }
    for (name, mtu) in [("guests", 1450), ("narrow", 1400)] {
        post("networks", json!({"name": name, "mtu": mtu, "audience": "customers"})).await;
    }
    for (name, network, cidr, gateway, purpose) in [
        ("v4", "guests", "192.0.2.0/24", json!("192.0.2.1"), "addresses"),
        ("v6", "narrow", "2001:db8::/64", json!("2001:db8::1"), "addresses"),
        ("back", "guests", "10.0.0.0/24", Value::Null, "addresses"),
        ("public", "guests", "203.0.113.0/28", Value::Null, "floating"),
        ("public-v6", "guests", "2001:db8:f::/64", json!("2001:db8:f::1"), "floating"),
    ] {
        let subnet = json!({"name": name, "network": network, "cidr": cidr, "gateway": gateway, "purpose": purpose});
        post("subnets", subnet).await;
    }
    let vm = json!({"uuid": VM, "name": "Büro 1", "cores": 2, "ram_bytes": 512, "state": "running",
        "virt_method": "KVM", "hypervisor": "hv01.example.com", "environment": "acme/shop", "firewall": "on",
        "keys": ["acme/shop/work", "acme/shop/laptop"], "user_data": "#!/bin/sh\necho \"%{x}\"\n"});
    post("vms", vm).await;
    let mut interfaces = vec![];
    for (mac, addresses) in [
        // The prefix length of an address need not be its subnet's.
        ("52:54:00:00:00:01", json!(["192.0.2.10/32", "2001:db8::10/48"])),
        ("52:54:00:00:00:02", json!(["10.0.0.10/8"])),
    ] {
        interfaces.push(post("interfaces", json!({"vm": VM, "mac": mac, "addresses": addresses})).await);
    }
    for ip in ["203.0.113.9", "203.0.113.8", "2001:db8:f::8"] {
        post("floating-ips", json!({"environment": "acme/shop", "ip": ip, "vm": VM})).await;
    }
    for (address, vm) in [("0000:5e:00.0", json!(VM)), ("0000:3b:00.0", json!(VM)), ("0000:01:00.0", Value::Null)] {
        let gpu = json!({"hypervisor": "hv01.example.com", "address": address, "model": "L40", "vm": vm});
        post("gpus", gpu).await;
    }
    for (n, more) in [
        (2, json!({"protocol": "tcp", "port_range_min": 22, "port_range_max": 23, "remote_ip_prefix": "192.0.2.0/24"})),
        (1, json!({"protocol": "any"})),
    ] {
        let mut rule = json!({"uuid": format!("6f1c2a34-0000-4000-8000-00000000001{n}"), "vm": VM,
            "direction": "ingress", "ethertype": "IPv4"});
        for (name, value) in more.as_object().expect("an object") {
            rule[name] = value.clone();
        }
        post("security-rules", rule).await;
    }
    sql(&app.dsn, "UPDATE vms SET restarts = 2").await;
    interfaces
}

/// The VMs of the hypervisor.
async fn vms_of(app: &App) -> Value {
    let mut document = app.get("/salt/pillar/hv01.example.com").await.is(Status::Ok);
    document["virtapi"]["hypervisor"]["vms"].take()
}

#[rocket::async_test]
async fn a_vm_is_shown_with_all_that_it_was_ordered_with() {
    let app = App::start().await;
    let interfaces = ordered(&app).await;
    let mut vm = vms_of(&app).await[VM].take();
    for file in ["meta-data", "network-config"] {
        let text = vm["seed"][file].as_str().expect("a text");
        assert!(text.ends_with("}\n"), "{text}");
        vm["seed"][file] = serde_json::from_str(text).expect("JSON, which is YAML");
    }
    let (first, second) = (&interfaces[0], &interfaces[1]);
    let addresses =
        json!(["192.0.2.10/32", "2001:db8::10/48", "203.0.113.9/32", "203.0.113.8/32", "2001:db8:f::8/128"]);
    let rule = |protocol: &str, min: Value, max: Value, from: Value| {
        json!({"direction": "ingress", "ethertype": "IPv4", "protocol": protocol, "port_range_min": min,
            "port_range_max": max, "remote_ip_prefix": from})
    };
    let ethernets = json!({
        "eth0": {"match": {"macaddress": "52:54:00:00:00:01"}, "set-name": "eth0", "addresses": addresses, "mtu": 1400,
            "routes": [{"to": "0.0.0.0/0", "via": "192.0.2.1", "on-link": true}, {"to": "::/0", "via": "2001:db8::1"}]},
        "eth1": {"match": {"macaddress": "52:54:00:00:00:02"}, "set-name": "eth1", "addresses": ["10.0.0.10/8"],
            "mtu": 1450},
    });
    let domain = vm["domain"].clone();
    let expected = json!({
        "name": "Büro 1", "domain": domain, "cores": 2, "ram_bytes": 512, "cputime_limit": null, "virt_method": "KVM",
        "state": "running", "restarts": 2, "gpus": [{"address": "0000:3b:00.0"}, {"address": "0000:5e:00.0"}],
        "security_rules": [rule("tcp", json!(22), json!(23), json!("192.0.2.0/24")),
            rule("any", Value::Null, Value::Null, Value::Null)],
        "interfaces": [
            {"name": null, "bridge": first["bridge"], "mac": "52:54:00:00:00:01", "vlans": [], "addresses": addresses,
                "mtu": 1400},
            {"name": null, "bridge": second["bridge"], "mac": "52:54:00:00:00:02", "vlans": [],
                "addresses": ["10.0.0.10/8"], "mtu": 1450},
        ],
        "volumes": [],
        "seed": {
            "meta-data": {"instance-id": VM, "local-hostname": "b-ro-1",
                "public-keys": ["ssh-rsa AAAA laptop", "ssh-rsa AAAA work"]},
            "network-config": {"version": 2, "ethernets": ethernets},
            "user-data": "#!/bin/sh\necho \"%{x}\"\n",
        },
    });
    assert_eq!(vm, expected);
}

#[rocket::async_test]
async fn the_mtu_of_an_interface_needs_no_seed_and_raises_the_generation() {
    let app = App::start().await;
    ordered(&app).await;
    let nothing = json!({"user_data": null, "keys": []});
    app.json(Method::Patch, &format!("/v1/vms/{VM}"), nothing).await.is(Status::Ok);
    let mut before = -1;
    for (mtu, expected) in
        [(json!(9000), json!([1400, 9000])), (json!(1280), json!([1280, 1280])), (Value::Null, json!([1400, null]))]
    {
        app.json(Method::Patch, "/v1/networks/guests", json!({"mtu": mtu})).await.is(Status::Ok);
        let document = app.get("/salt/pillar/hv01.example.com").await.is(Status::Ok);
        let generation = document["virtapi"]["meta"]["generation"].as_i64().expect("a number");
        let vm = &document["virtapi"]["hypervisor"]["vms"][VM];
        let shown: Vec<&Value> = vm["interfaces"].as_array().expect("a list").iter().map(|one| &one["mtu"]).collect();
        assert_eq!((json!(shown), vm.get("seed")), (expected, None));
        assert!(generation > before, "{generation} after {before}");
        before = generation;
    }
}

#[rocket::async_test]
async fn a_vm_has_a_seed_or_rules_only_if_somebody_ordered_some() {
    let app = App::start().await;
    ordered(&app).await;
    let flavor = json!({"name": "small", "cores": 1, "ram_bytes": 1024, "disk_bytes": 1024, "virt_method": "KVM",
        "storage_type": "raw"});
    app.post("/v1/flavors", flavor).await.is(Status::Created);
    let nothing = json!({"user_data": null, "keys": [], "firewall": "off", "security_rules": []});
    let patch = async |body: &Value| {
        app.json(Method::Patch, &format!("/v1/vms/{VM}"), body.clone()).await.is(Status::Ok);
        vms_of(&app).await[VM].take()
    };
    let vm = patch(&nothing).await;
    assert_eq!((vm.get("seed"), &vm["security_rules"]), (None, &Value::Null));
    assert_eq!(patch(&json!({"firewall": "on"})).await["security_rules"], json!([]));
    let rule = json!({"direction": "egress", "ethertype": "IPv6", "protocol": "udp"});
    let vm = patch(&json!({"firewall": "off", "security_rules": [rule]})).await;
    assert_eq!(vm["security_rules"][0]["direction"], "egress");
    for one in [json!({"keys": ["acme/shop/work"]}), json!({"user_data": "#!/bin/sh\n"}), json!({"flavor": "small"})] {
        let user_data = one["user_data"].as_str().unwrap_or("#cloud-config\n{}\n");
        assert_eq!(patch(&one).await["seed"]["user-data"], user_data, "{one}");
        assert_eq!(patch(&json!({"user_data": null, "keys": [], "flavor": null})).await.get("seed"), None, "{one}");
    }
    // What is not ordered is known all the same.
    let plain = json!({"name": "plain", "cores": 1, "ram_bytes": 1024, "state": "running", "virt_method": "KVM",
        "hypervisor": "hv01.example.com", "environment": "acme/shop"});
    let plain = app.post("/v1/vms", plain).await.is(Status::Created);
    let vm = vms_of(&app).await[plain["uuid"].as_str().expect("a UUID")].take();
    assert_eq!((&vm["restarts"], &vm["gpus"], vm.get("security_rules")), (&json!(0), &json!([]), Some(&Value::Null)));
    assert_eq!(vm.get("seed"), None);
}
