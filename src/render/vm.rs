//! A VM of a hypervisor as a tree, with its volumes; and where what it has is, by which tombstones find it as well.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;

use crate::error::Result;
use crate::render::interfaces::{Interfaces, OfVm};
use crate::render::rows::{Gpu, Hypervisor, Key, Rows, SecurityRule, Vm, Volume};
use crate::render::seed::{self, Guest};

/// What the VMs of a hypervisor have, by the VM's id.
pub struct Vms<'r> {
    interfaces: &'r Interfaces<'r>,
    volumes: HashMap<i64, Vec<Value>>,
    gpus: HashMap<i64, Vec<&'r Gpu>>,
    security_rules: HashMap<i64, Vec<&'r SecurityRule>>,
    keys: HashMap<i64, Vec<&'r Key>>,
}

fn by<Row>(rows: &[Row], vm: impl Fn(&Row) -> i64) -> HashMap<i64, Vec<&Row>> {
    let mut all: HashMap<i64, Vec<&Row>> = HashMap::new();
    for row in rows {
        all.entry(vm(row)).or_default().push(row);
    }
    all
}

impl<'r> Vms<'r> {
    /// All that these rows say.
    pub fn new(rows: &'r Rows, hypervisor: &Hypervisor, interfaces: &'r Interfaces<'r>) -> Self {
        let mut snapshots: HashMap<i64, Vec<Value>> = HashMap::new();
        for row in &rows.snapshots {
            let keep_until = row.keep_until.as_ref().map(time);
            let snapshot = json!({"name": row.name, "take_at": time(&row.take_at), "keep_until": keep_until});
            snapshots.entry(row.volume_id).or_default().push(snapshot);
        }
        let mut volumes: HashMap<i64, Vec<Value>> = HashMap::new();
        for row in &rows.volumes {
            let snapshots = snapshots.remove(&row.id).unwrap_or_default();
            volumes.entry(row.vm_id).or_default().push(volume(row, hypervisor, snapshots));
        }
        Self {
            interfaces,
            volumes,
            gpus: by(&rows.gpus, |row| row.vm_id),
            security_rules: by(&rows.security_rules, |row| row.vm_id),
            keys: by(&rows.keys, |row| row.vm_id),
        }
    }

    /// One of them, with what it has.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::error::Error::Internal), when its seed cannot be written.
    pub fn tree(&mut self, vm: &Vm) -> Result<Value> {
        let interfaces = self.interfaces.of_vm(vm.id);
        let gpus = self.gpus.remove(&vm.id).unwrap_or_default();
        let gpus: Vec<Value> = gpus.into_iter().map(|gpu| json!({"address": gpu.address})).collect();
        // With no rules, a firewall lets nothing in: that is another thing than none.
        let rules = self.security_rules.remove(&vm.id).or(vm.has_firewall.then(Vec::new));
        let rules: Option<Vec<Value>> = rules.map(|rules| rules.into_iter().map(security_rule).collect());
        let shown: Vec<Value> = interfaces.iter().map(|interface| self.interfaces.tree_of(interface)).collect();
        let mut tree = json!({
            "name": vm.name, "domain": domain(vm.id), "cores": vm.cores, "ram_bytes": vm.ram_bytes,
            "cputime_limit": vm.cputime_limit, "virt_method": vm.virt_method, "state": vm.state,
            "restarts": vm.restarts, "gpus": gpus, "security_rules": rules,
            "interfaces": shown, "volumes": self.volumes.remove(&vm.id).unwrap_or_default(),
        });
        if let Some(seed) = self.seed(vm, &interfaces)? {
            tree["seed"] = seed;
        }
        Ok(tree)
    }

    /// For who ordered something of it; cloud-init in any other VM is somebody else's.
    fn seed(&mut self, vm: &Vm, interfaces: &[OfVm<'_>]) -> Result<Option<Value>> {
        let keys = self.keys.remove(&vm.id).unwrap_or_default();
        if vm.user_data.is_none() && keys.is_empty() && !vm.has_flavor {
            return Ok(None);
        }
        let keys: Vec<&str> = keys.into_iter().map(|key| key.public_key.as_str()).collect();
        let user_data = vm.user_data.as_deref();
        seed::files(&Guest { uuid: vm.uuid, name: &vm.name, keys: &keys, user_data, interfaces }).map(Some)
    }
}

fn security_rule(rule: &SecurityRule) -> Value {
    json!({"direction": rule.direction, "ethertype": rule.ethertype, "protocol": rule.protocol,
        "port_range_min": rule.port_range_min, "port_range_max": rule.port_range_max,
        "remote_ip_prefix": rule.remote_ip_prefix})
}

fn volume(row: &Volume, hypervisor: &Hypervisor, snapshots: Vec<Value>) -> Value {
    let mut volume = json!({
        "uuid": row.uuid, "type": row.storage_type, "size_bytes": row.size_bytes,
        "read_iops_limit": row.read_iops_limit, "write_iops_limit": row.write_iops_limit,
        "read_bps_limit": row.read_bps_limit, "write_bps_limit": row.write_bps_limit, "cache": row.cache,
    });
    add_place(&mut volume, &row.storage_type, row.id, hypervisor, [&row.cluster, &row.pool]);
    volume["backing"] = match &row.image {
        Some(name) => json!({"name": name, "format": row.image_format, "path": row.image_path,
            "checksum": row.image_checksum}),
        None => Value::Null,
    };
    volume["snapshots"] = snapshots.into();
    if let Some(snapshot) = &row.restored_from {
        volume["restore"] = json!({"snapshot": snapshot, "number": row.restores});
    }
    volume
}

/// Where a volume is, by its type: a file below the hypervisor's path, a logical volume, an image in a pool.
pub fn add_place(volume: &mut Value, storage_type: &str, id: i64, hypervisor: &Hypervisor, pool: [&Option<String>; 2]) {
    match storage_type {
        "rbd" => {
            let [cluster, pool] = pool;
            volume["cluster"] = json!(cluster);
            volume["pool"] = json!(pool);
            volume["image"] = format!("vol-{id}").into();
        }
        "lvm" => {
            volume["vg"] = json!(hypervisor.vg_name);
            volume["lv"] = format!("vol-{id}").into();
        }
        kind => {
            let path = hypervisor.local_storage_path.as_ref();
            volume["path"] = json!(path.map(|path| format!("{}/vol-{id}.{kind}", path.trim_end_matches('/'))));
        }
    }
}

/// A time as documents show it.
pub fn time(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The name of a VM's domain: unlike its name, it is unique, and stays.
pub fn domain(id: i64) -> String {
    format!("vm-{id}")
}
