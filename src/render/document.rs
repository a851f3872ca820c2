//! A node's document as a tree: what `docs/documents.md` describes, from the rows, in a fixed order.

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::render::rows::{Interface, Network, Rows, Volume};

/// The shape of documents. It grows when an agent would have to know of a change.
const SCHEMA: u32 = 1;

/// The node, its generation, and the generation of every cluster that is shown. The node's id, too: a node that is
/// deleted and created again starts over at its first generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub node: i64,
    pub generation: i64,
    /// Id and generation.
    pub clusters: Vec<(i64, i64)>,
}

/// What a node must be.
pub struct Document {
    pub version: Version,
    /// What `docs/documents.md` shows below `virtapi`.
    pub tree: Value,
}

impl Document {
    /// The document that these rows make.
    ///
    /// # Errors
    /// Not found, when there is no such node.
    pub fn build(fqdn: &str, rows: &Rows) -> Result<Self> {
        let (id, generation, location, state, environment, parameters) = rows.node.as_ref().ok_or(Error::NotFound)?;
        let clusters = rows.clusters.iter().map(|cluster| (cluster.0, cluster.2)).collect();
        let interfaces = Interfaces::new(rows);
        let of_clusters: Map<_, _> = rows.clusters.iter().map(|c| (c.1.clone(), c.2.into())).collect();
        let mut tree = json!({
            "meta": {"schema": SCHEMA, "node_id": id, "generation": generation, "clusters": of_clusters},
            "node": {
                "fqdn": fqdn, "location": location, "state": state, "environment": environment,
                "parameters": parameters,
                "networks": networks(&rows.networks),
                "interfaces": interfaces.of_node(),
                "bonds": bonds(rows),
            },
            "roles": roles(rows, *id),
        });
        if let Some(hypervisor) = hypervisor(rows, &interfaces) {
            tree["hypervisor"] = hypervisor;
        }
        if !rows.clusters.is_empty() {
            tree["ceph"] = ceph(rows, *id);
        }
        Ok(Self { version: Version { node: *id, generation: *generation, clusters }, tree })
    }
}

fn roles(rows: &Rows, node: i64) -> Vec<&'static str> {
    let mon = rows.mons.iter().any(|mon| mon.1 == node);
    let all = [("hypervisor", rows.hypervisor.is_some()), ("ceph_mon", mon), ("ceph_osd", !rows.osds.is_empty())];
    all.into_iter().filter(|(_, is)| *is).map(|(role, _)| role).collect()
}

fn vlan(name: &str, tag: Option<i32>, vni: Option<i32>) -> Value {
    json!({"name": name, "tag": tag, "vni": vni})
}

fn networks(rows: &[Network]) -> Value {
    let mut networks = json!({"management": null, "storage": null, "backup": null});
    for (purpose, name, cidr, mtu, vlan_name, tag, vni) in rows {
        let vlan = vlan_name.as_ref().map(|name| vlan(name, *tag, *vni));
        networks[purpose] = json!({"name": name, "cidr": cidr, "mtu": mtu, "vlan": vlan});
    }
    networks
}

fn bonds(rows: &Rows) -> Vec<Value> {
    let members = |bond: &str| -> Vec<Value> {
        rows.interfaces.iter().filter(|i| i.5.as_deref() == Some(bond)).map(|i| json!(i.4)).collect()
    };
    rows.bonds.iter().map(|(name, mode)| json!({"name": name, "mode": mode, "interfaces": members(name)})).collect()
}

/// Interfaces, with the VLANs and addresses of each.
struct Interfaces<'r> {
    node: Vec<&'r Interface>,
    by_vm: HashMap<i64, Vec<&'r Interface>>,
    vlans: HashMap<i64, Vec<Value>>,
    addresses: HashMap<i64, Vec<&'r str>>,
}

impl<'r> Interfaces<'r> {
    fn new(rows: &'r Rows) -> Self {
        let mut all = Self { node: vec![], by_vm: HashMap::new(), vlans: HashMap::new(), addresses: HashMap::new() };
        for row in &rows.interfaces {
            match row.1 {
                Some(vm) => all.by_vm.entry(vm).or_default().push(row),
                None => all.node.push(row),
            }
        }
        for (interface, name, tag, vni) in &rows.vlans {
            all.vlans.entry(*interface).or_default().push(vlan(name, *tag, *vni));
        }
        for (interface, ip) in &rows.addresses {
            all.addresses.entry(*interface).or_default().push(ip);
        }
        all
    }

    fn of_node(&self) -> Vec<Value> {
        let one = |(id, _, name, _, mac, bond): &Interface| json!({"name": name, "mac": mac, "bond": bond, "vlans": self.vlans_of(*id), "addresses": self.addresses_of(*id)});
        self.node.iter().copied().map(one).collect()
    }

    fn of_vm(&self, vm: i64) -> Vec<Value> {
        let one = |(id, _, name, bridge, mac, _): &Interface| json!({"name": name, "bridge": bridge, "mac": mac, "vlans": self.vlans_of(*id), "addresses": self.addresses_of(*id)});
        self.by_vm.get(&vm).into_iter().flatten().copied().map(one).collect()
    }

    fn vlans_of(&self, interface: i64) -> &[Value] {
        self.vlans.get(&interface).map_or(&[], Vec::as_slice)
    }

    fn addresses_of(&self, interface: i64) -> &[&'r str] {
        self.addresses.get(&interface).map_or(&[], Vec::as_slice)
    }
}

fn hypervisor(rows: &Rows, interfaces: &Interfaces<'_>) -> Option<Value> {
    let (bytes, path, vg_name, cores, ram_bytes, cpu, ram) = rows.hypervisor.as_ref()?;
    let mut snapshots: HashMap<i64, Vec<Value>> = HashMap::new();
    for (volume, name, take_at, keep_until) in &rows.snapshots {
        let time = |time: &chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let snapshot = json!({"name": name, "take_at": time(take_at), "keep_until": keep_until.as_ref().map(time)});
        snapshots.entry(*volume).or_default().push(snapshot);
    }
    let mut volumes: HashMap<i64, Vec<Value>> = HashMap::new();
    for row in &rows.volumes {
        let (id, vm, ..) = row.0;
        let snapshots = snapshots.remove(&id).unwrap_or_default();
        volumes.entry(vm).or_default().push(volume(row, path.as_deref(), vg_name.as_deref(), &snapshots));
    }
    let vms: Map<_, _> = rows
        .vms
        .iter()
        .map(|(id, uuid, name, cores, ram_bytes, cputime_limit, virt_method, state)| {
            let vm = json!({
                "name": name, "domain": format!("vm-{id}"), "cores": cores, "ram_bytes": ram_bytes,
                "cputime_limit": cputime_limit, "virt_method": virt_method, "state": state,
                "interfaces": interfaces.of_vm(*id), "volumes": volumes.remove(id).unwrap_or_default(),
            });
            (uuid.to_string(), vm)
        })
        .collect();
    Some(json!({
        "local_storage_bytes": bytes, "local_storage_path": path, "vg_name": vg_name, "cores": cores,
        "ram_bytes": ram_bytes, "cpu_overcommit_ratio": cpu, "ram_overcommit_ratio": ram,
        "virt_methods": rows.virt_methods, "vms": vms,
    }))
}

/// Where a volume is, by its type: a file below the hypervisor's path, a logical volume, an image in a pool.
fn volume(row: &Volume, path: Option<&str>, vg_name: Option<&str>, snapshots: &[Value]) -> Value {
    let ((id, _, uuid, kind, cache, size_bytes), (read_iops, write_iops, read_bps, write_bps), (pool, cluster), image) =
        row;
    let mut volume = json!({
        "uuid": uuid, "type": kind, "size_bytes": size_bytes,
        "read_iops_limit": read_iops, "write_iops_limit": write_iops,
        "read_bps_limit": read_bps, "write_bps_limit": write_bps, "cache": cache,
    });
    match kind.as_str() {
        "rbd" => {
            volume["cluster"] = json!(cluster);
            volume["pool"] = json!(pool);
            volume["image"] = format!("vol-{id}").into();
        }
        "lvm" => {
            volume["vg"] = json!(vg_name);
            volume["lv"] = format!("vol-{id}").into();
        }
        _ => volume["path"] = json!(path.map(|path| format!("{}/vol-{id}.{kind}", path.trim_end_matches('/')))),
    }
    let (name, format, path, checksum) = image;
    volume["backing"] = match name {
        Some(name) => json!({"name": name, "format": format, "path": path, "checksum": checksum}),
        None => Value::Null,
    };
    volume["snapshots"] = snapshots.into();
    volume
}

fn ceph(rows: &Rows, node: i64) -> Value {
    let clusters: Map<_, _> = rows
        .clusters
        .iter()
        .map(|(id, name, _, fsid, public_network, cluster_network)| {
            let mons = rows.mons.iter().filter(|mon| mon.0 == *id);
            let mons: Vec<_> = mons
                .map(|(_, _, fqdn, name, address, port)| json!({"fqdn": fqdn, "name": name, "address": address, "port": port}))
                .collect();
            let pools = rows.pools.iter().filter(|pool| pool.0 == *id);
            let pools: Vec<_> = pools
                .map(|(_, name, size, min_size, pg_num)| json!({"name": name, "size": size, "min_size": min_size, "pg_num": pg_num}))
                .collect();
            let cluster = json!({
                "fsid": fsid, "public_network": public_network, "cluster_network": cluster_network,
                "mons": mons, "pools": pools,
            });
            (name.clone(), cluster)
        })
        .collect();
    let cluster_name = |id: i64| rows.clusters.iter().find(|cluster| cluster.0 == id).map(|cluster| &cluster.1);
    let mon = rows.mons.iter().find(|mon| mon.1 == node).map(|(cluster, _, _, name, address, port)| {
        json!({"cluster": cluster_name(*cluster), "name": name, "address": address, "port": port})
    });
    let osds: Vec<_> = rows
        .osds
        .iter()
        .map(|(cluster, uuid, device, db_device, device_class)| {
            json!({"cluster": cluster, "uuid": uuid, "device": device, "db_device": db_device, "device_class": device_class})
        })
        .collect();
    json!({"clusters": clusters, "mon": mon, "osds": osds})
}
