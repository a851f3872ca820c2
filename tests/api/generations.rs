//! The property on which every cached document rests: whenever a document's contents change, so does its version, and an
//! event says so. It is tried with every column of every kind, and with random sequences of writes.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rocket::tokio::runtime::{Builder, Runtime};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{Answer, App, copy, database, rows};
use crate::writes::{self, Action, Wish, Write, fleet};

/// How many random sequences are tried, and how long each may be.
const SEQUENCES: u32 = 24;
const LENGTH: usize = 24;

/// A document as its version and the rest, by the name of its node.
type Documents = BTreeMap<String, (Value, Value)>;

/// A server that keeps documents, watched from beside it.
struct Watched {
    runtime: Runtime,
    app: App,
    /// As they are now.
    documents: Documents,
    /// What each version of a node's document held, ever since.
    versions: BTreeMap<(String, String), Value>,
    /// What was sent, for the message of a failure.
    sent: Vec<String>,
    /// The last event that was looked at.
    heard: String,
    /// Versions that changed although the document did not, by what was written.
    vain: BTreeMap<String, usize>,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The documents of these nodes and of all that there are, as this server shows them. A missing one is null.
async fn documents(app: &App, known: impl Iterator<Item = &String>) -> Documents {
    let mut names: BTreeSet<String> = known.cloned().collect();
    names.extend(rows(&app.dsn, "SELECT fqdn FROM nodes").await.into_iter().flatten());
    let mut found = Documents::new();
    for name in names {
        let answer = app.get(&format!("/salt/pillar/{name}")).await;
        assert!([200, 404].contains(&answer.status), "{}", answer.text());
        let mut document: Value = serde_json::from_slice(&answer.bytes).expect("JSON");
        let mut content = document["virtapi"].take();
        let version = content["meta"].take();
        found.insert(name, (version, content));
    }
    found
}

/// The documents as a server shows them that has never shown one before. In a runtime of its own, for nothing of the
/// server shall remain.
fn fresh(dsn: &str, known: &Documents) -> Documents {
    runtime().block_on(async { documents(&App::on(dsn).await, known.keys()).await })
}

impl Watched {
    /// A server with a copy of this database.
    fn start(dsn: &str) -> Self {
        let runtime = runtime();
        let app = runtime.block_on(async { App::on(&copy(dsn).await).await });
        let documents = fresh(&app.dsn, &Documents::new());
        let mut watched = Self {
            runtime,
            app,
            documents: Documents::new(),
            versions: BTreeMap::new(),
            heard: "0".to_owned(),
            sent: vec![],
            vain: BTreeMap::new(),
        };
        watched.compare("start", documents).expect("the start is sound");
        watched
    }

    /// Sends a write and compares what every node's document was and is. Gives whether the write was accepted, and
    /// whether a document changed.
    fn send(&mut self, write: &Write) -> Result<(bool, bool), TestCaseError> {
        let rehearsed = self.runtime.block_on(write.rehearsed().send(&self.app));
        let answer = self.runtime.block_on(write.send(&self.app));
        self.sent.push(format!("{} {} {} -> {}", write.method, write.url, write.body, answer.status));
        prop_assert!(answer.status < 500, "{}\n{}", self.sent.join("\n"), answer.text());
        if answer.status >= 300 {
            let kept = self.runtime.block_on(documents(&self.app, self.documents.keys()));
            prop_assert_eq!(&kept, &self.documents, "a write that was refused changed something: {:#?}", &self.sent);
            return Ok((false, false));
        }
        let after = fresh(&self.app.dsn, &self.documents);
        self.was_foreseen(&rehearsed, &after)?;
        let changed =
            self.compare(&format!("{} {}", write.method, write.url.split('/').nth(2).unwrap_or_default()), after)?;
        Ok((true, changed))
    }

    /// Sends what a wish becomes.
    fn grant(&mut self, wish: &Wish) -> Result<(bool, bool), TestCaseError> {
        match self.runtime.block_on(wish.write(&self.app)) {
            Some(write) => self.send(&write),
            None => Ok((false, false)),
        }
    }

    /// How many there are of a kind.
    fn count(&self, kind: &str) -> usize {
        self.runtime.block_on(writes::all(&self.app, writes::kind(kind))).len()
    }

    /// The nodes and clusters of events since the last time.
    fn hear(&mut self) -> BTreeSet<String> {
        let new = "SELECT coalesce(fqdn, c.name), e.id FROM events e LEFT JOIN nodes n ON n.id = node_id
            LEFT JOIN ceph_clusters c ON c.id = cluster_id";
        let new = format!("{new} WHERE e.id > {} ORDER BY e.id", self.heard);
        let found = self.runtime.block_on(rows(&self.app.dsn, &new));
        if let Some(last) = found.last() {
            self.heard.clone_from(&last[1]);
        }
        found.into_iter().map(|mut row| row.swap_remove(0)).collect()
    }

    /// A rehearsal tells of each document that changes, and of no other, what is there now.
    fn was_foreseen(&self, rehearsed: &Answer, after: &Documents) -> Result<(), TestCaseError> {
        prop_assert!(rehearsed.status < 300, "the rehearsal: {}\n{}", rehearsed.text(), self.sent.join("\n"));
        let told: Value = serde_json::from_slice(&rehearsed.bytes).expect("JSON");
        let told = told["consequences"].as_array().expect("consequences");
        let of = |node: &str| told.iter().find(|consequence| consequence["node"] == node);
        let unknown = (Value::Null, Value::Null);
        for (name, now) in after {
            let was = self.documents.get(name).unwrap_or(&unknown);
            let Some(consequence) = of(name) else {
                prop_assert_eq!(was, now, "nothing was told of {}: {:#?}", name, &self.sent);
                continue;
            };
            prop_assert_ne!(&was.0, &now.0, "{} was told of in vain: {:#?}", name, &self.sent);
            prop_assert_eq!(&consequence["generation"]["before"], &was.0["generation"]);
            prop_assert_eq!(&consequence["generation"]["after"], &now.0["generation"]);
            let differences = consequence["differences"].as_array().expect("differences");
            prop_assert_eq!(differences.is_empty(), was.1 == now.1, "{}: {:#?}", consequence, &self.sent);
            for difference in differences {
                let path = difference["path"].as_str().expect("a path");
                prop_assert_eq!(difference.get("before"), value_at(&was.1, path), "{}: {:#?}", path, &self.sent);
            }
        }
        Ok(())
    }

    /// The heart of it.
    fn compare(&mut self, what: &str, after: Documents) -> Result<bool, TestCaseError> {
        let mut changed = false;
        let told = self.hear();
        for (name, (version, content)) in &after {
            let unknown = (Value::Null, Value::Null);
            let before = self.documents.get(name).unwrap_or(&unknown);
            changed |= before.1 != *content;
            if before.1 != *content && !version.is_null() && what != "start" {
                let of_cluster =
                    version["clusters"].as_object().is_some_and(|all| all.keys().any(|name| told.contains(name)));
                prop_assert!(told.contains(name) || of_cluster, "no event tells of {}: {:#?}", name, &self.sent);
            }
            if before.0 != *version && before.1 == *content {
                *self.vain.entry(what.to_owned()).or_default() += 1;
            }
            let seen = self.versions.entry((name.clone(), version.to_string())).or_insert_with(|| content.clone());
            prop_assert_eq!(&*seen, content, "{} has two documents of version {}: {:#?}", name, version, &self.sent);
        }
        let kept = self.runtime.block_on(documents(&self.app, after.keys()));
        prop_assert_eq!(&kept, &after, "the server shows what it kept, not what is: {:#?}", &self.sent);
        self.documents = after;
        Ok(changed)
    }
}

/// The value at a path of a difference, which names the items of lists.
fn value_at<'v>(tree: &'v Value, path: &str) -> Option<&'v Value> {
    let step = |value: &'v Value, step: &str| match value {
        Value::Array(items) => {
            let names = ["uuid", "fqdn", "mac", "name", "device"];
            items.iter().find(|item| names.iter().find_map(|name| item[*name].as_str()) == Some(step))
        }
        value => value.get(step),
    };
    let names = path.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~"));
    names.into_iter().try_fold(tree, |value, name| step(value, &name))
}

/// A database with the fleet, to be copied.
fn with_fleet() -> String {
    // Migrations block a thread, and need another one.
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime").block_on(async {
        let dsn = database().await;
        fleet::load(&App::on(&dsn).await).await;
        dsn
    })
}

/// Whether a kind says that no document shows it.
fn in_no_document(kind: &str) -> bool {
    writes::kind(kind).shown_in().is_empty()
}

/// What else no document shows, or what stays as it is while one shows it.
const NOT_SHOWN: &[&str] = &[
    "images.size_bytes",
    "storage-types.name",
    "vms.environment",
    "vms.group",
    "vms.labels",
    "vms.callback_url",
    "volumes.environment",
    "volumes.name",
    "volumes.lifetime",
    "tombstones.size_bytes",
    "hypervisors.reserved_cores",
    "hypervisors.reserved_ram_bytes",
    "hypervisors.iops",
    "hypervisors.disk_bps",
    "hypervisors.labels",
    "hypervisors.networks",
    "hypervisors.ceph_clusters",
    "networks.audience",
    "networks.environment",
    "subnets.name",
    "subnets.purpose",
    "subnets.first",
    "subnets.last",
    "keys.environment",
    "floating-ips.subnet",
    "floating-ips.environment",
    // A device is where its VM is.
    "gpus.hypervisor",
    "gpus.model",
    "security-rules.uuid",
];

#[test]
fn every_column_that_changes_a_document_changes_its_version() {
    let dsn = with_fleet();
    for kind in writes::names() {
        let mut watched = Watched::start(&dsn);
        let rows = watched.count(kind);
        for (place, column) in writes::writable(writes::kind(kind)).iter().enumerate() {
            let name = format!("{kind}.{}", column.name);
            let secret = in_no_document(kind) || NOT_SHOWN.contains(&name.as_str());
            // Other objects, and other values, until a document shows the change.
            let shown = (0..rows * if secret { 1 } else { 12 }).any(|n| {
                let wish = Wish { fields: vec![(place, n as u64)], row: n, ..Wish::new(Action::Update, kind) };
                watched.grant(&wish).expect("sound").1
            });
            assert_eq!(shown, !secret, "{name}: {:#?}", watched.sent);
        }
    }
}

#[test]
fn every_object_that_changes_changes_the_versions_of_all_documents_that_show_it() {
    let dsn = with_fleet();
    for kind in writes::names() {
        let mut watched = Watched::start(&dsn);
        // Only what is the object's own: with a reference, other objects change, and their documents' versions.
        let columns = writes::writable(writes::kind(kind)).into_iter().enumerate();
        let own: Vec<usize> = columns.filter(|(_, column)| column.any_target().is_none()).map(|(n, _)| n).collect();
        for row in 0..watched.count(kind) {
            // Other columns, and other values, until a document shows the change, if one shows the object.
            let _ = (0..4 * own.len()).any(|n| {
                let fields = vec![(own[n % own.len()], (100 * row + n) as u64)];
                watched.grant(&Wish { row, fields, ..Wish::new(Action::Update, kind) }).expect("sound").1
            });
        }
    }
}

/// Kinds of which there is nothing that may go, for all of it is in use, or that are in no document unless in use.
const USED: &[&str] = &[
    "images",
    "vlans",
    "networks",
    "keys",
    "ceph-clusters",
    "node-states",
    "vm-states",
    "virt-methods",
    "storage-types",
    "cache-options",
    "ceph-pools",
];

#[test]
fn what_comes_or_goes_changes_the_versions_of_the_documents_that_show_it() {
    let dsn = with_fleet();
    for kind in writes::names() {
        let mut watched = Watched::start(&dsn);
        let rows = watched.count(kind);
        let mut shown = |wish: Wish| watched.grant(&wish).expect("sound").1;
        // Several, for what comes to a node that shows its like already may be noticed for another reason.
        let new = (0..20).filter(|seed| shown(Wish { seed: *seed, ..Wish::new(Action::Create, kind) }));
        let come = new.take(5).count();
        // From the end, so that the others stay where they are.
        let old = (0..rows).rev().filter(|row| shown(Wish { row: *row, ..Wish::new(Action::Delete, kind) }));
        let gone = old.count();
        let used = in_no_document(kind) || USED.contains(&kind);
        assert!(used || come > 0 && gone > 0, "{kind}: {come} {gone} {:#?}", watched.sent);
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    use Action::{Bulk, Create, Delete, Replace, Update};
    let action =
        prop_oneof![3 => Just(Create), 1 => Just(Bulk), 4 => Just(Update), 2 => Just(Replace), 2 => Just(Delete)];
    let kind = proptest::sample::select(writes::names());
    let fields = proptest::collection::vec((0..16_usize, 0..1000_u64), 1..4);
    (action, kind, 0..16_usize, fields, 0..1000_u64).prop_map(|(action, kind, row, fields, seed)| Wish {
        action,
        kind,
        row,
        fields,
        seed,
    })
}

#[test]
fn whatever_is_written_a_document_that_changed_has_another_version() {
    let dsn = with_fleet();
    let config = Config { cases: SEQUENCES, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let (accepted, vain) = (std::cell::Cell::new((0, 0)), std::cell::RefCell::new(BTreeMap::<String, usize>::new()));
    let outcome = TestRunner::new(config).run(&proptest::collection::vec(wish(), 1..LENGTH), |wishes| {
        let mut watched = Watched::start(&dsn);
        for wish in wishes {
            let (yes, all) = accepted.get();
            accepted.set((yes + u32::from(watched.grant(&wish)?.0), all + 1));
        }
        for (what, count) in &watched.vain {
            *vain.borrow_mut().entry(what.clone()).or_default() += count;
        }
        Ok(())
    });
    println!("accepted: {:?}; in vain: {:#?}", accepted.get(), vain.borrow());
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
