//! A layer-2 segment: a VLAN with its tag, or a VXLAN with its VNI.

use super::prelude::*;
use crate::schema::vlans;

/// A row of `vlans`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = vlans, check_for_backend(Pg))]
pub struct Vlan {
    id: i64,
    name: String,
    tag: Option<i32>,
    vni: Option<i32>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = vlans, treat_none_as_null = true, treat_none_as_default_value = false)]
#[validate(schema(function = "tag_or_vni"))]
pub struct NewVlan {
    name: String,
    tag: Option<i32>,
    vni: Option<i32>,
}

impl Resource for Vlan {
    const NAME: &'static str = "vlans";
    const ABOUT: &'static str = "A layer-2 segment: a VLAN tag or a VXLAN VNI.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::new("tag", Type::Int)
            .between(1, 4094)
            .about("The VLAN tag (IEEE 802.1Q). Exactly one of tag and vni is set: with neither, the next free one of the server's pool."),
        Column::new("vni", Type::Int).between(0, 16_777_215).about("The VXLAN network identifier (RFC 7348)."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "customers", "tag": 100}"#;
    const SHARED: bool = true;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM interface_vlans JOIN interfaces ON interfaces.id = interface_id \
        WHERE vlan_id = changed.id AND node_id IS NOT NULL \
        UNION SELECT hypervisors.node_id, NULL FROM interface_vlans JOIN interfaces ON interfaces.id = interface_id \
        JOIN vms ON vms.id = vm_id JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE vlan_id = changed.id \
        UNION SELECT nodes.id, NULL FROM networks JOIN nodes \
        ON networks.id IN (management_network_id, storage_network_id, backup_network_id) WHERE vlan_id = changed.id";
    const RULES: &'static [Rule] = &[
        Rule { constraint: "vlans_tag_or_vni_check", field: "tag", detail: "or vni must be set, and not both" },
        Rule {
            constraint: "vlans_pool_left",
            field: "tag",
            detail: "or vni must be given: the server's pool is used up",
        },
    ];
    const REALM: Realm = Realm::Attached;

    type New = NewVlan;
    crud!(vlans: list find lock insert update delete);
}

fn tag_or_vni(new: &NewVlan) -> Result<(), ValidationError> {
    // Neither may be what the server's pool is for, of which only the database knows.
    if new.tag.is_some() && new.vni.is_some() {
        return Err(ValidationError::new("vlans_tag_or_vni_check"));
    }
    Ok(())
}
