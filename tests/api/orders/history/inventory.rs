//! What is there in the end, as the server shows it. It judges nothing.

use serde_json::{Value, json};

/// Every list that the checker reads, whole.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub hypervisors: Vec<Value>,
    pub vms: Vec<Value>,
    pub interfaces: Vec<Value>,
    pub volumes: Vec<Value>,
    pub tombstones: Vec<Value>,
    pub floating: Vec<Value>,
    pub subnets: Vec<Value>,
    pub audit: Vec<Value>,
    pub deliveries: Vec<Value>,
}

impl Inventory {
    /// Reads it: `get` answers a URL with a list.
    pub fn read(get: impl Fn(&str) -> Value) -> Self {
        let all = |list: &str| {
            let (mut items, mut next) = (Vec::new(), Some(format!("/v1/{list}?sort=id&limit=1000")));
            while let Some(url) = next {
                let page = get(&url);
                items.extend(page["items"].as_array().expect("a list").iter().cloned());
                next = page["links"]["next"].as_str().map(str::to_owned);
            }
            items
        };
        Self {
            hypervisors: all("hypervisors"),
            vms: all("vms"),
            interfaces: all("interfaces"),
            volumes: all("volumes"),
            tombstones: all("tombstones"),
            floating: all("floating-ips"),
            subnets: all("subnets"),
            audit: all("audit-events"),
            deliveries: all("webhook-deliveries"),
        }
    }

    /// How many addresses an interface has: one of each subnet.
    pub fn families(&self) -> usize {
        self.subnets.iter().filter(|subnet| subnet["purpose"] == "addresses").count()
    }
}

/// What of a hypervisor its VMs may take.
pub fn capacity(hypervisor: &Value) -> super::record::Size {
    let number = |field: &str| hypervisor[field].as_f64().unwrap_or_default();
    super::record::Size {
        cores: ((number("cores") - number("reserved_cores")) * number("cpu_overcommit_ratio")).floor(),
        ram_bytes: ((number("ram_bytes") - number("reserved_ram_bytes")) * number("ram_overcommit_ratio")).floor(),
        disk_bytes: number("local_storage_bytes"),
    }
}

/// The addresses of an interface, without the lengths of their prefixes.
pub fn bare_addresses(interface: &Value) -> Vec<String> {
    let addresses = interface["addresses"].as_array().into_iter().flatten();
    addresses
        .map(|address| address["ip"].as_str().expect("an address").split('/').next().unwrap_or_default().to_owned())
        .collect()
}

/// Whether an object is of this VM.
pub fn is_of(object: &Value, vm: i64) -> bool {
    object["vm"]["id"] == json!(vm)
}
