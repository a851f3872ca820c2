//! What goes in and out of a VM.

use super::prelude::*;
use crate::resources::Vm;
use crate::schema::security_rules;

/// A row of `security_rules`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = security_rules, check_for_backend(Pg))]
pub struct SecurityRule {
    id: i64,
    uuid: Uuid,
    #[serde(rename = "vm")]
    vm_id: i64,
    direction: String,
    ethertype: String,
    protocol: String,
    port_range_min: Option<i32>,
    port_range_max: Option<i32>,
    remote_ip_prefix: Option<IpNet>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = security_rules, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewSecurityRule {
    uuid: Uuid,
    #[serde(rename = "vm")]
    vm_id: i64,
    direction: String,
    ethertype: String,
    protocol: String,
    port_range_min: Option<i32>,
    port_range_max: Option<i32>,
    remote_ip_prefix: Option<IpNet>,
}

impl Resource for SecurityRule {
    const NAME: &'static str = "security-rules";
    const ABOUT: &'static str = "What is let into a VM, or out of it. What no rule lets in stays out.";
    const KEY: &'static [&'static str] = &["uuid"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("uuid", Type::Uuid).by_operators().about("Made by the server unless given."),
        Column::new("vm", Type::Ref(Vm::KIND)).required().belongs().about("Whose traffic it is."),
        Column::new("direction", Type::Choice(&["ingress", "egress"]))
            .required()
            .about("In, or out. Without a rule for out, everything goes out."),
        Column::new("ethertype", Type::Choice(&["IPv4", "IPv6"])).required().about("Of which packets."),
        Column::new("protocol", Type::Choice(&["any", "icmp", "tcp", "udp"])).required().about("Which of them."),
        Column::new("port_range_min", Type::Int)
            .between(1, 65535)
            .about("The first port of the receiver, of tcp and udp; all unless given."),
        Column::new("port_range_max", Type::Int).between(1, 65535).about("The last one."),
        Column::new("remote_ip_prefix", Type::Cidr).about("Who is at the other end; anybody unless given."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22,
        "remote_ip_prefix": "192.0.2.0/24", "vm": {"name": "web-1", "cores": 2, "ram_bytes": 1073741824, "state": "running", "virt_method": "KVM"}}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM security_rules JOIN vms ON vms.id = vm_id \
        JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE security_rules.id = changed.id";
    const RULES: &'static [Rule] = &[
        Rule {
            constraint: "security_rules_ports_check",
            field: "port_range_min",
            detail: "and port_range_max are set together, in order, and only for tcp and udp",
        },
        Rule {
            constraint: "security_rules_family_check",
            field: "remote_ip_prefix",
            detail: "is not of its ethertype",
        },
    ];
    const REALM: Realm = Realm::Customer;

    type New = NewSecurityRule;
    crud!(security_rules: list find lock insert update delete);
}
