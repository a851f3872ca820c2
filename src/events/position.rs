//! How far somebody has heard the feed: which transactions were visible when it was read, as Postgres writes a snapshot
//! (`xmin:xmax:those in between that were under way`), and on which timeline. It is what a client sends back as
//! `Last-Event-ID`.
//!
//! Not a number that grows: numbers are handed out before the commit, and a reader that has seen 8 could not tell that 7
//! comes later. What is new since a snapshot is exact, at once, whatever else is under way.

use std::fmt;

/// The longest that is read. With every transaction that a large Postgres can have under way it is not half of that.
const LONGEST: usize = 16 * 1024;

/// A moment in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Of the write-ahead log: another one after each failover, which may have lost transactions that were seen.
    timeline: u32,
    /// All transactions before this one had ended.
    first_open: i64,
    /// This one and all later ones had not begun.
    pub first_future: i64,
    /// Those in between that had not ended.
    pub open: Vec<i64>,
}

impl Position {
    /// What somebody has sent, or what the database said; nothing, if it is none.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (timeline, snapshot) = text.split_once('-')?;
        let mut parts = snapshot.splitn(3, ':');
        let (first_open, first_future, open) = (number(parts.next()?)?, number(parts.next()?)?, parts.next()?);
        let open: Option<Vec<i64>> = open.split(',').filter(|one| !one.is_empty()).map(number).collect();
        let open = open?;
        let fits = |one: &i64| (first_open..first_future).contains(one);
        let sound = first_open <= first_future && open.iter().all(fits);
        let timeline = u32::from_str_radix(timeline, 16).ok()?;
        sound.then_some(Self { timeline, first_open, first_future, open })
    }

    /// Whether at this moment all had been seen of the transactions up to that one, as far as they have ended by a later
    /// moment: of those that are still open nothing can be lost.
    pub fn has_seen(&self, last: i64, later: &Self) -> bool {
        last < self.first_future && self.open.iter().all(|one| *one > last || later.open.contains(one))
    }

    /// Whether what is new since this can be told at that moment. It cannot across timelines, nor when it has not come
    /// yet: then the database is another one, or was set back.
    pub fn comes_before(&self, later: &Self) -> bool {
        self.timeline == later.timeline && self.first_future <= later.first_future
    }

    /// Whether all that was visible at that moment was visible at this one.
    pub fn covers(&self, other: &Self) -> bool {
        let was_open_then = |one: &i64| *one >= other.first_future || other.open.contains(one);
        self.timeline == other.timeline
            && other.first_future <= self.first_future
            && self.open.iter().all(was_open_then)
    }
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number| *number > 0)
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}-{}:{}:", self.timeline, self.first_open, self.first_future)?;
        for (i, one) in self.open.iter().enumerate() {
            write!(f, "{}{one}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Position {
        Position::read(text).expect(text)
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["1-744:744:", "1-744:750:744,747", "A-1:9223372036854775807:1"] {
            assert_eq!(read(text).to_string(), text);
        }
        // As the database pads it.
        assert_eq!(read("0000000A-5:7:5").to_string(), "A-5:7:5");
    }

    #[test]
    fn a_moment_covers_what_shows_nothing_more() {
        for (at, other, covers) in [
            ("1-744:750:744,747", "1-744:750:744,747", true),
            ("1-747:750:747", "1-744:750:744,747", true),
            ("1-744:750:744", "1-744:747:744", true),
            ("1-744:750:747", "1-744:747:", true),
            // It has ended there, and not here.
            ("1-744:750:744,747", "1-747:750:747", false),
            ("1-744:750:744", "1-745:750:747", false),
            ("1-744:750:", "1-744:751:", false),
            ("2-744:750:", "1-744:750:", false),
        ] {
            assert_eq!(read(at).covers(&read(other)), covers, "{at} {other}");
        }
    }

    #[test]
    fn what_is_none_is_not_taken_for_one() {
        let long = format!("1-1:{0}:{1}", 9_000_000, "8000000,".repeat(3000));
        for text in [
            "",
            "1",
            "42",
            "1-",
            "1-7",
            "1-7:8",
            "1-8:7:",
            "1-7:8:9",
            "1-7:9:6",
            "1-0:1:",
            "1-a:8:",
            "x-7:8:",
            "-7:8:",
            "1-7:8:7:7",
            &long,
        ] {
            assert_eq!(Position::read(text), None, "{text:.40}");
        }
    }

    #[test]
    fn what_may_have_been_forgotten_unseen_is_known() {
        let then = read("1-7:20:7,15");
        assert!(then.has_seen(6, &read("1-30:30:")));
        assert!(!then.has_seen(7, &read("1-30:30:")), "it may have been committed, and forgotten");
        assert!(then.has_seen(7, &read("1-7:30:7")), "it is still open");
        assert!(then.has_seen(14, &read("1-7:30:7")));
        assert!(!then.has_seen(15, &read("1-7:30:7")));
        assert!(!then.has_seen(20, &read("1-7:30:7,15")), "it had not begun");
        assert!(then.has_seen(19, &read("1-7:30:7,15")));
    }

    #[test]
    fn nothing_is_told_across_timelines_or_from_the_future() {
        assert!(read("1-7:9:8").comes_before(&read("1-7:9:8")));
        assert!(read("1-7:9:8").comes_before(&read("1-8:10:8")));
        assert!(!read("1-7:9:8").comes_before(&read("2-8:10:8")));
        assert!(!read("1-7:11:8").comes_before(&read("1-8:10:8")));
    }
}
