//! An object storage daemon: one disk of a node, given to a Ceph cluster.

use super::prelude::*;
use crate::resources::{CephCluster, Node};
use crate::schema::ceph_osds;

/// A row of `ceph_osds`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = ceph_osds, check_for_backend(Pg))]
pub struct CephOsd {
    id: i64,
    #[serde(rename = "node")]
    node_id: i64,
    #[serde(rename = "cluster")]
    cluster_id: i64,
    uuid: Uuid,
    device: String,
    db_device: Option<String>,
    device_class: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = ceph_osds, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewCephOsd {
    #[serde(rename = "node")]
    node_id: i64,
    #[serde(rename = "cluster")]
    cluster_id: i64,
    uuid: Uuid,
    device: String,
    db_device: Option<String>,
    device_class: Option<String>,
}

impl Resource for CephOsd {
    const NAME: &'static str = "ceph-osds";
    const ABOUT: &'static str = "An object storage daemon: one disk of a node, given to a Ceph cluster.";
    const KEY: &'static [&'static str] = &["node", "device"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("node", Type::Ref(Node::KIND)).required().belongs().about("Where it runs."),
        Column::new("cluster", Type::Ref(CephCluster::KIND)).required().about("Whose disk it is."),
        Column::new("uuid", Type::Uuid).about("The fsid of the OSD; made by the server unless given."),
        Column::new("device", Type::Word(&DEVICE)).required().about("The disk, such as /dev/sdb."),
        Column::new("db_device", Type::Word(&DEVICE))
            .about("The disk of its journal or database; none if that is on the disk itself."),
        Column::new("device_class", Type::Word(&HOST_LABEL))
            .about("The CRUSH device class: hdd, ssd, nvme. Ceph finds it out if it is not given."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"node": {"fqdn": "st01.example.com", "state": "running"}, "cluster": {"name": "ceph", "public_network": "10.1.0.0/24"},
        "device": "/dev/sdb", "db_device": "/dev/nvme0n1p1", "device_class": "hdd"}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM ceph_osds WHERE ceph_osds.id = changed.id";
    type New = NewCephOsd;
    crud!(ceph_osds: list find lock insert update delete);
}

/// The path of a block device.
static DEVICE: Word = Word { punctuation: "_./:+-", capitals: true, max: 200, prefix: "/dev/" };
