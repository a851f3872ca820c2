//! What cloud-init in a guest reads: the files of `NoCloud`, as texts. It knows neither who orders a seed nor how it comes to the guest.

use serde_json::{Map, Value, json};
use std::collections::HashSet;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::render::interfaces::OfVm;
use crate::yaml_safe;

/// A VM, as its guest sees it.
pub struct Guest<'r> {
    /// By which cloud-init knows that it is in another machine.
    pub uuid: Uuid,
    /// What people call it.
    pub name: &'r str,
    /// Lines of an `authorized_keys` file.
    pub keys: &'r [&'r str],
    /// What somebody wrote for it.
    pub user_data: Option<&'r str>,
    /// The first one first.
    pub interfaces: &'r [OfVm<'r>],
}

/// The longest label of a host name (RFC 1035), and the longest name that Linux takes (`sethostname(2)`).
const LABEL: usize = 63;
const HOST_NAME: usize = 64;

/// Without it, cloud-init takes the files for no seed.
const NO_USER_DATA: &str = "#cloud-config\n{}\n";

/// The files by name.
///
/// # Errors
/// [`Error::Internal`], when one cannot be written.
pub fn files(guest: &Guest<'_>) -> Result<Value> {
    let meta_data = json!({"instance-id": guest.uuid, "local-hostname": host_name(guest), "public-keys": guest.keys});
    let network_config = json!({"version": 2, "ethernets": ethernets(guest.interfaces)});
    Ok(json!({
        "meta-data": text(&meta_data)?, "network-config": text(&network_config)?,
        "user-data": guest.user_data.unwrap_or(NO_USER_DATA),
    }))
}

fn text(value: &Value) -> Result<String> {
    let bytes = yaml_safe::to_vec_pretty(value).map_err(|error| Error::Internal(error.into()))?;
    String::from_utf8(bytes).map_err(|error| Error::Internal(error.into()))
}

/// The name as a host's (RFC 1123): what no label can hold is a hyphen. Its UUID is one, where nothing is left of the name.
fn host_name(guest: &Guest<'_>) -> String {
    let labels: Vec<String> = guest.name.split('.').map(label).filter(|label| !label.is_empty()).collect();
    let Some(last) = labels.last() else { return guest.uuid.to_string() };
    let all = labels.join(".");
    // An address is no name, and too long a name is one label of it.
    let is_name = all.len() <= HOST_NAME && !last.bytes().all(|byte| byte.is_ascii_digit());
    if is_name { all } else { label(&all.replace('.', "-")) }
}

fn label(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut label = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    label.truncate(LABEL);
    label.trim_end_matches('-').to_owned()
}

/// Each interface by its name in the guest, found by its MAC address.
fn ethernets(interfaces: &[OfVm<'_>]) -> Map<String, Value> {
    let mut families = HashSet::new();
    let one = |(name, of_vm): (String, &OfVm<'_>)| {
        let mut ethernet = json!({"match": {"macaddress": of_vm.interface.mac}, "set-name": name,
            "addresses": of_vm.addresses()});
        if let Some(mtu) = of_vm.mtu() {
            ethernet["mtu"] = mtu.into();
        }
        let routes = routes(of_vm, &mut families);
        if !routes.is_empty() {
            ethernet["routes"] = routes.into();
        }
        (name, ethernet)
    };
    names(interfaces).into_iter().zip(interfaces).map(one).collect()
}

/// What they are called: no two the same, though their rows may say so.
fn names(interfaces: &[OfVm<'_>]) -> Vec<String> {
    let given = |of_vm: &OfVm<'_>| of_vm.interface.name.clone();
    let reserved: HashSet<String> = interfaces.iter().filter_map(given).collect();
    let mut taken = HashSet::new();
    let mut name = |(place, of_vm): (usize, &OfVm<'_>)| {
        let own = given(of_vm).filter(|name| !taken.contains(name));
        let free = |name: &String| !reserved.contains(name) && !taken.contains(name);
        // Each interface takes two names at most, its own and one that was made for it, so one of these is free.
        let mut numbers = place..=place + 2 * interfaces.len();
        let made = || numbers.find_map(|n| Some(format!("eth{n}")).filter(free)).unwrap_or_default();
        let name = own.unwrap_or_else(made);
        taken.insert(name.clone());
        name
    };
    interfaces.iter().enumerate().map(&mut name).collect()
}

/// The ways out by its own addresses, where no interface before has one of that family: what is routed to it, a floating IP,
/// is no address of its network.
fn routes(of_vm: &OfVm<'_>, families: &mut HashSet<bool>) -> Vec<Value> {
    let mut routes = vec![];
    for address in of_vm.own {
        let Some(gateway) = &address.gateway else { continue };
        let is_v6 = gateway.contains(':');
        if families.insert(is_v6) {
            let mut route = json!({"to": if is_v6 { "::/0" } else { "0.0.0.0/0" }, "via": gateway});
            if address.is_gateway_outside {
                route["on-link"] = true.into();
            }
            routes.push(route);
        }
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::rows::{Address, Interface};

    const UUID: Uuid = Uuid::from_u128(0x6f1c_2a34_0000_4000_8000_0000_0000_0001);

    fn interface(name: Option<&str>, n: u8) -> Interface {
        let mac = format!("52:54:00:00:00:{n:02x}").parse().expect("a MAC address");
        Interface { id: n.into(), vm_id: Some(1), name: name.map(Into::into), bridge: None, mac, bond: None }
    }

    fn address(ip: &str, gateway: Option<&str>, mtu: Option<i32>) -> Address {
        let is_gateway_outside = ip.ends_with("/32") && gateway.is_some();
        Address { interface_id: 1, ip: ip.into(), gateway: gateway.map(Into::into), is_gateway_outside, mtu }
    }

    fn named(name: &str) -> Guest<'_> {
        Guest { uuid: UUID, name, keys: &[], user_data: None, interfaces: &[] }
    }

    fn file(guest: &Guest<'_>, name: &str) -> Value {
        let files = files(guest).expect("files");
        serde_json::from_str(files[name].as_str().expect("a text")).expect("JSON")
    }

    /// Of interfaces with their own addresses and what is routed to them.
    fn network(of: &[(Interface, Vec<Address>, &[&str])]) -> Value {
        let own: Vec<Vec<&Address>> = of.iter().map(|(_, own, _)| own.iter().collect()).collect();
        let interfaces: Vec<OfVm<'_>> =
            of.iter().zip(&own).map(|((interface, _, floating), own)| OfVm { interface, own, floating }).collect();
        file(&Guest { interfaces: &interfaces, ..named("a") }, "network-config")
    }

    #[test]
    fn every_name_becomes_the_name_of_a_host() {
        let long = "a".repeat(70);
        let cut = "a".repeat(62);
        for (name, expected) in [
            ("web-1", "web-1"),
            ("Web 1", "web-1"),
            ("Büro München", "b-ro-m-nchen"),
            ("7 of 9", "7-of-9"),
            ("012", "012"),
            ("_a__b_", "a-b"),
            ("-a-", "a"),
            ("web.example.com", "web.example.com"),
            ("..web..", "web"),
            ("10.0.0.1", "10-0-0-1"),
            ("web\n: {x}", "web-x"),
            ("", &UUID.to_string()),
            ("ü 😀", &UUID.to_string()),
            (&long, &long[..63]),
            (&format!("{cut} b"), &cut),
            (&format!("{cut}.{long}"), &cut),
        ] {
            assert_eq!(file(&named(name), "meta-data")["local-hostname"], expected, "{name}");
        }
    }

    #[test]
    fn meta_data_say_who_it_is_and_who_may_log_in() {
        let keys = ["ssh-ed25519 AAAA \"a\": {b}", "ssh-rsa BBBB"];
        let guest = Guest { keys: &keys, ..named("a") };
        assert_eq!(file(&guest, "meta-data"), json!({"instance-id": UUID, "local-hostname": "a", "public-keys": keys}));
        assert_eq!(file(&named("a"), "meta-data")["public-keys"], json!([]));
    }

    #[test]
    fn user_data_are_what_somebody_wrote() {
        let written = "#!/bin/sh\necho \u{85}\t'\"\n\n";
        let seed = files(&Guest { user_data: Some(written), ..named("a") }).expect("files");
        assert_eq!(seed["user-data"], written);
        assert_eq!(files(&named("a")).expect("files")["user-data"], "#cloud-config\n{}\n");
    }

    #[test]
    fn both_families_have_a_way_out() {
        let own = vec![
            address("192.0.2.10/24", Some("192.0.2.1"), Some(1500)),
            address("192.0.2.11/24", Some("192.0.2.1"), Some(1500)),
            address("2001:db8::10/64", Some("2001:db8::1"), Some(1450)),
        ];
        let found = network(&[(interface(Some("wan"), 1), own, &["198.51.100.1/32", "2001:db8:f::1/128"])]);
        let expected = json!({"match": {"macaddress": "52:54:00:00:00:01"}, "set-name": "wan",
            "addresses": ["192.0.2.10/24", "192.0.2.11/24", "2001:db8::10/64", "198.51.100.1/32", "2001:db8:f::1/128"],
            "mtu": 1450,
            "routes": [{"to": "0.0.0.0/0", "via": "192.0.2.1"}, {"to": "::/0", "via": "2001:db8::1"}]});
        assert_eq!(found, json!({"version": 2, "ethernets": {"wan": expected}}));
    }

    #[test]
    fn of_two_interfaces_the_first_that_has_a_gateway_is_the_way_out() {
        let found = network(&[
            (
                interface(None, 1),
                vec![address("10.0.0.5/24", None, None), address("fd00::5/64", Some("fd00::1"), None)],
                &[],
            ),
            (interface(None, 2), vec![address("192.0.2.10/32", Some("192.0.2.1"), Some(9000))], &[]),
            (interface(None, 3), vec![address("10.9.0.5/24", Some("10.9.0.1"), None)], &[]),
        ]);
        let ethernets = &found["ethernets"];
        assert_eq!(ethernets["eth0"]["routes"], json!([{"to": "::/0", "via": "fd00::1"}]));
        assert_eq!(ethernets["eth0"].get("mtu"), None);
        assert_eq!(ethernets["eth1"]["routes"], json!([{"to": "0.0.0.0/0", "via": "192.0.2.1", "on-link": true}]));
        assert_eq!((&ethernets["eth1"]["mtu"], ethernets["eth2"].get("routes")), (&json!(9000), None));
    }

    #[test]
    fn without_addresses_there_are_no_routes() {
        let bare = json!({"match": {"macaddress": "52:54:00:00:00:01"}, "set-name": "eth0", "addresses": []});
        assert_eq!(network(&[(interface(None, 1), vec![], &[])])["ethernets"], json!({"eth0": bare}));
        assert_eq!(network(&[])["ethernets"], json!({}));
    }

    #[test]
    fn no_two_interfaces_have_the_same_name() {
        let names = |of: &[Option<&str>]| -> Vec<String> {
            let rows: Vec<_> = of.iter().zip(1..).map(|(name, n)| (interface(*name, n), vec![], &[][..])).collect();
            network(&rows)["ethernets"].as_object().expect("an object").keys().cloned().collect()
        };
        assert_eq!(names(&[None, Some("lan"), None]), ["eth0", "lan", "eth2"]);
        assert_eq!(names(&[None, Some("eth0"), None]), ["eth1", "eth0", "eth2"]);
        assert_eq!(names(&[Some("lan"), Some("lan")]), ["lan", "eth1"]);
    }
}
