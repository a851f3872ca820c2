//! A node's document as a tree: what `docs/documents.md` describes, from the rows, in a fixed order.

use serde_json::{Map, Value, json};

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::render::interfaces::{Interfaces, vlan};
use crate::render::rows::{Bond, Cluster, Mon, Network, Osd, Pool, Rows};
use crate::render::{hypervisor, statements};

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
    /// Not found, when there is no such node; [`Error::Internal`], when a seed cannot be written.
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
        if let Some(role) = &rows.hypervisor {
            tree["hypervisor"] = hypervisor::tree(role, rows, &interfaces)?;
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
