//! A PCI device of a hypervisor that one guest can have.

use super::prelude::*;
use crate::resources::{Hypervisor, Vm, flavor::GPU_MODEL};
use crate::schema::gpus;

/// A row of `gpus`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = gpus, check_for_backend(Pg))]
pub struct Gpu {
    id: i64,
    #[serde(rename = "hypervisor")]
    hypervisor_id: i64,
    address: String,
    model: String,
    #[serde(rename = "vm")]
    vm_id: Option<i64>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = gpus, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewGpu {
    #[serde(rename = "hypervisor")]
    hypervisor_id: i64,
    address: String,
    model: String,
    #[serde(rename = "vm")]
    vm_id: Option<i64>,
}

impl Resource for Gpu {
    const NAME: &'static str = "gpus";
    const ABOUT: &'static str = "A GPU, or another PCI device, of a hypervisor that one guest can have.";
    const KEY: &'static [&'static str] = &["hypervisor", "address"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("hypervisor", Type::Ref(Hypervisor::KIND)).required().belongs().about("Where it is."),
        Column::new("address", Type::Word(&PCI_ADDRESS))
            .required()
            .about("Its PCI address, such as 0000:3b:00.0. Unique on its hypervisor."),
        Column::new("model", Type::Word(&GPU_MODEL)).required().about("What flavors call it."),
        Column::new("vm", Type::Ref(Vm::KIND)).clears().about("The VM that has it, on the same hypervisor."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"address": "0000:3b:00.0", "model": "L40", "hypervisor": {"node": {"fqdn": "hv01.example.com", "state": "running"},
        "cores": 16, "ram_bytes": 68719476736, "virt_methods": ["KVM"]}}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM gpus JOIN hypervisors ON hypervisors.id = hypervisor_id \
        WHERE gpus.id = changed.id AND vm_id IS NOT NULL";
    const RULES: &'static [Rule] = &[
        Rule { constraint: "gpus_vm_check", field: "vm", detail: "is not on its hypervisor" },
        Rule {
            constraint: "gpus_address_check",
            field: "address",
            detail: "must be a PCI address such as 0000:3b:00.0",
        },
    ];
    const REALM: Realm = Realm::Attached;

    type New = NewGpu;
    crud!(gpus: list find lock insert update delete);
}

static PCI_ADDRESS: Word = Word { punctuation: ":.", capitals: false, max: 12, prefix: "" };
