//! What things are called in the description: `ceph-osds` has the schema `CephOsd` and the operation `listCephOsds`.

use crate::kind::Kind;

/// The name of one: `CephOsd`.
pub fn singular(kind: &dyn Kind) -> String {
    let many = plural(kind);
    let one = match () {
        () if many.ends_with("ies") => many.strip_suffix("ies").map(|stem| format!("{stem}y")),
        () if many.ends_with("sses") => many.strip_suffix("es").map(str::to_owned),
        () => many.strip_suffix('s').map(str::to_owned),
    };
    one.unwrap_or(many)
}

/// The name of many: `CephOsds`.
pub fn plural(kind: &dyn Kind) -> String {
    kind.name().split('-').map(capitalized).collect()
}

/// In a sentence: `a ceph osd`, `an address`.
pub fn with_article(kind: &dyn Kind) -> String {
    let name = words(&singular(kind));
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// `CephOsd`: `ceph osd`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::KINDS;
    use std::collections::BTreeSet;

    #[test]
    fn one_of_many_is_named_in_english() {
        let names: Vec<_> = KINDS.iter().map(|&kind| singular(kind)).collect();
        for name in ["Node", "Vm", "Address", "CephOsd", "CacheOption"] {
            assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
        }
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), KINDS.len(), "{names:?}");
    }
}
