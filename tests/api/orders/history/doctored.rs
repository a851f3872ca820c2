//! The checker is tried: with a history that is right, and with the same history doctored in each way that a rule is there for.

use serde_json::{Value, json};

use super::checker::complaints;
use super::inventory::Inventory;
use super::record::{Deed, Event, History, Order, Outcome, Run, Seen, Size};

const SMALL: Size = Size { cores: 2.0, ram_bytes: 2.0, disk_bytes: 2.0 };

/// A VM and what was seen of it.
fn vm(id: i64, hypervisor: &str) -> Seen {
    Seen {
        id,
        name: format!("vm{id}"),
        hypervisor: hypervisor.to_owned(),
        size: SMALL,
        group: None,
        addresses: vec![format!("192.0.2.{id}")],
        macs: vec![format!("52:54:00:00:00:0{id}")],
        floating: Vec::new(),
    }
}

fn event(id: &str, (began, ended): (u64, u64), deed: Deed, outcome: Outcome) -> Event {
    Event { id: id.to_owned(), began, ended, deed, outcome }
}

fn ordered(id: &str, times: (u64, u64), made: Seen) -> Event {
    let order = Order {
        names: vec![made.name.clone()],
        size: made.size,
        group: made.group.clone(),
        address: None,
        assign_floating_ip: !made.floating.is_empty(),
    };
    event(id, times, Deed::Order(order), Outcome::Done(vec![made]))
}

/// An order that was refused because of this field.
fn refused(times: (u64, u64), field: &str, address: Option<&str>) -> Event {
    let address = address.map(str::to_owned);
    let order = Order { names: vec!["other".into()], size: SMALL, address, ..Order::default() };
    event("refused", times, Deed::Order(order), Outcome::Refused(409, vec![field.to_owned()]))
}

fn hypervisor(name: &str) -> Value {
    json!({"node": {"fqdn": name}, "cores": 5, "reserved_cores": 1, "cpu_overcommit_ratio": 1.0, "ram_bytes": 9,
        "reserved_ram_bytes": 0, "ram_overcommit_ratio": 1.0, "local_storage_bytes": 9})
}

/// What the server shows of a VM.
fn shown(vm: &Seen) -> Value {
    json!({"id": vm.id, "name": vm.name, "hypervisor": {"fqdn": vm.hypervisor}, "cores": vm.size.cores,
        "ram_bytes": vm.size.ram_bytes, "group": {"key": vm.group}, "state": "running"})
}

/// A history, and what is there after it.
#[derive(Clone)]
struct Whole(History, Inventory);

impl Whole {
    /// One in which all that was done is recorded and told, and what is there is what was not deleted.
    fn of(events: Vec<Event>, runs: Vec<Run>) -> Self {
        let mut there = Inventory { hypervisors: ["a", "b"].map(hypervisor).into(), ..Inventory::default() };
        there.subnets.push(json!({"cidr": "192.0.2.0/28", "purpose": "addresses"}));
        there.subnets.push(json!({"cidr": "198.51.100.0/30", "purpose": "floating"}));
        let mut whole = Self(History { events: events.clone(), runs }, there);
        for event in &events {
            for vm in event.made() {
                whole.comes(event, vm);
            }
            if let (Deed::Delete(id), Outcome::Done(_)) = (&event.deed, &event.outcome) {
                whole.goes(event, *id);
            }
        }
        whole
    }

    fn comes(&mut self, event: &Event, vm: &Seen) {
        let of = json!({"id": vm.id});
        let addresses: Vec<Value> = vm.addresses.iter().map(|ip| json!({"ip": format!("{ip}/28")})).collect();
        self.1.vms.push(shown(vm));
        self.1.interfaces.push(json!({"id": vm.id, "vm": of, "mac": vm.macs[0], "addresses": addresses}));
        self.1.volumes.push(json!({"id": vm.id, "vm": of, "size_bytes": vm.size.disk_bytes}));
        for collection in ["vms", "interfaces", "addresses", "volumes"] {
            let after = if collection == "vms" { shown(vm) } else { Value::Null };
            self.records(event, collection, vm.id, "create", Value::Null, after);
        }
        for ip in &vm.floating {
            self.1.floating.push(json!({"id": vm.id, "ip": ip, "vm": of}));
            self.records(event, "floating-ips", vm.id, "create", Value::Null, Value::Null);
        }
    }

    fn goes(&mut self, event: &Event, id: i64) {
        let gone = self.1.vms.iter().position(|vm| vm["id"] == id).map(|place| self.1.vms.remove(place));
        self.1.interfaces.retain(|one| one["vm"]["id"] != id);
        self.1.volumes.retain(|one| one["vm"]["id"] != id);
        for collection in ["vms", "interfaces", "addresses", "volumes"] {
            let before = if collection == "vms" { gone.clone().unwrap_or_default() } else { Value::Null };
            self.records(event, collection, id, "delete", before, Value::Null);
        }
        for tombstone in [2 * id, 2 * id + 1] {
            self.records(event, "tombstones", tombstone, "create", Value::Null, Value::Null);
        }
    }

    fn records(&mut self, event: &Event, collection: &str, id: i64, action: &str, before: Value, after: Value) {
        let object = json!({"collection": collection, "object_id": id, "action": action});
        self.1.deliveries.push(object.clone());
        let mut entry = object;
        (entry["message"], entry["before"], entry["after"]) = (event.id.as_str().into(), before, after);
        self.1.audit.push(entry);
    }

    fn complains(&self) -> Vec<String> {
        complaints(&self.0, &self.1)
    }
}

/// Two VMs on one hypervisor whose agent reports, and one with a floating IP on another; the first is deleted, and refused is only what
/// must be.
fn right() -> (Vec<Event>, Vec<Run>) {
    let floating = Seen { floating: vec!["198.51.100.1".into()], ..vm(3, "b") };
    let events = vec![
        ordered("first", (10, 20), vm(1, "a")),
        ordered("second", (15, 25), vm(2, "a")),
        ordered("third", (30, 40), floating),
        refused((50, 60), "address", Some("192.0.2.1")),
        event("gone", (70, 80), Deed::Delete(1), Outcome::Done(Vec::new())),
        event("again", (90, 95), Deed::Delete(1), Outcome::Refused(404, Vec::new())),
    ];
    (events, vec![Run { hypervisor: "a".into(), began: 1, ended: 2 }])
}

fn doctored(change: impl FnOnce(&mut Vec<Event>, &mut Vec<Run>)) -> Whole {
    let (mut events, mut runs) = right();
    change(&mut events, &mut runs);
    Whole::of(events, runs)
}

/// That something like this is among what is wrong.
fn complains_of(whole: &Whole, part: &str) {
    let wrong = whole.complains();
    assert!(wrong.iter().any(|complaint| complaint.contains(part)), "{part}: {wrong:#?}");
}

#[test]
fn a_right_history_is_right() {
    assert_eq!(doctored(|_, _| ()).complains(), Vec::<String>::new());
    // One that was cut off may have been done or not, if it is the one or the other wholly.
    let nothing = |events: &mut Vec<Event>, _: &mut Vec<Run>| {
        let order = Order { names: vec!["cut".into()], size: SMALL, ..Order::default() };
        events.push(event("cut", (81, 82), Deed::Order(order), Outcome::Nothing));
        events.push(event("maybe", (81, 82), Deed::Power(2, "stop"), Outcome::Unknown));
        // No agent reports on this one, so its address is free at once.
        events.push(event("end", (83, 84), Deed::Delete(3), Outcome::Done(Vec::new())));
        events.push(ordered("fourth", (85, 86), Seen { addresses: vec!["192.0.2.3".into()], ..vm(4, "b") }));
    };
    assert_eq!(doctored(nothing).complains(), Vec::<String>::new());
}

#[test]
fn what_is_given_twice_is_seen() {
    for (what, other) in [
        ("the address 192.0.2.2", Seen { addresses: vec!["192.0.2.2".into()], ..vm(4, "b") }),
        ("the MAC address 52:54:00:00:00:02", Seen { macs: vec!["52:54:00:00:00:02".into()], ..vm(4, "b") }),
        ("the name vm2", Seen { name: "vm2".into(), ..vm(4, "b") }),
        ("the address 198.51.100.1", Seen { floating: vec!["198.51.100.1".into()], ..vm(4, "b") }),
        ("the address 198.51.100.1", Seen { addresses: vec!["198.51.100.1".into()], ..vm(4, "b") }),
    ] {
        complains_of(
            &doctored(|events, _| events.push(ordered("fourth", (61, 62), other))),
            &format!("{what} was given"),
        );
    }
    let apart = |id| Seen { group: Some("apart".into()), ..vm(id, "b") };
    let beside = doctored(|events, _| {
        events[2] = ordered("third", (30, 40), apart(3));
        events.push(ordered("fourth", (61, 62), apart(4)));
    });
    complains_of(&beside, "the place of apart on b was given");
    // Even when both are gone in the end.
    let gone = doctored(|events, _| {
        events.push(ordered("fourth", (61, 62), Seen { addresses: vec!["192.0.2.1".into()], ..vm(4, "b") }));
        events.push(event("end", (96, 97), Deed::Delete(4), Outcome::Done(Vec::new())));
    });
    complains_of(&gone, "the address 192.0.2.1 was given");
}

#[test]
fn what_is_given_while_it_is_held_is_seen() {
    let taken = |runs_after: Option<(u64, u64)>| {
        doctored(|events, runs| {
            events.push(ordered("fourth", (85, 86), Seen { addresses: vec!["192.0.2.1".into()], ..vm(4, "b") }));
            runs.extend(runs_after.map(|(began, ended)| Run { hypervisor: "a".into(), began, ended }));
        })
    };
    complains_of(&taken(None), "still held");
    complains_of(&taken(Some((87, 88))), "still held");
    assert_eq!(taken(Some((82, 83))).complains(), Vec::<String>::new());
}

#[test]
fn what_is_oversubscribed_is_seen() {
    complains_of(&doctored(|events, _| events.push(ordered("fourth", (61, 62), vm(4, "a")))), "a had Size");
    // What is there now is added up as well.
    let mut whole = doctored(|_, _| ());
    whole.1.volumes[0]["size_bytes"] = 10.into();
    complains_of(&whole, "a has Size");
}

#[test]
fn what_is_lost_or_comes_again_is_seen() {
    let mut lost = doctored(|_, _| ());
    lost.1.vms.retain(|vm| vm["id"] != 2);
    complains_of(&lost, "was made and is lost");
    let mut moved = doctored(|_, _| ());
    moved.1.vms[0]["hypervisor"]["fqdn"] = "b".into();
    complains_of(&moved, "and is Seen");
    let mut undone = doctored(|_, _| ());
    undone.1.vms.push(shown(&vm(1, "a")));
    complains_of(&undone, "was deleted by gone and is there");
    let twice = doctored(|events, _| events[5].outcome = Outcome::Done(Vec::new()));
    complains_of(&twice, "was deleted twice");
    let denied = doctored(|events, _| (events[5].began, events[5].ended) = (61, 62));
    complains_of(&denied, "was told that there is no VM 1");
    let mut floating = doctored(|_, _| ());
    floating.1.floating.clear();
    complains_of(&floating, "198.51.100.1 of third is lost");
    let release = event("release", (61, 62), Deed::Release("198.51.100.1".into()), Outcome::Done(Vec::new()));
    complains_of(&doctored(|events, _| events.push(release)), "was given back by release and is there");
}

#[test]
fn what_is_half_made_is_seen() {
    for part in ["interfaces", "addresses", "volumes"] {
        let mut whole = doctored(|_, _| ());
        match part {
            "interfaces" => drop(whole.1.interfaces.remove(0)),
            "volumes" => drop(whole.1.volumes.remove(0)),
            _ => whole.1.interfaces[0]["addresses"] = json!([]),
        }
        complains_of(&whole, "is half made");
    }
    let mut orphan = doctored(|_, _| ());
    orphan.1.volumes.push(json!({"id": 9, "vm": {"id": 1}, "size_bytes": 2}));
    complains_of(&orphan, "volume 9 is of no VM");
    let mut unasked = doctored(|_, _| ());
    unasked.1.vms.push(shown(&vm(9, "b")));
    complains_of(&unasked, "VM 9 is there, and nobody was told so");
    let mut unasked = doctored(|_, _| ());
    unasked.1.floating.push(json!({"id": 9, "ip": "198.51.100.2", "vm": null}));
    complains_of(&unasked, "198.51.100.2 is there, and nobody was told so");
}

#[test]
fn what_is_recorded_or_told_wrongly_is_seen() {
    for wrong in ["missing", "twice"] {
        let (mut recorded, mut told) = (doctored(|_, _| ()), doctored(|_, _| ()));
        if wrong == "missing" {
            recorded.1.audit.remove(1);
            told.1.deliveries.remove(1);
        } else {
            recorded.1.audit.push(recorded.1.audit[1].clone());
            told.1.deliveries.push(told.1.deliveries[1].clone());
        }
        complains_of(&recorded, "of first");
        complains_of(&told, "audit events more than messages");
    }
    // A deed that was refused, or cut off halfway.
    let mut half = doctored(|events, _| events[0].outcome = Outcome::Nothing);
    half.records(&ordered("first", (10, 20), vm(1, "a")), "vms", 1, "create", Value::Null, Value::Null);
    complains_of(&half, "of first");
    let unseen = doctored(|events, _| {
        events.push(event("stop", (61, 62), Deed::Power(2, "stop"), Outcome::Done(Vec::new())));
    });
    complains_of(&unseen, "of stop");
    let mut other = doctored(|_, _| ());
    other.1.vms[0]["state"] = "stopped".into();
    complains_of(&other, "and was recorded as");
    let mut broken = doctored(|_, _| ());
    let last = broken.1.audit.iter_mut().find(|entry| entry["action"] == "delete").expect("one");
    last["before"]["state"] = "stopped".into();
    complains_of(&broken, "and then");
}

#[test]
fn what_is_refused_wrongly_is_seen() {
    for (event, part) in [
        // Of the second hypervisor something is left, and so it is of all addresses.
        (refused((61, 62), "hypervisor", None), "there was room all the time"),
        (refused((61, 62), "address", Some("192.0.2.9")), "nobody had it"),
        (refused((61, 62), "", None), "addresses were left"),
        (refused((61, 62), "assign_floating_ip", None), "floating IPs were left"),
        (refused((61, 62), "name", None), "nobody had that name"),
        (refused((61, 62), "cores", None), "that is no answer to it"),
        (
            event("reboot", (61, 62), Deed::Power(2, "reboot"), Outcome::Refused(409, vec!["state".into()])),
            "never stopped",
        ),
        (event("broken", (61, 62), Deed::Delete(2), Outcome::Refused(500, Vec::new())), "that is no answer to it"),
    ] {
        complains_of(&doctored(|events, _| events.push(event)), part);
    }
    // With one more on the second hypervisor there is none left, whether that came before or during the request.
    for times in [(41, 42), (61, 64)] {
        let full = doctored(|events, _| {
            events.push(ordered("fourth", times, vm(4, "b")));
            events.push(refused((62, 65), "hypervisor", None));
        });
        assert_eq!(full.complains(), Vec::<String>::new());
    }
}
