//! Moments and intervals as clients write them.
//!
//! A moment is RFC 3339, a day for its first moment in UTC, epoch milliseconds (below 10^11, which is March 1973, seconds: no log of
//! events is that old, and many clients have seconds), or relative to the present: `now`, `now-15m`, `now+1h`. A relative moment stays
//! relative until it is resolved, so that a stored filter keeps its meaning. Units are `ms s m h d w`; a day is 24 hours.

use std::fmt;

use crate::error::{Error, Result};
use crate::event::read_time;
use crate::id::Timestamp;

const MILLI: i64 = 1_000_000;

/// Longest first, so that printing picks the shortest form.
const UNITS: [(&str, i64); 6] = [
    ("w", 7 * 86_400_000 * MILLI),
    ("d", 86_400_000 * MILLI),
    ("h", 3_600_000 * MILLI),
    ("m", 60_000 * MILLI),
    ("s", 1_000 * MILLI),
    ("ms", MILLI),
];

/// A moment that is fixed, or relative to the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// A fixed moment.
    At(Timestamp),
    /// So many nanoseconds after the present; a whole number of milliseconds.
    Now(i64),
}

impl Moment {
    /// Reads a moment as a client writes it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] for anything else, and for times before 1677 or after 2262.
    pub fn parse(text: &str) -> Result<Moment> {
        read_moment(text).ok_or_else(|| {
            Error::invalid(format!("cannot read the time `{}`; write 2026-11-22T08:00:00Z, epoch milliseconds, or now-15m", shown(text)))
        })
    }

    /// The moment so many nanoseconds after this one, which must be a whole number of milliseconds for a relative one.
    pub(crate) fn later(self, nanos: i64) -> Moment {
        match self {
            Moment::At(time) => Moment::At(time.shift(nanos)),
            Moment::Now(after) => Moment::Now(after.saturating_add(nanos)),
        }
    }

    /// The moment, given the present. Held at the ends of what a [`Timestamp`] can name.
    #[must_use]
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Moment::At(time) => time,
            Moment::Now(nanos) => now.shift(nanos),
        }
    }
}

/// The form that [`Moment::parse`] reads.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Moment::At(time) => time.fmt(f),
            Moment::Now(0) => f.write_str("now"),
            Moment::Now(nanos) => {
                let (unit, length) = UNITS.iter().find(|(_, length)| nanos % length == 0).copied().unwrap_or(("ms", MILLI));
                write!(f, "now{:+}{unit}", nanos / length)
            }
        }
    }
}

/// Reads the width of a histogram's buckets, in nanoseconds: `15m`, `1h`, `1d`.
///
/// # Errors
/// [`crate::ErrorKind::Invalid`] for anything else, and for zero.
pub fn read_interval(text: &str) -> Result<i64> {
    read_length(text)
        .filter(|nanos| *nanos > 0)
        .ok_or_else(|| Error::invalid(format!("cannot read the interval `{}`; write 15m, 1h or 1d", shown(text))))
}

/// Prints a length in its largest whole unit, as [`read_interval`] reads it.
pub(crate) fn show_interval(nanos: i64) -> String {
    let (unit, length) = UNITS.iter().find(|(_, length)| nanos % length == 0).copied().unwrap_or(("ms", MILLI));
    format!("{}{unit}", nanos / length)
}

/// A client's words, short enough for a message.
fn shown(text: &str) -> &str {
    let end = text.char_indices().nth(64).map_or(text.len(), |(i, _)| i);
    text.get(..end).unwrap_or("")
}

fn read_moment(text: &str) -> Option<Moment> {
    if let Some(offset) = text.strip_prefix("now") {
        return match offset.split_at_checked(1) {
            None => Some(Moment::Now(0)),
            Some(("-", length)) => Some(Moment::Now(-read_length(length)?)),
            Some(("+", length)) => Some(Moment::Now(read_length(length)?)),
            Some(_) => None,
        };
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().and_then(Timestamp::from_millis).map(Moment::At);
    }
    // Other numbers are not milliseconds: only calendar forms go on.
    if text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    if is_day(text) {
        return read_time(&format!("{text}T00:00:00Z")).map(Moment::At);
    }
    read_time(text).map(Moment::At)
}

/// Whether a text has the form of a day: `2026-11-22`.
pub(crate) fn is_day(text: &str) -> bool {
    let fits = |(i, b): (usize, u8)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(fits)
}

fn read_length(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(end);
    let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
    count.parse::<i64>().ok()?.checked_mul(*length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_printed_back() {
        let now = Timestamp(1_795_334_400_000_000_000);
        let cases = [
            ("now", "now", now),
            ("now-120m", "now-2h", now.shift(-7_200_000 * MILLI)),
            ("now+1500ms", "now+1500ms", now.shift(1_500 * MILLI)),
            ("now-30d", "now-30d", now.shift(-30 * 86_400_000 * MILLI)),
            ("1795334400000", "2026-11-22T08:00:00Z", now),
            ("2026-11-22T16:00:00+08:00", "2026-11-22T08:00:00Z", now),
            ("2026-11-22", "2026-11-22T00:00:00Z", Timestamp(1_795_305_600_000_000_000)),
            ("-1000", "1969-12-31T23:59:59Z", Timestamp(-1_000_000_000)),
        ];
        for (text, printed, moment) in cases {
            let read = Moment::parse(text).unwrap();
            assert_eq!((read.to_string().as_str(), read.resolve(now)), (printed, moment), "{text}");
            assert_eq!(Moment::parse(printed).unwrap(), read);
        }
    }

    #[test]
    fn what_is_no_moment() {
        for text in [
            "",
            "now-",
            "now-5",
            "now-5y",
            "now*2d",
            "nowish",
            "yesterday",
            "2026-11-32",
            "2026-11",
            "1e12",
            "99999999999999999999",
            "now-99999999999w",
        ] {
            assert!(Moment::parse(text).unwrap_err().message().contains("cannot read the time"), "{text}");
        }
    }

    #[test]
    fn intervals() {
        assert_eq!(read_interval("15m").unwrap(), 900_000 * MILLI);
        assert_eq!(show_interval(read_interval("90m").unwrap()), "90m");
        assert_eq!(show_interval(read_interval("24h").unwrap()), "1d");
        for text in ["", "0m", "h", "1", "1y", "-1h", "1.5h", "99999999999999d"] {
            assert!(read_interval(text).is_err(), "{text}");
        }
    }
}
