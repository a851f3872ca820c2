//! Many clients order and delete while the real server is killed under them and started anew: whatever it has acknowledged is so, once,
//! and nothing was ever given away twice. What clients were told is written down and checked against what is there in the end; the
//! checker is tried with histories that are wrong.

mod checker;
mod client;
mod doctored;
mod inventory;
mod record;
mod refusals;
mod trail;

use rocket::http::Status;
use rocket::tokio::runtime::Handle;
use rocket::tokio::task::spawn_blocking;
use rocket::tokio::time::{Duration, sleep};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};

use self::client::{Client, FLAVORS, Stage};
use self::inventory::Inventory;
use self::record::{History, Outcome, Run};
use crate::access::issue;
use crate::convergence::Fleet;
use crate::harness::{App, TOKEN, rows};
use crate::orders::{SHOP, assert_counted};
use crate::start::process::{DataDir, Server};
use crate::writes::Dice;

const CLIENTS: u64 = 16;
const DEEDS: usize = 24;
/// How often the server is killed.
const KILLS: usize = 3;
/// The one hypervisor whose agent reports.
const HEARD: &str = "hv01.example.com";
const GIB: i64 = 1 << 30;

/// Hypervisors of which each lacks something else, with too few addresses for all that they could take.
async fn fleet(app: App) -> (Fleet, String) {
    let fleet = Fleet::of(app).await;
    let create = async |list: &str, body: Value| fleet.app.post(&format!("/v1/{list}"), body).await.is(Status::Created);
    let organization = json!({"name": "acme", "full_name": "A customer"});
    create("environments", json!({"organization": organization, "name": "shop"})).await;
    let apart = json!({"environment": SHOP, "name": "apart", "policy": "anti-affinity", "scope": "hypervisor"});
    create("placement-groups", apart).await;
    for (name, cidr, purpose, environment) in [
        ("own", "198.18.0.0/27", "addresses", json!(SHOP)),
        ("own", "2001:db8:1::/64", "addresses", Value::Null),
        ("public", "203.0.113.0/28", "floating", Value::Null),
    ] {
        if cidr.contains('.') {
            create("networks", json!({"name": name, "audience": "customers", "environment": environment})).await;
        }
        create("subnets", json!({"name": cidr.replace('/', "-"), "network": name, "cidr": cidr, "purpose": purpose}))
            .await;
    }
    for (node, more) in [
        (HEARD, json!({"cores": 4, "cpu_overcommit_ratio": 2.0, "reserved_cores": 1})),
        ("h2.example.com", json!({"ram_bytes": 10 * GIB, "reserved_ram_bytes": 2 * GIB, "ram_overcommit_ratio": 1.25})),
        ("h3.example.com", json!({"local_storage_bytes": 305_000_000_000_i64})),
        ("h4.example.com", json!({"cores": 12})),
    ] {
        if node != HEARD {
            create("nodes", json!({"fqdn": node, "state": "running"})).await;
        }
        let mut hypervisor = json!({"node": node, "cores": 64, "ram_bytes": 256 * GIB, "virt_methods": ["KVM"],
            "local_storage_bytes": 1_000_000_000_000_i64, "local_storage_path": "/srv"});
        hypervisor.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        create("hypervisors", hypervisor).await;
    }
    for (name, size) in FLAVORS {
        #[expect(clippy::cast_possible_truncation, reason = "they have no fraction")]
        let [cores, ram, disk] = [size.cores as i64, size.ram_bytes as i64, size.disk_bytes as i64];
        let flavor = json!({"name": name, "cores": cores, "ram_bytes": ram, "disk_bytes": disk, "virt_method": "KVM",
            "storage_type": "qcow2"});
        create("flavors", flavor).await;
    }
    let user = json!({"name": "member", "account_type": "person", "state": "active"});
    create("memberships", json!({"organization": "acme", "user": user, "role": "member"})).await;
    let (_, customer) = issue(&fleet.app, json!({"user": "member"})).await;
    // Without a secret nothing is sent, and everything waits.
    let url = "https://receiver.example.com/told";
    create("webhooks", json!({"name": "all", "url": url, "state": "active"})).await;
    (fleet, customer)
}

/// A server on a database that outlives it.
fn serve(dsn: &str) -> Server {
    let dsn = format!("{dsn} application_name=killed");
    let more = ["--database-url", &dsn, "--request-rate", "0", "--pool-size", "16", "--log-level", "error"];
    Server::start(&DataDir::new(), &more)
}

/// Kills the server each time that another share of all deeds is done, and starts another one when Postgres has ended what was left.
fn kill_and_start(stage: &Stage, dsn: &str, progress: &mpsc::Receiver<()>, runtime: &Handle) -> Server {
    let mut server = serve(dsn);
    stage.opens(&server.at);
    let share = DEEDS * usize::try_from(CLIENTS).expect("few") / (KILLS + 1);
    for _ in 0..KILLS {
        assert_eq!(progress.iter().take(share).count(), share, "a client has given up");
        server.kill();
        stage.closes();
        let left =
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'killed'";
        while !runtime.block_on(rows(dsn, left)).is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        server = serve(dsn);
        stage.opens(&server.at);
    }
    server
}

/// Runs of the agent of one hypervisor, until everything else is done.
async fn report(fleet: &Fleet, stage: &Stage, is_over: impl Fn() -> bool) -> Vec<Run> {
    let mut runs = Vec::new();
    while runs.is_empty() || !is_over() {
        let began = stage.tick();
        fleet.report(&[fleet.applied().await], "changed", false).await;
        runs.push(Run { hypervisor: HEARD.to_owned(), began, ended: stage.tick() });
        // Seldom, so that what is held is held for a while.
        sleep(Duration::from_millis(1500)).await;
    }
    runs
}

async fn history_is_right(seed: u64) {
    let (fleet, customer) = fleet(App::start().await).await;
    let (stage, dsn) = (Arc::new(Stage::new(TOKEN, &customer)), fleet.app.dsn.clone());
    // It has reported before anything is placed there.
    let mut runs = report(&fleet, &stage, || true).await;
    let (shared, runtime, url) = (stage.clone(), Handle::current(), dsn.clone());
    let whole = spawn_blocking(move || {
        let (sender, progress) = mpsc::channel();
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let dice = Dice(seed.wrapping_mul(1000) + number);
                let client = Client { stage: &shared, number, dice, floating: Vec::new(), progress: sender.clone() };
                scope.spawn(move || client.play(DEEDS));
            }
            drop(sender);
            let server = kill_and_start(&shared, &url, &progress, &runtime);
            progress.iter().for_each(drop);
            server
        })
    });
    runs.extend(report(&fleet, &stage, || whole.is_finished()).await);
    let server = whole.await.expect("all clients end");
    let reader = stage.clone();
    let inventory = spawn_blocking(move || Inventory::read(|url| reader.get(url))).await.expect("is read");
    server.stop();
    let history = History { events: std::mem::take(&mut stage.events.lock().unwrap()), runs };
    println!("{:?}", outcomes(&history));
    let wrong = checker::complaints(&history, &inventory);
    assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
    assert_counted(&fleet.app).await;
    // It was no walk in an empty park.
    let count =
        |word: &str| outcomes(&history).iter().filter(|(key, _)| key.contains(word)).map(|(_, n)| n).sum::<usize>();
    assert!(count("order done") > 40 && count("delete done") > 20, "seed {seed}: little was done");
    assert!(
        count("hypervisor") > 0 && count("409 [\"\"]") + count("address") > 0,
        "seed {seed}: there was always room"
    );
}

/// How often what came out.
fn outcomes(history: &History) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in &history.events {
        let deed = format!("{:?}", event.deed);
        let deed = deed.split('(').next().unwrap_or_default().to_lowercase();
        let outcome = match &event.outcome {
            Outcome::Refused(status, fields) => format!("{status} {fields:?}"),
            other => format!("{other:?}").split('(').next().unwrap_or_default().to_lowercase(),
        };
        *counts.entry(format!("{deed} {outcome}")).or_default() += 1;
    }
    counts
}

/// Of other numbers it must hold as well; what the clients want is the same in each run, and when they want it is not.
#[rocket::async_test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_so_though_the_server_is_killed() {
    history_is_right(7308).await;
}
