//! The role of a node that runs a monitor of a Ceph cluster.

use super::prelude::*;
use crate::resources::{CephCluster, Node};
use crate::schema::ceph_mons;
use crate::types::Ip;

/// A row of `ceph_mons`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = ceph_mons, check_for_backend(Pg))]
pub struct CephMon {
    id: i64,
    #[serde(rename = "node")]
    node_id: i64,
    #[serde(rename = "cluster")]
    cluster_id: i64,
    name: Option<String>,
    address: Ip,
    port: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = ceph_mons, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewCephMon {
    #[serde(rename = "node")]
    node_id: i64,
    #[serde(rename = "cluster")]
    cluster_id: i64,
    name: Option<String>,
    address: Ip,
    #[serde(default = "given::<6789>", deserialize_with = "or_given::<6789, _>")]
    port: i32,
}

impl Resource for CephMon {
    const NAME: &'static str = "ceph-mons";
    const ABOUT: &'static str = "The role of a node that runs a monitor of a Ceph cluster.";
    const KEY: &'static [&'static str] = &["node"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("node", Type::Ref(Node::KIND)).required().belongs().about("The node that has this role."),
        Column::new("cluster", Type::Ref(CephCluster::KIND)).required().about("Whose monitor it is."),
        Column::new("name", Type::Word(&HOST_LABEL))
            .about("Its id in the cluster; the short name of the node unless given."),
        Column::new("address", Type::Ip).required().about("Where it listens."),
        Column::new("port", Type::Int).between(1, 65535).about("Where it listens; 6789 unless given."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"node": {"fqdn": "st01.example.com", "state": "running"}, "cluster": {"name": "ceph", "public_network": "10.1.0.0/24"},
        "address": "10.1.0.11", "port": 6789}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, cluster_id FROM ceph_mons WHERE ceph_mons.id = changed.id";
    const RULES: &'static [Rule] =
        &[Rule { constraint: "ceph_mons_address_check", field: "address", detail: "must have no prefix length" }];
    type New = NewCephMon;
    crud!(ceph_mons: list find lock insert update delete);
}
