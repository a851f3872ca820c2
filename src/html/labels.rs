//! What people call things: kinds, columns, objects. It knows names and columns, and neither rows nor requests.

use serde_json::Value;

use crate::column::{Column, text};
use crate::directory;
use crate::kind::Kind;
use crate::natural_key;

/// Words of the API that people write in another way.
const SPELLED: &[(&str, &str)] = &[
    ("bps", "bytes/s"),
    ("ceph", "Ceph"),
    ("cidr", "CIDR"),
    ("cpu", "CPU"),
    ("cputime", "CPU time"),
    ("db", "DB"),
    ("fqdn", "FQDN"),
    ("fsid", "FSID"),
    ("id", "ID"),
    ("iops", "IOPS"),
    ("ip", "IP"),
    ("mac", "MAC"),
    ("mtu", "MTU"),
    ("num", "number"),
    ("osd", "OSD"),
    ("osds", "OSDs"),
    ("pg", "PG"),
    ("ram", "RAM"),
    ("uuid", "UUID"),
    ("vg", "volume group"),
    ("virt", "virtualization"),
    ("vlan", "VLAN"),
    ("vlans", "VLANs"),
    ("vm", "VM"),
    ("vms", "VMs"),
    ("vni", "VNI"),
];

fn spelled(name: &str) -> String {
    let word = |word| SPELLED.iter().find(|(written, _)| *written == word).map_or(word, |(_, spelled)| *spelled);
    name.split(['-', '_']).map(word).collect::<Vec<_>>().join(" ")
}

/// With a capital at the beginning.
#[must_use]
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Many of a kind, within a sentence: `VMs`, `node states`.
#[must_use]
pub fn plural(kind: &dyn Kind) -> String {
    spelled(kind.name())
}

/// One of a kind, within a sentence: `VM`, `node state`.
#[must_use]
pub fn singular(kind: &dyn Kind) -> String {
    let name = kind.name();
    if let Some(stem) = name.strip_suffix("ies") {
        return spelled(&format!("{stem}y"));
    }
    let ending = if name.ends_with("sses") { "es" } else { "s" };
    spelled(name.strip_suffix(ending).unwrap_or(name))
}

/// A column's heading.
#[must_use]
pub fn column(column: &Column) -> String {
    let name = match column.name {
        "created_at" => "created",
        "updated_at" => "updated",
        name => name.strip_suffix("_bytes").unwrap_or(name),
    };
    capitalized(&spelled(name))
}

/// The column by which people tell the objects of a kind apart in a table: a name, where the natural key is a UUID; of
/// two columns the one that is the object's own.
#[must_use]
pub fn primary(kind: &dyn Kind) -> &'static Column {
    let name = kind.key().last().copied().unwrap_or_default();
    directory::name_column(kind).or_else(|| Column::named(kind.columns(), name)).unwrap_or(&Column::ID)
}

/// What an object is called at the head of its page.
#[must_use]
pub fn title(kind: &dyn Kind, item: &Value) -> String {
    directory::name_column(kind).map_or_else(|| natural_key::of(kind, item), |column| text(&item[column.name]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{self, KINDS};

    #[test]
    fn kinds_and_columns_read_like_english() {
        let kind = |name| resources::kind(name).expect("a kind");
        assert_eq!(plural(kind("vms")), "VMs");
        assert_eq!(singular(kind("addresses")), "address");
        assert_eq!(singular(kind("ceph-osds")), "Ceph OSD");
        assert_eq!(singular(kind("cache-options")), "cache option");
        let label = |kind_name, name| column(Column::named(kind(kind_name).columns(), name).expect("a column"));
        assert_eq!(label("vms", "ram_bytes"), "RAM");
        assert_eq!(label("volumes", "read_bps_limit"), "Read bytes/s limit");
        assert_eq!(label("nodes", "management_network"), "Management network");
    }

    #[test]
    fn every_kind_has_a_column_to_tell_its_objects_apart() {
        for kind in KINDS {
            assert_ne!(primary(*kind).name, "id", "{}", kind.name());
        }
        assert_eq!(primary(resources::kind("vms").expect("a kind")).name, "name");
        assert_eq!(primary(resources::kind("ceph-osds").expect("a kind")).name, "device");
    }
}
