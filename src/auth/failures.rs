//! Who shows what is not taken, too often. A false token costs a question to the database, and nobody who means well
//! shows many. It knows addresses, and neither requests nor tokens.

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use quick_cache::sync::Cache;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// How many failures an address has for nothing, and how many more each minute.
const A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);

/// For how long an address with more is refused what has never been good.
pub const HELD: Duration = Duration::from_secs(30);

/// How many addresses are held at a time. The least used is let go first.
const ADDRESSES: usize = 10_000;

/// How many failures are counted before addresses without a recent one are forgotten.
const TIDY_AFTER: usize = 10_000;

/// The failures of all addresses.
pub struct Failures {
    recent: DefaultKeyedRateLimiter<IpAddr>,
    held: Cache<IpAddr, Instant>,
}

impl Failures {
    /// None yet.
    pub fn new() -> Self {
        Self { recent: RateLimiter::keyed(Quota::per_minute(A_MINUTE)), held: Cache::new(ADDRESSES) }
    }

    /// Counts one.
    pub fn note(&self, from: Option<IpAddr>) {
        let Some(address) = from.map(network) else { return };
        if self.recent.len() > TIDY_AFTER {
            self.recent.retain_recent();
        }
        if self.recent.check_key(&address).is_err() {
            tracing::warn!(%address, "shows too many false tokens, and is not listened to for a while");
            self.held.insert(address, Instant::now());
        }
    }

    /// Whether what comes from there, and was never good, is refused without being looked at.
    pub fn hold(&self, from: Option<IpAddr>) -> bool {
        let since = from.and_then(|address| self.held.get(&network(address)));
        since.is_some_and(|since| since.elapsed() < HELD)
    }
}

/// Who has one IPv6 address has a network of them (RFC 6177).
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_fails_too_often_is_held_and_no_other() {
        let failures = Failures::new();
        let address = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        for _ in 0..A_MINUTE.get() {
            failures.note(address("192.0.2.1"));
            assert!(!failures.hold(address("192.0.2.1")));
        }
        // A slow machine gives one more each second.
        for _ in 0..A_MINUTE.get() {
            failures.note(address("192.0.2.1"));
        }
        assert!(failures.hold(address("192.0.2.1")) && failures.hold(address("::ffff:192.0.2.1")));
        assert!(!failures.hold(address("192.0.2.2")) && !failures.hold(None));
        for n in 0..2 * A_MINUTE.get() {
            failures.note(address(&format!("2001:db8::{n:x}")));
        }
        assert!(failures.hold(address("2001:db8::ffff")), "it is one network");
        assert!(!failures.hold(address("2001:db8:0:1::1")));
    }
}
