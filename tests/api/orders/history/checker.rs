//! The rules that a history and what is there in the end must keep, whatever order things were done in. Where the clock leaves it open
//! what came first, a rule is silent: what it complains of cannot have been right. It adds up slowly and asks nobody.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

use super::inventory::{Inventory, bare_addresses, capacity, is_of};
use super::record::{Deed, History, Hold, Outcome, Seen, Size};
use super::{refusals, trail};

/// All that is wrong.
pub fn complaints(history: &History, inventory: &Inventory) -> Vec<String> {
    let vms = history.vms();
    let rules: [Vec<String>; 8] = [
        given_twice(history, &vms),
        given_while_held(history, &vms),
        oversubscribed(&vms, inventory),
        lost(&vms, inventory),
        undone(history, &vms, inventory),
        half_made(history, inventory),
        trail::complaints(history, inventory),
        refusals::complaints(history, &vms, inventory),
    ];
    rules.concat()
}

/// What only one can have at a time.
fn exclusive(history: &History, vms: &[Hold<Seen>]) -> Vec<Hold<String>> {
    let of_vm = |hold: &Hold<Seen>| {
        let vm = &hold.what;
        let ips = vm.addresses.iter().map(|ip| format!("the address {ip}"));
        let macs = vm.macs.iter().map(|mac| format!("the MAC address {mac}"));
        let apart = vm.group.iter().map(|group| format!("the place of {group} on {}", vm.hypervisor));
        let all: Vec<String> = ips.chain(macs).chain(apart).chain([format!("the name {}", vm.name)]).collect();
        all.into_iter()
            .map(|what| Hold { what, by: hold.by.clone(), sure: hold.sure, perhaps: hold.perhaps })
            .collect::<Vec<_>>()
    };
    let floating =
        history.floating().into_iter().map(|hold| Hold { what: format!("the address {}", hold.what), ..hold });
    vms.iter().flat_map(of_vm).chain(floating).collect()
}

/// No address, MAC address, name, or place of a group that stays apart is two VMs' at the same time.
fn given_twice(history: &History, vms: &[Hold<Seen>]) -> Vec<String> {
    let mut holds: BTreeMap<String, Vec<Hold<String>>> = BTreeMap::new();
    for hold in exclusive(history, vms) {
        holds.entry(hold.what.clone()).or_default().push(hold);
    }
    let mut wrong = Vec::new();
    for holds in holds.values() {
        for (place, one) in holds.iter().enumerate() {
            let met = holds.iter().skip(place + 1).filter(|other| one.meets(other));
            wrong.extend(met.map(|other| format!("{} was given to {} and to {}", one.what, one.by, other.by)));
        }
    }
    wrong
}

/// An address of a VM that is deleted is nobody's until the agent of its hypervisor has reported what it read after that.
fn given_while_held(history: &History, vms: &[Hold<Seen>]) -> Vec<String> {
    let heard = history.heard();
    let mut wrong = Vec::new();
    for old in vms.iter().filter(|hold| heard.contains(hold.what.hypervisor.as_str())) {
        let shared = |new: &&Hold<Seen>| new.what.addresses.iter().any(|ip| old.what.addresses.contains(ip));
        // Those that came certainly after it.
        for new in vms.iter().filter(shared).filter(|new| old.sure.0 < new.perhaps.0) {
            let freed = history
                .runs
                .iter()
                .any(|run| run.hypervisor == old.what.hypervisor && run.ended > old.sure.1 && run.began < new.sure.0);
            if !freed {
                wrong.push(format!("{} was given an address that was still held for {}", new.by, old.by));
            }
        }
    }
    wrong
}

fn add(all: Size, more: Size) -> Size {
    Size {
        cores: all.cores + more.cores,
        ram_bytes: all.ram_bytes + more.ram_bytes,
        disk_bytes: all.disk_bytes + more.disk_bytes,
    }
}

/// Whether so much fits into that.
pub fn fits(taken: Size, capacity: Size) -> bool {
    taken.cores <= capacity.cores && taken.ram_bytes <= capacity.ram_bytes && taken.disk_bytes <= capacity.disk_bytes
}

/// The sum of some VMs.
pub fn sum<'s>(vms: impl Iterator<Item = &'s Hold<Seen>>) -> Size {
    vms.fold(Size::default(), |all, hold| add(all, hold.what.size))
}

/// At no moment had a hypervisor more than it can take, nor has it now.
fn oversubscribed(vms: &[Hold<Seen>], inventory: &Inventory) -> Vec<String> {
    let mut wrong = Vec::new();
    for hypervisor in &inventory.hypervisors {
        let (name, capacity) = (hypervisor["node"]["fqdn"].as_str().expect("a name"), capacity(hypervisor));
        let own: Vec<&Hold<Seen>> = vms.iter().filter(|hold| hold.what.hypervisor == name).collect();
        // A sum grows only when a VM has come.
        for moment in own.iter().map(|hold| hold.sure.0) {
            let there = own.iter().copied().filter(|hold| hold.sure.0 <= moment && moment < hold.sure.1);
            let taken = sum(there);
            if !fits(taken, capacity) {
                wrong.push(format!("{name} had {taken:?} of {capacity:?} at {moment}"));
            }
        }
        let number = |object: &Value, field: &str| object[field].as_f64().expect("a number");
        let now =
            inventory.vms.iter().filter(|vm| vm["hypervisor"]["fqdn"] == name).fold(Size::default(), |all, vm| {
                let id = vm["id"].as_i64().expect("an id");
                let disks = inventory.volumes.iter().filter(|volume| is_of(volume, id));
                let disk_bytes = disks.map(|volume| number(volume, "size_bytes")).sum();
                add(all, Size { cores: number(vm, "cores"), ram_bytes: number(vm, "ram_bytes"), disk_bytes })
            });
        let left = inventory.tombstones.iter().filter(|left| left["hypervisor"]["fqdn"] == name);
        let kept = left.filter_map(|left| left["size_bytes"].as_f64()).sum::<f64>();
        let now = Size { disk_bytes: now.disk_bytes + kept, ..now };
        if !fits(now, capacity) {
            wrong.push(format!("{name} has {now:?} of {capacity:?}"));
        }
    }
    wrong
}

/// What was made is there as it was shown, unless somebody wanted it gone.
fn lost(vms: &[Hold<Seen>], inventory: &Inventory) -> Vec<String> {
    let mut wrong = Vec::new();
    for hold in vms.iter().filter(|hold| hold.sure.1 == super::record::EVER) {
        match inventory.vms.iter().find(|vm| vm["id"] == json!(hold.what.id)) {
            None => wrong.push(format!("{} was made and is lost", hold.by)),
            Some(vm) => {
                let now = seen(vm, inventory);
                // A floating IP may have been given back.
                if (Seen { floating: hold.what.floating.clone(), ..now.clone() }) != hold.what {
                    wrong.push(format!("{} was {:?} and is {now:?}", hold.by, hold.what));
                }
            }
        }
    }
    wrong
}

/// A VM with what hangs on it, as a client sees it.
pub fn seen(vm: &Value, inventory: &Inventory) -> Seen {
    let id = vm["id"].as_i64().expect("an id");
    let interfaces = || inventory.interfaces.iter().filter(|interface| is_of(interface, id));
    let number = |object: &Value, field: &str| object[field].as_f64().expect("a number");
    let disks = inventory.volumes.iter().filter(|volume| is_of(volume, id));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Seen {
        id,
        name: text(&vm["name"]),
        hypervisor: text(&vm["hypervisor"]["fqdn"]),
        size: Size {
            cores: number(vm, "cores"),
            ram_bytes: number(vm, "ram_bytes"),
            disk_bytes: disks.map(|volume| number(volume, "size_bytes")).sum(),
        },
        group: vm["group"]["key"].as_str().and_then(|key| key.split('/').next_back()).map(str::to_owned),
        addresses: interfaces().flat_map(bare_addresses).collect(),
        macs: interfaces().map(|interface| text(&interface["mac"])).collect(),
        floating: inventory.floating.iter().filter(|ip| is_of(ip, id)).map(|ip| text(&ip["ip"])).collect(),
    }
}

/// What was deleted is gone for good; it was deleted once, and nobody was told that what was there is not.
fn undone(history: &History, vms: &[Hold<Seen>], inventory: &Inventory) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut deleted = BTreeSet::new();
    for event in &history.events {
        let (Deed::Delete(id) | Deed::Power(id, _)) = event.deed else { continue };
        let is_delete = matches!(event.deed, Deed::Delete(_));
        match &event.outcome {
            Outcome::Done(_) | Outcome::Found(_) | Outcome::Unknown if is_delete => {
                if event.is_acknowledged() && !deleted.insert(id) {
                    wrong.push(format!("VM {id} was deleted twice, the second time by {}", event.id));
                }
                if inventory.vms.iter().any(|vm| vm["id"] == json!(id)) {
                    wrong.push(format!("VM {id} was deleted by {} and is there", event.id));
                }
            }
            Outcome::Refused(404, _) => {
                let there = vms.iter().filter(|hold| hold.what.id == id);
                for hold in there.filter(|hold| hold.sure.0 < event.began && event.ended < hold.sure.1) {
                    wrong.push(format!("{} was told that there is no {}", event.id, hold.by));
                }
            }
            _ => {}
        }
    }
    for event in &history.events {
        let Deed::Release(ip) = &event.deed else { continue };
        let sure = history.floating().into_iter().any(|hold| hold.what == *ip && hold.perhaps.1 > event.ended);
        let there = inventory.floating.iter().any(|floating| floating["ip"] == json!(ip));
        if event.is_acknowledged() && there && !sure {
            wrong.push(format!("{ip} was given back by {} and is there", event.id));
        }
    }
    wrong
}

/// Each VM has one interface with an address of each family and one volume; nothing is left of one that is gone, and nothing is there
/// that nobody has made.
fn half_made(history: &History, inventory: &Inventory) -> Vec<String> {
    let mut wrong = Vec::new();
    let made: BTreeSet<i64> = history.events.iter().flat_map(|event| event.made().iter().map(|vm| vm.id)).collect();
    let families = inventory.families();
    for vm in &inventory.vms {
        let id = vm["id"].as_i64().expect("an id");
        let shape = (
            inventory.interfaces.iter().filter(|interface| is_of(interface, id)).count(),
            inventory.interfaces.iter().filter(|one| is_of(one, id)).flat_map(bare_addresses).count(),
            inventory.volumes.iter().filter(|volume| is_of(volume, id)).count(),
        );
        if shape != (1, families, 1) {
            wrong.push(format!("VM {id} is half made: {shape:?} interfaces, addresses, volumes"));
        }
        if !made.contains(&id) {
            wrong.push(format!("VM {id} is there, and nobody was told so: {}", vm["labels"]));
        }
    }
    for (list, name) in [(&inventory.interfaces, "interface"), (&inventory.volumes, "volume")] {
        let orphan = |object: &&Value| !inventory.vms.iter().any(|vm| vm["id"] == object["vm"]["id"]);
        wrong.extend(list.iter().filter(orphan).map(|object| format!("{name} {} is of no VM", object["id"])));
    }
    let mut floating: BTreeMap<&str, usize> = BTreeMap::new();
    for ip in &inventory.floating {
        *floating.entry(ip["ip"].as_str().expect("an address")).or_default() += 1;
    }
    let holds = history.floating();
    for hold in holds.iter().filter(|hold| hold.sure.1 == super::record::EVER) {
        if floating.remove(hold.what.as_str()) != Some(1) {
            wrong.push(format!("the floating IP {} of {} is lost", hold.what, hold.by));
        }
    }
    wrong.extend(floating.keys().map(|ip| format!("the floating IP {ip} is there, and nobody was told so")));
    wrong
}
