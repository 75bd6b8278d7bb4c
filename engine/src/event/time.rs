//! Event times: RFC 3339 in all its dress, and epoch numbers.
//!
//! The fixed shape `YYYY-MM-DDTHH:MM:SSZ` is read by hand, since nearly every event has it; everything else goes to `jiff`.

use crate::id::Timestamp;

/// Epoch numbers from here on are milliseconds, below they are seconds: 10^11 seconds is the year 5138, 10^11
/// milliseconds is 1973.
const MILLIS_FROM: f64 = 1e11;

/// Reads a time: RFC 3339 (`2026-11-22T08:00:00Z`, with fraction, with an offset, also without its colon), or an epoch number.
/// `None` for anything else and for times outside of what [`Timestamp`] can name.
#[must_use]
pub fn read_time(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if let Some(time) = read_plain(bytes) {
        return Some(time);
    }
    // At least `YYYY-MM-DDTHH:MM:SS` and a zone: shorter texts are at most epoch numbers.
    if bytes.get(4) == Some(&b'-') && bytes.len() >= 20 {
        return read_rfc3339(text);
    }
    read_epoch(text)
}

/// Reads epoch seconds or milliseconds, with or without a fraction.
#[must_use]
pub fn read_epoch(text: &str) -> Option<Timestamp> {
    if text.is_empty() || text.len() > 32 || !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E')) {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        if (whole.unsigned_abs() as f64) < MILLIS_FROM {
            return Timestamp::from_seconds(whole);
        }
        return Timestamp::from_millis(whole);
    }
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite())?;
    let nanos = if number.abs() < MILLIS_FROM { number * 1e9 } else { number * 1e6 };
    (nanos.abs() < i64::MAX as f64).then_some(Timestamp(nanos as i64))
}

fn read_rfc3339(text: &str) -> Option<Timestamp> {
    let nanos = text.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
    i64::try_from(nanos).ok().map(Timestamp)
}

/// `YYYY-MM-DDTHH:MM:SSZ`, digit by digit: just the texts that would be printed so.
pub(crate) fn read_plain(b: &[u8]) -> Option<Timestamp> {
    let b: &[u8; 20] = b.try_into().ok()?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1, b'Z'] = *b else {
        return None;
    };
    let two = |tens: u8, ones: u8| -> Option<i64> {
        (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
    };
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    let (month, day) = (two(m0, m1)?, two(d0, d1)?);
    let (hour, minute, second) = (two(h0, h1)?, two(i0, i1)?, two(s0, s1)?);
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Timestamp::from_seconds(seconds)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hand_written_shape_agrees_with_jiff() {
        for text in ["1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2026-11-22T08:00:00Z", "1900-03-01T00:00:00Z", "2100-02-28T12:34:56Z"]
        {
            assert_eq!(read_plain(text.as_bytes()), read_rfc3339(text), "{text}");
            assert!(read_plain(text.as_bytes()).is_some());
        }
        for text in ["2100-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-10T00:00:00Z", "2026-01-01T24:00:00Z"] {
            assert_eq!(read_plain(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn other_dresses() {
        let noon = read_time("2026-11-22T08:00:00Z").unwrap();
        for text in
            ["2026-11-22T16:00:00+08:00", "2026-11-22T08:00:00.000+0000", "2026-11-22T08:00:00.000000000Z", "1795334400", "1795334400000"]
        {
            assert_eq!(read_time(text), Some(noon), "{text}");
        }
        for text in ["", "soon", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59Z", "1e400", "2026-11-22"] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }
}
