//! A pool of a Ceph cluster.

use super::prelude::*;
use crate::resources::CephCluster;
use crate::schema::ceph_pools;

/// A row of `ceph_pools`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = ceph_pools, check_for_backend(Pg))]
pub struct CephPool {
    id: i64,
    name: String,
    #[serde(rename = "cluster")]
    cluster_id: i64,
    size: i32,
    min_size: i32,
    pg_num: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = ceph_pools, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewCephPool {
    name: String,
    #[serde(rename = "cluster")]
    cluster_id: i64,
    #[serde(default = "given::<3>", deserialize_with = "or_given::<3, _>")]
    size: i32,
    #[serde(default = "given::<2>", deserialize_with = "or_given::<2, _>")]
    min_size: i32,
    #[serde(default = "given::<32>", deserialize_with = "or_given::<32, _>")]
    pg_num: i32,
}

impl Resource for CephPool {
    const NAME: &'static str = "ceph-pools";
    const ABOUT: &'static str = "A pool of a Ceph cluster.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::new("cluster", Type::Ref(CephCluster::KIND)).required().about("Where it is."),
        Column::new("size", Type::Int).between(1, 16).about("Copies; 3 unless given."),
        Column::new("min_size", Type::Int)
            .between(1, 16)
            .about("Copies without which nothing is written; 2 unless given."),
        Column::new("pg_num", Type::Int).between(1, 65536).about("Placement groups; 32 unless given."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "rbd", "cluster": {"name": "ceph", "public_network": "10.1.0.0/24"}, "size": 3, "min_size": 2, "pg_num": 32}"#;
    const SHOWN_IN: &'static str = "SELECT NULL::int8, cluster_id FROM ceph_pools WHERE ceph_pools.id = changed.id";
    const RULES: &'static [Rule] =
        &[Rule { constraint: "ceph_pools_min_size_check", field: "min_size", detail: "must be between 1 and size" }];
    type New = NewCephPool;
    crud!(ceph_pools: list find lock insert update delete);
}
