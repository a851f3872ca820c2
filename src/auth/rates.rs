//! How many requests somebody gets answered. What is asked of the database costs the others their answers, so each
//! identity has its share, and so has each address where nobody has to say who it is. It knows actors and addresses, no
//! requests.

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;

use crate::auth::failures::network;
use crate::auth::{Actor, Authority};
use crate::error::{Error, Result};

/// How many seconds' worth of requests may come at once.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

/// How many times as much those with a role get, whose programs bring whole fleets, and compilers, which report for
/// them.
const STAFF: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// How many are counted before those without a recent request are forgotten.
const TIDY_AFTER: usize = 10_000;

/// What is left to each; for all, unless nobody is limited.
pub struct Rates(Option<Limits>);

struct Limits {
    others: DefaultKeyedRateLimiter<String>,
    staff: DefaultKeyedRateLimiter<String>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
}

impl Rates {
    /// So many requests a second for a customer or an address; 0 limits nobody.
    #[must_use]
    pub fn new(a_second: u32) -> Self {
        let quota = |rate: NonZeroU32| Quota::per_second(rate).allow_burst(rate.saturating_mul(BURST));
        Self(NonZeroU32::new(a_second).map(|rate| Limits {
            others: RateLimiter::keyed(quota(rate)),
            staff: RateLimiter::keyed(quota(rate.saturating_mul(STAFF))),
            addresses: RateLimiter::keyed(quota(rate)),
        }))
    }

    /// Takes one of what an actor has, whichever token it shows.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn take(&self, actor: &Actor) -> Result<()> {
        let Some(limits) = &self.0 else { return Ok(()) };
        let limiter = match actor.authority() {
            Authority::Administrator | Authority::Operator | Authority::Auditor | Authority::Compiler(_) => {
                &limits.staff
            }
            _ => &limits.others,
        };
        one_of(limiter, &actor.name().to_owned(), "you have sent too many requests")
    }

    /// Takes one of what an address has.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn take_from(&self, address: Option<IpAddr>) -> Result<()> {
        let (Some(limits), Some(address)) = (&self.0, address) else { return Ok(()) };
        one_of(&limits.addresses, &network(address), "too many requests have come from this address")
    }
}

fn one_of<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K, why: &'static str) -> Result<()> {
    if limiter.len() > TIDY_AFTER {
        limiter.retain_recent();
    }
    limiter.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(DefaultClock::default().now());
        // Whole seconds, and never none.
        Error::TooMany(why, wait.as_secs() + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Scope;

    /// How many requests are answered before one is not, if one is not. A slow machine gives some more.
    fn taken(rates: &Rates, name: &str, authority: Authority) -> Option<usize> {
        let actor = Actor::new(name, authority, Scope::All, None);
        (0..100_000).find(|_| rates.take(&actor).is_err())
    }

    #[test]
    fn everybody_has_a_share_of_its_own_and_staff_a_larger_one() {
        let rates = Rates::new(10);
        assert!(taken(&rates, "user:wile", Authority::Customer(1)).is_some_and(|taken| taken >= 50));
        assert!(taken(&rates, "user:road", Authority::Customer(2)).is_some_and(|taken| taken >= 50));
        assert!(taken(&rates, "user:alice", Authority::Operator).is_some_and(|taken| taken >= 500));
        let address = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        let from = |text: &str| (0..100_000).find(|_| rates.take_from(address(text)).is_err());
        assert!(from("192.0.2.1").is_some_and(|taken| taken >= 50));
        assert!(from("192.0.2.2").is_some_and(|taken| taken >= 50));
        assert!(from("2001:db8::1").is_some_and(|taken| taken >= 50));
        assert!((0..50).any(|_| rates.take_from(address("2001:db8::2")).is_err()), "it is one network");
        assert!((0..100_000).all(|_| rates.take_from(None).is_ok()));
    }

    #[test]
    fn another_token_gives_no_more() {
        let rates = Rates::new(1);
        let with = |token| Actor::new("user:wile", Authority::Customer(1), Scope::All, Some(token));
        assert!((0..100_000).any(|_| rates.take(&with(1)).is_err()));
        assert!((0..5).any(|_| rates.take(&with(2)).is_err()));
    }

    #[test]
    fn nobody_is_limited_by_a_rate_of_nothing() {
        assert_eq!(taken(&Rates::new(0), "user:wile", Authority::Customer(1)), None);
        assert!(Rates::new(0).take_from("192.0.2.1".parse().ok()).is_ok());
    }
}
