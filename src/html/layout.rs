//! What every page has around its contents: the navigation, and where style and icon are.

use crate::auth::Actor;
use crate::html::{assets, labels};
use crate::kind::Kind;
use crate::policy;
use crate::resources;

/// The navigation: collections that people look for together. A kind that is not named here stands in the last group.
const GROUPS: &[(&str, &[&str])] = &[
    ("Compute", &["nodes", "hypervisors", "vms", "deleted-vms", "images", "runs"]),
    ("Network", &["interfaces", "bonds", "addresses", "vlans", "networks"]),
    ("Storage", &["volumes", "snapshots", "tombstones"]),
    ("Ceph", &["ceph-clusters", "ceph-mons", "ceph-osds", "ceph-pools"]),
    ("Customers", &["organizations", "environments", "memberships", "teams", "webhooks", "webhook-deliveries"]),
    ("Access", &["users", "tokens", "compilers", "audit-events"]),
    ("Lookup tables", &[]),
];

/// The frame of a page.
pub struct Layout {
    /// The title of the window.
    pub title: String,
    /// Whether it is the start page.
    pub is_home: bool,
    /// The navigation.
    pub groups: Vec<Group>,
    /// What was searched for.
    pub search: String,
    /// Who reads it, if it is known.
    pub reader: Option<String>,
    /// What its forms hold, so that they are known to be ours.
    pub form_token: String,
    /// Where the style is.
    pub style: String,
    /// Where the icon is.
    pub icon: String,
}

/// A part of the navigation.
pub struct Group {
    /// Its heading.
    pub name: &'static str,
    /// Its collections.
    pub links: Vec<Link>,
}

/// A link.
pub struct Link {
    /// What it says.
    pub text: String,
    /// Where it leads.
    pub href: String,
    /// Whether one is already there.
    pub current: bool,
}

impl Link {
    /// A link to somewhere else.
    pub fn new(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { text: text.into(), href: href.into(), current: false }
    }
}

impl Layout {
    /// The frame of a page for somebody who is not known yet: there is nothing to go to.
    pub fn of_stranger(title: &str, form_token: &str) -> Self {
        Self { groups: vec![], form_token: form_token.into(), ..Self::new(title, None, None) }
    }

    /// The frame of a page about a kind, or about none; with the collections that its reader may see, if that is known.
    pub fn new(title: impl Into<String>, current: Option<&dyn Kind>, reader: Option<&Actor>) -> Self {
        let link = |kind: &dyn Kind| Link {
            text: labels::capitalized(&labels::plural(kind)),
            href: collection(kind),
            current: current.is_some_and(|current| current.name() == kind.name()),
        };
        let groups = grouped(reader)
            .into_iter()
            .map(|(name, kinds)| Group { name, links: kinds.into_iter().map(link).collect() });
        Self {
            title: title.into(),
            is_home: false,
            groups: groups.collect(),
            search: String::new(),
            reader: reader.map(|reader| reader.user().unwrap_or(reader.name()).to_owned()),
            form_token: reader.and_then(Actor::form_token).map(|token| token.expose().to_owned()).unwrap_or_default(),
            style: assets::STYLE.href(),
            icon: assets::ICON.href(),
        }
    }
}

/// Where a collection is.
#[must_use]
pub fn collection(kind: &dyn Kind) -> String {
    format!("/v1/{}", kind.name())
}

/// All kinds that somebody may see, in their groups; all that there are, if it is not known who that is.
#[must_use]
pub fn grouped(reader: Option<&Actor>) -> Vec<(&'static str, Vec<&'static dyn Kind>)> {
    let named = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let last = GROUPS.len() - 1;
    let of = |i: usize| -> Vec<&'static dyn Kind> {
        let in_group =
            |kind: &&'static dyn Kind| GROUPS[i].1.contains(&kind.name()) || (i == last && !named(kind.name()));
        let readable = |kind: &&'static dyn Kind| reader.is_none_or(|reader| policy::read(reader, *kind).is_ok());
        let mut kinds: Vec<_> = resources::readable().filter(in_group).filter(readable).collect();
        kinds.sort_by_key(|kind| GROUPS[i].1.iter().position(|name| *name == kind.name()));
        kinds
    };
    let groups = GROUPS.iter().enumerate().map(|(i, (name, _))| (*name, of(i)));
    groups.filter(|(_, kinds)| !kinds.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_navigation_names_every_kind_once() {
        let names: Vec<_> = GROUPS.iter().flat_map(|(_, names)| names.iter()).collect();
        assert!(names.iter().all(|name| resources::kind(name).is_some()));
        assert_eq!(grouped(None).iter().map(|(_, kinds)| kinds.len()).sum::<usize>(), resources::readable().count());
    }
}
