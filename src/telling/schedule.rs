//! When a message that was not taken is sent again. It knows numbers only.

use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST: Duration = Duration::from_hours(1);

/// How long to wait after so many failures: twice as long each time, up to an hour. `chance`, from 0 to 1, takes away up to
/// half of it, so that those who failed together do not come back together.
#[must_use]
pub fn pause(failures: u32, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let seconds = |failures| pause(failures, 0.0).as_secs();
        assert_eq!((1..=11).map(seconds).collect::<Vec<_>>(), [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
        assert_eq!((seconds(0), seconds(u32::MAX)), (10, 3600));
    }

    #[test]
    fn chance_takes_away_up_to_half() {
        for (chance, seconds) in [(0.0, 40.0), (0.5, 30.0), (1.0, 20.0), (7.0, 20.0), (-1.0, 40.0)] {
            assert!((pause(3, chance).as_secs_f64() - seconds).abs() < 1e-6, "{chance}");
        }
    }

    #[test]
    fn a_day_has_some_thirty_attempts() {
        let attempts = |chance| {
            let ends = (1..).scan(Duration::ZERO, |at, failures| {
                *at += pause(failures, chance);
                Some(*at)
            });
            ends.take_while(|at| *at < Duration::from_hours(24)).count() + 1
        };
        assert!((30..=33).contains(&attempts(0.0)) && (50..=60).contains(&attempts(1.0)));
    }
}
