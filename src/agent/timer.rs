//! After how long the next run begins if nothing is heard: a run that went well is followed by another after the whole
//! interval, one that failed sooner, for what it was to do is not done. (Puppet also fails while another run is under
//! way, which may not have seen the change.)

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

/// How long after the first of several failures; each further one doubles it, until it is the interval.
const SOONEST: Duration = Duration::from_mins(1);

/// How long to wait.
pub struct Timer {
    interval: Duration,
    retries: ExponentialBackoff,
}

impl Timer {
    /// For runs that went well.
    pub fn new(interval: Duration) -> Self {
        Self { interval, retries: retries(interval) }
    }

    /// After this run.
    pub fn after(&mut self, went_well: bool) -> Duration {
        if went_well {
            self.retries = retries(self.interval);
            return self.interval;
        }
        self.retries.next().map_or(self.interval, |pause| pause.min(self.interval))
    }
}

fn retries(interval: Duration) -> ExponentialBackoff {
    let soonest = SOONEST.min(interval);
    let pauses = ExponentialBuilder::default().with_min_delay(soonest).with_max_delay(interval);
    pauses.with_jitter().without_max_times().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_tried_again_sooner_and_later_each_time() {
        let half_an_hour = Duration::from_mins(30);
        let mut timer = Timer::new(half_an_hour);
        for _ in 0..2 {
            assert_eq!(timer.after(true), half_an_hour);
            for minutes in [1, 2, 4, 8] {
                let pause = timer.after(false);
                assert!(
                    (Duration::from_mins(minutes)..=Duration::from_mins(2 * minutes)).contains(&pause),
                    "{pause:?}"
                );
            }
            assert!(timer.after(false) >= Duration::from_mins(16));
            assert_eq!((timer.after(false), timer.after(false)), (half_an_hour, half_an_hour));
        }
        let second = Duration::from_secs(1);
        let mut timer = Timer::new(second);
        assert_eq!(
            [timer.after(false), timer.after(true), timer.after(false)],
            [second; 3],
            "it is no longer than the interval"
        );
    }
}
