//! How many listen at once in the name of one. It knows names only.

use metrics::Gauge;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// How many streams one identity may hold open at each server. A node needs one; one that has lost power leaves another
/// behind, until TCP gives it up.
pub const PLACES: usize = 16;

/// Seconds after which it is worth trying again.
const AGAIN: u64 = 30;

/// Who listens how often.
pub struct Places {
    taken: Mutex<HashMap<String, usize>>,
    all: Gauge,
}

impl Default for Places {
    fn default() -> Self {
        Self { taken: Mutex::default(), all: metrics::gauge!("virtapi_event_streams") }
    }
}

impl Places {
    /// Takes one of the places of this name.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn take(self: &Arc<Self>, who: &str) -> Result<Place> {
        let mut taken = self.taken();
        let count = taken.get(who).copied().unwrap_or_default();
        if count >= PLACES {
            return Err(Error::TooMany("you listen to the events too many times at once", AGAIN));
        }
        taken.insert(who.to_owned(), count + 1);
        self.all.increment(1);
        Ok(Place { places: self.clone(), who: who.to_owned() })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Nothing that is done while it is locked can panic halfway.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, which is free again when this is dropped.
pub struct Place {
    places: Arc<Places>,
    who: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.who);
            }
        }
        self.places.all.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_places_of_its_own_and_gets_them_back() {
        let places = Arc::<Places>::default();
        let mut held: Vec<Place> = (0..PLACES).map(|_| places.take("node:a").expect("a place")).collect();
        assert!(matches!(places.take("node:a"), Err(Error::TooMany(..))));
        assert!(places.take("node:b").is_ok());
        held.pop();
        held.push(places.take("node:a").expect("it is free again"));
        assert!(places.take("node:a").is_err());
        held.clear();
        assert!(places.taken().is_empty(), "nothing is kept of who has gone");
    }
}
