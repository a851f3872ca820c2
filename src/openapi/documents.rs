//! The schemas of what agents read, as docs/documents.md describes it. A key that is shown is always present; what is
//! not known is null.

use serde_json::{Map, Value, json};

use crate::openapi::{or_null, refer};

/// All of them, by name.
pub fn schemas() -> Vec<(String, Value)> {
    let mut all = vec![
        ("EncDocument", enc()),
        ("HieraDocument", hiera()),
        ("PillarDocument", object(&[("virtapi", refer("schemas", "NodeDocument"))])),
        (
            "TopsDocument",
            object(&[("environment", json!({"const": "base"})), ("classes", classes("virtapi.hypervisor"))]),
        ),
        ("NodeDocument", node_document()),
    ];
    all.extend(node_parts());
    all.extend(hypervisor_parts());
    all.extend(ceph_parts());
    all.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// An object that always has all of these.
fn object(fields: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({"type": "object", "required": names, "properties": properties})
}

fn list(item: &Value) -> Value {
    json!({"type": "array", "items": item})
}

fn map(value: &Value) -> Value {
    json!({"type": "object", "additionalProperties": value})
}

fn part(name: &str) -> Value {
    refer("schemas", name)
}

fn text() -> Value {
    json!({"type": "string"})
}

fn number() -> Value {
    json!({"type": "integer", "format": "int64"})
}

fn ratio() -> Value {
    json!({"type": "number", "format": "double"})
}

fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn classes(example: &str) -> Value {
    json!({"type": "object", "additionalProperties": {"type": "object"},
        "description": "By name, without parameters: what they need comes by data lookup.",
        "examples": [{"virtapi": {}, example: {}}]})
}

fn roles() -> Value {
    list(&json!({"enum": ["hypervisor", "ceph_mon", "ceph_osd"]}))
}

fn enc() -> Value {
    let mut parameters = object(&[
        ("fqdn", text()),
        ("location", or_null(text())),
        ("state", text()),
        ("roles", roles()),
        ("generation", number()),
    ]);
    parameters["additionalProperties"] = true.into();
    parameters["description"] = "Ours, and the node's own beside them.".into();
    let mut enc = object(&[("classes", classes("virtapi::hypervisor")), ("parameters", parameters)]);
    enc["properties"]["environment"] = json!({"type": "string", "description": "Absent when the node has none."});
    enc
}

fn hiera() -> Value {
    let of_each =
        [("virtapi::meta", part("DocumentMeta")), ("virtapi::node", part("DocumentNode")), ("virtapi::roles", roles())];
    let mut hiera = object(&of_each);
    hiera["description"] =
        "Full keys; those of roles that the node has not are absent. `%{` is escaped for Hiera.".into();
    let named = |prefix: &'static str, fields: Vec<(&'static str, Value)>| {
        fields.into_iter().map(move |(name, schema)| (format!("virtapi::{prefix}::{name}"), schema))
    };
    let of_roles = named("hypervisor", hypervisor_fields()).chain(named(
        "ceph::mon",
        vec![("cluster", text()), ("mon_name", text()), ("address", text()), ("port", number())],
    ));
    let ceph = [
        ("virtapi::ceph::clusters", map(&part("DocumentCephCluster"))),
        ("virtapi::ceph::osd::osds", list(&part("DocumentCephOsd"))),
    ];
    if let Some(properties) = hiera["properties"].as_object_mut() {
        properties.extend(of_roles);
        properties.extend(ceph.map(|(name, schema)| (name.to_owned(), schema)));
    }
    hiera
}

fn node_document() -> Value {
    let mut document = object(&[("meta", part("DocumentMeta")), ("node", part("DocumentNode")), ("roles", roles())]);
    document["description"] = "What a node must be.".into();
    document["properties"]["hypervisor"] = part("DocumentHypervisor");
    document["properties"]["ceph"] = part("DocumentCeph");
    document
}

fn node_parts() -> Vec<(&'static str, Value)> {
    let meta = object(&[
        ("schema", json!({"type": "integer", "description": "The version of this shape."})),
        ("node_id", number()),
        (
            "generation",
            json!({"type": "integer", "format": "int64", "description": "Grows whenever the document could have changed."}),
        ),
        (
            "approved",
            json!({"type": "boolean", "description": "Whether somebody has approved what this generation removes."}),
        ),
        (
            "clusters",
            json!({"type": "object", "additionalProperties": number(), "description": "The generation of each Ceph cluster that is shown."}),
        ),
    ]);
    let vlan = object(&[("name", text()), ("tag", or_null(number())), ("vni", or_null(number()))]);
    let network = object(&[
        ("name", text()),
        ("cidr", or_null(text())),
        ("mtu", or_null(number())),
        ("vlan", or_null(part("DocumentVlan"))),
    ]);
    let network_or_null = || or_null(part("DocumentNetwork"));
    let networks =
        object(&[("management", network_or_null()), ("storage", network_or_null()), ("backup", network_or_null())]);
    let interface = object(&[
        ("name", or_null(text())),
        ("mac", text()),
        ("bond", or_null(text())),
        ("vlans", list(&part("DocumentVlan"))),
        ("addresses", list(&text())),
    ]);
    let bond = object(&[
        ("name", text()),
        ("mode", text()),
        ("interfaces", json!({"type": "array", "items": text(), "description": "The MAC addresses of its members."})),
    ]);
    let node = object(&[
        ("fqdn", text()),
        ("location", or_null(text())),
        ("state", text()),
        ("environment", or_null(text())),
        ("parameters", json!({"type": "object", "description": "Free data."})),
        ("networks", networks),
        ("interfaces", list(&part("DocumentInterface"))),
        ("bonds", list(&bond)),
    ]);
    vec![
        ("DocumentMeta", meta),
        ("DocumentNode", node),
        ("DocumentNetwork", network),
        ("DocumentInterface", interface),
        ("DocumentVlan", vlan),
    ]
}

fn hypervisor_fields() -> Vec<(&'static str, Value)> {
    let vms = json!({"type": "object", "additionalProperties": part("DocumentVm"), "description": "By UUID."});
    vec![
        ("local_storage_bytes", or_null(number())),
        ("local_storage_path", or_null(text())),
        ("vg_name", or_null(text())),
        ("cores", number()),
        ("ram_bytes", number()),
        ("cpu_overcommit_ratio", ratio()),
        ("ram_overcommit_ratio", ratio()),
        ("virt_methods", list(&text())),
        ("vms", vms),
        ("tombstones", part("DocumentTombstones")),
    ]
}

/// What was removed, by UUID: of a volume, where it is, as of one that is there.
fn tombstones() -> Value {
    let not_before =
        || json!({"type": "string", "format": "date-time", "description": "From when on it may be deleted."});
    let vm = object(&[("name", or_null(text())), ("domain", text()), ("not_before", not_before())]);
    let mut volume = object(&[("type", text()), ("not_before", not_before())]);
    for name in ["path", "vg", "lv", "cluster", "pool", "image"] {
        volume["properties"][name] = text();
    }
    object(&[("vms", map(&vm)), ("volumes", map(&volume))])
}

fn hypervisor_parts() -> Vec<(&'static str, Value)> {
    let interface = object(&[
        ("name", or_null(text())),
        ("bridge", json!({"type": "string", "maxLength": 15})),
        ("mac", text()),
        ("vlans", list(&part("DocumentVlan"))),
        ("addresses", list(&text())),
        (
            "mtu",
            json!({"type": ["integer", "null"], "minimum": 68, "maximum": 65535,
                "description": "The smallest of the networks of its addresses; null where none says."}),
        ),
    ]);
    let port = || or_null(number());
    let rule = object(&[
        ("direction", text()),
        ("ethertype", text()),
        ("protocol", text()),
        ("port_range_min", port()),
        ("port_range_max", port()),
        ("remote_ip_prefix", or_null(text())),
    ]);
    let mut vm = object(&[
        ("name", text()),
        ("domain", json!({"type": "string", "description": "Its name in libvirt or LXC."})),
        ("cores", number()),
        ("ram_bytes", number()),
        ("cputime_limit", or_null(number())),
        ("virt_method", text()),
        ("state", text()),
        ("interfaces", list(&part("DocumentVmInterface"))),
        ("volumes", list(&part("DocumentVolume"))),
        (
            "restarts",
            json!({"type": "integer", "minimum": 0, "description": "How often somebody has asked for a restart."}),
        ),
        ("gpus", list(&object(&[("address", text())]))),
        ("security_rules", or_null(list(&rule))),
    ]);
    // Only of a VM that has one.
    vm["properties"]["seed"] = map(&text());
    let time = || json!({"type": "string", "format": "date-time"});
    let snapshot = object(&[("name", text()), ("take_at", time()), ("keep_until", or_null(time()))]);
    let backing = object(&[("name", text()), ("format", text()), ("path", text()), ("checksum", or_null(text()))]);
    vec![
        ("DocumentHypervisor", object(&hypervisor_fields())),
        ("DocumentVm", vm),
        ("DocumentTombstones", tombstones()),
        ("DocumentVmInterface", interface),
        ("DocumentVolume", volume()),
        ("DocumentBacking", backing),
        ("DocumentSnapshot", snapshot),
    ]
}

/// Where a volume is depends on its type.
fn volume() -> Value {
    let limit = || or_null(number());
    let mut volume = object(&[
        ("uuid", uuid()),
        ("type", text()),
        ("size_bytes", number()),
        ("read_iops_limit", limit()),
        ("write_iops_limit", limit()),
        ("read_bps_limit", limit()),
        ("write_bps_limit", limit()),
        ("cache", text()),
        ("backing", or_null(part("DocumentBacking"))),
        ("snapshots", list(&part("DocumentSnapshot"))),
    ]);
    let places = [
        ("path", or_null(text()), "The file of a `qcow2` or `raw` volume."),
        ("vg", or_null(text()), "The volume group of an `lvm` volume."),
        ("lv", text(), "The logical volume of an `lvm` volume."),
        ("cluster", text(), "The Ceph cluster of an `rbd` volume."),
        ("pool", text(), "The pool of an `rbd` volume."),
        ("image", text(), "The image of an `rbd` volume."),
    ];
    for (name, mut schema, description) in places {
        schema["description"] = description.into();
        volume["properties"][name] = schema;
    }
    let mut restore = object(&[("snapshot", text()), ("number", number())]);
    restore["description"] = "Only of one that was to be restored: to which snapshot last, and how often.".into();
    volume["properties"]["restore"] = restore;
    volume["oneOf"] =
        json!([{"required": ["path"]}, {"required": ["vg", "lv"]}, {"required": ["cluster", "pool", "image"]}]);
    volume
}

fn ceph_parts() -> Vec<(&'static str, Value)> {
    let mon =
        |first: &'static str| object(&[(first, text()), ("name", text()), ("address", text()), ("port", number())]);
    let pool = object(&[("name", text()), ("size", number()), ("min_size", number()), ("pg_num", number())]);
    let cluster = object(&[
        ("fsid", uuid()),
        ("public_network", or_null(text())),
        ("cluster_network", or_null(text())),
        ("mons", list(&mon("fqdn"))),
        ("pools", list(&pool)),
    ]);
    let osd = object(&[
        ("cluster", text()),
        ("uuid", uuid()),
        ("device", text()),
        ("db_device", or_null(text())),
        ("device_class", or_null(text())),
    ]);
    let ceph = object(&[
        ("clusters", map(&part("DocumentCephCluster"))),
        ("mon", or_null(mon("cluster"))),
        ("osds", list(&part("DocumentCephOsd"))),
    ]);
    vec![("DocumentCeph", ceph), ("DocumentCephCluster", cluster), ("DocumentCephOsd", osd)]
}
