//! A virtual machine, on one hypervisor or on none yet.

use super::prelude::*;
use crate::lifecycle;
use crate::resources::{Environment, Flavor, Hypervisor, Key, PlacementGroup, SecurityRule, VirtMethod, VmState};
use crate::schema::{vms, vms_with_status};

/// A row of `vms_with_status`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = vms_with_status, check_for_backend(Pg))]
pub struct Vm {
    id: i64,
    uuid: Uuid,
    name: String,
    cores: i32,
    ram_bytes: i64,
    cputime_limit: Option<i32>,
    #[serde(rename = "state")]
    state_id: i64,
    status: String,
    lifecycle: String,
    failure: Option<String>,
    #[serde(rename = "hypervisor")]
    hypervisor_id: Option<i64>,
    #[serde(rename = "virt_method")]
    virt_method_id: i64,
    #[serde(rename = "environment")]
    environment_id: Option<i64>,
    #[serde(rename = "flavor")]
    flavor_id: Option<i64>,
    #[serde(rename = "group")]
    group_id: Option<i64>,
    labels: Vec<String>,
    user_data: Option<String>,
    callback_url: Option<String>,
    firewall: String,
    restarts: i32,
    desired_generation: Option<i64>,
    applied_generation: Option<i64>,
    last_report: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = vms, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewVm {
    uuid: Uuid,
    name: String,
    cores: i32,
    ram_bytes: i64,
    cputime_limit: Option<i32>,
    #[serde(rename = "state")]
    state_id: i64,
    #[serde(rename = "hypervisor")]
    hypervisor_id: Option<i64>,
    #[serde(rename = "virt_method")]
    virt_method_id: i64,
    #[serde(rename = "environment")]
    environment_id: Option<i64>,
    #[serde(rename = "flavor")]
    flavor_id: Option<i64>,
    #[serde(rename = "group")]
    group_id: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    labels: Vec<String>,
    #[validate(custom(function = crate::user_data::valid))]
    user_data: Option<String>,
    callback_url: Option<String>,
    #[serde(default = "off", deserialize_with = "or_off")]
    firewall: String,
}

impl Resource for Vm {
    const NAME: &'static str = "vms";
    const ABOUT: &'static str = "A virtual machine, on one hypervisor or on none yet.";
    const KEY: &'static [&'static str] = &["uuid"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("uuid", Type::Uuid).by_operators().about("Made by the server unless given."),
        Column::new("name", Type::Text).required().about("What people call it; unique in its environment."),
        Column::new("cores", Type::Int).required().between(1, 4096).about("Virtual CPUs."),
        Column::new("ram_bytes", Type::Int).required().between(1, i64::MAX).about("Memory."),
        Column::new("cputime_limit", Type::Int)
            .between(1, 100)
            .by_operators()
            .about("How much of its CPUs it may use, in per cent; unlimited unless given."),
        Column::new("state", Type::Ref(VmState::KIND)).required().about("What it shall be."),
        STATUS,
        Column::derived("lifecycle", Type::Choice(&lifecycle::WORDS)).required().about(
            "Where it is in its life, by what its agent has seen: `requested` has no hypervisor, `scheduled` was not seen there yet; `unknown`: \
             its hypervisor is silent.",
        ),
        Column::derived("failure", Type::Text).about("Why it is `failed`."),
        Column::new("hypervisor", Type::Ref(Hypervisor::KIND)).by_operators().about("Where it runs."),
        Column::new("virt_method", Type::Ref(VirtMethod::KIND))
            .required()
            .about("How it is run; one that its hypervisor offers."),
        Column::new("environment", Type::Ref(Environment::KIND)).about("Whose it is; the fleet's own without one."),
        Column::new("flavor", Type::Ref(Flavor::KIND)).about(
            "The size that it was ordered by. With one in a request to create, it is an order: see `docs/compute.md`.",
        ),
        Column::new("group", Type::Ref(PlacementGroup::KIND)).about("Those that it shall be beside, or apart from."),
        Column::new("labels", Type::Labels).about("By which it is found: `web`, `tier=db`."),
        Column::new("user_data", USER_DATA).about("What its cloud-init is given: #cloud-config and YAML, or a script."),
        Column::new("callback_url", Type::Url).about("Who is told of what becomes of it."),
        Column::new("firewall", Type::Choice(&["off", "on"])).about(
            "With `on`, only what its security rules allow goes in; with `off` so as well, once it has a rule. `off` unless given.",
        ),
        Column::new("keys", Type::Many(&KEYS)).about("With which people log in to it."),
        Column::new("security_rules", Type::Owned(&SECURITY_RULES)).about("What goes in and out of it."),
        Column::server("restarts", Type::Int).required().about("How often somebody has asked to restart it."),
        Column::derived("desired_generation", Type::Int).about("The generation of its hypervisor's document."),
        APPLIED_GENERATION,
        LAST_REPORT,
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "web-1", "cores": 2, "ram_bytes": 1073741824, "state": "running", "virt_method": "KVM",
        "hypervisor": {"node": {"fqdn": "hv01.example.com", "state": "running"}, "cores": 16, "ram_bytes": 68719476736,
        "virt_methods": ["KVM"]}}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM vms JOIN hypervisors ON hypervisors.id = vms.hypervisor_id \
        WHERE vms.id = changed.id";
    const RULES: &'static [Rule] = &[
        Rule {
            constraint: "vms_virt_method_offered_fkey",
            field: "virt_method",
            detail: "is not one that its hypervisor offers",
        },
        Rule {
            constraint: "vms_environment_check",
            field: "environment",
            detail: "is not that of a volume of this VM: a volume is in the environment of its VM",
        },
        Rule { constraint: "vms_group_check", field: "group", detail: "is not of its environment" },
        Rule { constraint: "vms_keys_check", field: "", detail: "has a key that is not of its environment" },
        Rule {
            constraint: "vms_floating_ips_check",
            field: "environment",
            detail: "is not that of a floating IP of this VM",
        },
        Rule {
            constraint: "vms_volume_place_check",
            field: "hypervisor",
            detail: "has no local_storage_path or vg_name for a volume of this VM",
        },
        Rule {
            constraint: "vms_restoring_check",
            field: "hypervisor",
            detail: "keeps it until a volume of it is restored: its agent has not said so yet",
        },
        Rule { constraint: "hypervisor_usage_cores_left", field: "cores", detail: MORE_THAN_LEFT },
        Rule { constraint: "hypervisor_usage_ram_bytes_left", field: "ram_bytes", detail: MORE_THAN_LEFT },
    ];
    const LEAVES: Option<&'static Leaves> = Some(&Leaves {
        place: "hypervisor",
        statement: "SELECT hypervisor_id AS hypervisor, uuid, name, vms.id AS number, NULL AS storage_type, NULL AS ceph_pool, NULL AS size_bytes \
            FROM vms WHERE vms.id = changed.id AND hypervisor_id IS NOT NULL",
    });
    const ACTIONS: &'static [Action] = &[
        Action { path: "start", text: "Start", sends: None },
        Action { path: "stop", text: "Stop", sends: None },
        Action { path: "reboot", text: "Reboot", sends: None },
    ];
    const ORDER: &'static [Column] = crate::orders::FIELDS;
    const REALM: Realm = Realm::Customer;

    type New = NewVm;
    crud!(vms as vms_with_status: list find lock_table insert update delete);
}

static KEYS: Link = Link { table: "vm_keys", own: "vm_id", other: "key_id", kind: Key::KIND };
static SECURITY_RULES: Owned = Owned { kind: SecurityRule::KIND, owner: "vm" };

/// A customer makes nothing larger than what is left.
pub(super) const MORE_THAN_LEFT: &str = "is more than its hypervisor has left";

/// What cloud-init is given; Nova's limit.
pub(super) const USER_DATA: Type = Type::Lines(65_536);

fn off() -> String {
    "off".to_owned()
}

fn or_off<'de, D: serde::Deserializer<'de>>(given: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or_else(off))
}
