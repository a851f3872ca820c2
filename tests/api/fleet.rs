//! A fleet full of values that a YAML reader, a template or a shell takes for something else, and the documents that
//! agents must get for it. The documents are written down from what is posted, not from what is read.

use rocket::http::Status;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

use crate::harness::App;

/// A hypervisor, monitor and OSD host in one.
pub const ALL_ROLES: &str = "hv01.example.com";
/// A monitor.
pub const MON: &str = "st01.example.com";
/// An OSD host.
pub const OSDS: &str = "st02.example.com";
/// A node without a role.
pub const NO_ROLE: &str = "bare01.example.com";

/// Text that is not what it looks like.
static TRAPS: LazyLock<Vec<String>> =
    LazyLock::new(|| serde_json::from_str(include_str!("fleet/traps.json")).expect("strings"));

const RAM: i64 = 1_073_741_824;

/// What is posted for a node's free parameters.
fn parameters() -> Value {
    let keys: Map<_, _> = TRAPS.iter().filter(|trap| *trap != "<<").map(|trap| (trap.clone(), json!(trap))).collect();
    json!({
        "traps": *TRAPS,
        "keys": keys,
        "numbers": [0, -1, 1.0, 1.5, -0.25, 1e16, 1e22, 1e-7, 123_456_789.125, i64::MAX, i64::MIN, u64::MAX],
        "nested": {"a": [{"b": {"c": [[], {}, null, true, false]}}], "012": {"yes": [[["52:54:00:12:34:56"]]]}},
        "ntp": "yes",
    })
}

/// Posts, and returns the answer.
async fn post(app: &App, collection: &str, body: Value) -> Value {
    app.post(&format!("/v1/{collection}"), body).await.is(Status::Created)
}

/// What is left of a value without some of its fields.
fn without(mut value: Value, keys: &[&str]) -> Value {
    value.as_object_mut().expect("an object").retain(|key, _| !keys.contains(&key.as_str()));
    value
}

/// The documents' fields that name a VLAN.
fn vlan(name: &str, tag: Option<u16>, vni: Option<u32>) -> Value {
    json!({"name": name, "tag": tag, "vni": vni})
}

/// Posts the fleet; [`expected`] says what its agents must get.
pub struct Fleet {
    management: Value,
    interfaces: Vec<Value>,
    hypervisor: Value,
    clusters: Value,
    mons: Vec<Value>,
    osds: Vec<Value>,
}

impl Fleet {
    /// Posts it all.
    pub async fn post(app: &App) -> Self {
        let vlans = [vlan("mgmt", Some(10), None), vlan("1e3", Some(4094), None), vlan("ü 😀", None, Some(16_777_215))];
        for vlan in &vlans {
            post(app, "vlans", vlan.clone()).await;
        }
        post(app, "networks", json!({"name": "on", "cidr": "10.0.0.0/24", "mtu": 1500, "vlan": "mgmt"})).await;
        for fqdn in [ALL_ROLES, MON, OSDS, NO_ROLE] {
            let body = json!({"fqdn": fqdn, "location": "2026-01-01", "state": "running", "environment": "production",
                "parameters": parameters(), "management_network": "on"});
            post(app, "nodes", body).await;
        }
        let cluster =
            json!({"name": "0x1f", "fsid": uuid(9), "public_network": "10.1.0.0/24", "cluster_network": "fd00::/64"});
        post(app, "ceph-clusters", cluster.clone()).await;
        let pool = json!({"name": "1_000", "cluster": "0x1f", "size": 3, "min_size": 2, "pg_num": 32});
        post(app, "ceph-pools", pool.clone()).await;
        let (mons, osds) = ceph_roles(app).await;
        let of_cluster = |mon: &Value| {
            let mut mon = without(mon.clone(), &["node", "cluster"]);
            mon["fqdn"] = json!(if mon["name"] == "012" { ALL_ROLES } else { MON });
            mon
        };
        let mut shown = without(cluster, &["name"]);
        shown["mons"] = mons.iter().map(of_cluster).collect();
        shown["pools"] = json!([without(pool, &["cluster"])]);
        Self {
            management: json!({"name": "on", "cidr": "10.0.0.0/24", "mtu": 1500, "vlan": vlans[0]}),
            interfaces: node_interfaces(app, &vlans).await,
            hypervisor: hypervisor(app, &vlans).await,
            clusters: json!({"0x1f": shown}),
            mons,
            osds,
        }
    }

    /// The document of a node, but for `meta`.
    pub fn expected(&self, fqdn: &str) -> Value {
        let all = fqdn == ALL_ROLES;
        let of_node = |rows: &[Value]| -> Vec<Value> {
            rows.iter().filter(|row| row["node"] == fqdn).map(|row| without(row.clone(), &["node"])).collect()
        };
        let bond =
            json!([{"name": "bond0", "mode": "802.3ad", "interfaces": ["52:54:00:12:34:56", "10:20:30:40:50:59"]}]);
        let mut document = json!({
            "node": {
                "fqdn": fqdn, "location": "2026-01-01", "state": "running", "environment": "production",
                "parameters": parameters(),
                "networks": {"management": self.management, "storage": null, "backup": null},
                "interfaces": if all { self.interfaces.clone() } else { vec![] },
                "bonds": if all { bond } else { json!([]) },
            },
            "roles": match fqdn {
                ALL_ROLES => json!(["hypervisor", "ceph_mon", "ceph_osd"]),
                MON => json!(["ceph_mon"]),
                OSDS => json!(["ceph_osd"]),
                _ => json!([]),
            },
        });
        if all {
            document["hypervisor"] = self.hypervisor.clone();
        }
        if fqdn != NO_ROLE {
            let mon = of_node(&self.mons).pop();
            document["ceph"] = json!({"clusters": self.clusters, "mon": mon, "osds": of_node(&self.osds)});
        }
        document
    }
}

/// Monitors and OSDs, as they were posted.
async fn ceph_roles(app: &App) -> (Vec<Value>, Vec<Value>) {
    let mons = vec![
        json!({"node": ALL_ROLES, "cluster": "0x1f", "name": "012", "address": "10.1.0.11", "port": 6789}),
        json!({"node": MON, "cluster": "0x1f", "name": "1e3", "address": "fd00::1", "port": 3300}),
    ];
    let osd = |node: &str, number: u32, device: &str, db_device: Option<&str>, class: Option<&str>| json!({"node": node, "cluster": "0x1f", "uuid": uuid(number), "device": device, "db_device": db_device, "device_class": class});
    let osds = vec![
        osd(ALL_ROLES, 20, "/dev/disk/by-path/pci-0000:00:1f.2-ata-1", Some("/dev/nvme0n1p1"), Some("0.10")),
        osd(ALL_ROLES, 21, "/dev/sdb", None, None),
        osd(OSDS, 22, "/dev/sdb", None, Some("yes")),
    ];
    for mon in &mons {
        post(app, "ceph-mons", mon.clone()).await;
    }
    for osd in &osds {
        post(app, "ceph-osds", osd.clone()).await;
    }
    (mons, osds)
}

/// Two interfaces in a bond, and one with VLANs and addresses.
async fn node_interfaces(app: &App, vlans: &[Value]) -> Vec<Value> {
    let bond = post(app, "bonds", json!({"node": ALL_ROLES, "name": "bond0", "mode": "802.3ad"})).await["id"].clone();
    let mut shown = Vec::new();
    for (name, mac, bonded, vlans, addresses) in [
        (json!("1e3"), "52:54:00:12:34:56", true, vlans, json!(["10.0.0.11/24", "fd00::12/64"])),
        (json!("eno2"), "10:20:30:40:50:59", true, &[], json!([])),
        (Value::Null, "00:00:00:00:00:12", false, &[], json!(["::1/128"])),
    ] {
        let names: Vec<_> = vlans.iter().map(|vlan| &vlan["name"]).collect();
        let body = json!({"node": ALL_ROLES, "name": name, "mac": mac, "bond": bonded.then_some(&bond), "vlans": names,
            "addresses": addresses});
        post(app, "interfaces", body).await;
        shown.push(json!({"name": name, "mac": mac, "bond": bonded.then_some("bond0"), "vlans": vlans, "addresses": addresses}));
    }
    shown
}

/// The role and its VMs: one with everything, and one for each name that is a trap.
async fn hypervisor(app: &App, vlans: &[Value]) -> Value {
    let mut shown = json!({"local_storage_bytes": 1_000_000_000_000_i64, "local_storage_path": "/srv/%{x} 😀", "vg_name": "012",
        "cores": 16, "ram_bytes": 64 * RAM, "cpu_overcommit_ratio": 1.5, "ram_overcommit_ratio": 1.0,
        "virt_methods": ["KVM", "LXC"]});
    let mut body = shown.clone();
    body["node"] = json!(ALL_ROLES);
    post(app, "hypervisors", body).await;
    let mut vms = Map::new();
    let names = TRAPS.iter().filter(|name| name.chars().all(|c| c >= ' ') && !name.is_empty());
    for (name, number) in names.zip(100..) {
        let vm = json!({"name": name, "cores": 2, "ram_bytes": RAM, "cputime_limit": null, "virt_method": "KVM",
            "state": "running"});
        let mut body = vm.clone();
        body["uuid"] = json!(uuid(number));
        body["hypervisor"] = json!(ALL_ROLES);
        let id = post(app, "vms", body).await["id"].clone();
        let mut vm = without(vm, &["uuid", "hypervisor"]);
        vm["domain"] = json!(format!("vm-{id}"));
        vm["restarts"] = json!(0);
        vm["gpus"] = json!([]);
        vm["security_rules"] = Value::Null;
        vm["interfaces"] = json!([]);
        vm["volumes"] = json!([]);
        if number == 100 {
            vm["interfaces"] = json!([vm_interface(app, &id, vlans).await]);
            vm["volumes"] = volumes(app).await.into();
        }
        vms.insert(uuid(number), vm);
    }
    shown["vms"] = vms.into();
    shown["tombstones"] = tombstones(app).await;
    shown
}

/// Of a VM, and of a volume of each type that has its place on the hypervisor.
async fn tombstones(app: &App) -> Value {
    let not_before = "2026-12-08T02:00:00Z";
    let one = |number: u32| json!({"hypervisor": ALL_ROLES, "uuid": uuid(number), "number": number, "not_before": not_before});
    let mut vm = one(900);
    vm["name"] = json!("0x1f");
    post(app, "tombstones", vm).await;
    for (number, storage_type) in [(901, "qcow2"), (902, "lvm")] {
        let mut volume = one(number);
        volume["storage_type"] = json!(storage_type);
        post(app, "tombstones", volume).await;
    }
    json!({
        "vms": {uuid(900): {"name": "0x1f", "domain": "vm-900", "not_before": not_before}},
        "volumes": {
            uuid(901): {"type": "qcow2", "path": "/srv/%{x} 😀/vol-901.qcow2", "not_before": not_before},
            uuid(902): {"type": "lvm", "vg": "012", "lv": "vol-902", "not_before": not_before},
        },
    })
}

async fn vm_interface(app: &App, vm: &Value, vlans: &[Value]) -> Value {
    let addresses = json!(["192.0.2.10/24", "2001:db8::10/64"]);
    let body =
        json!({"vm": uuid(100), "name": "0755", "mac": "52:54:00:12:34:57", "vlans": ["1e3"], "addresses": addresses});
    let id = post(app, "interfaces", body).await["id"].clone();
    json!({"name": "0755", "bridge": format!("br-{vm}-{id}"), "mac": "52:54:00:12:34:57", "vlans": [vlans[1]],
        "addresses": addresses, "mtu": null})
}

/// One volume of each type; the files are made from an image, and the first has snapshots.
async fn volumes(app: &App) -> Vec<Value> {
    let image =
        json!({"name": "~ null", "format": "qcow2", "path": "/srv/golden/%{x} {{ x }}.qcow2", "checksum": null});
    let mut body = image.clone();
    body["size_bytes"] = json!(RAM);
    post(app, "images", body).await;
    let mut shown = Vec::new();
    for (number, kind) in [(50, "qcow2"), (51, "raw"), (52, "lvm"), (53, "rbd")] {
        let mut volume = json!({"uuid": uuid(number), "size_bytes": 50 * RAM, "read_iops_limit": 500, "write_iops_limit": null,
            "read_bps_limit": i64::MAX, "write_bps_limit": null});
        let mut body = volume.clone();
        body["vm"] = json!(uuid(100));
        body["storage_type"] = json!(kind);
        body["cache_option"] = json!("none");
        body["ceph_pool"] = json!((kind == "rbd").then_some("1_000"));
        let from_image = ["qcow2", "raw"].contains(&kind);
        body["image"] = json!(from_image.then_some("~ null"));
        let id = post(app, "volumes", body).await["id"].clone();
        volume["type"] = json!(kind);
        volume["cache"] = json!("none");
        volume["backing"] = if from_image { image.clone() } else { Value::Null };
        volume["snapshots"] = json!([]);
        match kind {
            "lvm" => {
                volume["vg"] = json!("012");
                volume["lv"] = json!(format!("vol-{id}"));
            }
            "rbd" => {
                volume["cluster"] = json!("0x1f");
                volume["pool"] = json!("1_000");
                volume["image"] = json!(format!("vol-{id}"));
            }
            _ => volume["path"] = json!(format!("/srv/%{{x}} 😀/vol-{id}.{kind}")),
        }
        shown.push(volume);
    }
    let snapshot = json!({"name": "2026-01-01", "take_at": "2026-12-01T02:00:00Z", "keep_until": null});
    let mut body = snapshot.clone();
    body["volume"] = json!(uuid(50));
    post(app, "snapshots", body).await;
    shown[0]["snapshots"] = json!([snapshot]);
    shown
}

/// One that begins with digits and an `e`, as a number could.
fn uuid(number: u32) -> String {
    format!("12345e67-0000-4000-8000-{number:012}")
}
