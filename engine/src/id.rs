//! The names of places and moments in the log: [`Sequence`], [`Timestamp`], [`Day`], [`SegmentId`].
//!
//! They are plain numbers with a meaning, kept on the ground floor so that every room can use them.

use std::fmt;

/// The dense position of an event in the log: given at append, counted from 1, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The position before the first event.
    pub const ZERO: Sequence = Sequence(0);
    /// The position of the first event of a log.
    pub const FIRST: Sequence = Sequence(1);

    /// The position `count` events later. Saturates; a log of 2^64 events is out of reach.
    #[must_use]
    pub fn plus(self, count: u64) -> Sequence {
        Sequence(self.0.saturating_add(count))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment in nanoseconds since 1970-01-01T00:00:00Z. Covers the years 1677 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest moment that can be named.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest moment that can be named.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// From milliseconds since the epoch; `None` outside of what can be named.
    #[must_use]
    pub fn from_millis(millis: i64) -> Option<Timestamp> {
        millis.checked_mul(1_000_000).map(Timestamp)
    }

    /// From seconds since the epoch; `None` outside of what can be named.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Option<Timestamp> {
        seconds.checked_mul(1_000_000_000).map(Timestamp)
    }

    /// Whole milliseconds since the epoch, rounded down.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The UTC day that holds this moment.
    #[must_use]
    pub fn day(self) -> Day {
        // In range: i64 nanoseconds are at most 106,752 days away from the epoch.
        Day(self.0.div_euclid(Day::NANOS) as i32)
    }

    /// This moment shifted by a number of nanoseconds, held at the ends of the range.
    #[must_use]
    pub fn shift(self, nanos: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(nanos))
    }
}

/// RFC 3339 in UTC with as many fraction digits (0, 3, 6 or 9) as the value needs.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(t) => t.fmt(f),
            Err(_) => self.0.fmt(f),
        }
    }
}

/// A UTC day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(pub i32);

impl Day {
    /// The length of a day.
    pub const NANOS: i64 = 86_400_000_000_000;

    /// The first moment of the day.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp(i64::from(self.0).saturating_mul(Day::NANOS))
    }

    /// The first moment after the day.
    #[must_use]
    pub fn end(self) -> Timestamp {
        Timestamp((i64::from(self.0) + 1).saturating_mul(Day::NANOS))
    }
}

/// `YYYY-MM-DD`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.start().to_string();
        f.write_str(text.split('T').next().unwrap_or(&text))
    }
}

/// The number of a segment file: given in order of creation, never reused. Written as 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SegmentId(pub u64);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_round_down_on_both_sides_of_the_epoch() {
        assert_eq!(Timestamp(-1).day(), Day(-1));
        assert_eq!(Timestamp(0).day(), Day(0));
        assert_eq!(Day(20_000).start().day(), Day(20_000));
        assert_eq!(Timestamp(Day(20_000).end().0 - 1).day(), Day(20_000));
        assert_eq!(Day(20_000).to_string(), "2024-10-04");
    }

    #[test]
    fn timestamps_print_only_the_digits_they_need() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp(1_500_000_000).to_string(), "1970-01-01T00:00:01.5Z");
    }
}
