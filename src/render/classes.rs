//! Which classes (Puppet) or states (Salt) a document asks for.

use serde_json::Value;
use std::collections::BTreeSet;

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

/// What each class reads of a document, as JSON pointers.
const READS: [(&str, &[&str]); 5] = [
    ("virtapi", &["/node", "/roles"]),
    // The uplinks of VLANs are the node's interfaces, and disks in pools name the monitors.
    ("virtapi::hypervisor", &["/hypervisor", "/node/interfaces", "/node/bonds", "/ceph/clusters"]),
    ("virtapi::ceph", &["/ceph"]),
    ("virtapi::ceph::mon", &["/ceph/mon", "/ceph/clusters"]),
    ("virtapi::ceph::osd", &["/ceph/osds", "/ceph/clusters"]),
];

/// Which classes of Puppet a change at this place concerns, of those that the document asks for before or after it.
pub fn concerned(path: &str, trees: [&Value; 2]) -> Vec<String> {
    let is_below =
        |path: &str, top: &str| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let reads = |class: &str| {
        let (_, places) = READS.iter().find(|(name, _)| *name == class)?;
        places.iter().find(|place| is_below(path, place) || is_below(place, path))
    };
    let asked: BTreeSet<String> = trees.into_iter().flat_map(|tree| classes(tree, "::")).collect();
    asked.into_iter().filter(|class| reads(class).is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_class_is_concerned_by_what_it_reads() {
        let all = json!({"roles": ["hypervisor", "ceph_mon", "ceph_osd"], "ceph": {}});
        let none = json!({"roles": []});
        for (class, places) in READS {
            assert!(classes(&all, "::").any(|asked| asked == class), "{class} is no class");
            for place in places {
                for path in [(*place).to_owned(), format!("{place}/x")] {
                    assert!(concerned(&path, [&none, &all]).contains(&class.to_owned()), "{class} {path}");
                }
            }
        }
        assert_eq!(concerned("/ceph", [&all, &none]).len(), 4);
        assert_eq!(concerned("/nodes", [&all, &all]), [""; 0]);
        assert_eq!(concerned("/hypervisor/vms/x", [&none, &none]), [""; 0]);
    }
}
