//! The document as one flat object of full Hiera keys: each is a parameter of a class of the module.

use serde_json::{Map, Value};

/// Hiera's view of a document.
pub fn view(tree: &Value) -> Value {
    let mut keys = Map::new();
    for name in ["meta", "node", "roles"] {
        keys.insert(format!("virtapi::{name}"), escaped(&tree[name]));
    }
    for (name, value) in tree["hypervisor"].as_object().into_iter().flatten() {
        keys.insert(format!("virtapi::hypervisor::{name}"), escaped(value));
    }
    if let Some(ceph) = tree.get("ceph") {
        keys.insert("virtapi::ceph::clusters".into(), escaped(&ceph["clusters"]));
        for (name, value) in ceph["mon"].as_object().into_iter().flatten() {
            // `$name` is taken in Puppet.
            let name = if name == "name" { "mon_name" } else { name };
            keys.insert(format!("virtapi::ceph::mon::{name}"), escaped(value));
        }
        if ceph["osds"].as_array().is_some_and(|osds| !osds.is_empty()) {
            keys.insert("virtapi::ceph::osd::osds".into(), escaped(&ceph["osds"]));
        }
    }
    keys.into()
}

/// Hiera evaluates `%{…}` in values and in keys; this is how it is told not to.
fn escaped(value: &Value) -> Value {
    let escape = |text: &str| text.replace("%{", "%{literal('%')}{");
    match value {
        Value::String(text) => escape(text).into(),
        Value::Array(items) => items.iter().map(escaped).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (escape(name), escaped(value))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_flat_and_interpolation_is_escaped() {
        let tree = json!({"meta": {"generation": 1}, "node": {"parameters": {"a": "%{x} 100% %%{y}", "%{k}": ["%{"]}}, "roles": [],
            "ceph": {"clusters": {}, "mon": {"name": "st01", "port": 1}, "osds": []}});
        let view = view(&tree);
        let names: Vec<&String> = view.as_object().expect("an object").keys().collect();
        assert_eq!(
            names,
            [
                "virtapi::meta",
                "virtapi::node",
                "virtapi::roles",
                "virtapi::ceph::clusters",
                "virtapi::ceph::mon::mon_name",
                "virtapi::ceph::mon::port"
            ]
        );
        assert_eq!(
            view["virtapi::node"]["parameters"],
            json!({"a": "%{literal('%')}{x} 100% %%{literal('%')}{y}", "%{literal('%')}{k}": ["%{literal('%')}{"]})
        );
    }
}
