//! Addresses beside a model that is slow and obviously right: it has a list of all addresses of each subnet, walks it in order, and says
//! which one is given, or that there is none. It remembers what was given back, as long as a guest may still answer by it.

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use rocket::http::{Method, Status};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use virtapi::config::Settings;

use crate::harness::{App, database, rows, sql};
use crate::orders::{order, with};
use crate::relations::demo;
use crate::writes::Dice;

const GIB: i64 = 1 << 30;
const HOST: &str = "h0.example.com";
/// Of the numbers of segments: so few that they soon run out.
const POOL: RangeInclusive<i64> = 100..=103;
/// Of the MAC addresses.
const RANGE: &str = "02:ab:cd:ef:80:00/33";

/// A number of addresses that follow each other, of one family.
#[derive(Clone, Debug)]
struct Subnet {
    name: String,
    network: &'static str,
    floating: bool,
    length: u32,
    /// What it gives away, in order.
    gives: Vec<IpAddr>,
    /// The first and the last of that, and whether the gateway is between.
    first: IpAddr,
    last: IpAddr,
}

fn ip(four: bool, number: u128) -> IpAddr {
    if four { Ipv4Addr::from(u32::try_from(number).unwrap()).into() } else { Ipv6Addr::from(number).into() }
}

impl Subnet {
    /// One of this cidr, and what creates it.
    fn new(
        at: usize,
        (first, length): (&str, u32),
        purpose: &str,
        network: &'static str,
        dice: &mut Dice,
    ) -> (Self, Value) {
        let base: IpAddr = first.parse().unwrap();
        let (four, number) = match base {
            IpAddr::V4(four) => (true, u128::from(u32::from(four))),
            IpAddr::V6(six) => (false, u128::from(six)),
        };
        let count = 1_u128 << (if four { 32 } else { 128 } - length);
        let mut all: Vec<IpAddr> = (0..count).map(|n| ip(four, number + n)).collect();
        let some = |dice: &mut Dice| if count > 1 && dice.below(2) == 0 { dice.pick(&all).copied() } else { None };
        let (gateway, mut from, mut to) = (some(dice), some(dice), some(dice));
        if let (Some(a), Some(b)) = (from, to) {
            (from, to) = (Some(a.min(b)), Some(a.max(b)));
        }
        let name = format!("subnet{at}");
        let body = json!({"name": name, "network": network, "cidr": format!("{first}/{length}"), "purpose": purpose,
            "gateway": gateway, "first": from, "last": to});
        // The first address is that of the network, and with four the last is everybody's, where there are more than two.
        if all.len() > 2 {
            let (low, high) = (all[0], all[all.len() - 1]);
            let is_everybodys = |ip: &IpAddr| (*ip == low && from.is_none()) || (*ip == high && four && to.is_none());
            all.retain(|ip| !is_everybodys(ip));
        }
        all.retain(|ip| from.is_none_or(|from| *ip >= from) && to.is_none_or(|to| *ip <= to));
        let (first, last) = match (all.first(), all.last()) {
            (Some(first), Some(last)) => (*first, *last),
            _ => (base, base),
        };
        all.retain(|ip| Some(*ip) != gateway);
        let floating = purpose == "floating";
        (Self { name, network, floating, length, gives: all, first, last }, body)
    }
}

/// Who has an address.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Claim {
    Somebody,
    /// A guest that may not know yet that it is deprived of it.
    Guest,
    /// Nobody any more.
    Nobody,
}

#[derive(Clone, Default, Debug)]
struct Model {
    subnets: Vec<Subnet>,
    claims: BTreeMap<IpAddr, Claim>,
}

impl Model {
    fn is_free(&self, ip: IpAddr) -> bool {
        self.claims.get(&ip).is_none_or(|claim| *claim == Claim::Nobody)
    }

    /// The one after the highest that is known of, or else the first that is free.
    fn next(&self, subnet: &Subnet) -> Option<IpAddr> {
        let known = self.claims.keys().filter(|ip| **ip >= subnet.first && **ip <= subnet.last).max();
        let free: Vec<IpAddr> = subnet.gives.iter().copied().filter(|ip| self.is_free(*ip)).collect();
        let after = free.iter().find(|ip| known.is_none_or(|known| *ip > known));
        after.or(free.first()).copied()
    }

    /// What an interface gets: an address of each family that its network has; or the status of the refusal.
    fn interface(&mut self, wanted: &Value) -> Result<Vec<String>, u16> {
        let of_network = |subnet: &&Subnet| !subnet.floating && wanted["network"] == subnet.network;
        let own: Vec<Subnet> = self.subnets.iter().filter(of_network).cloned().collect();
        let address: Option<IpAddr> = wanted["address"].as_str().map(|ip| ip.parse().unwrap());
        let mut given = vec![];
        for four in [true, false] {
            let mut of_family: Vec<&Subnet> = own.iter().filter(|subnet| subnet.first.is_ipv4() == four).collect();
            let found = if let Some(address) = address.filter(|address| address.is_ipv4() == four) {
                let subnet = of_family.iter().find(|subnet| subnet.gives.contains(&address)).ok_or(422_u16)?;
                self.is_free(address).then_some((address, subnet.length))
            } else if of_family.is_empty() {
                continue;
            } else {
                if of_family.iter().any(|subnet| wanted["subnet"] == subnet.name) {
                    of_family.retain(|subnet| wanted["subnet"] == subnet.name);
                }
                of_family.iter().find_map(|subnet| Some((self.next(subnet)?, subnet.length)))
            };
            let (ip, length) = found.ok_or(409_u16)?;
            given.push((ip, length));
        }
        for (ip, _) in &given {
            self.claims.insert(*ip, Claim::Somebody);
        }
        Ok(given.into_iter().map(|(ip, length)| format!("{ip}/{length}")).collect())
    }

    fn floating(&mut self, subnet: &Value) -> Option<IpAddr> {
        let mut of = self.subnets.iter().filter(|one| one.floating && (subnet.is_null() || *subnet == one.name));
        let ip = of.find_map(|subnet| self.next(subnet))?;
        self.claims.insert(ip, Claim::Somebody);
        Some(ip)
    }

    fn give_back(&mut self, ip: &str, of_guest: bool) {
        let ip: IpAddr = ip.split('/').next().unwrap().parse().unwrap();
        if of_guest {
            self.claims.insert(ip, Claim::Guest);
        } else {
            self.claims.remove(&ip);
        }
    }
}

const CIDRS: [(&str, u32); 16] = [
    ("192.0.2.8", 32),
    ("192.0.2.10", 31),
    ("192.0.2.12", 30),
    ("192.0.2.16", 29),
    ("198.51.100.0", 28),
    ("203.0.113.248", 29),
    ("255.255.255.248", 30),
    ("255.255.255.254", 31),
    ("0.0.0.0", 30),
    ("2001:db8::8", 128),
    ("2001:db8::a", 127),
    ("2001:db8::c", 126),
    ("2001:db8::10", 125),
    ("2001:db8:1::", 124),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8", 125),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff6", 127),
];

/// One hypervisor with room for all, whose agent is there; two networks; subnets that soon run full.
async fn fleet(app: &App, dice: &mut Dice) -> Model {
    for (list, body) in [
        ("environments", json!({"organization": {"name": "acme", "full_name": "A customer"}, "name": "shop"})),
        ("networks", json!({"name": "blue", "audience": "customers"})),
        ("networks", json!({"name": "green", "audience": "customers"})),
        (
            "hypervisors",
            json!({"node": {"fqdn": HOST, "state": "running"}, "cores": 4000, "ram_bytes": 4000 * GIB, "virt_methods": ["KVM"],
            "local_storage_path": "/srv", "local_storage_bytes": 40000 * GIB}),
        ),
        (
            "flavors",
            json!({"name": "small", "cores": 1, "ram_bytes": GIB, "disk_bytes": GIB, "virt_method": "KVM", "storage_type": "qcow2"}),
        ),
    ] {
        app.post(&format!("/v1/{list}"), body).await.is(Status::Created);
    }
    let mut model = Model::default();
    let mut left = CIDRS.to_vec();
    for at in 0..7 {
        let cidr = left.swap_remove(usize::try_from(dice.below(left.len() as u64)).unwrap());
        let purpose = if at < 2 { "floating" } else { "addresses" };
        let network = if at % 3 == 0 { "blue" } else { "green" };
        let (subnet, body) = Subnet::new(at, cidr, purpose, network, dice);
        app.post("/v1/subnets", body).await.is(Status::Created);
        model.subnets.push(subnet);
    }
    model
}

/// The agent is there, and has applied what it was given.
async fn applied(app: &App, model: &mut Model) {
    let applied = "UPDATE node_observations SET last_report = now(), applied_generation = n.desired_generation FROM nodes n WHERE n.id = node_id";
    sql(&app.dsn, applied).await;
    for claim in model.claims.values_mut().filter(|claim| **claim == Claim::Guest) {
        *claim = Claim::Nobody;
    }
}

/// What there is: VMs, and the addresses of their interfaces; floating IPs, and of whom they are.
#[derive(Default)]
struct There {
    vms: Vec<i64>,
    interfaces: Vec<(i64, i64, Vec<String>)>,
    floating: Vec<(i64, String, Option<i64>)>,
    /// Segments, and their numbers.
    segments: Vec<(i64, i64)>,
}

fn wanted(model: &Model, dice: &mut Dice) -> Value {
    let mut wanted = json!({"network": dice.pick(&["blue", "green"])});
    let own: Vec<&Subnet> =
        model.subnets.iter().filter(|one| wanted["network"] == one.network && !one.floating).collect();
    match (dice.below(4), dice.pick(&own)) {
        (0, Some(subnet)) => wanted["subnet"] = subnet.name.as_str().into(),
        (1, Some(subnet)) => {
            // Of those that it gives away, or about them; at times one of another network.
            let near = [subnet.first, subnet.last, "192.0.2.200".parse().unwrap()];
            let any = if dice.below(3) == 0 { dice.pick(&near) } else { dice.pick(&subnet.gives) };
            wanted["address"] = any.map_or(Value::Null, |ip| ip.to_string().into());
        }
        _ => {}
    }
    if wanted["address"].is_null() {
        wanted.as_object_mut().unwrap().remove("address");
    }
    wanted
}

/// The addresses of the interfaces of a VM that the test does not know yet.
async fn learn(app: &App, there: &mut There, vm: i64, macs: &mut BTreeSet<String>) -> Vec<Vec<String>> {
    let found = app.get(&format!("/v1/interfaces?vm={vm}&sort=id")).await.is(Status::Ok);
    let mut new = vec![];
    for interface in found["items"].as_array().unwrap() {
        let id = interface["id"].as_i64().unwrap();
        if there.interfaces.iter().any(|(known, ..)| *known == id) {
            continue;
        }
        let text = |ip: &Value| ip["ip"].as_str().unwrap().to_owned();
        let ips: Vec<String> = interface["addresses"].as_array().unwrap().iter().map(text).collect();
        let mac = interface["mac"].as_str().unwrap().to_owned();
        assert!(mac.starts_with("02:ab:cd:ef:") && mac[12..14] >= *"80", "{mac} is not in {RANGE}");
        assert!(macs.insert(mac.clone()), "{mac} is another's");
        there.interfaces.push((id, vm, ips.clone()));
        new.push(ips);
    }
    new
}

async fn addresses_are_those_of_the_model(seed: u64) -> (usize, usize) {
    let mut dice = Dice(seed);
    let pool = Some(format!("{}-{}", POOL.start(), POOL.end()));
    // With both it is VNIs.
    let (field, vni_pool) = if dice.below(2) == 0 { ("tag", None) } else { ("vni", pool.clone()) };
    let settings = Settings {
        pool_size: 4,
        request_rate: 0,
        mac_range: RANGE.into(),
        vlan_pool: pool,
        vni_pool,
        ..Settings::default()
    };
    let app = App::with(&database().await, settings).await;
    let mut model = fleet(&app, &mut dice).await;
    let (mut there, mut macs, mut given, mut refused) = (There::default(), BTreeSet::new(), 0, 0);
    applied(&app, &mut model).await;
    for step in 0..60 {
        let what = format!("seed {seed}, step {step}");
        match dice.below(15) {
            0..=2 => {
                let networks: Vec<Value> = (0..=dice.below(2)).map(|_| wanted(&model, &mut dice)).collect();
                let order = json!({"name": format!("vm{step}"), "environment": "acme/shop", "flavor": "small", "networks": networks});
                let mut after = model.clone();
                let expected: Result<Vec<_>, u16> = networks.iter().map(|wanted| after.interface(wanted)).collect();
                let answer = app.post("/v1/vms", order.clone()).await;
                match expected {
                    Ok(addresses) => {
                        let vm = answer.is(Status::Created)["id"].as_i64().unwrap();
                        there.vms.push(vm);
                        assert_eq!(
                            learn(&app, &mut there, vm, &mut macs).await,
                            addresses,
                            "{what}: {order} {model:?}"
                        );
                        (model, given) = (after, given + 1);
                    }
                    Err(status) => {
                        assert_eq!(answer.status, status, "{what}: {order} {} {model:?}", answer.text());
                        refused += 1;
                    }
                }
            }
            3..=4 => {
                let Some(vm) = dice.pick(&there.vms).copied() else { continue };
                let wanted = wanted(&model, &mut dice);
                let expected = model.interface(&wanted);
                let answer = app.post(&format!("/v1/vms/{vm}/attach"), wanted.clone()).await;
                match expected {
                    Ok(addresses) => {
                        answer.is(Status::Ok);
                        assert_eq!(
                            learn(&app, &mut there, vm, &mut macs).await,
                            [addresses],
                            "{what}: {wanted} {model:?}"
                        );
                        given += 1;
                    }
                    Err(status) => {
                        assert_eq!(answer.status, status, "{what}: {wanted} {} {model:?}", answer.text());
                        refused += 1;
                    }
                }
            }
            5..=6 => {
                let subnets: Vec<&str> =
                    model.subnets.iter().filter(|one| one.floating).map(|one| &*one.name).collect();
                let subnet = if dice.below(2) == 0 { Value::Null } else { json!(dice.pick(&subnets)) };
                let vm = if dice.below(2) == 0 { None } else { dice.pick(&there.vms).copied() };
                let body = json!({"environment": "acme/shop", "subnet": subnet, "vm": vm});
                let before = model.clone();
                let expected = model.floating(&subnet);
                let answer = app.post("/v1/floating-ips", body.clone()).await;
                if let Some(ip) = expected {
                    let made = answer.is(Status::Created);
                    assert_eq!(made["ip"], ip.to_string(), "{what}: {body} {before:?}");
                    there.floating.push((made["id"].as_i64().unwrap(), ip.to_string(), vm));
                    given += 1;
                } else {
                    assert_eq!(answer.status, 422, "{what}: {body} {} {before:?}", answer.text());
                    refused += 1;
                }
            }
            7 => {
                if there.vms.is_empty() {
                    continue;
                }
                let at = usize::try_from(dice.below(there.vms.len() as u64)).unwrap();
                let vm = there.vms.swap_remove(at);
                app.json(Method::Delete, &format!("/v1/vms/{vm}"), Value::Null).await.is(Status::NoContent);
                for (.., ips) in there.interfaces.iter().filter(|(_, of, _)| *of == vm) {
                    for ip in ips {
                        model.give_back(ip, true);
                    }
                }
                there.interfaces.retain(|(_, of, _)| *of != vm);
                there.floating.iter_mut().filter(|(.., of)| *of == Some(vm)).for_each(|(.., of)| *of = None);
            }
            8 => {
                if there.interfaces.is_empty() {
                    continue;
                }
                let at = usize::try_from(dice.below(there.interfaces.len() as u64)).unwrap();
                let (id, _, ips) = there.interfaces.swap_remove(at);
                app.json(Method::Delete, &format!("/v1/interfaces/{id}"), Value::Null).await.is(Status::NoContent);
                for ip in &ips {
                    model.give_back(ip, true);
                }
            }
            9 => {
                if there.floating.is_empty() {
                    continue;
                }
                let at = usize::try_from(dice.below(there.floating.len() as u64)).unwrap();
                let (id, ip, of) = there.floating.swap_remove(at);
                app.json(Method::Delete, &format!("/v1/floating-ips/{id}"), Value::Null).await.is(Status::NoContent);
                model.give_back(&ip, of.is_some());
            }
            10..=11 => {
                let mut body = json!({"name": format!("segment{step}")});
                let mut left = POOL.filter(|number| there.segments.iter().all(|(_, taken)| taken != number));
                // One that is given by hand, or the first.
                let number = if dice.below(3) == 0 {
                    let number = dice.pick(&left.collect::<Vec<_>>()).copied();
                    body[field] = json!(number);
                    number
                } else {
                    left.next()
                };
                let answer = app.post("/v1/vlans", body.clone()).await;
                if let Some(number) = number {
                    let made = answer.is(Status::Created);
                    assert_eq!(made[field], number, "{what}: {body} {:?}", there.segments);
                    there.segments.push((made["id"].as_i64().unwrap(), number));
                    given += 1;
                } else {
                    assert_eq!(answer.status, 409, "{what}: {body} {} {:?}", answer.text(), there.segments);
                    refused += 1;
                }
            }
            12 => {
                if there.segments.is_empty() {
                    continue;
                }
                let at = usize::try_from(dice.below(there.segments.len() as u64)).unwrap();
                let (id, _) = there.segments.swap_remove(at);
                app.json(Method::Delete, &format!("/v1/vlans/{id}"), Value::Null).await.is(Status::NoContent);
            }
            _ => applied(&app, &mut model).await,
        }
    }
    app.end().await;
    (given, refused)
}

/// Of other numbers it must hold as well; these are the same in each run, so that a failure is one of the program.
#[rocket::async_test]
async fn every_address_is_the_one_that_a_slow_model_gives() {
    let (mut given, mut refused) = (0, 0);
    for seed in [1, 2, 3, 7, 2026, 7306] {
        let (more, fewer) = addresses_are_those_of_the_model(seed).await;
        (given, refused) = (given + more, refused + fewer);
    }
    assert!(given > 60 && refused > 60, "{given} were given and {refused} refused: that says little");
}

#[rocket::async_test]
async fn an_address_is_held_until_the_agent_has_applied_the_document_without_it() {
    let app = demo().await;
    let vm = app.post("/v1/vms", order()).await.is(Status::Created);
    let of_vm = "FROM vms v JOIN hypervisors h ON h.id = v.hypervisor_id JOIN nodes n ON n.id = h.node_id";
    let of_vm = format!("{of_vm} JOIN interfaces i ON i.vm_id = v.id JOIN addresses a ON a.interface_id = i.id");
    let query = format!("SELECT n.id, host(a.ip) {of_vm} WHERE v.id = {} AND family(a.ip) = 4", vm["id"]);
    let found = rows(&app.dsn, &query).await;
    let [node, address] = found[0].as_slice() else { panic!("{found:?}") };
    let applied = async |generation: &str| {
        let sets = format!("last_report = now(), applied_generation = {generation}");
        sql(
            &app.dsn,
            &format!("UPDATE node_observations SET {sets} FROM nodes n WHERE n.id = node_id AND n.id = {node}"),
        )
        .await;
    };
    let again = with(json!({"name": "web-10", "address": address}));
    applied("n.desired_generation").await;

    // While it is deleted, somebody else changes the same document.
    let raise = format!("UPDATE nodes SET desired_generation = desired_generation + 1 WHERE id = {node}");
    let mut deletes = AsyncPgConnection::establish(&app.dsn).await.expect("connects");
    let id = &vm["id"];
    let delete = format!("BEGIN; DELETE FROM volumes WHERE vm_id = {id}; DELETE FROM vms WHERE id = {id}");
    deletes.batch_execute(&delete).await.expect("deleted");
    sql(&app.dsn, &raise).await;
    deletes.batch_execute(&format!("{raise}; COMMIT")).await.expect("committed");

    // That one has the VM yet.
    applied("n.desired_generation - 1").await;
    app.post("/v1/vms", again.clone()).await.is(Status::Conflict);
    applied("n.desired_generation").await;
    app.post("/v1/vms", again).await.is(Status::Created);
}
