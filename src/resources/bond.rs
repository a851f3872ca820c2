//! A bond: several interfaces of a node that act as one. Its members name it.

use super::prelude::*;
use crate::resources::Node;
use crate::schema::bonds;

/// A row of `bonds`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = bonds, check_for_backend(Pg))]
pub struct Bond {
    id: i64,
    #[serde(rename = "node")]
    node_id: i64,
    name: String,
    mode: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = bonds, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewBond {
    #[serde(rename = "node")]
    node_id: i64,
    name: String,
    mode: String,
}

impl Resource for Bond {
    const NAME: &'static str = "bonds";
    const ABOUT: &'static str =
        "Several interfaces of a node that act as one. Its members are the interfaces that name it.";
    const KEY: &'static [&'static str] = &["node", "name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("node", Type::Ref(Node::KIND)).required().belongs().about("Whose bond it is."),
        Column::new("name", Type::Word(&INTERFACE_NAME)).required().about("Such as bond0."),
        Column::new("mode", Type::Choice(MODES)).required().about("As the Linux bonding driver names it."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str =
        r#"{"node": {"fqdn": "hv01.example.com", "state": "running"}, "name": "bond0", "mode": "802.3ad"}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM bonds WHERE bonds.id = changed.id";
    type New = NewBond;
    crud!(bonds: list find lock insert update delete);
}

/// The modes of the Linux bonding driver.
const MODES: &[&str] =
    &["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];
