//! Many clients write through two servers while agents read from both. Whatever they do to each other: a version is one
//! document, a server never shows an old one, and nobody is told of a fault that is not theirs.

use rocket::futures::future::{join, join_all};
use rocket::http::{Method, Status};
use rocket::tokio::time::{Duration, sleep};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::harness::{App, database, rows};
use crate::writes::{self, Action, Dice, Wish, Write, fleet};

const ROUNDS: u64 = 6;
const CLIENTS: u64 = 12;
const WRITES: u64 = 10;

/// Two servers with the fleet, and what was seen of them.
struct Stage {
    servers: [App; 2],
    /// What a version of a node's document held.
    versions: RefCell<BTreeMap<(String, String), Vec<u8>>>,
    /// How often each status was answered to a write.
    statuses: RefCell<BTreeMap<u16, usize>>,
    /// How many documents were read.
    read: Cell<usize>,
}

impl Stage {
    async fn set() -> Self {
        let dsn = database().await;
        let servers = [App::with_pool(&dsn, 16).await, App::with_pool(&dsn, 16).await];
        fleet::load(&servers[0]).await;
        Self { servers, versions: RefCell::default(), statuses: RefCell::default(), read: Cell::default() }
    }

    fn server(&self, dice: &mut Dice) -> &App {
        &self.servers[usize::from(dice.below(2) == 0)]
    }

    async fn names(&self) -> Vec<String> {
        rows(&self.servers[0].dsn, "SELECT fqdn FROM nodes").await.into_iter().flatten().collect()
    }

    async fn write(&self, write: &Write, dice: &mut Dice) -> Value {
        let answer = write.send(self.server(dice)).await;
        *self.statuses.borrow_mut().entry(answer.status).or_default() += 1;
        assert!(answer.status < 500 || answer.status == 503, "{write:?}: {}", answer.text());
        if answer.status == 503 {
            assert_eq!(answer.header("Retry-After"), "1");
        }
        serde_json::from_slice(&answer.bytes).unwrap_or_default()
    }

    /// Reads a document, and compares it with what that version held before.
    async fn read(&self, server: &App, name: &str) -> Option<Vec<u8>> {
        let answer = server.get(&format!("/salt/pillar/{name}")).await;
        if answer.status == 404 {
            return None;
        }
        let document = answer.is(Status::Ok);
        let version = document["virtapi"]["meta"].to_string();
        let mut versions = self.versions.borrow_mut();
        let seen = versions.entry((name.to_owned(), version)).or_insert_with(|| answer.bytes.clone());
        assert!(
            *seen == answer.bytes,
            "one version, two documents:\n{}\n{}",
            String::from_utf8_lossy(seen),
            answer.text()
        );
        self.read.set(self.read.get() + 1);
        Some(answer.bytes)
    }

    /// Agents read as long as the writers write; then both servers show what a new one shows.
    async fn play(&self, writers: impl Future<Output = ()>) {
        let over = Cell::new(false);
        let writers = async {
            writers.await;
            over.set(true);
        };
        let agent = async |agent: u64| {
            let mut dice = Dice(agent);
            while !over.get() {
                for name in self.names().await {
                    self.read(self.server(&mut dice), &name).await;
                }
                sleep(Duration::from_millis(1)).await;
            }
        };
        join(writers, join_all((0..4).map(agent))).await;
        let new = App::on(&self.servers[0].dsn).await;
        for name in self.names().await {
            let expected = self.read(&new, &name).await;
            for server in &self.servers {
                assert!(self.read(server, &name).await == expected, "{name}: a server shows an old document");
            }
        }
    }

    /// An answer that says "try again" must be rare.
    fn judge(&self) {
        let statuses = self.statuses.borrow();
        println!("{} documents read; writes answered: {statuses:?}", self.read.get());
        let (again, all) = (statuses.get(&503).copied().unwrap_or_default(), statuses.values().sum::<usize>());
        assert!(again * 100 <= all, "{again} of {all} writes must be tried again");
    }
}

#[rocket::async_test]
async fn random_writes_at_the_same_time() {
    let stage = Stage::set().await;
    let (kinds, actions) = (
        writes::names(),
        [Action::Create, Action::Bulk, Action::Update, Action::Update, Action::Replace, Action::Delete],
    );
    for round in 0..ROUNDS {
        let client = async |client: u64| {
            let mut dice = Dice(round * CLIENTS + client);
            for _ in 0..WRITES {
                let number = |dice: &mut Dice| usize::try_from(dice.below(1 << 16)).expect("small");
                let wish = Wish {
                    row: number(&mut dice),
                    fields: vec![(number(&mut dice), dice.roll()), (number(&mut dice), dice.roll())],
                    seed: dice.roll(),
                    ..Wish::new(*dice.pick(&actions).expect("one"), dice.pick(&kinds).expect("one"))
                };
                if let Some(write) = wish.write(stage.server(&mut dice)).await {
                    stage.write(&write, &mut dice).await;
                }
            }
        };
        stage.play(async { drop(join_all((0..CLIENTS).map(client)).await) }).await;
    }
    stage.judge();
}

/// What meets at the same rows: VMs move while they get parts, VLANs are renamed while interfaces join them, nodes go
/// while they get roles, and one request makes in one order what another one makes in the other.
#[rocket::async_test]
async fn writes_that_meet() {
    let stage = Stage::set().await;
    let vm = |n: u64| format!("00000000-0000-4000-8000-00000000010{}", 1 + n % 4);
    let hypervisor = |n: u64| ["hv1", "hv2", "all"][usize::try_from(n % 3).expect("small")].to_owned() + ".example.com";
    let mac = |n: u64| format!("52:54:00:{:02x}:{:02x}:{:02x}", n >> 16 & 255, n >> 8 & 255, n & 255);
    let write = |method: Method, url: String, body: Value| Write { method, url: format!("/v1/{url}"), body };
    let (post, patch) =
        (|url: &str, body| write(Method::Post, url.to_owned(), body), |url, body| write(Method::Patch, url, body));
    let delete = |url| write(Method::Delete, url, Value::Null);
    let client = async |client: u64| {
        let mut dice = Dice(1000 + client);
        for step in 0..3 * WRITES {
            let n = dice.roll();
            let number = client * 1000 + step;
            let volume = json!({"vm": vm(n), "size_bytes": 1 << 20, "storage_type": "rbd", "ceph_pool": "rbd", "cache_option": "none"});
            let interface = |vm: String, n: u64| json!({"vm": vm, "mac": mac(n), "vlans": ["customers"], "addresses": [format!("10.{}.{}.1/32", n >> 8, n & 255)]});
            let node = format!("new{}.example.com", client / 4);
            let write = match client % 8 {
                0 => patch(format!("vms/{}", vm(n)), json!({"hypervisor": hypervisor(n >> 8)})),
                1 => post("volumes", volume),
                2 => post("interfaces", json!([interface(vm(n), 2 * number), interface(vm(n >> 8), 2 * number + 1)])),
                3 => patch(
                    format!("vlans/{}", 1 + n % 4),
                    json!({"name": format!("{}{}", ["customers", "mgmt"][usize::try_from(n >> 8 & 1).expect("small")], n >> 9 & 1)}),
                ),
                4 => post(
                    "ceph-mons",
                    json!({"node": {"fqdn": node, "state": "running"}, "cluster": "ceph", "address": format!("10.9.{client}.{step}")}),
                ),
                5 => delete(format!("nodes/new{}.example.com", (client - 1) / 4)),
                6 => patch(
                    format!("interfaces/{}", 1 + n % 7),
                    json!({"name": format!("e{}", n >> 8 & 7), "vlans": [1 + (n >> 12 & 3)]}),
                ),
                _ => patch(format!("vms/{}", vm(n)), json!({"cores": 1 + (n >> 8 & 7)})),
            };
            stage.write(&write, &mut dice).await;
        }
    };
    stage.play(async { drop(join_all((0..2 * CLIENTS).map(client)).await) }).await;
    stage.judge();
}

/// What is changed while what it belongs to goes; and one request that makes things in one order while another makes
/// them in the other: whoever waits for whom, both end.
#[rocket::async_test]
async fn writes_that_wait_for_each_other() {
    let stage = Stage::set().await;
    for round in 0..8 {
        let node = json!({"fqdn": "new.example.com", "state": "running"});
        let mut dice = Dice(round);
        let (mon, interface) = (format!("10.9.0.{round}"), |n| format!("52:54:00:02:{round:02x}:{n:02x}"));
        let mon = json!({"node": node, "cluster": "ceph", "address": mon});
        let made = Write { method: Method::Post, url: "/v1/ceph-mons".into(), body: mon };
        stage.write(&made, &mut dice).await;
        for n in 0..4 {
            let body = json!({"mac": interface(n), "node": "new.example.com"});
            stage.write(&Write { method: Method::Post, url: "/v1/interfaces".into(), body }, &mut dice).await;
        }
        let patch = |url: String, body| Write { method: Method::Patch, url, body };
        let mut writes: Vec<Write> = (0..4)
            .map(|n| patch(format!("/v1/interfaces/{}", interface(n)), json!({"name": format!("e{n}")})))
            .collect();
        writes.push(patch("/v1/ceph-mons/new.example.com".into(), json!({"port": 3300 + round})));
        writes.push(Write { method: Method::Delete, url: "/v1/nodes/new.example.com".into(), body: Value::Null });
        let on = |hypervisor: &str, n: u64| {
            let vm = json!({"name": "new", "cores": 1, "ram_bytes": 1, "state": "running", "virt_method": "KVM",
                "hypervisor": hypervisor});
            json!({"vm": vm, "mac": format!("52:54:00:03:{round:02x}:{n:02x}")})
        };
        let (one, other) = ("hv1.example.com", "hv2.example.com");
        for (n, [first, second]) in [[one, other], [other, one]].into_iter().cycle().take(4).enumerate() {
            let n = 2 * n as u64;
            let body = json!([on(first, n), on(second, n + 1)]);
            writes.push(Write { method: Method::Post, url: "/v1/interfaces".into(), body });
        }
        let all = writes.iter().enumerate().map(async |(n, write)| {
            stage.write(write, &mut Dice(n as u64)).await;
        });
        stage.play(async { drop(join_all(all).await) }).await;
    }
    stage.judge();
}
