//! What clients did and were told, in the order of one clock for all; and what follows of it: who held what, from when until when. It
//! knows neither the server nor the rules.

use std::collections::BTreeSet;

/// One request, or the same one sent again with its `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct Event {
    /// What its changes are recorded with (`X-Change-Message`).
    pub id: String,
    /// Before it was sent.
    pub began: u64,
    /// After its answer was read, or it was known what came of it.
    pub ended: u64,
    pub deed: Deed,
    pub outcome: Outcome,
}

#[derive(Clone, Debug)]
pub enum Deed {
    Order(Order),
    Delete(i64),
    /// `start`, `stop` or `reboot`
    Power(i64, &'static str),
    /// A floating IP is given back.
    Release(String),
}

#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Those that it would make.
    pub names: Vec<String>,
    pub size: Size,
    pub group: Option<String>,
    /// The one that is wanted.
    pub address: Option<String>,
    pub assign_floating_ip: bool,
}

/// What a VM takes of its hypervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Size {
    pub cores: f64,
    pub ram_bytes: f64,
    pub disk_bytes: f64,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was acknowledged; of an order, what it made.
    Done(Vec<Seen>),
    /// The connection was cut; afterwards it was seen that it had been done.
    Found(Vec<Seen>),
    /// The connection was cut; afterwards it was seen that it had not been done.
    Nothing,
    /// The connection was cut; what it was about is as wanted, by this request or by another.
    Unknown,
    /// The status and the fields that were named.
    Refused(u16, Vec<String>),
}

/// A VM as its client saw it when it was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub id: i64,
    pub name: String,
    pub hypervisor: String,
    pub size: Size,
    pub group: Option<String>,
    pub addresses: Vec<String>,
    pub macs: Vec<String>,
    pub floating: Vec<String>,
}

/// Something that was held: certainly within `sure`, and at most within `perhaps`. Both begin and end with a reading of the clock.
#[derive(Clone, Debug)]
pub struct Hold<T> {
    pub what: T,
    pub by: String,
    pub sure: (u64, u64),
    pub perhaps: (u64, u64),
}

/// Until the end of the history, and after it.
pub const EVER: u64 = u64::MAX;

/// The agent of a hypervisor has read its document and reported that it was applied: from when until when.
#[derive(Clone, Debug)]
pub struct Run {
    pub hypervisor: String,
    pub began: u64,
    pub ended: u64,
}

#[derive(Clone, Debug, Default)]
pub struct History {
    pub events: Vec<Event>,
    pub runs: Vec<Run>,
}

impl Event {
    /// What an order made.
    pub fn made(&self) -> &[Seen] {
        match &self.outcome {
            Outcome::Done(made) | Outcome::Found(made) => made,
            _ => &[],
        }
    }

    pub fn is_acknowledged(&self) -> bool {
        matches!(self.outcome, Outcome::Done(_))
    }

    /// Whether it may have changed something.
    pub fn may_count(&self) -> bool {
        !matches!(self.outcome, Outcome::Nothing | Outcome::Refused(..))
    }
}

impl<T> Hold<T> {
    /// Whether there was a moment at which both held certainly.
    pub fn meets(&self, other: &Self) -> bool {
        self.sure.0 < other.sure.1 && other.sure.0 < self.sure.1
    }

    /// Whether it may have been held at some moment of these.
    pub fn may_meet(&self, (began, ended): (u64, u64)) -> bool {
        self.perhaps.0 < ended && began < self.perhaps.1
    }
}

impl History {
    /// Who was told that a deed is done, or may have done it unawares; the first that began, and the first that ended.
    fn end(&self, is_it: impl Fn(&Deed) -> bool) -> (u64, u64) {
        let ends = || self.events.iter().filter(|event| is_it(&event.deed) && event.may_count());
        (ends().map(|event| event.began).min().unwrap_or(EVER), ends().map(|event| event.ended).min().unwrap_or(EVER))
    }

    /// When a VM was there.
    pub fn vms(&self) -> Vec<Hold<Seen>> {
        let made = self.events.iter().flat_map(|event| event.made().iter().map(move |vm| (event, vm)));
        made.map(|(event, vm)| {
            let (leaving, gone) = self.end(|deed| matches!(deed, Deed::Delete(id) if *id == vm.id));
            Hold {
                what: vm.clone(),
                by: format!("VM {} ({}, {})", vm.id, vm.name, event.id),
                sure: (event.ended, leaving),
                perhaps: (event.began, gone),
            }
        })
        .collect()
    }

    /// When a floating IP was somebody's: it stays its environment's when its VM goes.
    pub fn floating(&self) -> Vec<Hold<String>> {
        let mut holds = Vec::new();
        for event in &self.events {
            for ip in event.made().iter().flat_map(|vm| &vm.floating) {
                // An address may be given back and taken again: only what was given back after this order counts.
                let of_this = |other: &&Event| {
                    matches!(&other.deed, Deed::Release(given) if given == ip)
                        && other.may_count()
                        && other.began > event.ended
                };
                let release = self.events.iter().filter(of_this).min_by_key(|other| other.began);
                holds.push(Hold {
                    what: ip.clone(),
                    by: event.id.clone(),
                    sure: (event.ended, release.map_or(EVER, |other| other.began)),
                    perhaps: (event.began, release.map_or(EVER, |other| other.ended)),
                });
            }
        }
        holds
    }

    /// Hypervisors whose agent has ever reported: what was on them is held until it reports again.
    pub fn heard(&self) -> BTreeSet<&str> {
        self.runs.iter().map(|run| run.hypervisor.as_str()).collect()
    }
}
