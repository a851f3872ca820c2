//! Counts what is seen many times, so that each is told of at once and all the others together: the first of its kind
//! as one event, and then, for as long as there are more, one event for each window of time that says how many there
//! were. Nothing is lost while nobody can write it down, and it never needs more memory than it was given. It knows
//! neither the database nor the clock.

use chrono::{DateTime, TimeDelta, Utc};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::sighting::Sighting;

/// A moment.
type Time = DateTime<Utc>;

/// What was seen, and how often.
pub struct Sampler {
    limits: Limits,
    state: Mutex<State>,
}

/// How much is told apart.
#[derive(Clone, Copy)]
pub struct Limits {
    /// How many kinds of sightings are remembered at a time. What is one more is counted with all others like it.
    pub kinds: usize,
    /// For how long the others of a kind are counted before they are told.
    pub window: TimeDelta,
}

#[derive(Default)]
struct State {
    known: HashMap<Sighting<'static>, Counted>,
    /// What there was no room for.
    others: Counted,
    /// What is to be written, oldest first.
    due: Vec<Event>,
    /// When it was last looked for windows that are over.
    looked: Time,
}

/// Of how many parts of a window one may be longer than it should.
const PARTS: i32 = 100;

/// Something to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What was seen; nothing, for all that there was no room for.
    pub sighting: Option<Sighting<'static>>,
    /// How often.
    pub times: i64,
    /// Of several, when the first was.
    pub since: Option<Time>,
    /// When the last was.
    pub at: Time,
}

/// Those of a kind that are not told yet. They can be counted while the map that they are in is only read.
#[derive(Default)]
struct Counted {
    window_began: Cell<Time>,
    times: Cell<i64>,
    first: Cell<Time>,
    last: Cell<Time>,
}

impl Counted {
    fn from(now: Time) -> Self {
        Self { window_began: Cell::new(now), ..Self::default() }
    }

    fn add(&self, now: Time) {
        if self.times.get() == 0 {
            self.first.set(now);
        }
        self.times.update(|times| times.saturating_add(1));
        self.last.set(now);
    }

    /// Tells of those that were counted, if there were any, and begins another window.
    fn tell(&self, sighting: Option<&Sighting<'static>>, now: Time) -> Option<Event> {
        self.window_began.set(now);
        let times = self.times.take();
        (times > 0).then(|| Event {
            sighting: sighting.map(Sighting::common),
            times,
            since: (times > 1).then_some(self.first.get()),
            at: self.last.get(),
        })
    }
}

impl Sampler {
    /// Nothing was seen yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Takes note. Of what was seen before nothing is copied.
    pub fn note(&self, sighting: &Sighting<'_>, now: Time) {
        let mut state = self.state();
        // As long as it is only read, a map of what lives for ever takes a key that does not.
        let known: &HashMap<Sighting<'_>, Counted> = &state.known;
        if let Some(counted) = known.get(sighting) {
            counted.add(now);
        } else if known.len() < self.limits.kinds {
            let sighting = sighting.to_owned();
            state.due.push(Event { sighting: Some(sighting.clone()), times: 1, since: None, at: now });
            state.known.insert(sighting, Counted::from(now));
        } else {
            if state.others.times.get() == 0 {
                state.others.window_began.set(now);
            }
            state.others.add(now);
        }
    }

    /// What is to be written now: it stays here until [`Sampler::written`] says that it was.
    pub fn due(&self, now: Time) -> Vec<Event> {
        let mut state = self.state();
        // While what is due cannot be written, windows stay open: so there are never more events than kinds.
        if state.due.is_empty() && is_over(state.looked, now, self.limits.window / PARTS) {
            state.close(now, self.limits.window);
        }
        state.due.clone()
    }

    /// The same, with what would be told later.
    pub fn all(&self, now: Time) -> Vec<Event> {
        let mut state = self.state();
        state.close(now, TimeDelta::zero());
        state.due.clone()
    }

    /// Forgets so many events, the oldest.
    pub fn written(&self, events: usize) {
        let mut state = self.state();
        let events = events.min(state.due.len());
        state.due.drain(..events);
    }

    /// How many events are to be written.
    pub fn waiting(&self) -> usize {
        self.state().due.len()
    }

    /// Whoever panicked has left numbers, which are right or one too small.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the windows that are over, and forgets those in which nothing came.
    fn close(&mut self, now: Time, window: TimeDelta) {
        self.looked = now;
        let due = &mut self.due;
        self.known.retain(|sighting, counted| {
            if !is_over(counted.window_began.get(), now, window) {
                return true;
            }
            let event = counted.tell(Some(sighting), now);
            let goes_on = event.is_some();
            due.extend(event);
            goes_on
        });
        if is_over(self.others.window_began.get(), now, window) {
            due.extend(self.others.tell(None, now));
        }
    }
}

/// Whether a time that began then is over. A clock that was set back ends it, too.
fn is_over(began: Time, now: Time, window: TimeDelta) -> bool {
    let age = now - began;
    age >= window || age < TimeDelta::zero()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sightings::{Object, What};
    use std::borrow::Cow;

    const LIMITS: Limits = Limits { kinds: 3, window: TimeDelta::minutes(10) };

    fn minute(minute: i64) -> Time {
        Time::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minute)
    }

    fn refused(who: &str) -> Sighting<'_> {
        let what = What::Refused { method: "GET".into(), route: "/v1/<kind>".into(), status: 403 };
        Sighting { actor: Some(who.into()), ..Sighting::of_nobody(None, what) }
    }

    /// Who, how often, since which minute, at which minute.
    fn told(events: &[Event]) -> Vec<(String, i64, Option<i64>, i64)> {
        let minutes = |time: Time| (time - minute(0)).num_minutes();
        let who = |event: &Event| event.sighting.as_ref().map_or_else(String::new, |s| s.actor.clone().unwrap().into());
        events.iter().map(|event| (who(event), event.times, event.since.map(minutes), minutes(event.at))).collect()
    }

    fn expected(events: &[(&str, i64, Option<i64>, i64)]) -> Vec<(String, i64, Option<i64>, i64)> {
        events.iter().map(|(who, times, since, at)| ((*who).to_owned(), *times, *since, *at)).collect()
    }

    /// Takes what is due, as if it had been written.
    fn written(sampler: &Sampler, now: Time) -> Vec<Event> {
        let events = sampler.due(now);
        sampler.written(events.len());
        events
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_when_the_window_ends() {
        let sampler = Sampler::new(LIMITS);
        for at in 1..=4 {
            sampler.note(&refused("a"), minute(at));
        }
        sampler.note(&refused("b"), minute(5));
        assert_eq!(told(&written(&sampler, minute(5))), expected(&[("a", 1, None, 1), ("b", 1, None, 5)]));
        assert_eq!(told(&written(&sampler, minute(10))), []);
        assert_eq!(told(&written(&sampler, minute(11))), expected(&[("a", 3, Some(2), 4)]));
        // As long as it goes on, there is one for each window.
        sampler.note(&refused("a"), minute(12));
        assert_eq!(told(&written(&sampler, minute(20))), []);
        assert_eq!(told(&written(&sampler, minute(21))), expected(&[("a", 1, None, 12)]));
        // After a window without any it is new.
        assert_eq!(told(&written(&sampler, minute(31))), []);
        sampler.note(&refused("a"), minute(32));
        assert_eq!(told(&written(&sampler, minute(32))), expected(&[("a", 1, None, 32)]));
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_together() {
        let sampler = Sampler::new(LIMITS);
        let names: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        for name in &names {
            sampler.note(&refused(name), minute(0));
        }
        assert_eq!(
            told(&written(&sampler, minute(1))),
            expected(&[("0", 1, None, 0), ("1", 1, None, 0), ("2", 1, None, 0)])
        );
        assert_eq!(sampler.state().known.len(), LIMITS.kinds);
        assert_eq!(told(&written(&sampler, minute(10))), expected(&[("", 997, Some(0), 0)]));
        // Those that did not come again have made room.
        sampler.note(&refused("999"), minute(11));
        assert_eq!(told(&written(&sampler, minute(11))), expected(&[("999", 1, None, 11)]));
    }

    #[test]
    fn what_cannot_be_written_stays_and_does_not_grow() {
        let sampler = Sampler::new(LIMITS);
        let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        for at in 0..100 {
            for name in &names {
                sampler.note(&refused(name), minute(at));
            }
            assert_eq!(sampler.due(minute(at)).len(), LIMITS.kinds, "they stay");
        }
        let first = written(&sampler, minute(100));
        let rest = written(&sampler, minute(101));
        assert_eq!((first.len(), rest.len(), sampler.waiting()), (LIMITS.kinds, LIMITS.kinds + 1, 0));
        let times: i64 = first.iter().chain(&rest).map(|event| event.times).sum();
        assert_eq!(times, 1000, "nothing is lost");
        // What comes while it is written is told the next time.
        let due = sampler.due(minute(102));
        sampler.note(&refused("0"), minute(102));
        sampler.written(due.len());
        assert_eq!(told(&sampler.all(minute(102))), expected(&[("0", 1, None, 102)]));
    }

    #[test]
    fn at_the_end_all_is_told() {
        let sampler = Sampler::new(LIMITS);
        for name in ["a", "a", "b", "c", "d", "d", "a"] {
            sampler.note(&refused(name), minute(0));
        }
        let all = [("a", 1, None, 0), ("b", 1, None, 0), ("c", 1, None, 0), ("a", 2, Some(0), 0), ("", 2, Some(0), 0)];
        assert_eq!(told(&sampler.all(minute(1))), expected(&all));
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_window() {
        let sampler = Sampler::new(LIMITS);
        sampler.note(&refused("a"), minute(1000));
        assert_eq!(written(&sampler, minute(1000)).len(), 1);
        sampler.note(&refused("a"), minute(1001));
        assert_eq!(told(&written(&sampler, minute(0))), expected(&[("a", 1, None, 1001)]));
    }

    #[test]
    fn what_differs_is_told_apart_and_a_name_of_nothing_is_not() {
        let address = |text: &str| Some(text.parse().expect("an address"));
        let object = |id, key: &'static str| Some(Object { collection: "nodes", id, key: Cow::Borrowed(key) });
        let request = |request: &'static str| Some(Cow::Borrowed(request));
        let route = |route: &'static str| What::Refused { method: "GET".into(), route: route.into(), status: 401 };
        let one = || Sighting { address: address("192.0.2.1"), ..Sighting::of_nobody(None, route("/a")) };
        for other in [
            Sighting { what: route("/b"), ..one() },
            Sighting { what: What::Read { view: "/a" }, ..one() },
            Sighting { actor: Some("a".into()), ..one() },
            Sighting { token: Some(1), ..one() },
            Sighting { address: address("192.0.2.2"), ..one() },
            Sighting { object: object(Some(1), "a"), ..one() },
            Sighting { object: object(None, "a"), ..one() },
        ] {
            assert_ne!(one(), other);
            assert_eq!(other, other.to_owned());
        }
        assert_eq!(one(), Sighting { request: request("other"), address: address("::ffff:192.0.2.1"), ..one() });
        let named = |key| Sighting { object: object(None, key), ..one() };
        assert_eq!(named("a"), named("b"));
        let network = |text| Sighting { address: address(text), ..one() };
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }
}
