//! Every resource, one file each.

use crate::kind::Kind;
use crate::resource::{Resource, Rule};

mod address;
mod audit_event;
mod bond;
mod cache_option;
mod ceph_cluster;
mod ceph_mon;
mod ceph_osd;
mod ceph_pool;
mod compiler;
mod convergence;
mod defaults;
mod deleted_vm;
mod environment;
mod facts;
mod flavor;
mod floating_ip;
mod gpu;
mod hypervisor;
mod image;
mod interface;
mod key;
mod membership;
mod network;
mod node;
mod node_state;
mod organization;
mod placement_group;
mod profile;
mod run;
mod run_event;
mod security_rule;
mod snapshot;
mod storage_type;
mod subnet;
mod team;
mod token;
mod tombstone;
mod user;
mod virt_method;
mod vlan;
mod vm;
mod vm_state;
mod volume;
mod webhook;
mod webhook_delivery;
mod words;

pub use self::{
    address::Address,
    audit_event::{AuditEvent, NewAuditEvent, record},
    bond::Bond,
    cache_option::CacheOption,
    ceph_cluster::CephCluster,
    ceph_mon::CephMon,
    ceph_osd::CephOsd,
    ceph_pool::CephPool,
    compiler::Compiler,
    deleted_vm::DeletedVm,
    environment::Environment,
    facts::Facts,
    flavor::Flavor,
    floating_ip::FloatingIp,
    gpu::Gpu,
    hypervisor::Hypervisor,
    image::Image,
    interface::Interface,
    key::Key,
    membership::Membership,
    network::Network,
    node::Node,
    node_state::NodeState,
    organization::Organization,
    placement_group::PlacementGroup,
    profile::Profile,
    run::Run,
    run_event::RunEvent,
    security_rule::SecurityRule,
    snapshot::Snapshot,
    storage_type::StorageType,
    subnet::Subnet,
    team::Team,
    token::Token,
    tombstone::Tombstone,
    user::User,
    virt_method::VirtMethod,
    vlan::Vlan,
    vm::Vm,
    vm_state::VmState,
    volume::Volume,
    webhook::Webhook,
    webhook_delivery::WebhookDelivery,
};

/// Every kind, as people look for them. What must treat all resources alike is written over this list.
pub static KINDS: &[&dyn Kind] = &[
    Node::KIND,
    Hypervisor::KIND,
    Vm::KIND,
    Volume::KIND,
    Snapshot::KIND,
    Tombstone::KIND,
    Flavor::KIND,
    Image::KIND,
    Profile::KIND,
    Key::KIND,
    PlacementGroup::KIND,
    SecurityRule::KIND,
    Gpu::KIND,
    Interface::KIND,
    Bond::KIND,
    Address::KIND,
    Vlan::KIND,
    Network::KIND,
    Subnet::KIND,
    FloatingIp::KIND,
    CephCluster::KIND,
    CephMon::KIND,
    CephOsd::KIND,
    CephPool::KIND,
    Organization::KIND,
    Environment::KIND,
    Membership::KIND,
    Team::KIND,
    Webhook::KIND,
    User::KIND,
    Compiler::KIND,
    Token::KIND,
    NodeState::KIND,
    VmState::KIND,
    VirtMethod::KIND,
    StorageType::KIND,
    CacheOption::KIND,
];

/// What is recorded, and read in the same ways.
static RECORDS: &[&dyn Kind] =
    &[Run::KIND, RunEvent::KIND, Facts::KIND, AuditEvent::KIND, WebhookDelivery::KIND, DeletedVm::KIND];

/// Everything that can be read.
pub fn readable() -> impl Iterator<Item = &'static dyn Kind> {
    KINDS.iter().chain(RECORDS).copied()
}

/// The kind with this name.
pub fn kind(name: &str) -> Option<&'static dyn Kind> {
    readable().find(|kind| kind.name() == name)
}

/// The name of the collection that is kept in this table.
pub fn of_table(table: &str) -> Option<&'static str> {
    KINDS.iter().find(|kind| kind.table() == table).map(|kind| kind.name())
}

/// The words for a constraint of the database.
pub fn rule(constraint: &str) -> Option<&'static Rule> {
    KINDS.iter().flat_map(|kind| kind.rules()).find(|rule| rule.constraint == constraint)
}

/// What every resource file needs.
mod prelude {
    pub use super::convergence::{APPLIED_GENERATION, LAST_REPORT, STATUS};
    pub use super::defaults::{given, or_default, or_given};
    pub use super::words::{HOST_LABEL, INTERFACE_NAME};
    pub use crate::{
        column::Column,
        crud,
        db::Tx,
        error::Result,
        leaving::Leaves,
        policy::Realm,
        query::Query,
        resource::{Action, Nothing, Resource, Rule},
        sql::Sql,
        value_type::{Link, Owned, Type, Word},
    };
    pub use chrono::{DateTime, Utc};
    pub use diesel::{pg::Pg, prelude::*};
    pub use diesel_async::RunQueryDsl;
    pub use ipnet::IpNet;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::Value;
    pub use uuid::Uuid;
    pub use validator::{Validate, ValidationError};
}
