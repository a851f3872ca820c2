//! An IPv4 or IPv6 address, routed to one interface.

use super::prelude::*;
use crate::resources::Interface;
use crate::schema::addresses;

/// A row of `addresses`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = addresses, check_for_backend(Pg))]
pub struct Address {
    id: i64,
    ip: IpNet,
    #[serde(rename = "interface")]
    interface_id: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = addresses, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewAddress {
    ip: IpNet,
    #[serde(rename = "interface")]
    interface_id: i64,
}

impl Resource for Address {
    const NAME: &'static str = "addresses";
    const ABOUT: &'static str = "An IPv4 or IPv6 address, routed to one interface.";
    const KEY: &'static [&'static str] = &["ip"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("ip", Type::Inet)
            .required()
            .about("With the prefix length of its network. Unique, whatever the prefix length."),
        Column::new("interface", Type::Ref(Interface::KIND)).required().belongs().about("Where it is routed to."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"ip": "192.0.2.10/24", "interface": {"mac": "52:54:00:12:34:56", "node": {"fqdn": "hv01.example.com", "state": "running"}}}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM addresses JOIN interfaces ON interfaces.id = interface_id \
        WHERE addresses.id = changed.id AND node_id IS NOT NULL \
        UNION ALL SELECT hypervisors.node_id, NULL FROM addresses JOIN interfaces ON interfaces.id = interface_id \
        JOIN vms ON vms.id = vm_id JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE addresses.id = changed.id";
    const REALM: Realm = Realm::Attached;

    type New = NewAddress;
    crud!(addresses: list find lock insert update delete);
}
