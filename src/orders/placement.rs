//! Where a VM goes: of the hypervisors that have all it needs, the emptiest or the fullest, by memory. Each condition stands here once,
//! with the words for who is told why a hypervisor was refused. It knows needs and hypervisors, and not who asks.
//!
//! The rows of `hypervisor_usage` decide: one is locked, looked at again by a statement that sees what was committed meanwhile, and
//! kept until the transaction ends. So nothing is ever given away twice. A row that somebody else has locked is passed over at first,
//! so that orders go on side by side, and waited for only before it would be said that there is no room.

use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use std::collections::BTreeMap;

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::sql::{Sql, Statement};

/// What a VM needs.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The virt method's id.
    pub virt_method: i64,
    /// Virtual CPUs.
    pub cores: i64,
    /// Memory.
    pub ram_bytes: i64,
    /// Where its volumes are kept.
    pub storage: Vec<Storage>,
    /// Reads and writes per second of its volumes.
    pub iops: i64,
    /// Bytes per second of its volumes.
    pub disk_bps: i64,
    /// Models and how many of each.
    pub gpus: Vec<(String, i64)>,
    /// What the hypervisor is labelled with.
    pub labels: Vec<String>,
    /// Their ids.
    pub networks: Vec<i64>,
    /// Those that it is beside, or apart from.
    pub group: Option<i64>,
    /// The one hypervisor that is asked for.
    pub only: Option<i64>,
    /// Where it is already, if it is there: it is not in its own way, and does not stay.
    pub moves: Option<Moves>,
    /// Whose way of placing counts.
    pub environment: Option<i64>,
}

/// A VM that leaves its hypervisor: their ids.
#[derive(Clone, Copy, Debug)]
pub struct Moves {
    /// The VM.
    pub vm: i64,
    /// Where it is.
    pub from: i64,
}

/// Where a volume is kept, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In a file.
    File(i64),
    /// In a volume group.
    Group(i64),
    /// In the cluster with this id.
    Ceph(i64),
}

impl Storage {
    /// Of a volume with so many bytes, by the name of its storage type; the cluster is that of its pool, if it has one.
    pub fn of(storage_type: &str, cluster: i64, bytes: i64) -> Self {
        match storage_type {
            "rbd" => Self::Ceph(cluster),
            "lvm" => Self::Group(bytes),
            _ => Self::File(bytes),
        }
    }
}

/// A hypervisor, and why it was refused.
#[derive(Debug, Serialize)]
pub struct Candidate {
    /// Its node's name.
    pub hypervisor: String,
    /// Its memory that would be left: `spread` prefers the largest, `pack` the smallest. The last of equals by number is taken to
    /// spread, the first to pack.
    pub weight: i64,
    /// Nothing, if it can take the VM.
    pub refused: Vec<String>,
}

const FROM: &str = "hypervisor_usage u JOIN hypervisors h ON h.id = u.hypervisor_id JOIN nodes n ON n.id = h.node_id \
    JOIN node_states s ON s.id = n.state_id LEFT JOIN node_observations o ON o.node_id = n.id";

const HEARD: &str = "(o.last_report IS NULL OR o.last_report >= now() - \
    COALESCE(NULLIF(current_setting('virtapi.stale_after', true), ''), '2 hours')::interval)";

impl Needs {
    /// Nothing more than a VM has that is run by this virt method.
    pub fn nothing_more(virt_method: i64) -> Self {
        Self {
            virt_method,
            cores: 0,
            ram_bytes: 0,
            storage: vec![],
            iops: 0,
            disk_bps: 0,
            gpus: vec![],
            labels: vec![],
            networks: vec![],
            group: None,
            only: None,
            moves: None,
            environment: None,
        }
    }

    /// Each condition, with what is said where it does not hold.
    fn conditions(&self) -> Vec<(&'static str, Sql)> {
        let plain = |text: &str| Sql::new(text);
        let number =
            |before: &str, number: i64, after: &str| Sql::new(before).one(number.to_string(), "int8").text(after);
        let mut all = vec![
            ("is not in the state running", plain("s.name::text = 'running'")),
            ("has not been heard of for too long", plain(HEARD)),
            (
                "does not run VMs by this method",
                number(
                    "EXISTS (SELECT FROM hypervisor_virt_methods m WHERE m.hypervisor_id = h.id AND m.virt_method_id = ",
                    self.virt_method,
                    ")",
                ),
            ),
        ];
        // What takes no more is in nobody's way, even where more is taken than there is.
        if self.cores > 0 {
            all.push(("has too few cores left", number("u.cores + ", self.cores, " <= cores_for_vms(h)")));
        }
        if self.ram_bytes > 0 {
            all.push(("has too little memory left", number("u.free_ram_bytes >= ", self.ram_bytes, "")));
        }
        all.extend(self.storage.iter().flat_map(|storage| storage.conditions()));
        if self.iops > 0 {
            all.push((
                "has too few reads and writes per second left",
                number("(h.iops IS NULL OR u.iops + ", self.iops, " <= h.iops)"),
            ));
        }
        if self.disk_bps > 0 {
            let left = number("(h.disk_bps IS NULL OR u.disk_bps + ", self.disk_bps, " <= h.disk_bps)");
            all.push(("has too few bytes per second of its disks left", left));
        }
        for (model, count) in &self.gpus {
            let free =
                plain("(SELECT count(*) FROM gpus g WHERE g.hypervisor_id = h.id AND g.vm_id IS NULL AND g.model = ");
            all.push(("has too few such GPUs left", free.one(model, "text").text(format!(") >= {count}"))));
        }
        if !self.labels.is_empty() {
            all.push((
                "has not all labels of the flavor",
                plain("h.labels::text[] @> ").many(self.labels.clone(), "text"),
            ));
        }
        for network in &self.networks {
            all.push(("does not reach the network", reaches("hypervisor_networks", "network_id", *network)));
        }
        if let Some(group) = self.group {
            let vm = self.moves.map_or(0, |moves| moves.vm);
            all.push(("is apart from its group, or beside it", beside(group, vm)));
        }
        if let Some(Moves { from, .. }) = self.moves {
            all.push(("is where it is now", number("h.id <> ", from, "")));
        }
        if let Some(only) = self.only {
            all.push(("is not the one that was asked for", number("h.id = ", only, "")));
        }
        all
    }

    /// What is said of each condition that does not hold, as a list.
    fn refused(&self) -> Sql {
        let list =
            self.conditions().into_iter().fold(Sql::new("array_remove(ARRAY[NULL"), |sql, (refusal, condition)| {
                sql.text(", CASE WHEN ").then(condition).text(format!(" THEN NULL ELSE '{refusal}' END"))
            });
        list.text("]::text[], NULL)")
    }

    fn conjunction(&self) -> Sql {
        self.conditions().into_iter().fold(Sql::new("TRUE"), |all, (_, condition)| all.text(" AND ").then(condition))
    }
}

impl Storage {
    fn conditions(self) -> Vec<(&'static str, Sql)> {
        let local = |bytes: i64| {
            let left = Sql::new("u.local_bytes + ").one(bytes.to_string(), "int8");
            ("has too little local storage left", left.text(" <= COALESCE(h.local_storage_bytes, 0)"))
        };
        match self {
            Self::File(bytes) => {
                vec![("has no directory for images", Sql::new("h.local_storage_path IS NOT NULL")), local(bytes)]
            }
            Self::Group(bytes) => vec![("has no volume group", Sql::new("h.vg_name IS NOT NULL")), local(bytes)],
            Self::Ceph(cluster) => vec![(
                "does not reach the Ceph cluster",
                reaches("hypervisor_ceph_clusters", "ceph_cluster_id", cluster),
            )],
        }
    }
}

/// Where the others of its group allow it. A node without a location is at none with others.
fn beside(group: i64, vm: i64) -> Sql {
    Sql::new(
        "NOT EXISTS (SELECT FROM placement_groups g JOIN vms v ON v.group_id = g.id AND v.hypervisor_id IS NOT NULL \
         JOIN hypervisors vh ON vh.id = v.hypervisor_id JOIN nodes vn ON vn.id = vh.node_id WHERE g.id = ",
    )
    .one(group.to_string(), "int8")
    .text(" AND v.id <> ")
    .one(vm.to_string(), "int8")
    .text(
        " AND (g.policy = 'affinity') = (NOT COALESCE(\
         CASE g.scope WHEN 'hypervisor' THEN vh.id = h.id ELSE vn.location = n.location END, FALSE)))",
    )
}

fn reaches(table: &str, column: &str, id: i64) -> Sql {
    Sql::new(format!(
        "(NOT EXISTS (SELECT FROM {table} r WHERE r.hypervisor_id = h.id) \
         OR EXISTS (SELECT FROM {table} r WHERE r.hypervisor_id = h.id AND r.{column} = "
    ))
    .one(id.to_string(), "int8")
    .text("))")
}

/// The hypervisor for a VM, kept from all others until the transaction ends. Where nothing will stay, nothing is kept.
///
/// # Errors
/// [`Error::Conflict`] with what is missing where.
pub async fn choose(tx: &Tx, needs: &Needs) -> Result<i64> {
    if let Some(group) = needs.group.filter(|_| !tx.is_rehearsal) {
        // Of one group two are not placed at the same time: neither would see the other.
        let sql = Sql::new("SELECT id FROM placement_groups WHERE id = ")
            .one(group.to_string(), "int8")
            .text(" FOR NO KEY UPDATE");
        Statement::<BigInt>::from(sql).execute(&mut tx.conn()).await?;
    }
    let order = order(tx, needs.environment).await?;
    let mut passed: Vec<i64> = Vec::new();
    for lock in if tx.is_rehearsal { [""].as_slice() } else { &[" FOR UPDATE OF u SKIP LOCKED", " FOR UPDATE OF u"] } {
        while let Some(place) = first(tx, needs, order, &passed, lock).await? {
            if tx.is_rehearsal || fits(tx, needs, place).await? {
                return Ok(place);
            }
            passed.push(place);
        }
    }
    Err(refusal(&candidates(tx, needs).await?))
}

/// By what an environment prefers one to another.
async fn order(tx: &Tx, environment: Option<i64>) -> Result<&'static str> {
    let sql = Sql::new("SELECT placement FROM environments WHERE id = ")
        .one(environment.unwrap_or_default().to_string(), "int8");
    let found: Vec<String> = Statement::<Text>::from(sql).load(&mut tx.conn()).await?;
    let packs = found.iter().any(|placement| placement == "pack");
    Ok(if packs { "u.free_ram_bytes, u.hypervisor_id" } else { "u.free_ram_bytes DESC, u.hypervisor_id DESC" })
}

async fn first(tx: &Tx, needs: &Needs, order: &str, passed: &[i64], lock: &str) -> Result<Option<i64>> {
    let sql = Sql::new(format!("SELECT u.hypervisor_id FROM {FROM} WHERE ")).then(needs.conjunction());
    let sql = sql.text(" AND NOT u.hypervisor_id = ").any(passed.iter().map(ToString::to_string).collect(), "int8");
    let sql = sql.text(format!(" ORDER BY {order} LIMIT 1{lock}"));
    let found: Vec<i64> = Statement::<BigInt>::from(sql).load(&mut tx.conn()).await?;
    Ok(found.into_iter().next())
}

/// Whether it does, now that nobody else takes of it: this statement sees what the one that locked did not.
async fn fits(tx: &Tx, needs: &Needs, place: i64) -> Result<bool> {
    let sql =
        Sql::new(format!("SELECT u.hypervisor_id FROM {FROM} WHERE u.hypervisor_id = ")).one(place.to_string(), "int8");
    let found: Vec<i64> =
        Statement::<BigInt>::from(sql.text(" AND ").then(needs.conjunction())).load(&mut tx.conn()).await?;
    Ok(!found.is_empty())
}

/// Keeps a hypervisor from all others until the transaction ends, for a VM that is there and needs this more of it.
///
/// # Errors
/// [`Error::Conflict`] with all that is in the way, at this field.
pub async fn keep(tx: &Tx, needs: &Needs, hypervisor: i64, field: &str) -> Result<()> {
    let row = |sql: &str| Sql::new(sql).one(hypervisor.to_string(), "int8");
    if !tx.is_rehearsal {
        let lock = row("SELECT hypervisor_id FROM hypervisor_usage WHERE hypervisor_id = ").text(" FOR UPDATE");
        Statement::<BigInt>::from(lock).execute(&mut tx.conn()).await?;
    }
    let sql = Sql::new("SELECT ").then(needs.refused());
    let sql = sql.text(format!(" FROM {FROM} WHERE ")).then(row("u.hypervisor_id = "));
    let refused: Vec<String> = Statement::<Array<Text>>::from(sql).get_result(&mut tx.conn()).await?;
    if refused.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(field, format!("does not fit: its hypervisor {}", refused.join("; "))))
}

/// Every hypervisor, the best first, with all that is in its way.
///
/// # Errors
/// [`Error::Away`].
pub async fn candidates(tx: &Tx, needs: &Needs) -> Result<Vec<Candidate>> {
    let order = order(tx, needs.environment).await?;
    let sql = Sql::new("SELECT n.fqdn, GREATEST(LEAST(u.free_ram_bytes, 1e18), -1e18)::int8 - ")
        .one(needs.ram_bytes.to_string(), "int8");
    let sql = sql.text(", ").then(needs.refused()).text(format!(" FROM {FROM} ORDER BY {order}"));
    let found: Vec<(String, i64, Vec<String>)> =
        Statement::<(Text, BigInt, Array<Text>)>::from(sql).load(&mut tx.conn()).await?;
    let candidate = |(hypervisor, weight, refused)| Candidate { hypervisor, weight, refused };
    let mut candidates: Vec<Candidate> = found.into_iter().map(candidate).collect();
    // Among themselves both parts stay in order.
    candidates.sort_by_key(|candidate| !candidate.refused.is_empty());
    Ok(candidates)
}

/// In numbers, for a customer does not see hypervisors.
fn refusal(candidates: &[Candidate]) -> Error {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in candidates.iter().flat_map(|candidate| &candidate.refused) {
        *reasons.entry(reason).or_default() += 1;
    }
    let mut reasons: Vec<(&str, usize)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
    let told: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let of = format!("finds no hypervisor with room: of {}, {}", candidates.len(), told.join("; "));
    Error::Conflict(vec![(
        "hypervisor".to_owned(),
        if candidates.is_empty() { "finds no hypervisor: there is none".into() } else { of },
    )])
}
