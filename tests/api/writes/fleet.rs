//! A small fleet in which everything is shown by some document: several roles on a node, two hypervisors that share
//! VLANs and images, two clusters, bonds, networks, snapshots.

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

fn parts() -> Vec<(&'static str, Vec<Value>)> {
    let hypervisor = |node: &str, methods: Value| {
        json!({"node": node, "cores": 16, "ram_bytes": 1_i64 << 36, "local_storage_path": "/srv", "vg_name": "vg0",
            "virt_methods": methods})
    };
    let vm = |n: u32, hypervisor: Value| {
        json!({"uuid": uuid(n), "name": format!("vm {n}"), "cores": 2, "ram_bytes": 1 << 30, "state": "running",
            "virt_method": "KVM", "hypervisor": hypervisor})
    };
    let volume = |n: u32, vm: Value, kind: &str, more: Value| {
        let mut volume = json!({"uuid": uuid(20 + n), "vm": vm, "size_bytes": 1_u64 << 41, "storage_type": kind,
            "cache_option": "none"});
        for (name, value) in more.as_object().expect("an object") {
            volume[name] = value.clone();
        }
        volume
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
    let of_vm = |n: u32, vm: u32| {
        json!({"mac": mac(n), "vm": uuid(vm), "name": "eth0", "vlans": ["customers", "overlay"],
            "addresses": [format!("198.51.100.{n}/24"), format!("2001:db8:1::{n:x}/64")]})
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
                vm(1, json!("hv1.example.com")),
                vm(2, json!("hv1.example.com")),
                vm(3, json!("hv2.example.com")),
                vm(4, json!("all.example.com")),
                vm(5, Value::Null),
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
                of_vm(11, 1),
                of_vm(12, 2),
                of_vm(13, 3),
                of_vm(14, 5),
            ],
        ),
    ]
}
