//! What a hypervisor must be, and what was removed from it.

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::render::interfaces::Interfaces;
use crate::render::rows::{Hypervisor, Rows};
use crate::render::vm::{Vms, add_place, domain, time};

/// As a tree.
///
/// # Errors
/// [`Error::Internal`](crate::error::Error::Internal), when a seed cannot be written.
pub fn tree(hypervisor: &Hypervisor, rows: &Rows, interfaces: &Interfaces<'_>) -> Result<Value> {
    let mut parts = Vms::new(rows, hypervisor, interfaces);
    let vms: Map<_, _> = rows.vms.iter().map(|vm| Ok((vm.uuid.to_string(), parts.tree(vm)?))).collect::<Result<_>>()?;
    let virt_methods: Vec<&str> = rows.virt_methods.iter().map(|method| method.name.as_str()).collect();
    Ok(json!({
        "local_storage_bytes": hypervisor.local_storage_bytes, "local_storage_path": hypervisor.local_storage_path,
        "vg_name": hypervisor.vg_name, "cores": hypervisor.cores, "ram_bytes": hypervisor.ram_bytes,
        "cpu_overcommit_ratio": hypervisor.cpu_overcommit_ratio,
        "ram_overcommit_ratio": hypervisor.ram_overcommit_ratio,
        "virt_methods": virt_methods, "vms": vms, "tombstones": tombstones(rows, hypervisor),
    }))
}

/// What was removed from it, by UUID.
fn tombstones(rows: &Rows, hypervisor: &Hypervisor) -> Value {
    let (mut vms, mut volumes) = (Map::new(), Map::new());
    for row in &rows.tombstones {
        let uuid = row.uuid.to_string();
        if let Some(storage_type) = &row.storage_type {
            let mut volume = json!({"type": storage_type, "not_before": time(&row.not_before)});
            add_place(&mut volume, storage_type, row.number, hypervisor, [&row.cluster, &row.pool]);
            volumes.insert(uuid, volume);
        } else {
            let vm = json!({"name": row.name, "domain": domain(row.number), "not_before": time(&row.not_before)});
            vms.insert(uuid, vm);
        }
    }
    json!({"vms": vms, "volumes": volumes})
}
