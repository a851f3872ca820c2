//! A range of addresses of a network, and which of them are given away.

use super::prelude::*;
use crate::resources::Network;
use crate::schema::subnets;
use crate::types::Ip;

/// A row of `subnets`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = subnets, check_for_backend(Pg))]
pub struct Subnet {
    id: i64,
    name: String,
    #[serde(rename = "network")]
    network_id: i64,
    cidr: IpNet,
    purpose: String,
    gateway: Option<Ip>,
    first: Option<Ip>,
    last: Option<Ip>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = subnets, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewSubnet {
    name: String,
    #[serde(rename = "network")]
    network_id: i64,
    cidr: IpNet,
    purpose: String,
    gateway: Option<Ip>,
    first: Option<Ip>,
    last: Option<Ip>,
}

impl Resource for Subnet {
    const NAME: &'static str = "subnets";
    const ABOUT: &'static str = "A range of addresses of a network, from which VMs get theirs.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::new("network", Type::Ref(Network::KIND)).required().about("Where its addresses are."),
        Column::new("cidr", Type::Cidr).required().about("All of them. No two subnets overlap."),
        Column::new("purpose", Type::Choice(&["addresses", "floating"]))
            .required()
            .about("For interfaces, or for floating IPs."),
        Column::new("gateway", Type::Ip).about("The way out; never given away."),
        Column::new("first", Type::Ip).about("The first that is given away; the first of all unless given."),
        Column::new("last", Type::Ip).about("The last that is given away; the last of all unless given."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "customers-v6", "cidr": "2001:db8:7::/64", "gateway": "2001:db8:7::1", "purpose": "addresses",
        "network": {"name": "customers", "mtu": 1500, "audience": "customers"}}"#;
    const SHARED: bool = true;
    // Its gateway is in the seeds of the VMs that have an address of it, whatever the prefix length of that. The index knows `&&`.
    const SHOWN_IN: &'static str = "SELECT DISTINCT hypervisors.node_id, NULL::int8 FROM subnets \
        JOIN addresses ON ip && subnets.cidr AND bare(ip) <<= subnets.cidr JOIN interfaces ON interfaces.id = interface_id JOIN vms ON vms.id = vm_id \
        JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE subnets.id = changed.id";
    const RULES: &'static [Rule] = &[
        Rule { constraint: "subnets_cidr_key", field: "cidr", detail: "overlaps another subnet" },
        Rule { constraint: "subnets_gateway_check", field: "gateway", detail: "must be an address of the subnet" },
        Rule { constraint: "subnets_first_check", field: "first", detail: "must be an address of the subnet" },
        Rule { constraint: "subnets_last_check", field: "last", detail: "must be an address of the subnet" },
        Rule { constraint: "subnets_range_check", field: "last", detail: "must not be before first" },
    ];
    const REALM: Realm = Realm::Attached;

    type New = NewSubnet;
    crud!(subnets: list find lock insert update delete);
}
