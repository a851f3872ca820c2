//! The rules for what was refused: whoever was told that there is no room, or that something is taken, cannot have been right if even all
//! that may have been held at some moment of the request leaves it. It says nothing of what it cannot decide.

use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

use super::checker::{fits, sum};
use super::inventory::{Inventory, capacity};
use super::record::{Deed, Event, History, Hold, Order, Outcome, Seen, Size};

pub fn complaints(history: &History, vms: &[Hold<Seen>], inventory: &Inventory) -> Vec<String> {
    let refused = |event: &Event| match (&event.deed, &event.outcome) {
        (_, Outcome::Refused(404, _)) | (Deed::Release(_), _) => None,
        (Deed::Order(order), Outcome::Refused(409, fields)) => {
            let case = Case { event, order, history, vms, inventory };
            fields.iter().find_map(|field| case.wrong(field))
        }
        (Deed::Power(id, "reboot"), Outcome::Refused(409, fields)) if *fields == ["state"] => {
            let stops = |other: &Event| {
                matches!(other.deed, Deed::Power(of, "stop") if of == *id)
                    && other.may_count()
                    && other.began < event.ended
            };
            (!history.events.iter().any(stops)).then(|| "it was never stopped".to_owned())
        }
        (_, Outcome::Refused(..)) => Some("that is no answer to it".into()),
        _ => None,
    };
    let told =
        |event: &Event| refused(event).map(|why| format!("{} was refused ({:?}): {why}", event.id, event.outcome));
    history.events.iter().filter_map(told).collect()
}

/// An order that was refused.
struct Case<'c> {
    event: &'c Event,
    order: &'c Order,
    history: &'c History,
    vms: &'c [Hold<Seen>],
    inventory: &'c Inventory,
}

impl Case<'_> {
    /// Why it was not right to refuse it because of this field.
    fn wrong(&self, field: &str) -> Option<String> {
        let had = |is_wrong: bool, what: &str| is_wrong.then(|| what.to_owned());
        match field {
            "hypervisor" => had(self.places() >= self.order.names.len(), "there was room all the time"),
            "address" => {
                had(self.order.address.as_ref().is_some_and(|ip| !self.claimed().contains(ip)), "nobody had it")
            }
            "" => had(self.left("addresses") >= self.order.names.len(), "addresses were left all the time"),
            "assign_floating_ip" => {
                had(self.left("floating") >= self.order.names.len(), "floating IPs were left all the time")
            }
            "name" => {
                let taken = |hold: &Hold<Seen>| self.order.names.contains(&hold.what.name);
                had(!self.around().any(taken), "nobody had that name")
            }
            _ => Some("that is no answer to it".into()),
        }
    }

    /// The VMs that may have been there at some moment of it.
    fn around(&self) -> impl Iterator<Item = &Hold<Seen>> {
        self.vms.iter().filter(|hold| hold.may_meet((self.event.began, self.event.ended)))
    }

    /// How many of those that were ordered would have had room all the time.
    fn places(&self) -> usize {
        let of_group = |hold: &&Hold<Seen>| self.order.group.is_some() && hold.what.group == self.order.group;
        let places = self.inventory.hypervisors.iter().map(|hypervisor| {
            let own = || self.around().filter(|hold| hypervisor["node"]["fqdn"] == hold.what.hypervisor);
            if own().any(|hold| of_group(&hold)) {
                return 0;
            }
            // A hypervisor keeps the volumes of those who are gone: no agent of these has removed any.
            let ever = self.vms.iter().filter(|hold| hypervisor["node"]["fqdn"] == hold.what.hypervisor);
            let kept = sum(ever.filter(|hold| hold.perhaps.0 < self.event.ended));
            let taken = Size { disk_bytes: kept.disk_bytes, ..sum(own()) };
            let (size, all) = (self.order.size, capacity(hypervisor));
            let with = |count: f64| Size {
                cores: size.cores.mul_add(count, taken.cores),
                ram_bytes: size.ram_bytes.mul_add(count, taken.ram_bytes),
                disk_bytes: size.disk_bytes.mul_add(count, taken.disk_bytes),
            };
            let most = if self.order.group.is_some() { 1 } else { self.order.names.len() };
            (1..=most).take_while(|count| fits(with(f64::from(u32::try_from(*count).expect("few"))), all)).count()
        });
        places.sum()
    }

    /// The addresses that may have been somebody's, or held for somebody who is gone, at some moment of it.
    fn claimed(&self) -> BTreeSet<String> {
        let (began, ended) = (self.event.began, self.event.ended);
        let heard = self.history.heard();
        let freed = |hold: &Hold<Seen>| {
            let mut runs = self.history.runs.iter().filter(|run| run.hypervisor == hold.what.hypervisor);
            runs.any(|run| hold.perhaps.1 < run.began && run.ended < began)
        };
        let held = |hold: &&Hold<Seen>| {
            let is_heard = heard.contains(hold.what.hypervisor.as_str());
            hold.may_meet((began, ended)) || (is_heard && hold.perhaps.0 < ended && !freed(hold))
        };
        let fixed = self.vms.iter().filter(held).flat_map(|hold| hold.what.addresses.iter().cloned());
        // Whose guest may still answer by a floating IP that was given back is not known here: it may be held.
        let floating = self.history.floating().into_iter().filter(|hold| hold.perhaps.0 < ended);
        fixed.chain(floating.map(|hold| hold.what)).collect()
    }

    /// How many IPv4 addresses of such subnets were nobody's all the time.
    fn left(&self, purpose: &str) -> usize {
        let claimed = self.claimed();
        let subnets = self.inventory.subnets.iter().filter(|subnet| subnet["purpose"] == purpose);
        subnets.flat_map(given_by).filter(|ip| !claimed.contains(&ip.to_string())).count()
    }
}

/// The IPv4 addresses that a subnet gives away.
pub fn given_by(subnet: &Value) -> Vec<IpAddr> {
    let (network, length) = subnet["cidr"].as_str().and_then(|cidr| cidr.split_once('/')).expect("a network");
    let Ok(IpAddr::V4(network)) = network.parse() else { return Vec::new() };
    let all = 1_u32 << (32 - length.parse::<u32>().expect("a length"));
    let addresses = (1..all - 1).map(|number| IpAddr::V4((u32::from(network) + number).into()));
    addresses.filter(|ip| subnet["gateway"] != ip.to_string()).collect()
}
