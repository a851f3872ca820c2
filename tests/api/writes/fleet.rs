//! A small fleet in which everything is shown by some document: several roles on a node, two hypervisors that share
//! VLANs and images, two clusters, bonds, networks, snapshots, a customer's VMs.

use rocket::http::Status;
use serde_json::{Value, json};

use crate::harness::App;

/// Writes the fleet over HTTP.
pub async fn load(app: &App) {
    for (collection, items) in parts() {
        for item in items {
            let answer = app.post(&format!("/v1/{collection}"), item.clone()).await;
            assert_eq!(answer.status, Status::Created.code, "{collection} {item}: {}", answer.text());
        }
    }
}

fn uuid(n: u32) -> String {
    format!("00000000-0000-4000-8000-0000000001{n:02}")
}

fn mac(n: u32) -> String {
    format!("52:54:00:00:01:{n:02x}")
}

/// Of a VM, and of volumes of both sorts: on the hypervisor, and in a pool.
fn tombstones() -> Vec<Value> {
    let one = |hypervisor: &str, n: u32, storage_type: Value, pool: Value| {
        json!({"hypervisor": hypervisor, "uuid": uuid(n), "number": 40 + n, "name": "gone", "storage_type": storage_type,
            "ceph_pool": pool, "not_before": "2026-12-01T02:00:00Z"})
    };
    vec![
        one("hv1.example.com", 31, Value::Null, Value::Null),
        one("hv1.example.com", 32, json!("qcow2"), Value::Null),
        one("hv2.example.com", 33, json!("rbd"), json!("cold")),
    ]
}

fn with(mut object: Value, more: Value) -> Value {
    for (name, value) in more.as_object().expect("an object") {
        object[name] = value.clone();
    }
    object
}

/// The customer of the VMs 1, 2 and 3.
const SHOP: &str = "acme/shop";

/// What there must be before a customer's VMs.
fn to_choose_from() -> Vec<(&'static str, Vec<Value>)> {
    let environment = json!({"organization": {"name": "acme", "full_name": "Acme"}, "name": "shop"});
    let key = |name: &str| json!({"environment": SHOP, "name": name, "public_key": format!("ssh-rsa AAAA {name}")});
    let subnet = |name: &str, network: &str, cidr: &str, purpose: &str| json!({"name": name, "network": network, "cidr": cidr, "purpose": purpose});
    vec![
        ("environments", vec![environment]),
        (
            "networks",
            vec![
                // For seeds alone.
                json!({"name": "guests", "mtu": 1450, "audience": "customers"}),
                json!({"name": "guests 2", "mtu": 1400, "audience": "customers", "environment": SHOP}),
                json!({"name": "public", "audience": "customers"}),
            ],
        ),
        (
            "subnets",
            vec![
                // In the one, an address has its prefix length; in another, a longer one, and in the next a shorter one.
                with(subnet("same", "guests", "10.1.0.0/24", "addresses"), json!({"gateway": "10.1.0.9"})),
                subnet("longer", "guests 2", "172.16.0.0/16", "addresses"),
                subnet("shorter", "guests 2", "172.20.5.0/24", "addresses"),
                subnet("floating", "public", "203.0.113.0/28", "floating"),
            ],
        ),
        ("keys", vec![key("laptop"), key("work")]),
        (
            "flavors",
            vec![json!({"name": "small", "cores": 2, "ram_bytes": 1 << 30, "disk_bytes": 1 << 30,
                "virt_method": "KVM", "storage_type": "raw"})],
        ),
        (
            "placement-groups",
            vec![json!({"environment": SHOP, "name": "apart", "policy": "anti-affinity", "scope": "location"})],
        ),
        ("profiles", vec![json!({"environment": SHOP, "name": "plain", "flavor": "small"})]),
    ]
}

/// What customers' VMs have, each on two hypervisors.
fn of_customers() -> Vec<(&'static str, Vec<Value>)> {
    let rule = |n: u32, vm: u32, more: Value| {
        let rule = json!({"uuid": uuid(60 + n), "vm": uuid(vm), "direction": "ingress", "ethertype": "IPv4",
            "protocol": "tcp"});
        with(rule, more)
    };
    let gpu = |hypervisor: &str, address: &str, vm: u32| json!({"hypervisor": hypervisor, "address": address, "model": "L40", "vm": uuid(vm)});
    let floating_ip = |n: u32, vm: Value| json!({"environment": SHOP, "ip": format!("203.0.113.{n}"), "vm": vm});
    vec![
        (
            "security-rules",
            vec![
                rule(1, 2, json!({"port_range_min": 2, "port_range_max": 4, "remote_ip_prefix": "10.0.0.0/8"})),
                rule(2, 3, json!({})),
            ],
        ),
        (
            "gpus",
            vec![
                gpu("hv1.example.com", "0000:3b:00.0", 1),
                gpu("hv1.example.com", "0000:5e:00.0", 1),
                gpu("hv2.example.com", "0000:3b:00.0", 3),
            ],
        ),
        (
            "floating-ips",
            vec![
                floating_ip(8, json!(uuid(1))),
                floating_ip(9, json!(uuid(1))),
                floating_ip(10, json!(uuid(3))),
                floating_ip(11, Value::Null),
            ],
        ),
    ]
}

fn parts() -> Vec<(&'static str, Vec<Value>)> {
    let mut parts = to_choose_from();
    parts.extend(of_fleet());
    parts.extend(of_customers());
    parts
}

fn of_fleet() -> Vec<(&'static str, Vec<Value>)> {
    let hypervisor = |node: &str, methods: Value| {
        json!({"node": node, "cores": 16, "ram_bytes": 1_i64 << 36, "local_storage_path": "/srv", "vg_name": "vg0",
            "virt_methods": methods})
    };
    let vm = |n: u32, hypervisor: Value, more: Value| {
        let vm = json!({"uuid": uuid(n), "name": format!("vm {n}"), "cores": 2, "ram_bytes": 1 << 30,
            "state": "running", "virt_method": "KVM", "hypervisor": hypervisor});
        with(vm, more)
    };
    let volume = |n: u32, vm: Value, kind: &str, more: Value| {
        let volume = json!({"uuid": uuid(20 + n), "vm": vm, "size_bytes": 1_u64 << 41, "storage_type": kind,
            "cache_option": "none"});
        with(volume, more)
    };
    let node = |name: &str, n: u32| {
        json!({"fqdn": format!("{name}.example.com"), "state": "running", "location": format!("rack {n}"),
            "environment": "production", "parameters": {"ntp": "yes"},
            "management_network": "management", "storage_network": "storage",
            "backup_network": "backup"})
    };
    let of_node = |n: u32, node: &str, name: &str, bond: Value| {
        json!({"mac": mac(n), "node": node, "name": name, "bond": bond, "vlans": ["trunk"],
            "addresses": [format!("10.0.0.{n}/24")]})
    };
    let of_vm = |n: u32, vm: u32, more: &[&str]| {
        let mut addresses = vec![format!("198.51.100.{n}/24"), format!("2001:db8:1::{n:x}/64")];
        addresses.extend(more.iter().map(|address| (*address).to_owned()));
        json!({"mac": mac(n), "vm": uuid(vm), "name": "eth0", "vlans": ["customers", "overlay"],
            "addresses": addresses})
    };
    vec![
        (
            "vlans",
            vec![
                // Each is shown in one way only, so that none hides what another lacks.
                json!({"name": "mgmt", "tag": 10}),
                json!({"name": "san", "tag": 20}),
                json!({"name": "dump", "tag": 30}),
                json!({"name": "trunk", "tag": 40}),
                json!({"name": "customers", "tag": 100}),
                json!({"name": "overlay", "vni": 5000}),
                json!({"name": "unused", "tag": 11}),
            ],
        ),
        (
            "networks",
            vec![
                json!({"name": "management", "cidr": "10.0.0.0/24", "mtu": 1500, "vlan": "mgmt"}),
                json!({"name": "storage", "cidr": "10.1.0.0/24", "mtu": 9000, "vlan": "san"}),
                json!({"name": "backup", "vlan": "dump"}),
            ],
        ),
        (
            "images",
            vec![
                json!({"name": "debian-12", "format": "qcow2", "path": "/srv/golden/debian-12.qcow2", "size_bytes": 1 << 30}),
                json!({"name": "debian-13", "format": "raw", "path": "/srv/golden/debian-13.raw", "size_bytes": 1 << 30}),
            ],
        ),
        (
            "ceph-clusters",
            vec![
                json!({"name": "ceph", "fsid": uuid(90), "public_network": "10.1.0.0/24"}),
                json!({"name": "archive", "fsid": uuid(91), "cluster_network": "10.2.0.0/24"}),
            ],
        ),
        (
            "ceph-pools",
            vec![
                json!({"name": "rbd", "cluster": "ceph"}),
                json!({"name": "fast", "cluster": "ceph", "size": 2, "min_size": 1, "pg_num": 64}),
                json!({"name": "cold", "cluster": "archive"}),
            ],
        ),
        (
            "nodes",
            vec![node("hv1", 1), node("hv2", 2), node("st1", 3), node("st2", 4), node("all", 5), node("none", 6)],
        ),
        (
            "bonds",
            vec![
                json!({"node": "hv1.example.com", "name": "bond0", "mode": "802.3ad"}),
                json!({"node": "hv2.example.com", "name": "bond1", "mode": "broadcast"}),
            ],
        ),
        (
            "hypervisors",
            vec![
                hypervisor("hv1.example.com", json!(["KVM", "LXC"])),
                hypervisor("hv2.example.com", json!(["KVM", "QEMU", "LXC"])),
                hypervisor("all.example.com", json!(["KVM"])),
                hypervisor("st2.example.com", json!(["KVM"])),
            ],
        ),
        (
            "ceph-mons",
            vec![
                json!({"node": "st1.example.com", "cluster": "ceph", "address": "10.1.0.11"}),
                json!({"node": "st2.example.com", "cluster": "archive", "address": "10.1.0.12"}),
                json!({"node": "all.example.com", "cluster": "ceph", "address": "10.1.0.13"}),
            ],
        ),
        (
            "ceph-osds",
            vec![
                json!({"node": "st1.example.com", "cluster": "ceph", "device": "/dev/sdb", "uuid": uuid(80)}),
                json!({"node": "st1.example.com", "cluster": "archive", "device": "/dev/sdc", "uuid": uuid(81)}),
                json!({"node": "all.example.com", "cluster": "ceph", "device": "/dev/sdb", "uuid": uuid(82)}),
            ],
        ),
        (
            "vms",
            vec![
                vm(
                    1,
                    json!("hv1.example.com"),
                    json!({"environment": SHOP, "keys": ["acme/shop/laptop", "acme/shop/work"], "group": "acme/shop/apart",
                        "user_data": "#!/bin/sh\n", "labels": ["web"]}),
                ),
                vm(2, json!("hv1.example.com"), json!({"environment": SHOP})),
                vm(3, json!("hv2.example.com"), json!({"environment": SHOP, "keys": ["acme/shop/work"]})),
                vm(4, json!("all.example.com"), json!({"flavor": "small"})),
                vm(5, Value::Null, json!({})),
            ],
        ),
        (
            "volumes",
            vec![
                volume(1, json!(uuid(1)), "qcow2", json!({"image": "debian-12", "read_iops_limit": 500})),
                volume(2, json!(uuid(1)), "lvm", json!({})),
                volume(3, json!(uuid(2)), "rbd", json!({"ceph_pool": "rbd"})),
                volume(4, json!(uuid(3)), "rbd", json!({"ceph_pool": "cold"})),
                volume(5, json!(uuid(3)), "qcow2", json!({"image": "debian-12"})),
                volume(6, json!(uuid(5)), "raw", json!({})),
                volume(7, Value::Null, "raw", json!({})),
            ],
        ),
        ("tombstones", tombstones()),
        (
            "snapshots",
            vec![
                json!({"volume": uuid(21), "name": "nightly", "take_at": "2026-12-01T02:00:00Z"}),
                json!({"volume": uuid(25), "name": "once", "take_at": "2026-12-01T02:00:00Z",
                "keep_until": "2027-12-01T02:00:00Z"}),
            ],
        ),
        (
            "interfaces",
            vec![
                of_node(1, "hv1.example.com", "eno1", json!("hv1.example.com/bond0")),
                of_node(2, "hv1.example.com", "eno2", json!("hv1.example.com/bond0")),
                of_node(3, "st1.example.com", "eno1", Value::Null),
                of_vm(11, 1, &["10.1.0.77/24"]),
                of_vm(12, 2, &[]),
                of_vm(13, 3, &["172.20.5.5/16", "10.3.0.5/16"]),
                of_vm(14, 5, &[]),
                of_vm(15, 4, &["172.16.5.5/24", "10.4.0.5/8"]),
            ],
        ),
    ]
}
