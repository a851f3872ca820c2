//! A node's document as a tree: what `docs/documents.md` describes, from the rows, in a fixed order.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::render::rows::{Bond, Cluster, Hypervisor, Interface, Mon, Network, Osd, Pool, Rows, Vm, Volume};
use crate::render::statements;

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
    /// The document of a node, as of the moment of the transaction.
    ///
    /// # Errors
    /// Not found for an unknown node; [`Error::Away`].
    pub async fn read(tx: &Tx, fqdn: &str) -> Result<Self> {
        Self::build(fqdn, &statements::read(tx, fqdn).await?)
    }

    /// The document that these rows make.
    ///
    /// # Errors
    /// Not found, when there is no such node.
    pub fn build(fqdn: &str, rows: &Rows) -> Result<Self> {
        let node = rows.node.as_ref().ok_or(Error::NotFound)?;
        let clusters = rows.clusters.iter().map(|cluster| (cluster.id, cluster.generation)).collect();
        let generations: Map<_, _> = rows.clusters.iter().map(|c| (c.name.clone(), c.generation.into())).collect();
        let interfaces = Interfaces::new(rows);
        let mut tree = json!({
            "meta": {"schema": SCHEMA, "node_id": node.id, "generation": node.generation,
                "approved": node.approved, "clusters": generations},
            "node": {
                "fqdn": fqdn, "location": node.location, "state": node.state, "environment": node.environment,
                "parameters": node.parameters,
                "networks": networks(&rows.networks),
                "interfaces": interfaces.of_node(),
                "bonds": bonds(rows),
            },
            "roles": roles(rows, node.id),
        });
        if let Some(hypervisor) = &rows.hypervisor {
            tree["hypervisor"] = hypervisor_tree(hypervisor, rows, &interfaces);
        }
        if !rows.clusters.is_empty() {
            tree["ceph"] = ceph(rows, node.id);
        }
        Ok(Self { version: Version { node: node.id, generation: node.generation, clusters }, tree })
    }
}

fn roles(rows: &Rows, node: i64) -> Vec<&'static str> {
    let mon = rows.mons.iter().any(|mon| mon.node_id == node);
    let all = [("hypervisor", rows.hypervisor.is_some()), ("ceph_mon", mon), ("ceph_osd", !rows.osds.is_empty())];
    all.into_iter().filter(|(_, is)| *is).map(|(role, _)| role).collect()
}

fn vlan(name: &str, tag: Option<i32>, vni: Option<i32>) -> Value {
    json!({"name": name, "tag": tag, "vni": vni})
}

fn networks(rows: &[Network]) -> Value {
    let mut networks = json!({"management": null, "storage": null, "backup": null});
    for network in rows {
        let vlan = network.vlan.as_ref().map(|name| vlan(name, network.tag, network.vni));
        networks[&network.purpose] =
            json!({"name": network.name, "cidr": network.cidr, "mtu": network.mtu, "vlan": vlan});
    }
    networks
}

fn bonds(rows: &Rows) -> Vec<Value> {
    let members = |bond: &str| -> Vec<Value> {
        let members = rows.interfaces.iter().filter(|interface| interface.bond.as_deref() == Some(bond));
        members.map(|interface| json!(interface.mac)).collect()
    };
    let bond = |bond: &Bond| json!({"name": bond.name, "mode": bond.mode, "interfaces": members(&bond.name)});
    rows.bonds.iter().map(bond).collect()
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
        for interface in &rows.interfaces {
            match interface.vm_id {
                Some(vm) => all.by_vm.entry(vm).or_default().push(interface),
                None => all.node.push(interface),
            }
        }
        for row in &rows.vlans {
            all.vlans.entry(row.interface_id).or_default().push(vlan(&row.name, row.tag, row.vni));
        }
        for row in &rows.addresses {
            all.addresses.entry(row.interface_id).or_default().push(&row.ip);
        }
        all
    }

    fn of_node(&self) -> Vec<Value> {
        let one = |i: &Interface| {
            json!({"name": i.name, "mac": i.mac, "bond": i.bond, "vlans": self.vlans_of(i.id),
                "addresses": self.addresses_of(i.id)})
        };
        self.node.iter().copied().map(one).collect()
    }

    fn of_vm(&self, vm: i64) -> Vec<Value> {
        let one = |i: &Interface| {
            json!({"name": i.name, "bridge": i.bridge, "mac": i.mac, "vlans": self.vlans_of(i.id),
                "addresses": self.addresses_of(i.id)})
        };
        self.by_vm.get(&vm).into_iter().flatten().copied().map(one).collect()
    }

    fn vlans_of(&self, interface: i64) -> &[Value] {
        self.vlans.get(&interface).map_or(&[], Vec::as_slice)
    }

    fn addresses_of(&self, interface: i64) -> &[&'r str] {
        self.addresses.get(&interface).map_or(&[], Vec::as_slice)
    }
}

fn hypervisor_tree(hypervisor: &Hypervisor, rows: &Rows, interfaces: &Interfaces<'_>) -> Value {
    let mut snapshots: HashMap<i64, Vec<Value>> = HashMap::new();
    for row in &rows.snapshots {
        let keep_until = row.keep_until.as_ref().map(time);
        let snapshot = json!({"name": row.name, "take_at": time(&row.take_at), "keep_until": keep_until});
        snapshots.entry(row.volume_id).or_default().push(snapshot);
    }
    let mut volumes: HashMap<i64, Vec<Value>> = HashMap::new();
    for row in &rows.volumes {
        let snapshots = snapshots.remove(&row.id).unwrap_or_default();
        volumes.entry(row.vm_id).or_default().push(volume(row, hypervisor, snapshots));
    }
    let mut vm = |vm: &Vm| {
        let tree = json!({
            "name": vm.name, "domain": domain(vm.id), "cores": vm.cores, "ram_bytes": vm.ram_bytes,
            "cputime_limit": vm.cputime_limit, "virt_method": vm.virt_method, "state": vm.state,
            "interfaces": interfaces.of_vm(vm.id), "volumes": volumes.remove(&vm.id).unwrap_or_default(),
        });
        (vm.uuid.to_string(), tree)
    };
    let vms: Map<_, _> = rows.vms.iter().map(&mut vm).collect();
    let virt_methods: Vec<&str> = rows.virt_methods.iter().map(|method| method.name.as_str()).collect();
    json!({
        "local_storage_bytes": hypervisor.local_storage_bytes, "local_storage_path": hypervisor.local_storage_path,
        "vg_name": hypervisor.vg_name, "cores": hypervisor.cores, "ram_bytes": hypervisor.ram_bytes,
        "cpu_overcommit_ratio": hypervisor.cpu_overcommit_ratio,
        "ram_overcommit_ratio": hypervisor.ram_overcommit_ratio,
        "virt_methods": virt_methods, "vms": vms, "tombstones": tombstones(rows, hypervisor),
    })
}

fn time(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The name of a VM's domain: unlike its name, it is unique, and stays.
fn domain(id: i64) -> String {
    format!("vm-{id}")
}

/// What was removed from it, by UUID.
fn tombstones(rows: &Rows, hypervisor: &Hypervisor) -> Value {
    let (mut vms, mut volumes) = (Map::new(), Map::new());
    for row in &rows.tombstones {
        let uuid = row.uuid.to_string();
        if let Some(storage_type) = &row.storage_type {
            let mut volume = json!({"type": storage_type, "not_before": time(&row.not_before)});
            add_place(&mut volume, storage_type, row.number, hypervisor, [&row.cluster, &row.pool]);
            volumes.insert(uuid, volume);
        } else {
            let vm = json!({"name": row.name, "domain": domain(row.number), "not_before": time(&row.not_before)});
            vms.insert(uuid, vm);
        }
    }
    json!({"vms": vms, "volumes": volumes})
}

/// Where a volume is, by its type: a file below the hypervisor's path, a logical volume, an image in a pool.
fn add_place(volume: &mut Value, storage_type: &str, id: i64, hypervisor: &Hypervisor, pool: [&Option<String>; 2]) {
    match storage_type {
        "rbd" => {
            let [cluster, pool] = pool;
            volume["cluster"] = json!(cluster);
            volume["pool"] = json!(pool);
            volume["image"] = format!("vol-{id}").into();
        }
        "lvm" => {
            volume["vg"] = json!(hypervisor.vg_name);
            volume["lv"] = format!("vol-{id}").into();
        }
        kind => {
            let path = hypervisor.local_storage_path.as_ref();
            volume["path"] = json!(path.map(|path| format!("{}/vol-{id}.{kind}", path.trim_end_matches('/'))));
        }
    }
}

fn volume(row: &Volume, hypervisor: &Hypervisor, snapshots: Vec<Value>) -> Value {
    let mut volume = json!({
        "uuid": row.uuid, "type": row.storage_type, "size_bytes": row.size_bytes,
        "read_iops_limit": row.read_iops_limit, "write_iops_limit": row.write_iops_limit,
        "read_bps_limit": row.read_bps_limit, "write_bps_limit": row.write_bps_limit, "cache": row.cache,
    });
    add_place(&mut volume, &row.storage_type, row.id, hypervisor, [&row.cluster, &row.pool]);
    volume["backing"] = match &row.image {
        Some(name) => json!({"name": name, "format": row.image_format, "path": row.image_path,
            "checksum": row.image_checksum}),
        None => Value::Null,
    };
    volume["snapshots"] = snapshots.into();
    volume
}

fn ceph(rows: &Rows, node: i64) -> Value {
    let clusters: Map<_, _> = rows.clusters.iter().map(|row| (row.name.clone(), cluster(row, rows))).collect();
    let name_of = |id: i64| rows.clusters.iter().find(|cluster| cluster.id == id).map(|cluster| &cluster.name);
    let mon = rows.mons.iter().find(|mon| mon.node_id == node).map(
        |mon| json!({"cluster": name_of(mon.cluster_id), "name": mon.name, "address": mon.address, "port": mon.port}),
    );
    let osd = |osd: &Osd| {
        json!({"cluster": osd.cluster, "uuid": osd.uuid, "device": osd.device, "db_device": osd.db_device,
            "device_class": osd.device_class})
    };
    json!({"clusters": clusters, "mon": mon, "osds": rows.osds.iter().map(osd).collect::<Vec<_>>()})
}

fn cluster(cluster: &Cluster, rows: &Rows) -> Value {
    let mon = |mon: &Mon| json!({"fqdn": mon.fqdn, "name": mon.name, "address": mon.address, "port": mon.port});
    let mons: Vec<_> = rows.mons.iter().filter(|mon| mon.cluster_id == cluster.id).map(mon).collect();
    let pool =
        |pool: &Pool| json!({"name": pool.name, "size": pool.size, "min_size": pool.min_size, "pg_num": pool.pg_num});
    let pools: Vec<_> = rows.pools.iter().filter(|pool| pool.cluster_id == cluster.id).map(pool).collect();
    json!({
        "fsid": cluster.fsid, "public_network": cluster.public_network, "cluster_network": cluster.cluster_network,
        "mons": mons, "pools": pools,
    })
}
