//! Where messages may go: to addresses of the internet, and to those networks that the settings add. It is asked when an
//! address is stored, and again when it is connected to, for a name may mean another address by then. It knows
//! addresses and settings, and nobody who is told.

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::Rules;

/// What may be reached.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// Networks that may be reached besides the internet.
    pub networks: Vec<IpNet>,
    /// Whether plain HTTP will do.
    pub http: bool,
}

/// Networks of IPv4 that are no part of the internet: this host, private, shared by a carrier, link-local (where clouds have
/// their metadata), for documentation and benchmarks, 6to4 relays, multicast, reserved (RFC 6890).
const NOT_PUBLIC: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Of IPv6 only `2000::/3` is the internet: neither `::1` nor `fc00::/7`, `fe80::/10`, `ff00::/8`, nor what leads to IPv4
/// (`64:ff9b::/96`).
const PUBLIC: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// And of that not what is for protocols (Teredo among them), for documentation, or leads to IPv4 (6to4).
const NOT_PUBLIC_6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

impl Targets {
    /// An address to which messages may go, as far as it can be seen without asking for the address of a name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, url: &str) -> Result<Url, String> {
        let url =
            Url::parse(url).map_err(|error| format!("must be an address such as https://example.com/hook: {error}"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.http => {}
            _ => return Err("must begin with https://".into()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user or a password".into());
        }
        if url.fragment().is_some() {
            return Err("must not have a fragment".into());
        }
        // However an address was written, here it is as the standard has it.
        let host = url.host_str().unwrap_or_default();
        let allowed = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => self.allows(ip),
            Err(_) => !host.is_empty() && (!is_local(host) || self.allows(Ipv4Addr::LOCALHOST.into())),
        };
        if allowed { Ok(url) } else { Err(NOT_ALLOWED.into()) }
    }

    /// Whether this may be connected to.
    #[must_use]
    pub fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip)) || is_public(ip)
    }
}

/// What is said of an address that may not be reached.
pub const NOT_ALLOWED: &str = "must not lead to a private, local or reserved network";

/// What means this machine, whatever the resolver says of it (RFC 6761).
fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

fn is_public(ip: IpAddr) -> bool {
    let within = |network: IpAddr, length: u8| IpNet::new(network, length).is_ok_and(|network| network.contains(&ip));
    match ip {
        IpAddr::V4(_) => !NOT_PUBLIC.iter().any(|(network, length)| within((*network).into(), *length)),
        IpAddr::V6(_) => {
            within(PUBLIC.0.into(), PUBLIC.1)
                && !NOT_PUBLIC_6.iter().any(|(network, length)| within((*network).into(), *length))
        }
    }
}

/// Asks the system for the addresses of a name, and gives only those that may be connected to.
pub struct Resolver(pub Arc<Rules>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| rules.targets.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("the address of {} {NOT_ALLOWED}", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_inside_is_refused_however_it_is_written() {
        let targets = Targets::default();
        for bad in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://0/",
            "https://10.0.0.1/",
            "https://172.31.255.255/",
            "https://192.168.1.1:8443/x",
            "https://169.254.169.254/latest/meta-data/",
            "https://100.64.0.1/",
            "https://192.0.0.192/",
            "https://198.18.0.1/",
            "https://192.0.2.1/",
            "https://198.51.100.1/",
            "https://203.0.113.1/",
            "https://224.0.0.1/",
            "https://240.0.0.1/",
            "https://255.255.255.255/",
            "https://[::1]/",
            "https://[::]/",
            "https://[fe80::1]/",
            "https://[fd00:ec2::254]/",
            "https://[ff02::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[2002:7f00:1::]/",
            "https://[2001::1]/",
            "https://[2001:db8::1]/",
            "https://[3fff::1]/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://①②⑦.0.0.1/",
        ] {
            assert_eq!(targets.check(bad).err().as_deref(), Some(NOT_ALLOWED), "{bad}");
        }
        for (bad, why) in [
            ("http://example.com/", "https"),
            ("ftp://example.com/", "https"),
            ("file:///etc/passwd", "https"),
            ("gopher://example.com/", "https"),
            ("https://user@example.com/", "user"),
            ("https://user:password@example.com/", "user"),
            ("https://example.com/#part", "fragment"),
            ("https://", "address"),
            ("example.com", "address"),
            ("", "address"),
        ] {
            assert!(targets.check(bad).is_err_and(|error| error.contains(why)), "{bad}");
        }
        for good in ["https://example.com/hook?a=b", "https://8.8.8.8/", "https://[2606:4700::1111]:8443/"] {
            assert!(targets.check(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn settings_add_networks_and_no_more() {
        let network = |text: &str| text.parse().expect("a network");
        let targets = Targets { networks: vec![network("127.0.0.0/8"), network("fd00::/8")], http: true };
        for good in ["http://127.0.0.1:8080/", "https://localhost/", "https://[::ffff:127.0.0.1]/", "http://[fd00::1]/"]
        {
            assert!(targets.check(good).is_ok(), "{good}");
        }
        for bad in ["http://10.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "ftp://127.0.0.1/"] {
            assert!(targets.check(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_is_asked_for_when_it_is_connected_to() {
        let resolve = async |targets: Targets| {
            let name = "localhost".parse().expect("a name");
            let rules = Rules { targets, publishes: false };
            Resolver(Arc::new(rules)).resolve(name).await.map(Iterator::collect::<Vec<_>>)
        };
        let refused = resolve(Targets::default()).await.expect_err("is inside");
        assert!(refused.to_string().contains(NOT_ALLOWED), "{refused}");
        let network = "127.0.0.0/8".parse().expect("a network");
        let found = resolve(Targets { networks: vec![network], http: false }).await.expect("is allowed");
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_ipv4()), "{found:?}");
    }
}
