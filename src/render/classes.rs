//! Which classes (Puppet) or states (Salt) a document asks for.

use serde_json::Value;

/// Their full names, the parts joined as the tool joins them.
pub fn classes(tree: &Value, separator: &str) -> impl Iterator<Item = String> {
    let has = |role: &str| tree["roles"].as_array().is_some_and(|roles| roles.iter().any(|r| r == role));
    let all: [(&[&str], bool); 5] = [
        (&["virtapi"], true),
        (&["virtapi", "hypervisor"], has("hypervisor")),
        (&["virtapi", "ceph"], tree.get("ceph").is_some()),
        (&["virtapi", "ceph", "mon"], has("ceph_mon")),
        (&["virtapi", "ceph", "osd"], has("ceph_osd")),
    ];
    let named: Vec<String> = all.iter().filter(|(_, wanted)| *wanted).map(|(parts, _)| parts.join(separator)).collect();
    named.into_iter()
}
