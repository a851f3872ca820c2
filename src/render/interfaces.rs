//! The interfaces of a node and of the VMs on it, each with its VLANs and addresses.

use serde_json::{Value, json};
use std::collections::HashMap;

use crate::render::rows::{Address, Interface, Rows};

/// A VLAN as a tree.
pub fn vlan(name: &str, tag: Option<i32>, vni: Option<i32>) -> Value {
    json!({"name": name, "tag": tag, "vni": vni})
}

/// All of them.
pub struct Interfaces<'r> {
    node: Vec<&'r Interface>,
    by_vm: HashMap<i64, Vec<&'r Interface>>,
    vlans: HashMap<i64, Vec<Value>>,
    addresses: HashMap<i64, Vec<&'r Address>>,
    /// By the VM to which they are routed.
    floating: HashMap<i64, Vec<&'r str>>,
}

/// One of a VM, with what is routed to it.
pub struct OfVm<'a> {
    /// The interface.
    pub interface: &'a Interface,
    /// Its own addresses.
    pub own: &'a [&'a Address],
    /// Floating IPs: only the first interface has them.
    pub floating: &'a [&'a str],
}

impl OfVm<'_> {
    /// All its addresses, with prefix lengths.
    pub fn addresses(&self) -> Vec<&str> {
        self.own.iter().map(|address| address.ip.as_str()).chain(self.floating.iter().copied()).collect()
    }

    /// The largest packet: in the smallest of its networks, every one fits.
    pub fn mtu(&self) -> Option<i32> {
        self.own.iter().filter_map(|address| address.mtu).min()
    }
}

impl<'r> Interfaces<'r> {
    /// Those of these rows.
    pub fn new(rows: &'r Rows) -> Self {
        let mut all = Self {
            node: vec![],
            by_vm: HashMap::new(),
            vlans: HashMap::new(),
            addresses: HashMap::new(),
            floating: HashMap::new(),
        };
        for interface in &rows.interfaces {
            match interface.vm_id {
                Some(vm) => all.by_vm.entry(vm).or_default().push(interface),
                None => all.node.push(interface),
            }
        }
        for row in &rows.vlans {
            all.vlans.entry(row.interface_id).or_default().push(vlan(&row.name, row.tag, row.vni));
        }
        for row in &rows.addresses {
            all.addresses.entry(row.interface_id).or_default().push(row);
        }
        for row in &rows.floating_ips {
            all.floating.entry(row.vm_id).or_default().push(&row.ip);
        }
        all
    }

    /// Those of the node itself, as trees.
    pub fn of_node(&self) -> Vec<Value> {
        let one = |i: &Interface| {
            let addresses: Vec<&str> = self.own(i.id).iter().map(|address| address.ip.as_str()).collect();
            json!({"name": i.name, "mac": i.mac, "bond": i.bond, "vlans": self.vlans_of(i.id), "addresses": addresses})
        };
        self.node.iter().copied().map(one).collect()
    }

    /// Those of a VM, the first one first.
    pub fn of_vm(&self, vm: i64) -> Vec<OfVm<'_>> {
        let mut floating = self.floating.get(&vm).map_or(&[][..], Vec::as_slice);
        let one = |interface: &&'r Interface| OfVm {
            interface,
            own: self.own(interface.id),
            floating: std::mem::take(&mut floating),
        };
        self.by_vm.get(&vm).into_iter().flatten().map(one).collect()
    }

    /// One of a VM, as a tree.
    pub fn tree_of(&self, of_vm: &OfVm<'_>) -> Value {
        let OfVm { interface: i, .. } = of_vm;
        json!({"name": i.name, "bridge": i.bridge, "mac": i.mac, "vlans": self.vlans_of(i.id),
            "addresses": of_vm.addresses(), "mtu": of_vm.mtu()})
    }

    fn vlans_of(&self, interface: i64) -> &[Value] {
        self.vlans.get(&interface).map_or(&[], Vec::as_slice)
    }

    fn own(&self, interface: i64) -> &[&'r Address] {
        self.addresses.get(&interface).map_or(&[], Vec::as_slice)
    }
}
