//! A network interface, of exactly one node or one VM.

use super::prelude::*;
use crate::resources::{Address, Bond, Node, Vlan, Vm};
use crate::schema::interfaces;
use crate::types::Mac;

/// A row of `interfaces`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = interfaces, check_for_backend(Pg))]
pub struct Interface {
    id: i64,
    mac: Mac,
    name: Option<String>,
    #[serde(rename = "node")]
    node_id: Option<i64>,
    #[serde(rename = "vm")]
    vm_id: Option<i64>,
    #[serde(rename = "bond")]
    bond_id: Option<i64>,
    bridge: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = interfaces, treat_none_as_null = true, treat_none_as_default_value = false)]
#[validate(schema(function = "of_one"))]
pub struct NewInterface {
    mac: Mac,
    name: Option<String>,
    #[serde(rename = "node")]
    node_id: Option<i64>,
    #[serde(rename = "vm")]
    vm_id: Option<i64>,
    #[serde(rename = "bond")]
    bond_id: Option<i64>,
}

impl Resource for Interface {
    const NAME: &'static str = "interfaces";
    const ABOUT: &'static str = "A network interface, of exactly one node or one VM.";
    const KEY: &'static [&'static str] = &["mac"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("mac", Type::Mac).required().about("Unique."),
        Column::new("name", Type::Word(&INTERFACE_NAME)).about("What it is called there, such as eth0."),
        Column::new("node", Type::Ref(Node::KIND)).belongs().about("Whose it is, unless it is of a VM."),
        Column::new("vm", Type::Ref(Vm::KIND)).belongs().about("Whose it is, unless it is of a node."),
        Column::new("bond", Type::Ref(Bond::KIND)).clears().about("The bond of its node that it is a member of."),
        Column::server("bridge", Type::Text)
            .about("The bridge on the hypervisor that a VM's interface is connected to."),
        Column::new("vlans", Type::Many(&VLANS)).about("The VLANs and VXLANs that it is in."),
        Column::new("addresses", Type::Owned(&ADDRESSES))
            .about("The addresses that are routed to it, with prefix lengths."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"mac": "52:54:00:12:34:56", "node": {"fqdn": "hv01.example.com", "state": "running"}, "name": "eno1",
        "vlans": [{"name": "customers", "tag": 100}], "addresses": ["192.0.2.10/24", "2001:db8::10/64"]}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM interfaces WHERE interfaces.id = changed.id AND node_id IS NOT NULL \
        UNION ALL SELECT hypervisors.node_id, NULL FROM interfaces JOIN vms ON vms.id = vm_id \
        JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE interfaces.id = changed.id";
    const RULES: &'static [Rule] = &[
        Rule { constraint: "interfaces_node_or_vm_check", field: "node", detail: "or vm must be set, and not both" },
        Rule { constraint: "interfaces_bond_of_node_check", field: "bond", detail: "is only for a node's interface" },
        Rule { constraint: "interfaces_bond_id_fkey", field: "bond", detail: "is not one of this node" },
    ];
    const REALM: Realm = Realm::Attached;

    type New = NewInterface;
    crud!(interfaces: list find lock insert update delete);
}

static VLANS: Link = Link { table: "interface_vlans", own: "interface_id", other: "vlan_id", kind: Vlan::KIND };
static ADDRESSES: Owned = Owned { kind: Address::KIND, owner: "interface" };

fn of_one(new: &NewInterface) -> Result<(), ValidationError> {
    match (new.node_id, new.vm_id) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        _ => Err(ValidationError::new("interfaces_node_or_vm_check")),
    }
}
