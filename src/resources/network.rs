//! A network, of nodes (management, storage, backup) or for the VMs of customers.

use super::prelude::*;
use crate::resources::{Environment, Vlan};
use crate::schema::networks;

/// A row of `networks`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = networks, check_for_backend(Pg))]
pub struct Network {
    id: i64,
    name: String,
    cidr: Option<IpNet>,
    mtu: Option<i32>,
    #[serde(rename = "vlan")]
    vlan_id: Option<i64>,
    audience: String,
    #[serde(rename = "environment")]
    environment_id: Option<i64>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = networks, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewNetwork {
    name: String,
    cidr: Option<IpNet>,
    mtu: Option<i32>,
    #[serde(rename = "vlan")]
    vlan_id: Option<i64>,
    #[serde(default = "nodes", deserialize_with = "or_nodes")]
    audience: String,
    #[serde(rename = "environment")]
    environment_id: Option<i64>,
}

impl Resource for Network {
    const NAME: &'static str = "networks";
    const ABOUT: &'static str = "A network that nodes are part of (management, storage, backup), or VMs of customers.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::new("cidr", Type::Cidr).about("Its addresses."),
        Column::new("mtu", Type::Int).between(68, 65535).about("The largest packet, in bytes."),
        Column::new("vlan", Type::Ref(Vlan::KIND)).about("The VLAN that carries it; none if it is untagged."),
        Column::new("audience", Type::Choice(&["nodes", "customers"]))
            .about("Whether VMs can be ordered in it; `nodes` unless given."),
        Column::new("environment", Type::Ref(Environment::KIND)).about("Whose VMs, if only of one."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str =
        r#"{"name": "management", "cidr": "10.0.0.0/24", "mtu": 1500, "vlan": {"name": "mgmt", "tag": 10}}"#;
    const SHARED: bool = true;
    // Its MTU is that of the VMs' interfaces that have an address of one of its subnets, and is in their seeds.
    const SHOWN_IN: &'static str = "SELECT nodes.id, NULL::int8 FROM nodes \
        WHERE changed.id IN (management_network_id, storage_network_id, backup_network_id) \
        UNION SELECT hypervisors.node_id, NULL FROM subnets JOIN addresses ON ip && subnets.cidr AND bare(ip) <<= subnets.cidr \
        JOIN interfaces ON interfaces.id = interface_id JOIN vms ON vms.id = vm_id \
        JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE subnets.network_id = changed.id";
    const RULES: &'static [Rule] = &[Rule {
        constraint: "networks_environment_check",
        field: "environment",
        detail: "is only for a network with the audience customers",
    }];
    const REALM: Realm = Realm::Attached;

    type New = NewNetwork;
    crud!(networks: list find lock insert update delete);
}

fn nodes() -> String {
    "nodes".to_owned()
}

fn or_nodes<'de, D: serde::Deserializer<'de>>(given: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or_else(nodes))
}
