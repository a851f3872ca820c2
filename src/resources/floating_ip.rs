//! A public address that an environment has, for one of its VMs or for later.

use super::prelude::*;
use crate::resources::{Environment, Subnet, Vm};
use crate::schema::floating_ips;
use crate::types::Ip;

/// A row of `floating_ips`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = floating_ips, check_for_backend(Pg))]
pub struct FloatingIp {
    id: i64,
    ip: Option<Ip>,
    #[serde(rename = "subnet")]
    subnet_id: Option<i64>,
    #[serde(rename = "environment")]
    environment_id: i64,
    #[serde(rename = "vm")]
    vm_id: Option<i64>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = floating_ips, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewFloatingIp {
    ip: Option<Ip>,
    #[serde(rename = "subnet")]
    subnet_id: Option<i64>,
    #[serde(rename = "environment")]
    environment_id: i64,
    #[serde(rename = "vm")]
    vm_id: Option<i64>,
}

impl Resource for FloatingIp {
    const NAME: &'static str = "floating-ips";
    const ABOUT: &'static str = "A public address that an environment has, for one of its VMs or for later.";
    const KEY: &'static [&'static str] = &["ip"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("ip", Type::Ip)
            .by_operators()
            .about("Unique among all addresses; the next free one of its subnet unless given."),
        Column::new("subnet", Type::Ref(Subnet::KIND)).about("Where it is from: any for floating IPs unless given."),
        Column::new("environment", Type::Ref(Environment::KIND)).required().about("Whose it is."),
        Column::new("vm", Type::Ref(Vm::KIND)).clears().about("The VM to whose first interface it is routed."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"environment": {"organization": {"name": "acme", "full_name": "Acme"}, "name": "shop"}, "subnet": {"name": "public", "cidr": "198.51.100.0/28", "purpose": "floating",
        "network": {"name": "public", "mtu": 1500, "audience": "customers"}}}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM floating_ips JOIN vms ON vms.id = vm_id \
        JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE floating_ips.id = changed.id";
    const RULES: &'static [Rule] = &[
        Rule { constraint: "floating_ips_environment_check", field: "vm", detail: "is not of its environment" },
        Rule {
            constraint: "floating_ips_left_check",
            field: "subnet",
            detail: "has no address left for a floating IP",
        },
        Rule {
            constraint: "floating_ips_subnet_check",
            field: "ip",
            detail: "must be of a subnet for floating IPs, and of this one if it is given",
        },
    ];
    const REALM: Realm = Realm::Customer;

    type New = NewFloatingIp;
    crud!(floating_ips: list find lock insert update delete);
}
