//! A physical server.

use super::prelude::*;
use crate::resources::{Network, NodeState};
use crate::schema::{nodes, nodes_with_status};

/// A row of `nodes_with_status`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = nodes_with_status, check_for_backend(Pg))]
pub struct Node {
    id: i64,
    fqdn: String,
    location: Option<String>,
    #[serde(rename = "state")]
    state_id: i64,
    status: String,
    environment: Option<String>,
    parameters: Value,
    #[serde(rename = "management_network")]
    management_network_id: Option<i64>,
    #[serde(rename = "storage_network")]
    storage_network_id: Option<i64>,
    #[serde(rename = "backup_network")]
    backup_network_id: Option<i64>,
    desired_generation: i64,
    applied_generation: Option<i64>,
    last_report: Option<DateTime<Utc>>,
    observed: Option<Value>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = nodes, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewNode {
    fqdn: String,
    location: Option<String>,
    #[serde(rename = "state")]
    state_id: i64,
    environment: Option<String>,
    #[serde(default = "empty", deserialize_with = "or_empty")]
    #[validate(custom(function = parameter_names))]
    parameters: Value,
    #[serde(rename = "management_network")]
    management_network_id: Option<i64>,
    #[serde(rename = "storage_network")]
    storage_network_id: Option<i64>,
    #[serde(rename = "backup_network")]
    backup_network_id: Option<i64>,
}

impl Resource for Node {
    const NAME: &'static str = "nodes";
    const ABOUT: &'static str = "A physical server.";
    const KEY: &'static [&'static str] = &["fqdn"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("fqdn", Type::Fqdn).required().about("Its name, its Puppet certname and its Salt minion id."),
        Column::new("location", Type::Text).about("Where it stands."),
        Column::new("state", Type::Ref(NodeState::KIND)).required().about("What it shall be."),
        STATUS,
        Column::new("environment", Type::Word(&ENVIRONMENT)).about("Its Puppet environment."),
        Column::new("parameters", Type::Json).about("Free data for its agents. The names are Puppet variable names."),
        Column::new("management_network", Type::Ref(Network::KIND)).about("For its operators and agents."),
        Column::new("storage_network", Type::Ref(Network::KIND)).about("For its volumes."),
        Column::new("backup_network", Type::Ref(Network::KIND)).about("For its backups."),
        Column::server("desired_generation", Type::Int)
            .required()
            .about("The generation of its document: it grows whenever that could have changed."),
        APPLIED_GENERATION,
        LAST_REPORT,
        Column::derived("observed", Type::Json).about("What its agent has seen there, as it says it."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"fqdn": "hv01.example.com", "location": "rack 12", "state": "running",
        "environment": "production", "parameters": {"ntp": "yes"}}"#;
    const SHOWN_IN: &'static str = "SELECT changed.id, NULL::int8 \
        UNION ALL SELECT NULL, cluster_id FROM ceph_mons WHERE ceph_mons.node_id = changed.id";
    const ACTIONS: &'static [Action] = &[Action {
        path: "approve",
        text: "Approve what is removed",
        sends: Some(("generation", "desired_generation")),
    }];
    type New = NewNode;
    crud!(nodes as nodes_with_status: list find lock_table insert update delete);
}

/// As Puppet names its environments.
static ENVIRONMENT: Word = Word { punctuation: "_", capitals: false, max: 64, prefix: "" };

/// What the ENC adds to a node's own parameters, and the variables that Puppet sets itself. Some of these stop every
/// catalog of the node; `clientcert` would make `puppet apply` take it for another node.
const RESERVED: &[&str] = &[
    "fqdn",
    "location",
    "state",
    "roles",
    "generation",
    "agent_specified_environment",
    "caller_module_name",
    "clientcert",
    "clientnoop",
    "clientversion",
    "environment",
    "facts",
    "module_name",
    "name",
    "server_facts",
    "serverip",
    "servername",
    "serverversion",
    "title",
    "trusted",
];
/// The longest key that every YAML reader takes, as it is written.
const MAX_KEY: usize = 1024;

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

fn or_empty<'de, D: serde::Deserializer<'de>>(given: D) -> Result<Value, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or_else(empty))
}

/// They become variables in Puppet, and are read as YAML there.
fn parameter_names(parameters: &Value) -> Result<(), ValidationError> {
    let wrong = |rule: String| Err(ValidationError::new("parameters").with_message(rule.into()));
    for name in parameters.as_object().into_iter().flat_map(serde_json::Map::keys) {
        let mut letters = name.chars();
        let starts = letters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
        if !starts || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return wrong(format!("{name:?} is not a Puppet variable name"));
        }
        if RESERVED.contains(&name.as_str()) {
            return wrong(format!("{name:?} is reserved"));
        }
    }
    match unreadable_key(parameters) {
        Some(key) => wrong(format!("the key {key:?} cannot be read back from YAML")),
        None => Ok(()),
    }
}

/// `<<` merges even when it is quoted.
fn unreadable_key(value: &Value) -> Option<&str> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let written = crate::yaml_safe::to_vec(key).map_or(usize::MAX, |text| text.len());
            if key == "<<" || written > MAX_KEY { Some(key.as_str()) } else { unreadable_key(value) }
        }),
        Value::Array(items) => items.iter().find_map(unreadable_key),
        _ => None,
    }
}
