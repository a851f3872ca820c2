//! A Ceph cluster: what its mons, OSDs and clients share.

use super::prelude::*;
use crate::schema::ceph_clusters;

/// A row of `ceph_clusters`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = ceph_clusters, check_for_backend(Pg))]
pub struct CephCluster {
    id: i64,
    name: String,
    fsid: Uuid,
    public_network: Option<IpNet>,
    cluster_network: Option<IpNet>,
    generation: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = ceph_clusters, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewCephCluster {
    name: String,
    fsid: Uuid,
    public_network: Option<IpNet>,
    cluster_network: Option<IpNet>,
}

impl Resource for CephCluster {
    const NAME: &'static str = "ceph-clusters";
    const ABOUT: &'static str = "A Ceph cluster: what its mons, OSDs and clients share.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::new("fsid", Type::Uuid).about("Made by the server unless given."),
        Column::new("public_network", Type::Cidr).about("For clients."),
        Column::new("cluster_network", Type::Cidr).about("For replication."),
        Column::server("generation", Type::Int)
            .required()
            .about("Grows whenever a document could have changed because of the cluster."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str =
        r#"{"name": "ceph", "public_network": "10.1.0.0/24", "cluster_network": "10.2.0.0/24"}"#;
    const SHOWN_IN: &'static str = "SELECT NULL::int8, changed.id";
    type New = NewCephCluster;
    crud!(ceph_clusters: list find lock insert update delete);
}
